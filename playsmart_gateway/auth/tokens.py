"""A credential in, a ``Caller`` out, or ``Unauthenticated``.

The credential is a signed JSON Web Token (RFC 7519) in compact form. PyJWT's algorithms check the
signature; everything else is decided here, as the library is more lenient than a public endpoint
may be (it takes an empty ``sub``, ``exp`` as a string, duplicate claims). A token passes when

- it has at most 8 KB in three segments, each exactly as base64url without padding writes it;
- its header names an ``alg`` that the configuration lists (so ``none`` never), its ``typ``, if
  any, is one of an access token, and it has no ``crit`` and no ``b64`` but ``true`` (RFC 7797),
  as we understand no extension;
- a configured key of the type for that ``alg`` verifies it; keys or key addresses in the token
  itself (``jwk``, ``jku``, ``x5c``, ``x5u``) are never looked at (RFC 8725 section 3.10);
- no JSON object in it names a member twice (RFC 7515 section 4, RFC 8725 section 2.4);
- ``sub`` names a player; ``exp`` is not reached; ``nbf``, if any, is; ``iss`` and ``aud`` are as
  configured, if configured; no claim says that it is a refresh token; and it was not revoked.

Times are numbers that may have a fraction (RFC 7519 section 2, NumericDate). ``iat`` is not looked
at, unless the player was revoked: RFC 7519 makes no rule of it, and an issuer's fast clock must not
cost a player's events. An
``aud`` that nobody configured is not looked at either.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from playsmart_gateway.auth.claims import is_since, is_time, listed, printed, says_refresh
from playsmart_gateway.auth.compact import Hmac, decode_segment, json_object, segments_of
from playsmart_gateway.auth.keys import (
    ASYMMETRIC,
    SYMMETRIC,
    Jwks,
    KeySource,
    algorithm,
    public_key_file_keys,
    shared_secrets,
)
from playsmart_gateway.auth.token_cache import Caller, TokenCache
from playsmart_gateway.errors import ConfigError, Detail, Unauthenticated

_JWKS_DEFAULT = ("RS256", "ES256", "EdDSA")

_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
REFRESH = {"kind": "refresh"}
"""The claim of our own refresh tokens, which is PlaySmart's."""

# Control characters (Unicode category Cc) would forge log lines; surrogates cannot be stored.
_has_control = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]").search
_MAX_SUBJECT_LENGTH = 256
_SUBJECT_RULE = (
    f"must be a string of 1 to {_MAX_SUBJECT_LENGTH} characters, no control characters among them"
)


class RefreshToken(NamedTuple):
    """Whose it is, and the epoch second at which it was issued."""

    subject: str
    issued_at: float


class _Header(NamedTuple):
    """Which key, and the ``secrets`` that it can be; none if it is a public one."""

    alg: str
    kid: str | None
    secrets: Sequence[Hmac]


class TokenVerifier:
    """Checks tokens, and remembers those that passed until they expire or the keys change.

    Only what passed is remembered, in ``cache``: strangers cannot fill it. ``clock`` gives epoch
    seconds, as ``exp`` is one, and is asked for every request, so that a clock that is set holds
    at once.
    ``on_invalid`` is called for each token that was never good. Raises ``ConfigError`` if
    ``algorithms`` is empty or names one that the keys are not for.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        algorithms: Sequence[str],
        issuer: str | None = None,
        audience: str | None = None,
        leeway_seconds: int = 0,
        clock: Callable[[], float] = time.time,
        cache: TokenCache | None = None,
    ) -> None:
        if problems := _misfits(algorithms, keys.algorithms):
            raise ConfigError(problems)
        self._keys = keys
        self._algorithms: dict[str, Any] = {
            name: None if name in SYMMETRIC else algorithm(name) for name in algorithms
        }
        # An issuer writes the same header over and over. Of one that is refused nothing is kept.
        self._header = lru_cache(maxsize=64)(self._read_header)
        self._issuer = issuer
        self._audience = audience
        self._leeway_seconds = leeway_seconds
        self._clock = clock
        self._cache = cache or TokenCache()
        self._generation = keys.generation
        self._not_before: Mapping[str, float] = {}
        self._followers: list[TokenVerifier] = []
        self.on_invalid: Callable[[], None] = lambda: None

    def recall(self, token: bytes) -> Caller | None:
        """Return the caller if this very token passed before and still would, else None."""
        caller = self._remembered().get(token)
        if caller is None or self._keys.is_due():
            return None
        now, leeway = self._clock(), self._leeway_seconds
        return caller if caller.not_before - leeway <= now < caller.expires_at + leeway else None

    def at_once(self, token: bytes) -> Caller | None:
        """Return the caller if that takes microseconds: it is known, or a secret is the key.

        None if ``verify`` has to be asked. Raises ``Unauthenticated`` as that does.
        """
        caller = self.recall(token)
        if caller is None:
            try:
                claims = self._claims_by_secret(token)
                if claims is not None:
                    caller = self._believe(token, claims)
            except (ValueError, RecursionError):
                raise self._malformed() from None
        return caller

    async def verify(self, token: bytes) -> Caller:
        """Return the caller who holds this token.

        Raises ``Unauthenticated``, whatever the bytes are: ``token_expired`` or
        ``token_not_yet_valid`` if time is all that is wrong with the token, ``invalid_token``
        otherwise; and ``KeysUnavailable``.
        """
        caller = self.at_once(token)
        if caller is None:
            try:
                caller = self._believe(token, await self._claims_by_public_key(token))
            except (ValueError, RecursionError):
                raise self._malformed() from None
        return caller

    def verify_refresh(self, token: bytes) -> RefreshToken:
        """Return whose refresh token of our own this is; it is not remembered.

        Raises ``Unauthenticated`` as ``verify`` does, and for one that a public key verifies.
        """
        try:
            claims = json_object(self._claims_by_secret(token) or b"")
            issued_at: Any = claims.get("iat")
            if claims.get("kind") != REFRESH["kind"]:
                raise self._invalid("kind", "is no refresh token")
            if not is_time(issued_at):
                raise self._invalid("claims", "must be a number of seconds since 1970", "iat")
            caller = self._caller(claims, is_refresh=True)
        except (ValueError, RecursionError):
            raise self._malformed() from None
        return RefreshToken(caller.subject, issued_at)

    def revoke(self, not_before: Mapping[str, float]) -> None:
        """Believe no token of these subjects that was issued before then, and so of nobody else.

        Of a token that does not say when it was issued nobody knows that.
        """
        news = {each for each, at in not_before.items() if self._not_before.get(each) != at}
        self._not_before = dict(not_before)
        if news:
            self._cache.forget(news)
        for follower in self._followers:
            follower.revoke(not_before)

    def follow(self, other: "TokenVerifier") -> None:
        """Believe no token that ``other`` is told, from now on, to believe no more."""
        other._followers.append(self)

    def _claims_by_secret(self, token: bytes) -> bytes | None:
        """Return what a token says that a secret signed; None if its key is a public one."""
        signed, header, claims, signature = segments_of(token)
        _, _, secrets = self._header(header)
        if not secrets:
            return None
        for secret in secrets:
            if secret.verify(signed, signature):
                return decode_segment(claims)
        raise self._invalid("signature")

    async def _claims_by_public_key(self, token: bytes) -> bytes:
        signed, header, claims, signature = segments_of(token)
        alg, kid, _ = self._header(header)
        proof = decode_segment(signature)
        keys = await self._keys.keys_for(kid, alg)
        for key in keys:
            if self._algorithms[alg].verify(signed, key, proof):
                return decode_segment(claims)
        raise self._invalid("signature" if keys else "key")

    def _read_header(self, segment: bytes) -> _Header:
        header = json_object(decode_segment(segment))
        alg, kid, typ = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
        if not isinstance(alg, str) or alg not in self._algorithms:
            raise self._invalid("algorithm")
        if "crit" in header or header.get("b64", True) is not True:
            raise self._invalid("header")
        if not isinstance(typ, str) or typ.lower() not in _TYPES:
            raise self._invalid("header")
        if "kid" in header and not isinstance(kid, str):
            raise self._invalid("header")
        secrets = [Hmac(alg, secret) for secret in self._keys.secrets_for(kid, alg)]
        if alg in SYMMETRIC and not secrets:
            raise self._invalid("key")
        return _Header(alg, kid, secrets)

    def _believe(self, token: bytes, signed: bytes) -> Caller:
        caller = self._caller(json_object(signed))
        self._remembered().put(token, caller)
        return caller

    def _malformed(self) -> Unauthenticated:
        """Return what to raise from None for a token that is none.

        The error before it would show parts of the token to whoever logs the refusal.
        """
        return self._invalid("malformed", "is no JSON Web Token in compact form")

    def _invalid(self, cause: str, explanation: str = "", claim: str = "") -> Unauthenticated:
        """Count a token that was never good, and return why.

        Its holder gets an ``explanation`` of what anybody can see, or behind a signature that a key
        verified: what is wrong before that would tell a stranger of our keys.
        """
        self.on_invalid()
        return Unauthenticated(
            "invalid_token", cause=cause, explanation=_of_token(explanation, claim)
        )

    def _caller(self, claims: dict[str, Any], *, is_refresh: bool = False) -> Caller:
        now = self._clock()
        subject = claims.get("sub")
        expires_at: Any = claims.get("exp")
        not_before: Any = claims.get("nbf", 0)
        if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT_LENGTH:
            raise self._invalid("subject", _SUBJECT_RULE, "sub")
        if not subject.isprintable() and _has_control(subject):  # asked first as that is quick
            raise self._invalid("subject", _SUBJECT_RULE, "sub")
        if not is_refresh and says_refresh(claims):
            raise self._invalid("kind", "is a refresh token")
        if (since := self._not_before.get(subject)) is not None and not is_since(claims, since):
            raise self._invalid("revoked", "was revoked")
        if self._issuer is not None and claims.get("iss") != self._issuer:
            raise self._invalid("issuer", "is not the issuer that is believed here", "iss")
        if self._audience is not None and self._audience not in listed(claims.get("aud")):
            raise self._invalid("audience", "does not have the audience that is wanted here", "aud")
        if not is_time(not_before) or not is_time(expires_at):
            raise self._invalid("claims", "must have exp, and may have nbf, as numbers of seconds")
        # Last, as time is the answer only if nothing else is wrong with the token.
        if now >= expires_at + self._leeway_seconds:
            explanation = _of_time("exp", "expired at", expires_at)
            raise Unauthenticated("token_expired", cause="expired", explanation=explanation)
        if now < not_before - self._leeway_seconds:
            explanation = _of_time("nbf", "is not valid before", not_before)
            raise Unauthenticated(
                "token_not_yet_valid", cause="not_yet_valid", explanation=explanation
            )
        return Caller(subject, expires_at, not_before)

    def _remembered(self) -> TokenCache:
        """Return what is remembered, which is nothing after the keys have changed."""
        if self._generation != self._keys.generation:
            self._generation = self._keys.generation
            self._cache.clear()
            self._header.cache_clear()
        return self._cache

    def forget_subject(self, subject: str) -> None:
        """Remember no token of a caller; one that comes again is checked again."""
        self._cache.forget([subject])


@lru_cache(maxsize=64)
def _of_token(explanation: str, claim: str) -> Detail | None:
    return Detail(f"token.{claim}" if claim else "token", explanation) if explanation else None


@lru_cache(maxsize=256)  # nobody has many that a key of ours has signed
def _of_time(claim: str, what: str, seconds: float) -> Detail | None:
    return _of_token(f"{what} {printed(seconds)}", claim)


def open_verifier(
    *,
    secret: str | None = None,
    secrets: Sequence[tuple[str, str]] = (),
    public_key_file: str | Path | None = None,
    jwks_url: str | None = None,
    jwks_max_age_seconds: float = 86_400.0,
    algorithms: Sequence[str] = (),
    issuer: str | None = None,
    audience: str | None = None,
    leeway_seconds: int = 0,
    clock: Callable[[], float] = time.time,
) -> TokenVerifier:
    """Build the verifier that section ``[auth]`` of the configuration describes.

    ``secrets`` are pairs of ``kid`` and secret. Without ``algorithms`` it is HS256 for secrets, the
    usual one for the key in a file, and RS256, ES256 and EdDSA for a URL. Raises ``ConfigError``
    with every problem there is, unless exactly one source of keys is given and usable.
    """
    sources: dict[str, Callable[[], KeySource]] = {}
    if secret is not None:
        sources["secret"] = lambda: shared_secrets([(None, secret)])
    if secrets:
        sources["secrets"] = lambda: shared_secrets(secrets)
    if public_key_file is not None:
        sources["public_key_file"] = lambda: public_key_file_keys(Path(public_key_file))
    if jwks_url is not None:
        sources["jwks_url"] = lambda: Jwks(jwks_url, max_age_seconds=jwks_max_age_seconds)

    problems = []
    keys: KeySource | None = None
    if len(sources) != 1:
        found = " and ".join(sources) or "none"
        problems.append(
            f"auth: needs one of secret, secrets, public_key_file and jwks_url, found {found}"
        )
    for name, load in sources.items():
        supported: Sequence[str] = SYMMETRIC if name.startswith("secret") else ASYMMETRIC
        try:
            keys = load()
            supported = keys.algorithms
        except ConfigError as error:
            problems.extend(error.problems)
        if algorithms:
            problems.extend(_misfits(algorithms, supported))
    for name, value in (("issuer", issuer), ("audience", audience)):
        if value == "":
            problems.append(f"auth.{name}: must not be empty, leave it out to accept any")
    if leeway_seconds < 0:
        problems.append("auth.leeway_seconds: must not be negative")
    if problems or keys is None:
        raise ConfigError(problems)
    return TokenVerifier(
        keys,
        algorithms=algorithms or (_JWKS_DEFAULT if jwks_url is not None else keys.algorithms[:1]),
        issuer=issuer,
        audience=audience,
        leeway_seconds=leeway_seconds,
        clock=clock,
    )


def mint(
    subject: str,
    *,
    secret: str,
    ttl_seconds: int,
    now: float,
    kid: str | None = None,
    algorithm: str = "HS256",
    claims: Mapping[str, object] | None = None,
) -> str:
    """Sign a token for ``subject`` that expires ``ttl_seconds`` after ``now`` (epoch seconds).

    Checks nothing, so that it also makes tokens to be refused; ``claims`` add to the standard
    ones or replace them.
    """
    issued_at = int(now)
    payload = {"sub": subject, "iat": issued_at, "exp": issued_at + ttl_seconds, **(claims or {})}
    import jwt  # brings all of cryptography

    return jwt.encode(payload, secret, algorithm, headers=None if kid is None else {"kid": kid})


def _misfits(algorithms: Sequence[str], supported: Sequence[str]) -> list[str]:
    choice = ", ".join(supported)
    if not algorithms:
        return [f"auth.algorithms: must not be empty, these keys can verify {choice}"]
    return [
        f"auth.algorithms: {name!r} does not go with these keys, which can verify {choice}"
        for name in algorithms
        if name not in supported
    ]
