"""Keys: which are taken, and how the ones at a URL stay fresh while the endpoint misbehaves."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from playsmart_gateway.auth.fetching import MAX_JWKS_BYTES, fetch_document
from playsmart_gateway.auth.keys import (
    Jwks,
    fits,
    parse_jwks,
    public_key_file_keys,
    shared_secrets,
    weakness,
)
from playsmart_gateway.auth.tokens import TokenVerifier
from playsmart_gateway.errors import ConfigError, KeysUnavailable, Unauthenticated

NOW = 1_700_000_000
URL = "https://id.example/keys.json"
SECRET = "correct horse battery staple, 32+"
RSA_KEY = rsa.generate_private_key(65537, 2048)
NEXT_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
WEAK_KEY = rsa.generate_private_key(65537, 1024)  # noqa: S505 to see it refused


def jwk(key: Any, kid: str | None, **members: object) -> dict[str, Any]:
    """A private key's public half (or the key as it is, when public) as a JWK."""
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        alg = "RS256"
    elif isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        alg = "ES256"
    else:
        alg = "EdDSA"
    public = key.public_key() if hasattr(key, "public_key") else key
    named = {} if kid is None else {"kid": kid}
    return {**jwt.get_algorithm_by_name(alg).to_jwk(public, as_dict=True), **named, **members}


def jwks(*keys: object) -> bytes:
    return json.dumps({"keys": keys}).encode()


def token(key: Any, kid: str | None, alg: str = "RS256", sub: str = "ada") -> bytes:
    headers = None if kid is None else {"kid": kid}
    return jwt.encode({"sub": sub, "exp": NOW + 3 * 86_400}, key, alg, headers=headers).encode()


class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


class Endpoint:
    """What would answer at the URL: counts, fails on order, and waits at a gate if there is one."""

    def __init__(self, document: bytes) -> None:
        self.document = document
        self.error: Exception | None = None
        self.gate: threading.Event | None = None
        self.fetches = 0

    def __call__(self, url: str) -> bytes:
        assert url == URL
        self.fetches += 1
        if self.gate is not None:
            assert self.gate.wait(10)
        if self.error is not None:
            raise self.error
        return self.document


async def settle(source: Jwks) -> None:
    """Let a refresh that runs beside the requests come to its end: a stranger waits for it."""
    assert not await source.keys_for("a stranger", "RS256")


def opened(document: bytes, algorithms: tuple[str, ...] = ("RS256",)) -> Any:
    clock, endpoint = Clock(), Endpoint(document)
    source = Jwks(URL, fetch=endpoint, clock=clock)
    return clock, endpoint, source, TokenVerifier(source, algorithms=algorithms, clock=clock)


async def refused(by: TokenVerifier, credential: bytes) -> None:
    with pytest.raises(Unauthenticated, match="invalid_token"):
        await by.verify(credential)


# --- shared secrets -------------------------------------------------------------------------------


def secret_problems(*secrets: tuple[str | None, str]) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        shared_secrets(secrets)
    assert not [secret for _, secret in secrets if secret in str(caught.value)]
    return caught.value.problems


def test_every_problem_of_the_secrets_is_told_at_once() -> None:
    assert secret_problems(
        ("a", "tooshort"), ("a", SECRET), ("", SECRET), ("b", "\ud800" * 40)
    ) == (
        "auth.secrets.0.secret: is 8 bytes long, must be 32 at least",
        "auth.secrets.1.kid: is used twice",
        "auth.secrets.2.kid: must not be empty",
        "auth.secrets.3.secret: must be UTF-8 text",
    )


def test_length_counts_in_bytes_of_utf_8() -> None:
    assert shared_secrets([(None, "é" * 16)]).algorithms == ("HS256",)
    assert shared_secrets([("a", "x" * 64), ("b", "x" * 48)]).algorithms == ("HS256", "HS384")


def test_a_public_key_is_no_secret() -> None:
    pem = EC_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for text in (pem.decode(), json.dumps(jwk(EC_KEY, "a"))):
        assert secret_problems((None, text)) == (
            "auth.secret: looks like a public or private key, must be random",
        )


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        ("abcd" * 4, None),
        ("abcd" * 3 + "abc", "must have 16 characters at least, has 15"),
        ("abc" * 6, "has fewer than 4 different characters, must be random"),
    ],
)
def test_a_secret_that_can_be_guessed_is_weak(secret: str, problem: str | None) -> None:
    assert weakness(secret, 16) == problem


# --- a public key file ----------------------------------------------------------------------------


def file_problem(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        public_key_file_keys(path)
    (problem,) = caught.value.problems
    return problem.removeprefix("auth.public_key_file: ")


@pytest.mark.parametrize("name", ["no/such.pem", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^auth\.public_key_file: cannot be read: \w+"):
        public_key_file_keys(tmp_path / name)


def test_a_file_without_a_public_key_is_refused(tmp_path: Path) -> None:
    private = RSA_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    broken = b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
    path = tmp_path / "key.pem"
    assert file_problem(path, private) == "holds a private key, give the public one"
    assert file_problem(path, b"") == "holds no PEM public key"
    assert file_problem(path, b"\xff\x00") == "holds no PEM public key"
    assert file_problem(path, broken) == "holds no PEM public key"


def test_a_key_that_is_weak_or_for_something_else_is_refused(tmp_path: Path) -> None:
    for key in (
        WEAK_KEY,
        dsa.generate_private_key(2048),
        ec.generate_private_key(ec.SECP256K1()),
        x25519.X25519PrivateKey.generate(),
    ):
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        assert file_problem(tmp_path / "key.pem", pem).startswith("must be RSA of 2048 bits")


@pytest.mark.parametrize(
    ("key", "first"),
    [
        (RSA_KEY, "RS256"),
        (EC_KEY, "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (ec.generate_private_key(ec.SECP521R1()), "ES512"),
        (ED_KEY, "EdDSA"),
        (ed448.Ed448PrivateKey.generate(), "EdDSA"),
    ],
)
async def test_the_algorithms_are_those_of_the_key(key: Any, first: str, tmp_path: Path) -> None:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    source = public_key_file_keys(tmp_path / "key.pem")
    assert source.algorithms[0] == first
    assert "HS256" not in source.algorithms
    assert len(await source.keys_for("any", first)) == 1
    assert await source.keys_for(None, "HS256") == ()


# --- what counts in a JWK set ---------------------------------------------------------------------

PRIVATE_JWK = jwt.get_algorithm_by_name("RS256").to_jwk(RSA_KEY, as_dict=True)


@pytest.mark.parametrize(
    "unusable",
    [
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTMyLWJ5dGVz", "kid": "a"},
        {**PRIVATE_JWK, "kid": "a"},
        {**PRIVATE_JWK, "kid": "a", "key_ops": ["sign", "verify"]},
        {**jwk(RSA_KEY, "a"), "d": "AAAA"},
        jwk(RSA_KEY, "a", use="enc"),
        jwk(RSA_KEY, "a", use=7),
        jwk(RSA_KEY, "a", key_ops=["encrypt"]),
        jwk(RSA_KEY, "a", key_ops="verify"),
        jwk(RSA_KEY, "a", alg="RSA-OAEP"),
        jwk(RSA_KEY, "a", alg="HS256"),
        jwk(RSA_KEY, "a", alg="ES256"),
        jwk(WEAK_KEY, "a"),
        jwk(ec.generate_private_key(ec.SECP256K1()), "a"),
        {"kty": "XYZ", "kid": "a"},
        {"kty": "RSA", "kid": "a"},
        {"kty": "RSA", "kid": "a", "n": 5, "e": None},
        {"kty": "RSA", "kid": "a", "n": "", "e": ""},
        {"kty": "EC", "kid": "a", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
        {**jwk(EC_KEY, "a"), "y": "A" * 43},
        {"kty": "OKP", "kid": "a", "crv": "Ed25519", "x": ["A"]},
        {},
    ],
)
def test_a_jwk_that_cannot_be_used_is_passed_over(unusable: dict[str, Any]) -> None:
    table = parse_jwks(jwks(unusable, jwk(ED_KEY, "good", key_ops=["verify"])))
    assert set(table) == {(None, "EdDSA"), ("good", "EdDSA")}


def test_a_jwk_with_an_algorithm_counts_for_this_one_only() -> None:
    table = parse_jwks(jwks(jwk(RSA_KEY, "a", alg="PS256", use="sig"), jwk(EC_KEY, None)))
    assert set(table) == {(None, "PS256"), ("a", "PS256"), (None, "ES256")}


def test_a_kid_that_is_no_string_is_no_name() -> None:
    assert set(parse_jwks(jwks({**jwk(EC_KEY, None), "kid": 7}))) == {(None, "ES256")}


@pytest.mark.parametrize(
    "document", [b"", b"<html>", b"[]", b"{}", b'{"keys":[7]}', b'{"keys":{}}']
)
def test_a_document_of_another_kind_is_no_jwk_set(document: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        parse_jwks(document)


def test_a_key_fits_by_type_and_size() -> None:
    assert fits(RSA_KEY.public_key(), "RS256")
    assert not fits(RSA_KEY.public_key(), "ES256")
    assert not fits(EC_KEY.public_key(), "ES384")
    assert not fits(EC_KEY.public_key(), "HS256")
    assert not fits(b"x" * 32, "HS512")


# --- how they stay fresh --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        *("", "keys.json", "/etc/keys.json", "file:///etc/keys.json", "ftp://id.example/keys"),
        *("http://", "https:///keys", "http://[::1", "http://id.example:70000/", "http://h:0/"),
        *("https://user:password@id.example/", "data:application/json,{}", "javascript:1"),
    ],
)
def test_only_an_http_url_is_taken(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Jwks(url)
    assert caught.value.problems == (
        "auth.jwks_url: must be an http or https URL, without a user name",
    )


@pytest.mark.parametrize(
    "error", [OSError("down"), ValueError("too much"), RuntimeError("a bug"), TimeoutError()]
)
async def test_while_no_keys_are_known_clients_are_told_to_come_back_and_fetches_are_rare(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    clock, endpoint, _, by = opened(jwks(jwk(RSA_KEY, "a")))
    endpoint.error = error
    for _ in range(3):
        with pytest.raises(KeysUnavailable) as refusal:
            await by.verify(token(RSA_KEY, "a"))
        assert refusal.value.retry_after_seconds == 15
    assert endpoint.fetches == 1
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    endpoint.error = None
    clock.now += 15
    assert (await by.verify(token(RSA_KEY, "a"))).subject == "ada"
    assert endpoint.fetches == 2


async def test_old_keys_stay_in_use_while_the_endpoint_is_down() -> None:
    clock, endpoint, source, by = opened(jwks(jwk(RSA_KEY, "a")))
    await by.verify(token(RSA_KEY, "a"))
    endpoint.error = OSError("down")
    for fetches in range(2, 6):
        clock.now += 3600
        assert (await by.verify(token(RSA_KEY, "a"))).subject == "ada"
        await settle(source)
        assert by.recall(token(RSA_KEY, "a")) is not None
        assert endpoint.fetches == fetches
    assert source.generation == 1


async def test_keys_that_nobody_could_ask_for_in_a_day_are_believed_no_more() -> None:
    clock, endpoint, source, by = opened(jwks(jwk(RSA_KEY, "a")))
    await by.verify(token(RSA_KEY, "a"))
    endpoint.error = OSError("cut off by who wants the key to live on")
    clock.now += 86_399
    assert (await by.verify(token(RSA_KEY, "a"))).subject == "ada"
    await settle(source)
    assert by.recall(token(RSA_KEY, "a")) is not None
    clock.now += 1
    assert by.recall(token(RSA_KEY, "a")) is None, "remembered or not"
    for credential in (token(RSA_KEY, "a"), token(RSA_KEY, "a", sub="bob"), token(NEXT_KEY, "b")):
        with pytest.raises(KeysUnavailable):
            await by.verify(credential)
    endpoint.error = None
    clock.now += 15
    assert (await by.verify(token(RSA_KEY, "a"))).subject == "ada"


@pytest.mark.parametrize("step", [-86_400 * 365, 86_400 * 365])
async def test_setting_the_wall_clock_neither_keeps_a_withdrawn_key_nor_keeps_out_a_new_one(
    step: float,
) -> None:
    wall, steady, endpoint = Clock(), Clock(), Endpoint(jwks(jwk(RSA_KEY, "a")))
    source = Jwks(URL, fetch=endpoint, clock=steady)
    by = TokenVerifier(source, algorithms=("RS256",), clock=wall)
    lasting = {"sub": "ada", "exp": NOW + 10 * 86_400 * 365}
    old = jwt.encode(lasting, RSA_KEY, "RS256", headers={"kid": "a"}).encode()
    new = jwt.encode(lasting, NEXT_KEY, "RS256", headers={"kid": "b"}).encode()
    await by.verify(old)
    wall.now += step
    endpoint.document = jwks(jwk(NEXT_KEY, "b"))
    steady.now += 60
    assert (await by.verify(new)).subject == "ada"
    await refused(by, old)


async def test_keys_are_refreshed_once_in_five_minutes() -> None:
    clock, endpoint, source, by = opened(jwks(jwk(RSA_KEY, "a")))
    await by.verify(token(RSA_KEY, "a"))
    clock.now += 299
    assert by.recall(token(RSA_KEY, "a")) is not None
    await by.verify(token(RSA_KEY, "a", sub="bob"))
    await asyncio.sleep(0)  # a fetch, had one been started, would start now
    assert endpoint.fetches == 1
    clock.now += 1
    await by.verify(token(RSA_KEY, "a"))
    await settle(source)
    assert endpoint.fetches == 2


async def test_nobody_whose_key_is_known_waits_for_a_refresh() -> None:
    clock, endpoint, source, by = opened(jwks(jwk(RSA_KEY, "a")))
    await by.verify(token(RSA_KEY, "a"))
    endpoint.gate = threading.Event()
    clock.now += 300
    assert by.recall(token(RSA_KEY, "a")) is None
    assert (await by.verify(token(RSA_KEY, "a"))).subject == "ada"
    assert by.recall(token(RSA_KEY, "a")) is not None
    clock.now += 3600
    assert (await by.verify(token(RSA_KEY, "a", sub="bob"))).subject == "bob"
    endpoint.gate.set()
    await settle(source)
    assert endpoint.fetches == 2


async def test_a_thousand_invented_kids_cause_one_fetch_a_minute() -> None:
    clock, endpoint, _, by = opened(jwks(jwk(RSA_KEY, "a")))
    await by.verify(token(RSA_KEY, "a"))
    for minute in range(3):
        for stranger in range(20):
            await refused(by, token(NEXT_KEY, f"{minute}-{stranger}"))
        assert endpoint.fetches == 1 + minute
        clock.now += 60
        await by.verify(token(RSA_KEY, "a"))


async def test_callers_who_wait_share_one_fetch_and_one_who_hangs_up_does_not_end_it() -> None:
    _, endpoint, _, by = opened(jwks(jwk(RSA_KEY, "a")))
    endpoint.gate = threading.Event()
    waiting = [asyncio.create_task(by.verify(token(RSA_KEY, "a"))) for _ in range(3)]
    await asyncio.sleep(0)  # each runs up to where it waits
    waiting[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    endpoint.gate.set()
    callers = await asyncio.gather(*waiting[1:])
    assert [caller.subject for caller in callers] == ["ada", "ada"]
    assert endpoint.fetches == 1


async def test_a_new_key_is_found_at_its_first_token() -> None:
    clock, endpoint, _, by = opened(jwks(jwk(RSA_KEY, "a")))
    await by.verify(token(RSA_KEY, "a"))
    endpoint.document = jwks(jwk(RSA_KEY, "a"), jwk(NEXT_KEY, "b"))
    clock.now += 60
    assert (await by.verify(token(NEXT_KEY, "b"))).subject == "ada"
    assert (await by.verify(token(RSA_KEY, "a"))).subject == "ada"
    assert endpoint.fetches == 2


@pytest.mark.parametrize("document", [jwks(jwk(NEXT_KEY, "b")), jwks(jwk(NEXT_KEY, "a")), jwks()])
async def test_a_withdrawn_key_ends_the_tokens_that_were_remembered(document: bytes) -> None:
    clock, endpoint, source, by = opened(jwks(jwk(RSA_KEY, "a")))
    await by.verify(token(RSA_KEY, "a"))
    endpoint.document = document
    clock.now += 300
    assert (await by.verify(token(RSA_KEY, "a"))).subject == "ada"  # starts the refresh
    await settle(source)
    assert by.recall(token(RSA_KEY, "a")) is None
    await refused(by, token(RSA_KEY, "a"))


async def test_the_same_keys_in_another_dress_void_nothing() -> None:
    clock, endpoint, source, by = opened(jwks(jwk(RSA_KEY, "a")))
    await by.verify(token(RSA_KEY, "a"))
    endpoint.document = json.dumps({"v": 2, "keys": [jwk(RSA_KEY, "a", use="sig")]}).encode()
    clock.now += 300
    await by.verify(token(RSA_KEY, "a"))
    await settle(source)
    assert (endpoint.fetches, source.generation) == (2, 1)
    assert by.recall(token(RSA_KEY, "a")) is not None


async def test_each_algorithm_finds_its_key_with_and_without_a_name() -> None:
    document = jwks(jwk(RSA_KEY, "r"), jwk(EC_KEY, "e"), jwk(ED_KEY, "o"), jwk(NEXT_KEY, None))
    *_, by = opened(document, ("RS256", "ES256", "EdDSA"))
    for key, kid, alg in ((RSA_KEY, "r", "RS256"), (EC_KEY, "e", "ES256"), (ED_KEY, "o", "EdDSA")):
        assert (await by.verify(token(key, kid, alg))).subject == "ada"
        assert (await by.verify(token(key, None, alg))).subject == "ada"
    assert (await by.verify(token(NEXT_KEY, None))).subject == "ada"
    await refused(by, token(NEXT_KEY, "r"))


async def test_a_published_secret_verifies_nothing() -> None:
    secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTMyLWJ5dGVz"
    *_, by = opened(jwks({"kty": "oct", "k": secret, "kid": "a"}))
    await refused(by, token(secret, "a", "HS256"))


# --- over a real socket ---------------------------------------------------------------------------

Answer = Callable[[BaseHTTPRequestHandler], None]


def reply(status: int, body: bytes, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def trickle(handler: BaseHTTPRequestHandler) -> None:
    """Never finish, and never pause for long enough to run into the timeout of the socket."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" ")
            threading.Event().wait(0.01)
    except OSError:
        handler.close_connection = True


@pytest.fixture
def serve() -> Iterator[Callable[[dict[str, Answer]], str]]:
    servers = []

    def start(answers: dict[str, Answer]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answers[self.path](self)

            def log_message(self, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


Serve = Callable[[dict[str, Answer]], str]


async def test_keys_come_from_a_real_server(serve: Serve) -> None:
    base = serve({"/keys": reply(200, jwks(jwk(RSA_KEY, "a")))})
    clock = Clock()
    by = TokenVerifier(Jwks(f"{base}/keys", clock=clock), algorithms=["RS256"], clock=clock)
    assert (await by.verify(token(RSA_KEY, "a"))).subject == "ada"


def test_a_document_over_64_kb_is_refused(serve: Serve) -> None:
    most = b" " * MAX_JWKS_BYTES
    base = serve({"/fits": reply(200, most), "/over": reply(200, most + b" ")})
    assert fetch_document(f"{base}/fits") == most
    with pytest.raises(ValueError, match="more than 65536 bytes"):
        fetch_document(f"{base}/over")


def test_a_redirect_is_not_followed(serve: Serve) -> None:
    base = serve({"/old": reply(302, b"", Location="/new"), "/new": reply(200, jwks())})
    with pytest.raises(OSError, match="302") as caught:
        fetch_document(f"{base}/old")
    caught.value.close()  # type: ignore[attr-defined]


def test_a_server_that_trickles_is_left(serve: Serve) -> None:
    with pytest.raises(TimeoutError, match="not finished in 1 seconds"):
        fetch_document(serve({"/": trickle}) + "/", timeout_seconds=1)


def test_a_server_that_is_not_there_is_an_error() -> None:
    with pytest.raises(OSError, match="refused"):
        fetch_document("http://127.0.0.1:1/keys")
