"""``POST /event``: authenticated, validated, awarded, stored, and only then answered.

The order of the checks is that of contract section 7: token, rate, body, event, API key.
"""

import hmac
from typing import NamedTuple

import msgspec
from typing_extensions import override

from playsmart_gateway.dialects.descriptor import Host
from playsmart_gateway.dialects.lynes.reply import sound, success_body
from playsmart_gateway.dialects.lynes.request import Request, batch, decode
from playsmart_gateway.dialects.trial import trying, verdict
from playsmart_gateway.economy.points import EventDefinition, Program
from playsmart_gateway.errors import Forbidden, NotFound, RateLimited, Refused
from playsmart_gateway.events.batch import LYNES, run_key, run_of
from playsmart_gateway.http.endpoint import Answer, Endpoint, Headers, Tokens
from playsmart_gateway.http.error_body import JSON_TYPE, Said
from playsmart_gateway.logs import shown, token_of
from playsmart_gateway.rate_limit import RETRY_AFTER_SECONDS

PREFIXES = ("", "/v0", "/v1", "/v2", "/v3")
"""Each path is there under all of them (contract section 1)."""

PATHS = tuple(f"{prefix}/event" for prefix in PREFIXES)

WANTS_KEY = "This event requires an API key"
NOT_THEIRS = "The token is for another user"
NO_EVENT = "Event not found or inactive"
DOOR = "lynes_api_key"
LYNES_KEYS = LYNES.encode()


class Access(msgspec.Struct, frozen=True):
    """The project, and who may do what in it.

    ``api_keys`` open the events that require one; ``strict_user`` lets a token speak only of the
    user that it is for.
    """

    project: str
    api_keys: tuple[str, ...] = ()
    strict_user: bool = False

    def has_key(self, headers: Headers) -> bool:
        """Whether the request brought one of the API keys, compared in constant time."""
        sent = headers.get(b"x-api-key", b"")
        return sum(hmac.compare_digest(sent, key.encode()) for key in self.api_keys) > 0

    def require_user(self, subject: str, user_id: str) -> None:
        """Raise ``Forbidden`` if the token is not for this user and has to be."""
        if self.strict_user and subject != user_id:
            raise Forbidden(NOT_THEIRS, cause="user", told=token_of(subject))


class Sender(NamedTuple):
    """Who sent a request, and what else its headers say."""

    subject: str
    headers: Headers


class SendEvent(Endpoint[Sender, Request]):
    """The endpoint of ``PATHS``; ``rate_limit`` is in requests a second, 0 is none."""

    def __init__(
        self, host: Host, tokens: Tokens, program: Program, access: Access, *, rate_limit: int
    ) -> None:
        super().__init__(host.stats, host.inflater)
        self._commit_queue = host.commit_queue
        self._tokens = tokens
        self._program = program
        self._access = access
        self._rate_limit = rate_limit
        self._rate = host.make_limit(rate_limit, (access.project,))
        self._tries = host.tries
        self._clock = host.clock

    @override
    async def authenticate(self, headers: Headers, body: bytes) -> Sender:
        caller = await self._tokens.caller(headers)
        if not self._rate.take(self._access.project):
            told = f"at most {self._rate_limit:,} a second of the project"
            raise RateLimited(retry_after_seconds=RETRY_AFTER_SECONDS, told=told)
        return Sender(caller.subject, headers)

    @override
    def decode(self, who: Sender, body: bytes) -> Request:
        return decode(body)

    async def act(self, who: Sender, asked: Request, size: int) -> Answer:
        """See ``Endpoint``; the answer waits for the commit."""
        await self._require_allowed(asked, who)
        received_at_ms = int(self._clock() * 1_000)
        project = self._access.project
        accepted = batch(asked, project=project, received_at_ms=received_at_ms)
        if key := who.headers.get(b"idempotency-key"):
            accepted.run = run_key(run_of(key, LYNES_KEYS), project, asked.user_id)
        award = await self._commit_queue.submit(accepted)
        body = success_body(asked.user_id, award)
        return Answer(200, body, [JSON_TYPE], accepted, is_stored=True, points=award.paid)

    @override
    def sound(self, refusal: Refused) -> Said:
        return sound(refusal)

    def trial(self, body: bytes) -> Answer:
        """Judge a body; see ``Trial``."""
        return trying(self._judge, sound)(body)

    def _judge(self, body: bytes) -> Answer:
        self._active(decode(body))
        return verdict(1)

    def _active(self, request: Request) -> EventDefinition:
        event = self._program.active_event(request.event_id)
        if event is None:
            raise NotFound(NO_EVENT, cause="event", told=f"eventId is {shown(request.event_id)}")
        return event

    async def _require_allowed(self, request: Request, sender: Sender) -> None:
        event = self._active(request)
        if event.requires_api_key and not self._access.has_key(sender.headers):
            if sender.headers.get(b"x-api-key"):
                await self._tries.pay(DOOR)
            raise Forbidden(WANTS_KEY, cause="api_key", told=token_of(sender.subject))
        self._access.require_user(sender.subject, request.user_id)
