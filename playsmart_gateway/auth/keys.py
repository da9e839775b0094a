"""Where the keys come from: shared secrets, a public key file, or a JWK set (RFC 7517) at a URL.

Each source hands out only keys that fit the algorithm asked for, so a public key can never end up
as an HMAC secret (RFC 8725 section 3.1). The first two never change. With the third, three things
must not happen: a slow or dead endpoint stalls ingest, a stranger's invented ``kid`` causes
fetches, a key that was withdrawn goes on being trusted. So:

- a fetch runs in a thread, one at a time, within ``FETCH_TIMEOUT_SECONDS`` and ``MAX_JWKS_BYTES``;
- keys older than ``lifetime_seconds`` are refreshed beside the requests, which meanwhile use the
  old ones; while the endpoint is down the old ones stay in use until they are ``max_age_seconds``
  old, and then nobody is believed until it is back;
- only a request that no key we hold can serve waits for a fetch, and an unknown ``kid`` starts
  one at most every ``lookup_seconds``;
- a fetch that brings other keys moves ``generation``, at which the verifier's cache is void.

All of it goes by a monotonic clock: setting the time neither postpones a refresh nor keeps a key.
"""

import asyncio
import logging
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from playsmart_gateway.auth.fetching import FETCH_TIMEOUT_SECONDS, fetch_document
from playsmart_gateway.errors import ConfigError, KeysUnavailable

SYMMETRIC = ("HS256", "HS384", "HS512")
"""Every algorithm that a shared secret may verify, if it is as long as the hash."""

ASYMMETRIC = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
"""Every algorithm that a public key may verify; of those that fit a key, the usual one is first."""

MIN_SECRET_BYTES = 32
MIN_DIFFERENT_CHARACTERS = 4

_log = logging.getLogger(__name__)

_NO_KEY_FORMAT = re.compile(rb"(?!ssh-|ecdsa-|.*----)[\w+/=.~-]+\Z")
"""Bytes that cannot be PEM, DER, JSON or SSH, so that PyJWT need not look at them."""

_Table = dict[tuple[str | None, str], list[Any]]


class KeySource(Protocol):
    """Where the keys come from. A source only ever hands out keys that fit the algorithm."""

    @property
    def algorithms(self) -> Sequence[str]:
        """What these keys can verify, the usual choice first."""

    @property
    def generation(self) -> int:
        """Changes when keys change: a token checked under another one has to be checked again."""

    def is_due(self) -> bool:
        """Whether ``keys_for`` should be called now even for a known token."""

    def secrets_for(self, kid: str | None, alg: str) -> Sequence[bytes]:
        """Return the secrets to try for a token, which are here; none for other keys."""

    async def keys_for(self, kid: str | None, alg: str) -> Sequence[Any]:
        """Return the public keys to try for a token, as PyJWT takes them; often none."""


class StaticKeys:
    """Keys that stay the same while the process runs, each with its name (``kid``).

    A token that names a key is checked with this one only, so that secrets can overlap while they
    are rotated; one that names none is tried with all. A key without a name takes any token, since
    the ``kid`` of the token has nothing to tell it from.
    """

    generation = 0

    def __init__(self, keys: Sequence[tuple[str | None, Any]], algorithms: Sequence[str]) -> None:
        self.algorithms = tuple(algorithms)
        self._keys = tuple(keys)
        self._all = tuple(key for _, key in keys)

    def is_due(self) -> bool:
        """Never: there is nothing to fetch."""
        return False

    def secrets_for(self, kid: str | None, alg: str) -> Sequence[bytes]:
        """See ``KeySource``."""
        return self._named(kid, alg) if alg in SYMMETRIC else ()

    async def keys_for(self, kid: str | None, alg: str) -> Sequence[Any]:
        """See ``KeySource``."""
        return self._named(kid, alg) if alg in ASYMMETRIC else ()

    def _named(self, kid: str | None, alg: str) -> Sequence[Any]:
        """Return the named key, any without a name, or all when no name is asked for."""
        if alg not in self.algorithms:
            return ()
        if kid is None:
            return self._all
        return [key for name, key in self._keys if name is None or name == kid]


def shared_secrets(secrets: Sequence[tuple[str | None, str]]) -> StaticKeys:
    """Take HMAC secrets with their names; one alone may go without (None).

    Raises ``ConfigError`` for a secret under 32 bytes of UTF-8 or of the form of a public key, and
    for a name that is empty or used twice. No message ever holds a secret.
    """
    problems = []
    names: set[str | None] = set()
    for index, (name, secret) in enumerate(secrets):
        if problem := _secret_problem(secret):
            path = "auth.secret" if name is None else f"auth.secrets.{index}.secret"
            problems.append(f"{path}: {problem}")
        if name == "":
            problems.append(f"auth.secrets.{index}.kid: must not be empty")
        elif name in names:
            problems.append(f"auth.secrets.{index}.kid: is used twice")
        names.add(name)
    if problems:
        raise ConfigError(problems)
    keys = [(name, secret.encode()) for name, secret in secrets]
    return StaticKeys(keys, [alg for alg in SYMMETRIC if all(fits(key, alg) for _, key in keys)])


def weakness(secret: str, least_length: int) -> str | None:
    """Return why a secret can be guessed: it is too short, or of few characters; else None."""
    if len(secret) < least_length:
        return f"must have {least_length} characters at least, has {len(secret)}"
    if len(set(secret)) < MIN_DIFFERENT_CHARACTERS:
        return f"has fewer than {MIN_DIFFERENT_CHARACTERS} different characters, must be random"
    return None


def _secret_problem(secret: str) -> str | None:
    try:
        key = secret.encode()
    except UnicodeEncodeError:
        return "must be UTF-8 text"
    if len(key) < MIN_SECRET_BYTES:
        return f"is {len(key)} bytes long, must be {MIN_SECRET_BYTES} at least"
    return None if fits(key, "HS256") else "looks like a public or private key, must be random"


def public_key_file_keys(path: Path) -> StaticKeys:
    """Load one public key in PEM: RSA from 2048 bits, P-256, P-384, P-521, Ed25519 or Ed448.

    Raises ``ConfigError`` for anything else, a private key above all: it does not belong here.
    """
    try:
        pem = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError([f"auth.public_key_file: cannot be read: {reason}"]) from None
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        what = (
            "a private key, give the public one" if b"PRIVATE KEY" in pem else "no PEM public key"
        )
        raise ConfigError([f"auth.public_key_file: holds {what}"]) from None
    algorithms = [alg for alg in ASYMMETRIC if fits(key, alg)]
    if not algorithms:
        kinds = "RSA of 2048 bits or more, P-256, P-384, P-521, Ed25519 or Ed448"
        raise ConfigError([f"auth.public_key_file: must be {kinds}"])
    return StaticKeys([(None, key)], algorithms)


def algorithm(name: str) -> Any:
    """Return PyJWT's algorithm; it brings all of cryptography, so who has secrets never asks."""
    import jwt

    return jwt.get_algorithm_by_name(name)


def fits(key: object, alg: str) -> bool:
    """Whether a key is of the type, curve and size for the algorithm (RFC 7518 section 3)."""
    if alg in SYMMETRIC and isinstance(key, bytes) and _NO_KEY_FORMAT.match(key):
        return len(key) >= int(alg[2:]) // 8
    import jwt

    its = algorithm(alg)
    try:
        return its.check_key_length(its.prepare_key(key)) is None
    except (jwt.InvalidKeyError, TypeError):
        return False


class Jwks:
    """The keys at an http or https URL.

    ``fetch`` is called in a thread with the URL and returns the body or raises; ``clock`` gives
    seconds that nobody sets. ``lookup_seconds`` apply to an unknown ``kid``, ``retry_seconds``
    after a failure; keys that were asked for more than ``max_age_seconds`` ago verify nothing.
    Raises ``ConfigError`` for any other kind of URL. Belongs to one event loop; the first token
    waits for the first fetch.
    """

    algorithms = ASYMMETRIC

    def __init__(
        self,
        url: str,
        *,
        fetch: Callable[[str], bytes] | None = None,
        clock: Callable[[], float] = time.monotonic,
        max_age_seconds: float = 86_400.0,
        lifetime_seconds: float = 300.0,
        lookup_seconds: float = 60.0,
        retry_seconds: float = 15.0,
    ) -> None:
        _require_http(url)
        self.generation = 0
        self._refresh_at = -math.inf
        self._too_old_at = -math.inf
        self._lookup_at = -math.inf
        self._url = url
        self._fetch = fetch or fetch_document
        self._clock = clock
        self._max_age_seconds = max_age_seconds
        self._lifetime_seconds = lifetime_seconds
        self._lookup_seconds = lookup_seconds
        self._retry_seconds = retry_seconds
        self._table: _Table = {}
        self._fetching: asyncio.Task[None] | None = None

    def is_due(self) -> bool:
        """Whether it is time for a refresh, or the keys are too old to be used."""
        now = self._clock()
        return now >= self._refresh_at or now >= self._too_old_at

    def secrets_for(self, kid: str | None, alg: str) -> Sequence[bytes]:
        """Return none: a secret that is published is none (see ``parse_jwks``)."""
        return ()

    async def keys_for(self, kid: str | None, alg: str) -> Sequence[Any]:
        """Return the keys of that name for that algorithm; without a name all for it.

        Raises ``KeysUnavailable`` as long as no fetch has succeeded lately: a 401 would be a lie.
        """
        now = self._clock()
        found = self._current(now).get((kid, alg), ())
        due = now >= self._refresh_at or (not found and now >= self._lookup_at)
        if due and self._fetching is None:
            # Moved before the answer is in: until then nobody else has a reason to come here.
            self._refresh_at = now + self._retry_seconds
            self._lookup_at = now + self._lookup_seconds
            self._fetching = asyncio.create_task(self._refresh())
        if not found and self._fetching is not None:
            await asyncio.shield(self._fetching)  # a caller who hangs up must not stop the fetch
            now = self._clock()
            found = self._current(now).get((kid, alg), ())
        if now >= self._too_old_at:
            raise KeysUnavailable(retry_after_seconds=math.ceil(self._retry_seconds))
        return found

    def _current(self, now: float) -> _Table:
        return self._table if now < self._too_old_at else {}

    async def _refresh(self) -> None:
        asked = self._clock()
        try:
            async with asyncio.timeout(2 * FETCH_TIMEOUT_SECONDS):
                table = await asyncio.to_thread(lambda: parse_jwks(self._fetch(self._url)))
        except Exception as error:  # noqa: BLE001 whatever went wrong there, ingest goes on here
            left = self._too_old_at - self._clock()
            use = f"the old ones stay in use for {left:.0f} s" if left > 0 else "there are none"
            _log.warning("jwks_url: no fresh keys, %s: %r", use, error)
        else:
            self._too_old_at = asked + self._max_age_seconds
            self._refresh_at = self._clock() + self._lifetime_seconds
            if table != self._table:
                self._table = table
                self.generation += 1
            if not table:  # obeyed all the same: this is how an issuer withdraws everything
                _log.warning("jwks_url: the document holds no key that can be used")
        finally:
            self._fetching = None


def parse_jwks(document: bytes) -> _Table:
    """Return the usable keys of a JWK set by name and algorithm; under the name None, all.

    A key that cannot be used is passed over (RFC 7517 section 5), which includes any private or
    symmetric one. Raises ``msgspec.DecodeError`` when the document is no JWK set at all.
    """
    table: _Table = {}
    for jwk in msgspec.json.decode(document, type=_JwkSet).keys:
        kid = jwk.get("kid")
        for alg, key in _usable(jwk):
            table.setdefault((None, alg), []).append(key)
            if isinstance(kid, str):
                table.setdefault((kid, alg), []).append(key)
    return table


class _JwkSet(msgspec.Struct):
    keys: list[dict[str, Any]]


def _usable(jwk: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    # A private key ("d") that has been published is no longer only the issuer's.
    if "d" in jwk or jwk.get("use", "sig") != "sig":
        return
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return
    for alg in ASYMMETRIC:
        if jwk.get("alg", alg) == alg:
            try:
                key = algorithm(alg).from_jwk(jwk)
            except Exception:  # noqa: BLE001, S112 wrong in whatever way, the other keys still count
                continue
            if fits(key, alg):
                yield alg, key


def _require_http(url: str) -> None:
    try:
        parts = urlsplit(url)
        # urllib takes no credentials in a URL, but would print them in its errors.
        usable = parts.hostname and parts.port != 0 and "@" not in parts.netloc
    except ValueError:  # such as an unfinished IPv6 address, or port 70000
        usable = False
    if not usable or parts.scheme not in ("http", "https"):
        raise ConfigError(["auth.jwks_url: must be an http or https URL, without a user name"])
