"""What is a token and what is not; the attacks are those of RFC 8725 section 2, one test each."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.auth.claims import MAX_TIME
from playsmart_gateway.auth.keys import (
    StaticKeys,
    shared_secrets,
)
from playsmart_gateway.auth.token_cache import Caller
from playsmart_gateway.auth.tokens import (
    TokenVerifier,
    mint,
    open_verifier,
)
from playsmart_gateway.errors import ConfigError, Unauthenticated

SECRET = "correct horse battery staple, 32+"
OTHER_SECRET = "another secret of thirty-two bytes"
NOW = 1_700_000_000
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()


class Clock:
    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class CountingKeys(StaticKeys):
    """One public key; counts how often it was asked for, and can pretend to change."""

    def __init__(self) -> None:
        super().__init__([(None, ED_KEY.public_key())], ["EdDSA"])
        self.asked = 0
        self.generation = 0
        self.due = False

    def is_due(self) -> bool:
        return self.due

    async def keys_for(self, kid: str | None, alg: str) -> Sequence[Any]:
        self.asked += 1
        return await super().keys_for(kid, alg)


def verifier(clock: Callable[[], float] | None = None, **settings: Any) -> TokenVerifier:
    return open_verifier(**{"secret": SECRET, "clock": clock or Clock(), **settings})


def encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def sign(header: object, claims: object, secret: str | bytes = SECRET) -> bytes:
    """Forge any token with a good HS256 signature; str and bytes go in as they are."""
    parts = []
    for part in (header, claims):
        text = part if isinstance(part, str | bytes) else json.dumps(part)
        parts.append(encode(text.encode() if isinstance(text, str) else text))
    signed = b".".join(parts)
    key = secret.encode() if isinstance(secret, str) else secret
    return signed + b"." + encode(hmac.digest(key, signed, hashlib.sha256))


def with_header(**members: object) -> bytes:
    return sign({"alg": "HS256", **members}, {"sub": "ada", "exp": NOW + 60})


def with_claims(**members: object) -> bytes:
    """A token for ada with these claims added or, where None, left out."""
    claims = {"sub": "ada", "exp": NOW + 60, **members}
    return sign({"alg": "HS256"}, {name: v for name, v in claims.items() if v is not None})


def publicly_signed(key: Any = ED_KEY, **claims: object) -> bytes:
    return jwt.encode({"sub": "ada", "exp": NOW + 60, **claims}, key, "EdDSA").encode()


async def refusal(token: bytes, by: TokenVerifier | None = None) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await (by or verifier()).verify(token)
    assert caught.value.status == 401
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.message


# --- the attacks of RFC 8725 section 2 ------------------------------------------------------------


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
async def test_an_unsigned_token_is_refused_however_none_is_spelt(alg: str) -> None:
    """RFC 8725 section 2.1."""
    signed = sign({"alg": alg}, {"sub": "ada", "exp": NOW + 60})
    unsigned = signed.rpartition(b".")[0] + b"."
    assert await refusal(signed) == "invalid_token"
    assert await refusal(unsigned) == "invalid_token"
    assert await refusal(unsigned + b"AA") == "invalid_token"


@pytest.mark.parametrize("key", [RSA_KEY, EC_KEY, ED_KEY])
async def test_the_public_key_is_no_hmac_secret(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, tmp_path: Path
) -> None:
    """RFC 8725 section 2.1: what everybody may know must not pass for a shared secret."""
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    public = open_verifier(public_key_file=tmp_path / "key.pem", clock=Clock())
    for secret in (pem, pem.strip()):
        token = sign({"alg": "HS256"}, {"sub": "ada", "exp": NOW + 60}, secret)
        assert await refusal(token, public) == "invalid_token"


async def test_the_header_cannot_choose_an_algorithm_that_is_not_configured() -> None:
    """RFC 8725 section 2.1, even where the secret would do for it."""
    secret = "s" * 64
    token = mint("ada", secret=secret, ttl_seconds=60, now=NOW, algorithm="HS512").encode()
    assert await refusal(token, verifier(secret=secret)) == "invalid_token"
    both = verifier(secret=secret, algorithms=["HS256", "HS512"])
    assert (await both.verify(token)).subject == "ada"


@pytest.mark.parametrize("secret", ["", "secret", "x" * 31])
def test_a_secret_that_can_be_guessed_is_refused_at_the_start(secret: str) -> None:
    """RFC 8725 section 2.2."""
    with pytest.raises(ConfigError, match=r"^auth\.secret: is \d+ bytes long, must be 32 at least"):
        verifier(secret=secret)


def test_a_hash_longer_than_the_secret_is_refused_at_the_start() -> None:
    """RFC 8725 section 2.2, RFC 7518 section 3.2."""
    with pytest.raises(ConfigError, match=r"^auth\.algorithms: 'HS512' does not go with these"):
        verifier(secret="x" * 40, algorithms=["HS512"])


async def test_a_nested_or_encrypted_token_is_refused() -> None:
    """RFC 8725 section 2.3: there is no decryption here that could forget to check the inside."""
    inner = with_claims()
    assert await refusal(sign({"alg": "HS256", "cty": "JWT"}, inner)) == "invalid_token"
    jwe = b".".join([encode(b'{"alg":"dir","enc":"A128CBC-HS256"}'), b"", b"AA", b"AA", b"AA"])
    assert await refusal(jwe) == "invalid_token"
    assert await refusal(b".".join([encode(b'{"alg":"HS256"}'), *[b"AA"] * 4])) == "invalid_token"


async def test_a_compressed_token_is_refused() -> None:
    """RFC 8725 section 3.6: what was never inflated can neither leak its length nor explode."""
    claims = zlib.compress(json.dumps({"sub": "ada", "exp": NOW + 60}).encode())
    assert await refusal(sign({"alg": "HS256", "zip": "DEF"}, claims)) == "invalid_token"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1"])
async def test_json_in_any_encoding_but_utf_8_is_refused(encoding: str) -> None:
    """RFC 8725 section 2.4."""
    claims = f'{{"sub": "Zoë", "exp": {NOW + 60}}}'
    assert await refusal(sign({"alg": "HS256"}, claims.encode(encoding))) == "invalid_token"
    assert await refusal(sign('{"alg":"HS256","é":1}'.encode(encoding), claims)) == "invalid_token"
    assert (await verifier().verify(sign({"alg": "HS256"}, claims))).subject == "Zoë"


@pytest.mark.parametrize(
    "token",
    [
        sign('{"alg":"HS256","alg":"HS256"}', {"sub": "ada", "exp": NOW + 60}),
        sign('{"alg":"none","\\u0061lg":"HS256"}', {"sub": "ada", "exp": NOW + 60}),
        sign({"alg": "HS256"}, f'{{"sub":"eve","sub":"ada","exp":{NOW + 60}}}'),
        sign({"alg": "HS256"}, f'{{"sub":"ada","exp":1,"exp":{NOW + 60}}}'),
        sign({"alg": "HS256"}, f'{{"sub":"ada","exp":{NOW + 60},"more":{{"a":1,"a":2}}}}'),
    ],
)
async def test_a_member_named_twice_is_refused(token: bytes) -> None:
    """RFC 8725 section 2.4: two readers of one token must not see two different players."""
    assert await refusal(token) == "invalid_token"


async def test_a_token_can_be_written_in_one_way_only() -> None:
    """RFC 8725 section 2.4, RFC 7515 section 2: no padding, white space, or stray bits."""
    token = with_claims()
    header, claims, signature = token.split(b".")
    variants = [token + b"=", token + b"\n", b" " + token, token + b".", b"." + token]
    variants += [b".".join([header + b"=", claims, signature]), token.replace(b".", b"..", 1)]
    variants += [b".".join([header, claims[:4] + b"\r\n" + claims[4:], signature])]
    variants += [b".".join([header, claims, b"+/" + signature[2:]]), token.replace(b".", b",")]
    # The last of the 43 characters of a 32 byte signature carries 4 bits; its 2 others must be 0.
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    stray = alphabet[alphabet.index(token[-1:]) + 1]
    variants += [token[:-1] + bytes([stray]), token + b"A"]
    strict = verifier()
    for variant in variants:
        assert await refusal(variant, strict) == "invalid_token"
    assert (await strict.verify(token)).subject == "ada"


@pytest.mark.parametrize("aud", [None, "lynes", ["lynes", "teak"], [], {"playsmart": 1}, 7])
async def test_a_token_for_another_service_is_refused(aud: object) -> None:
    """RFC 8725 sections 2.7 and 3.9: substitution."""
    by = verifier(audience="playsmart")
    assert await refusal(with_claims(aud=aud), by) == "invalid_token"
    assert (await by.verify(with_claims(aud="playsmart"))).subject == "ada"
    assert (await by.verify(with_claims(aud=["lynes", "playsmart"]))).subject == "ada"


@pytest.mark.parametrize("iss", [None, "https://evil.example", ["https://id.example"], 1, ""])
async def test_a_token_of_another_issuer_is_refused(iss: object) -> None:
    """RFC 8725 sections 2.7 and 3.8: substitution."""
    by = verifier(issuer="https://id.example")
    assert await refusal(with_claims(iss=iss), by) == "invalid_token"
    assert (await by.verify(with_claims(iss="https://id.example"))).subject == "ada"


@pytest.mark.parametrize("typ", ["dpop+jwt", "secevent+jwt", "JOSE", "application/", "", None, 1])
async def test_a_token_of_another_kind_is_refused(typ: object) -> None:
    """RFC 8725 sections 2.8 and 3.11: cross-JWT confusion."""
    assert await refusal(with_header(typ=typ)) == "invalid_token"


async def test_a_refresh_token_is_no_access_token() -> None:
    """RFC 8725 section 2.8; PlaySmart tells the two apart by this claim alone."""
    assert await refusal(with_claims(kind="refresh")) == "invalid_token"
    assert (await verifier().verify(with_claims(kind="access"))).subject == "ada"


@pytest.mark.parametrize(
    "claim",
    [
        *({"kind": "REFRESH"}, {"kind": " refresh "}, {"Kind": "refresh"}, {"kind": ["refresh"]}),
        *({"token_type": "refresh"}, {"tokenType": "refresh_token"}, {"token-type": "Refresh"}),
        *({"typ": "Refresh"}, {"typ": "Offline"}, {"type": "refresh"}, {"token_use": "refresh"}),
    ],
)
async def test_a_refresh_token_is_told_by_any_name_and_spelling(claim: dict[str, object]) -> None:
    assert await refusal(with_claims(**claim)) == "invalid_token"


@pytest.mark.parametrize(
    "claim",
    [
        *({"kind": "access"}, {"typ": "Bearer"}, {"token_use": "access"}, {"token_type": "JWT"}),
        *(
            {"kind": None},
            {"kind": 7},
            {"name": "refresh"},
            {"scope": "refresh"},
            {"sub": "refresh"},
        ),
    ],
)
async def test_other_kinds_and_other_claims_are_no_refresh_token(claim: dict[str, object]) -> None:
    assert (await verifier().verify(with_claims(**claim))).subject


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"])
async def test_the_types_of_an_access_token_are_taken_in_any_case(typ: str) -> None:
    assert (await verifier().verify(with_header(typ=typ))).subject == "ada"


@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c"])
async def test_a_key_inside_the_token_is_never_used(member: str, tmp_path: Path) -> None:
    """RFC 8725 sections 2.9 and 3.10: the attacker signs with a key that the token brings along."""
    stranger = rsa.generate_private_key(65537, 2048)
    jwk = jwt.get_algorithm_by_name("RS256").to_jwk(stranger.public_key(), as_dict=True)
    value = jwk if member == "jwk" else "http://127.0.0.1:9/keys.json"
    claims = {"sub": "ada", "exp": NOW + 60}
    token = jwt.encode(claims, stranger, "RS256", headers={member: value}).encode()
    pem = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    by = open_verifier(public_key_file=str(tmp_path / "key.pem"), clock=Clock())
    assert await refusal(token, by) == "invalid_token"
    honest = jwt.encode(claims, RSA_KEY, "RS256", headers={member: value}).encode()
    assert (await by.verify(honest)).subject == "ada"


@pytest.mark.parametrize("kid", ["../../dev/null", "' OR 1=1 --", "\ud800", "\x00", ""])
async def test_a_hostile_kid_is_only_a_name_that_nobody_has(kid: str) -> None:
    """RFC 8725 section 2.9: no file, query or address is ever made of it."""
    by = verifier(secret=None, secrets=[("blue", SECRET)])
    assert await refusal(with_header(kid=kid), by) == "invalid_token"


# --- the header -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        *("{}", "[]", '"HS256"', "null", "7", "", "{", '{"alg":"HS256"} x', '{"alg":"HS256",}'),
        *('{"alg":null}', '{"alg":["HS256"]}', '{"alg":{}}', '{"alg":"hs256"}', '{"alg":"HS256 "}'),
        *('{"alg":"HS256","x":NaN}', '{"alg":"HS256","x":Infinity}', '{"alg":"HS256","x":"\n"}'),
        *('{"alg":"HS256","kid":null}', '{"alg":"HS256","kid":1}', '{"alg":"HS256","kid":["a"]}'),
        *('{"alg":"HS256","crit":["b64"],"b64":false}', '{"alg":"HS256","crit":[]}'),
        *('{"alg":"HS256","b64":false}', '{"alg":"HS256","b64":1}'),
        *('{"alg":"HS256","crit":null}', '{"alg":"HS256","crit":["exp"],"exp":1}'),
        '{"alg":"HS256","x":' + "[" * 2000 + "]" * 2000 + "}",
        '{"alg":"HS256","x":' + "9" * 5000 + "}",
    ],
)
async def test_a_bad_header_is_refused_in_spite_of_a_good_signature(header: str) -> None:
    assert await refusal(sign(header, {"sub": "ada", "exp": NOW + 60})) == "invalid_token"


async def test_unknown_header_members_are_ignored() -> None:
    assert (await verifier().verify(with_header(foo={"a": [1]}))).subject == "ada"


async def test_a_token_over_8_kb_is_refused_before_it_is_parsed() -> None:
    filler = "x" * 5900
    while len(publicly_signed(filler=filler)) < 8192:
        filler += "x"
    token = publicly_signed(filler=filler)
    assert len(token) == 8192
    keys = CountingKeys()
    by = TokenVerifier(keys, algorithms=["EdDSA"], clock=Clock())
    assert (await by.verify(token)).subject == "ada"
    assert await refusal(publicly_signed(filler=filler + "x"), by) == "invalid_token"
    assert keys.asked == 1


# --- the claims -----------------------------------------------------------------------------------


@pytest.mark.parametrize("claims", ["[]", "null", "7", '"ada"', "", "{", b"\xff", "[" * 3000])
async def test_claims_that_are_no_json_object_are_refused(claims: str | bytes) -> None:
    assert await refusal(sign({"alg": "HS256"}, claims)) == "invalid_token"


@pytest.mark.parametrize(
    "exp",
    [
        *("null", "true", '"1700000060"', "1e308", "1e999", "-1", "-1e999", "-0.5", "[]"),
        *("9" * 400, "9" * 5000, str(MAX_TIME + 1), "{}", "NaN", "-Infinity"),
    ],
)
async def test_exp_must_be_a_sane_number(exp: str) -> None:
    assert await refusal(sign({"alg": "HS256"}, f'{{"sub":"ada","exp":{exp}}}')) == "invalid_token"


async def test_exp_is_required() -> None:
    assert await refusal(with_claims(exp=None)) == "invalid_token"


async def test_exp_may_be_the_last_second_of_the_year_9999() -> None:
    assert (await verifier().verify(with_claims(exp=MAX_TIME))).expires_at == MAX_TIME


@pytest.mark.parametrize("exp", ["1700000060.25", "1700000060.0", "1.70000006e9"])
async def test_a_time_in_a_token_may_have_a_fraction(exp: str) -> None:
    """RFC 7519 section 2: what Python's ``time.time()`` and many others print."""
    claims = f'{{"sub":"ada","exp":{exp},"nbf":{NOW}.25,"iat":{NOW}.5}}'
    token, clock = sign({"alg": "HS256"}, claims), Clock(NOW + 0.25)
    by = verifier(clock)
    assert (await by.verify(token)).subject == "ada"
    clock.now = float(exp) - 0.001
    assert by.recall(token) is not None
    clock.now = float(exp)
    assert by.recall(token) is None
    assert await refusal(token, by) == "token_expired"


@pytest.mark.parametrize("leeway", [0, 30])
async def test_a_token_expires_at_the_very_second(leeway: int) -> None:
    """RFC 7519 section 4.1.4: not on or after ``exp``."""
    token, clock = with_claims(exp=NOW), Clock(NOW + leeway - 0.001)
    by = verifier(clock, leeway_seconds=leeway)
    assert (await by.verify(token)).expires_at == NOW
    clock.now = NOW + leeway
    assert by.recall(token) is None
    assert await refusal(token, by) == "token_expired"


@pytest.mark.parametrize(
    "wrong", [{"sub": ""}, {"kind": "refresh"}, {"iss": "eve"}, {"aud": "eve"}, {"nbf": "x"}]
)
async def test_expired_or_not_yet_valid_is_said_only_when_all_else_is_right(
    wrong: dict[str, object],
) -> None:
    by = verifier(issuer="us", audience="here")
    right = {"iss": "us", "aud": "here", "exp": NOW - 1}
    assert await refusal(with_claims(**right), by) == "token_expired"
    assert await refusal(with_claims(**{**right, **wrong}), by) == "invalid_token"
    early = {**right, "exp": NOW + 60, "nbf": NOW + 30}
    assert await refusal(with_claims(**early), by) == "token_not_yet_valid"
    assert await refusal(with_claims(**{**early, **wrong}), by) == "invalid_token"


async def test_an_expired_token_with_a_bad_signature_is_invalid() -> None:
    token = sign({"alg": "HS256"}, {"sub": "ada", "exp": NOW - 1}, OTHER_SECRET)
    assert await refusal(token) == "invalid_token"


async def test_a_token_is_not_yet_valid_until_its_nbf_less_the_leeway() -> None:
    """RFC 7519 section 4.1.5; a client whose token comes from a fast clock has only to wait."""
    clock = Clock(NOW - 10.5)
    by = verifier(clock, leeway_seconds=10)
    whole, fraction = with_claims(nbf=NOW), with_claims(nbf=NOW - 0.25)
    assert await refusal(whole, by) == "token_not_yet_valid"
    assert await refusal(fraction, by) == "token_not_yet_valid"
    clock.now = NOW - 10
    assert (await by.verify(whole)).subject == "ada"
    assert (await by.verify(fraction)).subject == "ada"


@pytest.mark.parametrize("nbf", ["null", "true", '"0"', "-1", "1e999", "-1e999", "9" * 400, "[]"])
async def test_nbf_must_be_a_sane_number(nbf: str) -> None:
    claims = f'{{"sub":"ada","exp":{NOW + 60},"nbf":{nbf}}}'
    assert await refusal(sign({"alg": "HS256"}, claims)) == "invalid_token"


@pytest.mark.parametrize("iat", [NOW + 999, "yesterday", None, -1])
async def test_iat_is_not_looked_at(iat: object) -> None:
    assert (await verifier().verify(with_claims(iat=iat))).subject == "ada"


@pytest.mark.parametrize(
    "sub",
    [
        *(None, "", 7, True, ["ada"], {"a": 1}, "x" * 257, "a\x00", "a\nb", "\x7f", "\x85", "\x9f"),
        *("\ud800", "a\udfff"),
    ],
)
async def test_sub_must_be_a_name(sub: object) -> None:
    assert await refusal(with_claims(sub=sub)) == "invalid_token"


@pytest.mark.parametrize("sub", ["a", "x" * 256, "Zoë 🎮 玩家", "device-abc-123", " ", "\xa0"])
async def test_a_name_may_be_any_text_of_256_characters(sub: str) -> None:
    assert await verifier().verify(with_claims(sub=sub)) == Caller(sub, NOW + 60)


async def test_issuer_and_audience_are_not_looked_at_unless_configured() -> None:
    assert (await verifier().verify(with_claims(iss=7, aud=["x"]))).subject == "ada"


# --- whatever comes -------------------------------------------------------------------------------

SEGMENTS = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=40).map(lambda text: text.encode(errors="surrogatepass")),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["alg", "typ", "kid", "crit", "sub", "exp", "nbf", "aud", "iss"])
                | st.text(max_size=5),
                inner | st.sampled_from(["HS256", "RS256", "none", "ada", NOW + 60]),
                max_size=6,
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
)
EVERY_ALGORITHM = [
    verifier(leeway_seconds=5, issuer="us", audience="here"),
    verifier(secret=None, secrets=[("a", SECRET), ("b", OTHER_SECRET)]),
    *(
        TokenVerifier(StaticKeys([(None, key.public_key())], [alg]), algorithms=[alg])
        for key, alg in ((RSA_KEY, "RS256"), (RSA_KEY, "PS256"), (EC_KEY, "ES256"))
    ),
    TokenVerifier(StaticKeys([(None, ED_KEY.public_key())], ["EdDSA"]), algorithms=["EdDSA"]),
]


async def only_refused_or_a_caller(token: bytes) -> None:
    for by in EVERY_ALGORITHM:
        try:
            outcome: object = await by.verify(token)
        except Unauthenticated as error:
            outcome = error.message
        assert isinstance(outcome, Caller) or outcome in {
            "invalid_token", "token_expired", "token_not_yet_valid"
        }  # fmt: skip


@given(st.binary(max_size=200))
def test_of_any_bytes_only_unauthenticated_comes_out(token: bytes) -> None:
    asyncio.run(only_refused_or_a_caller(token))


@given(SEGMENTS, SEGMENTS)
def test_of_any_signed_segments_only_unauthenticated_or_a_caller_comes_out(
    header: bytes, claims: bytes
) -> None:
    asyncio.run(only_refused_or_a_caller(sign(header, claims)))
    asyncio.run(only_refused_or_a_caller(sign({"alg": "HS256"}, claims)))


@given(st.sampled_from(["RS256", "PS256", "ES256", "EdDSA", "HS256"]), st.binary(max_size=300))
def test_of_any_signature_only_unauthenticated_comes_out(alg: str, signature: bytes) -> None:
    signed = sign({"alg": alg}, {"sub": "ada", "exp": NOW + 60}).rpartition(b".")[0]
    for token in (signed + b"." + encode(signature), signed + b"." + signature):
        asyncio.run(only_refused_or_a_caller(token))


@given(st.integers(0, 400), st.integers(1, 255))
def test_a_token_with_one_byte_changed_is_refused(position: int, flip: int) -> None:
    token = bytearray(with_claims())
    token[position % len(token)] ^= flip
    assert asyncio.run(refusal(bytes(token))) == "invalid_token"


async def test_nothing_about_a_token_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "playsmart_gateway")
    by = verifier()
    await refusal(with_claims(exp=None), by)
    await by.verify(with_claims())
    assert not caplog.records


# --- keys -----------------------------------------------------------------------------------------


async def test_a_token_of_another_secret_is_refused() -> None:
    token = mint("ada", secret=OTHER_SECRET, ttl_seconds=60, now=NOW).encode()
    assert await refusal(token) == "invalid_token"


async def test_a_token_that_names_a_key_is_checked_with_that_key_only() -> None:
    by = verifier(secret=None, secrets=[("blue", SECRET), ("green", OTHER_SECRET)])

    def token(kid: str | None, secret: str) -> bytes:
        return mint("ada", secret=secret, ttl_seconds=60, now=NOW, kid=kid).encode()

    for kid, secret in (("blue", SECRET), ("green", OTHER_SECRET)):
        assert (await by.verify(token(kid, secret))).subject == "ada"
        assert (await by.verify(token(None, secret))).subject == "ada"
    assert await refusal(token("blue", OTHER_SECRET), by) == "invalid_token"
    assert await refusal(token("red", SECRET), by) == "invalid_token"


async def test_one_secret_without_a_name_takes_a_token_with_any_kid() -> None:
    token = mint("ada", secret=SECRET, ttl_seconds=60, now=NOW, kid="whatever").encode()
    assert (await verifier().verify(token)).subject == "ada"


@pytest.mark.parametrize(("key", "alg"), [(RSA_KEY, "RS256"), (EC_KEY, "ES256"), (ED_KEY, "EdDSA")])
async def test_a_public_key_file_verifies_with_the_algorithm_of_its_key(
    key: Any, alg: str, tmp_path: Path
) -> None:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    by = open_verifier(public_key_file=tmp_path / "key.pem", clock=Clock())
    token = jwt.encode({"sub": "ada", "exp": NOW + 60}, key, alg)
    assert (await by.verify(token.encode())).subject == "ada"
    header, claims, signature = token.encode().split(b".")
    bad = signature[:9] + (b"A" if signature[9:10] != b"A" else b"B") + signature[10:]
    assert await refusal(b".".join([header, claims, bad]), by) == "invalid_token"


# --- what is remembered ---------------------------------------------------------------------------


async def test_a_refused_token_is_not_remembered() -> None:
    keys, stranger = CountingKeys(), ed25519.Ed25519PrivateKey.generate()
    by = TokenVerifier(keys, algorithms=["EdDSA"], clock=Clock())
    for _ in range(2):
        await refusal(publicly_signed(stranger), by)
    assert keys.asked == 2
    assert by.recall(publicly_signed(stranger)) is None


async def test_a_token_is_checked_once() -> None:
    keys = CountingKeys()
    by = TokenVerifier(keys, algorithms=["EdDSA"], clock=Clock())
    assert by.recall(publicly_signed()) is None
    first = await by.verify(publicly_signed())
    assert await by.verify(publicly_signed()) == first
    assert by.recall(publicly_signed()) == first
    assert keys.asked == 1


async def test_whom_a_secret_vouches_for_is_told_at_once() -> None:
    by = verifier()
    assert by.recall(with_claims()) is None
    assert by.at_once(with_claims()) == Caller("ada", NOW + 60)
    assert by.recall(with_claims()) == Caller("ada", NOW + 60)
    for token, message in (
        (with_claims(exp=NOW), "token_expired"),
        (with_claims(nbf=NOW + 1), "token_not_yet_valid"),
        (sign({"alg": "HS256"}, {"sub": "ada", "exp": NOW + 60}, OTHER_SECRET), "invalid_token"),
        (b"nonsense", "invalid_token"),
    ):
        with pytest.raises(Unauthenticated, match=message):
            by.at_once(token)
        assert by.recall(token) is None


async def test_whom_a_public_key_vouches_for_is_told_at_once_if_it_was_checked() -> None:
    keys = CountingKeys()
    by = TokenVerifier(keys, algorithms=["EdDSA"], clock=Clock())
    assert by.at_once(publicly_signed()) is None
    await by.verify(publicly_signed())
    assert by.at_once(publicly_signed()) == Caller("ada", NOW + 60)
    assert keys.asked == 1


async def test_a_clock_that_is_set_holds_at_once_for_what_is_remembered() -> None:
    clock = Clock()
    by = verifier(clock)
    token = with_claims(nbf=NOW - 100, exp=NOW + 100)
    await by.verify(token)
    for now, passes in ((NOW - 100, True), (NOW - 101, False), (NOW + 100, False)):
        clock.now = NOW
        await by.verify(token)
        clock.now = now
        assert (by.recall(token) is not None) is passes


async def test_other_keys_void_what_is_remembered() -> None:
    keys = CountingKeys()
    by = TokenVerifier(keys, algorithms=["EdDSA"], clock=Clock())
    await by.verify(publicly_signed())
    keys.generation += 1
    assert by.recall(publicly_signed()) is None
    await by.verify(publicly_signed())
    assert keys.asked == 2
    assert by.recall(publicly_signed()) is not None


async def test_other_secrets_hold_for_headers_that_were_read_before() -> None:
    class Rotating(StaticKeys):
        secret = SECRET

        def secrets_for(self, kid: str | None, alg: str) -> Sequence[bytes]:
            return [self.secret.encode()]

    keys = Rotating([], ["HS256"])
    by = TokenVerifier(keys, algorithms=["HS256"], clock=Clock())
    assert by.at_once(with_claims()) is not None
    keys.secret, keys.generation = OTHER_SECRET, 1
    assert await refusal(with_claims(), by) == "invalid_token"
    claims = {"sub": "bob", "exp": NOW + 60}
    assert by.at_once(sign({"alg": "HS256"}, claims, OTHER_SECRET)) == Caller("bob", NOW + 60)


async def test_a_source_that_wants_to_refresh_gets_its_turn() -> None:
    keys = CountingKeys()
    by = TokenVerifier(keys, algorithms=["EdDSA"], clock=Clock())
    await by.verify(publicly_signed())
    keys.due = True
    assert by.recall(publicly_signed()) is None
    await by.verify(publicly_signed())
    assert keys.asked == 2
    keys.due = False
    assert by.recall(publicly_signed()) is not None


async def test_who_is_forgotten_is_checked_again() -> None:
    ada, bob, also_ada = with_claims(), with_claims(sub="bob"), with_claims(exp=NOW + 61)
    by = verifier()
    for token in (ada, bob, also_ada):
        await by.verify(token)
    by.forget_subject("ada")
    assert [by.recall(token) is not None for token in (ada, bob, also_ada)] == [False, True, False]
    await by.verify(also_ada)
    assert [by.recall(token) is not None for token in (ada, bob, also_ada)] == [False, True, True]


async def test_only_a_token_that_was_never_good_is_told_to_who_counts_them() -> None:
    by = verifier()
    told = []
    by.on_invalid = lambda: told.append(1)
    await by.verify(with_claims())
    await refusal(with_claims(exp=NOW), by)
    await refusal(with_claims(nbf=NOW + 1), by)
    assert told == []
    await refusal(with_claims(sub=7), by)
    await refusal(b"nonsense", by)
    assert told == [1, 1]


# --- configuration --------------------------------------------------------------------------------


def problems(**settings: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        open_verifier(**settings)
    assert SECRET not in str(caught.value)
    return caught.value.problems


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    assert problems(
        secret="short",
        public_key_file=tmp_path / "none.pem",
        algorithms=["none"],
        issuer="",
        audience="",
        leeway_seconds=-1,
    ) == (
        "auth: needs one of secret, secrets, public_key_file and jwks_url, "
        "found secret and public_key_file",
        "auth.secret: is 5 bytes long, must be 32 at least",
        "auth.algorithms: 'none' does not go with these keys, which can verify HS256, HS384, HS512",
        "auth.public_key_file: cannot be read: No such file or directory",
        "auth.algorithms: 'none' does not go with these keys, "
        "which can verify RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA",
        "auth.issuer: must not be empty, leave it out to accept any",
        "auth.audience: must not be empty, leave it out to accept any",
        "auth.leeway_seconds: must not be negative",
    )


@pytest.mark.parametrize("wrong", [{"issuer": ""}, {"audience": ""}, {"leeway_seconds": -1}])
def test_good_keys_do_not_excuse_another_mistake(wrong: dict[str, Any]) -> None:
    (problem,) = problems(secret=SECRET, **wrong)
    assert problem.startswith(f"auth.{next(iter(wrong))}: must not be")


@pytest.mark.parametrize("alg", ["HS384", "HS512"])
async def test_without_algorithms_a_long_secret_takes_the_usual_one_only(alg: str) -> None:
    secret = "s" * 64
    by = verifier(secret=secret)
    token = mint("ada", secret=secret, ttl_seconds=60, now=NOW, algorithm=alg).encode()
    assert await refusal(token, by) == "invalid_token"
    usual = mint("ada", secret=secret, ttl_seconds=60, now=NOW).encode()
    assert (await by.verify(usual)).subject == "ada"


async def test_within_the_leeway_a_token_is_checked_once() -> None:
    clock = Clock(NOW - 10)
    by = verifier(clock, leeway_seconds=10)
    token = with_claims(nbf=NOW, exp=NOW + 60)
    await by.verify(token)
    for now in (NOW - 10, NOW + 69):
        clock.now = now
        assert by.recall(token) is not None


def test_a_source_of_keys_is_required() -> None:
    assert problems() == (
        "auth: needs one of secret, secrets, public_key_file and jwks_url, found none",
    )


@pytest.mark.parametrize("alg", ["none", "RS256", "ES256", "EdDSA", "hs256", "HS1", ""])
def test_a_secret_goes_with_hmac_only(alg: str) -> None:
    (problem,) = problems(secret=SECRET, algorithms=["HS256", alg])
    assert problem.startswith(f"auth.algorithms: {alg!r} does not go with these keys")


@pytest.mark.parametrize("alg", ["none", "HS256", "ES256", "EdDSA"])
def test_a_public_key_goes_with_the_algorithms_of_its_type_only(alg: str, tmp_path: Path) -> None:
    pem = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    (problem,) = problems(public_key_file=tmp_path / "key.pem", algorithms=[alg])
    assert problem.startswith(f"auth.algorithms: {alg!r} does not go with these keys")


@pytest.mark.parametrize("alg", ["none", "HS256"])
def test_a_jwks_url_goes_with_public_key_algorithms_only(alg: str) -> None:
    (problem,) = problems(jwks_url="https://id.example/keys", algorithms=[alg])
    assert problem.startswith(f"auth.algorithms: {alg!r} does not go with these keys")


def test_a_jwks_url_needs_no_algorithms() -> None:
    assert isinstance(open_verifier(jwks_url="https://id.example/keys"), TokenVerifier)


def test_a_verifier_made_by_hand_must_list_its_algorithms() -> None:
    with pytest.raises(ConfigError, match=r"^auth\.algorithms: must not be empty"):
        TokenVerifier(shared_secrets([(None, SECRET)]), algorithms=[])


# --- minting --------------------------------------------------------------------------------------


async def test_a_minted_token_passes_for_its_time() -> None:
    token = mint("ada", secret=SECRET, ttl_seconds=60, now=NOW + 0.9).encode()
    clock = Clock(NOW + 1)
    by = verifier(clock)
    assert await by.verify(token) == Caller("ada", NOW + 60)
    clock.now = NOW + 60
    assert await refusal(token, by) == "token_expired"


async def test_claims_given_to_mint_replace_its_own() -> None:
    by = verifier(issuer="us")
    token = mint(
        "ada", secret=SECRET, ttl_seconds=60, now=NOW, claims={"iss": "us", "exp": NOW + 5}
    )
    assert await by.verify(token.encode()) == Caller("ada", NOW + 5)


# --- refresh tokens and revocations --------------------------------------------------------------


def refresh(**claims: object) -> bytes:
    claims = {"kind": "refresh", **claims}
    return mint("ada", secret=SECRET, ttl_seconds=60, now=NOW, claims=claims).encode()


async def test_a_refresh_token_of_our_own_says_whose_it_is_and_when_it_was_issued() -> None:
    verifier = open_verifier(secret=SECRET, clock=Clock())
    assert verifier.verify_refresh(refresh()) == ("ada", NOW)


@pytest.mark.parametrize(
    "claims", [{"kind": "access"}, {"kind": None}, {"iat": "now"}, {"iat": True}, {"sub": ""}]
)
async def test_other_tokens_are_no_refresh_tokens(claims: dict[str, object]) -> None:
    verifier = open_verifier(secret=SECRET, clock=Clock())
    with pytest.raises(Unauthenticated, match="invalid_token"):
        verifier.verify_refresh(refresh(**claims))


async def test_a_refresh_token_is_never_remembered_as_an_access_token() -> None:
    verifier = open_verifier(secret=SECRET, clock=Clock())
    verifier.verify_refresh(refresh())
    assert verifier.recall(refresh()) is None
    with pytest.raises(Unauthenticated, match="invalid_token"):
        await verifier.verify(refresh())


async def test_of_who_was_revoked_only_tokens_issued_since_are_believed() -> None:
    verifier = open_verifier(secret=SECRET, clock=Clock())
    older, newer = (
        mint(subject, secret=SECRET, ttl_seconds=60, now=now).encode()
        for subject, now in (("ada", NOW - 1), ("ada", NOW))
    )
    unsaid = mint("ada", secret=SECRET, ttl_seconds=60, now=NOW, claims={"iat": None}).encode()
    others = mint("eve", secret=SECRET, ttl_seconds=60, now=NOW - 1).encode()
    for token in (older, newer, unsaid, others):
        await verifier.verify(token)
    verifier.revoke({"ada": NOW})
    assert verifier.recall(older) is None
    assert verifier.recall(others) is not None
    for token in (older, unsaid):
        with pytest.raises(Unauthenticated, match="invalid_token"):
            await verifier.verify(token)
    assert (await verifier.verify(newer)).subject == "ada"
    verifier.revoke({"ada": NOW})
    assert verifier.recall(newer) is not None, "nothing is new"
    verifier.revoke({})
    assert (await verifier.verify(older)).subject == "ada"
