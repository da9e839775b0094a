"""Accounts: ``POST /auth/register``, ``/auth/login``, ``/auth/refresh`` and ``/auth/device``.

The first two are as PlaySmart documents them, the others are ours: it specifies no refresh, and has
no players without an email. They are in this dialect as paths, bodies and errors are PlaySmart's;
what they work with is below: passwords and tokens in ``auth``, the table in ``stores``. They are
routes beside the endpoints, so the inspector, which shows bodies, never hears one of them.

A ``deviceId`` becomes the ``sub`` of tokens, so who knows one could become that player: it is taken
only if nobody has it. Refreshing does not rotate: the older token stays good until it expires, as a
phone that lost an answer would be logged out.
"""

import math
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from typing_extensions import override

from playsmart_gateway.auth.compact import MAX_TOKEN_BYTES
from playsmart_gateway.auth.issuing import Issuer
from playsmart_gateway.auth.passwords import Passwords
from playsmart_gateway.auth.tokens import TokenVerifier
from playsmart_gateway.dialects.loose import without_mark
from playsmart_gateway.errors import Conflict, Detail, Malformed, RateLimited, Unauthenticated
from playsmart_gateway.http.content_encoding import Inflater
from playsmart_gateway.http.endpoint import Answer, Endpoint, Headers, response
from playsmart_gateway.http.error_body import JSON_TYPE, Said, envelope
from playsmart_gateway.http.preferences import by_name
from playsmart_gateway.http.slots import group_of
from playsmart_gateway.metrics import Stats
from playsmart_gateway.rate_limit import SlowLimit, WrongTries
from playsmart_gateway.stores.contract import Accounts, Registered
from playsmart_gateway.stores.models import Account
from playsmart_gateway.stores.readers import CoinReader

REGISTER = "/auth/register"
LOGIN = "/auth/login"
REFRESH = "/auth/refresh"
DEVICE = "/auth/device"

MAX_EMAIL_LENGTH = 254
MIN_PASSWORD_LENGTH = 8
MAX_PASSWORD_LENGTH = 256
MAX_DEVICE_ID_LENGTH = 256
MAX_BODY_BYTES = 16_384

KNOWN_EMAIL = "email_already_registered"
KNOWN_DEVICE = "device_already_registered"
WRONG = "invalid_credentials"

_ADDRESS = b":address"
"""Where a route tells its endpoint who is asking: no header has such a name."""

_MAX_ADDRESS_LENGTH = 64
_DOOR = "password"
_EMAIL = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9.-]+")  # RFC 5321 section 4.5.3.1, in ASCII
_DEVICE_ID = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_WITH_PORT = re.compile(r"\[(.+)\](?::\d+)?|([\d.]+):\d+")
_HALF_PAIR = re.compile(r"[\ud800-\udfff]")

_EMAIL_RULE = f"must be an e-mail address in ASCII, at most {MAX_EMAIL_LENGTH} characters"
_PASSWORD_RULE = f"must be a string of {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters"
_DEVICE_RULE = (
    f"must be a string of 1 to {MAX_DEVICE_ID_LENGTH} characters, no control characters among them"
)
_TOKEN_RULE = f"must be a string of 1 to {MAX_TOKEN_BYTES} characters"


class Parts(NamedTuple):
    """What the endpoints work with; ``clock`` is wall time in seconds.

    Of one address and for one account calls are limited. The address of a request is that of the
    connection, or the last in ``address_header``.
    """

    accounts: Accounts
    players: CoinReader
    passwords: Passwords
    issuer: Issuer
    verifier: TokenVerifier
    of_address: SlowLimit
    of_account: SlowLimit
    tries: WrongTries
    stats: Stats
    inflater: Inflater
    clock: Callable[[], float]
    address_header: str | None = None


class _Registration(NamedTuple):
    email: str
    password: str
    device_id: str


class _Login(NamedTuple):
    email: str
    password: str


class _Refresh(NamedTuple):
    token: str


class _Endpoint(Endpoint[str, Any]):
    """What is the same for all of them; who asks is an address."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts.stats, parts.inflater)
        self._max_body_bytes = min(MAX_BODY_BYTES, self._max_body_bytes)
        self._parts = parts

    @override
    async def authenticate(self, headers: Headers, body: bytes) -> str:
        address = headers[_ADDRESS].decode("latin-1")
        _take(self._parts.of_address, address, "address")
        return address

    @override
    def sound(self, refusal: Any) -> Said:
        return envelope(refusal)

    async def _register(self, account: Account) -> Answer:
        registered = await self._parts.accounts.register(account)
        if registered is not Registered.NOW:
            if registered is Registered.KNOWN_EMAIL:
                raise Conflict(KNOWN_EMAIL, cause="email")
            raise Conflict(KNOWN_DEVICE, cause="device")
        return await self._answer(201, account)

    def _new(self, user_id: str, email: str | None, password: str | None) -> Account:
        now = int(self._parts.clock())
        return Account(user_id, email, password, now, now)

    async def _answer(self, status: int, account: Account) -> Answer:
        user_id = account.user_id
        issued = self._parts.issuer.issue(user_id, account.tokens_not_before)
        player = await self._parts.players.player(user_id)
        user = {
            "id": user_id,
            "email": account.email or "",
            "pseudo": "",
            "total_games_completed": player.total_games_played if player else 0,
        }
        told = {"data": {**issued._asdict(), "user": user}}
        # RFC 6749 section 5.1: what has tokens in it is not to be kept on the way
        headers = [JSON_TYPE, (b"cache-control", b"no-store")]
        return Answer(status, msgspec.json.encode(told), headers)

    async def _refresh(self, sent: str) -> Answer:
        token = self._parts.verifier.verify_refresh(sent.encode("utf-8", "replace"))
        account = await self._parts.accounts.account(token.subject)
        if account is None or token.issued_at < account.tokens_not_before:
            raise Unauthenticated("invalid_token", cause="revoked")
        return await self._answer(200, account)


class Register(_Endpoint):
    """The endpoint of ``REGISTER``."""

    @override
    def decode(self, who: str, body: bytes) -> _Registration:
        fields = _Fields(body)
        found = _Registration(fields.email(), fields.password(), fields.device_id())
        fields.require_right()
        return found

    @override
    async def act(self, who: str, asked: _Registration, size: int) -> Answer:
        password = await self._parts.passwords.hash(asked.password)
        return await self._register(self._new(asked.device_id, asked.email, password))


class Login(_Endpoint):
    """The endpoint of ``LOGIN``: with a password, or with a refresh token in its place."""

    @override
    def decode(self, who: str, body: bytes) -> _Login | _Refresh:
        fields = _Fields(body)
        if fields.has_token:
            found: _Login | _Refresh = _Refresh(fields.token())
        else:
            found = _Login(fields.email(), fields.password())
        fields.require_right()
        return found

    @override
    async def act(self, who: str, asked: _Login | _Refresh, size: int) -> Answer:
        if isinstance(asked, _Refresh):
            return await self._refresh(asked.token)
        parts = self._parts
        _take(parts.of_account, asked.email, "account")
        account = await parts.accounts.account_with(asked.email)
        kept = None if account is None else account.password
        if not await parts.passwords.matches(asked.password, kept) or account is None:
            await parts.tries.pay(_DOOR)
            raise Unauthenticated(WRONG, cause="credentials")
        return await self._answer(200, account)


class Refresh(_Endpoint):
    """The endpoint of ``REFRESH``."""

    @override
    def decode(self, who: str, body: bytes) -> _Refresh:
        fields = _Fields(body)
        found = _Refresh(fields.token())
        fields.require_right()
        return found

    @override
    async def act(self, who: str, asked: _Refresh, size: int) -> Answer:
        return await self._refresh(asked.token)


class Device(_Endpoint):
    """The endpoint of ``DEVICE``: a player without an email, whose id is made here."""

    @override
    def decode(self, who: str, body: bytes) -> None:
        _Fields(body)

    @override
    async def act(self, who: str, asked: None, size: int) -> Answer:
        return await self._register(self._new(str(uuid.uuid4()), None, None))


class _Fields:
    """The fields of a body, and what is wrong with those that were asked for."""

    def __init__(self, body: bytes) -> None:
        self._problems: list[Detail] = []
        try:
            self._found = _decode(without_mark(body))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            wrong = Detail("", "must be a JSON object")
            raise Malformed(details=[wrong], told=wrong.text) from None

    @property
    def has_token(self) -> bool:
        return "refresh_token" in self._found

    def email(self) -> str:
        return self._read("email", _EMAIL_RULE, _read_email)

    def password(self) -> str:
        return self._read("password", _PASSWORD_RULE, _read_password)

    def device_id(self) -> str:
        return self._read("deviceId", _DEVICE_RULE, _read_device_id)

    def token(self) -> str:
        return self._read("refresh_token", _TOKEN_RULE, _read_token)

    def require_right(self) -> None:
        if self._problems:
            raise Malformed(details=self._problems, told=self._problems[0].text)

    def _read(self, name: str, rule: str, read: Callable[[str], str | None]) -> str:
        value: Any = self._found.get(name)
        if name not in self._found:
            self._problems.append(Detail(name, "is required"))
            return ""
        found = read(value) if isinstance(value, str) else None
        if found is None:
            self._problems.append(Detail(name, rule))
        return found or ""


_decode = msgspec.json.Decoder(dict[str, Any]).decode


def _read_email(text: str) -> str | None:
    """Return an address as it is compared: people do not know whether theirs has capitals."""
    email = text.strip()  # its letters are looked at first: the small one of a Kelvin sign is a k
    return email.lower() if len(email) <= MAX_EMAIL_LENGTH and _EMAIL.fullmatch(email) else None


def _read_password(text: str) -> str | None:
    fits = MIN_PASSWORD_LENGTH <= len(text) <= MAX_PASSWORD_LENGTH
    return text if fits and not _HALF_PAIR.search(text) else None


def _read_device_id(text: str) -> str | None:
    return text if len(text) <= MAX_DEVICE_ID_LENGTH and _DEVICE_ID.fullmatch(text) else None


def _read_token(text: str) -> str | None:
    return text if 1 <= len(text) <= MAX_TOKEN_BYTES else None


def _take(limit: SlowLimit, key: str, kind: str) -> None:
    if wait := limit.take(key):
        seconds = math.ceil(wait)
        rule = f"at most {limit.per_minute:,} a minute of one {kind}; again in {seconds} s"
        raise RateLimited(retry_after_seconds=seconds, explanation=Detail("", rule))


def routes(parts: Parts) -> list[Route]:
    """Return the routes."""
    endpoints: Mapping[str, _Endpoint] = {
        REGISTER: Register(parts),
        LOGIN: Login(parts),
        REFRESH: Refresh(parts),
        DEVICE: Device(parts),
    }
    return [
        Route(path, _answering(endpoint, parts.address_header), methods=["POST"])
        for path, endpoint in endpoints.items()
    ]


def _answering(endpoint: _Endpoint, address_header: str | None) -> Callable[[Request], Any]:
    name = address_header.lower().encode() if address_header else b""

    async def answer(request: Request) -> Response:
        headers = by_name(request.headers.raw)
        nearest = _nearest(headers.get(name, b""))
        headers[_ADDRESS] = group_of(nearest or _peer_of(request)).encode()
        found = await endpoint(headers, request.receive)
        return Response() if found is None else response(found)  # nobody hears the first

    return answer


def _nearest(told: bytes) -> str:
    """Return the address that our proxy saw.

    It is the last: what stands before it others told. It is without a port: there are many.
    """
    nearest = told.rpartition(b",")[2].strip()[:_MAX_ADDRESS_LENGTH].decode("latin-1")
    found = _WITH_PORT.fullmatch(nearest)
    return nearest if found is None else found[1] or found[2]


def _peer_of(request: Request) -> str:
    return request.client.host if request.client else ""
