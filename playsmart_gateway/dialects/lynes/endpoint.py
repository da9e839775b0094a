"""``POST /event``: authenticated, validated, awarded, stored, and only then answered.

The order of the checks is that of contract section 7: token, rate, body, event, API key.
"""

import hmac
import time
from collections.abc import Callable

import msgspec
from starlette.types import Receive

from playsmart_gateway.auth.tokens import TokenVerifier
from playsmart_gateway.dialects.lynes.query import WRONG_QUERY
from playsmart_gateway.dialects.lynes.reply import error_body, success_body
from playsmart_gateway.dialects.lynes.request import Request, batch, decode
from playsmart_gateway.economy.points import Program
from playsmart_gateway.errors import Forbidden, NotFound, RateLimited, Refused
from playsmart_gateway.http.endpoint import (
    Answer,
    Disconnected,
    Headers,
    bearer_of,
    read_body,
    require_json,
)
from playsmart_gateway.http.error_body import (
    JSON_TYPE,
    error_headers,
)
from playsmart_gateway.metrics import Stats
from playsmart_gateway.pipeline.commit_queue import CommitQueue
from playsmart_gateway.rate_limit import (
    RETRY_AFTER_SECONDS,
    MakeLimit,
    WrongTries,
    in_process,
)

PREFIXES = ("", "/v0", "/v1", "/v2", "/v3")
"""Each path is there under all of them (contract section 1)."""

PATHS = tuple(f"{prefix}/event" for prefix in PREFIXES)

WANTS_KEY = "This event requires an API key"
NOT_THEIRS = "The token is for another user"
NO_EVENT = "Event not found or inactive"
DOOR = "lynes_api_key"


class Access(msgspec.Struct, frozen=True):
    """The project, and who may do what in it.

    ``api_keys`` open the events that require one; ``strict_user`` lets a token speak only of the
    user that it is for.
    """

    project: str
    api_keys: tuple[str, ...] = ()
    strict_user: bool = False
    trust_forwarded: bool = False

    def has_key(self, headers: Headers) -> bool:
        """Whether the request brought one of the API keys, compared in constant time."""
        sent = headers.get(b"x-api-key", b"")
        return sum(hmac.compare_digest(sent, key.encode()) for key in self.api_keys) > 0

    def require_user(self, subject: str, user_id: str) -> None:
        """Raise ``Forbidden`` if the token is not for this user and has to be."""
        if self.strict_user and subject != user_id:
            raise Forbidden(NOT_THEIRS)


class SendEvent:
    """The endpoint of ``PATHS``.

    ``rate_limit`` is in requests a second, 0 is none; ``clock`` is the wall time in seconds.
    """

    def __init__(
        self,
        commit_queue: CommitQueue,
        verifier: TokenVerifier,
        stats: Stats,
        program: Program,
        access: Access,
        *,
        rate_limit: int,
        max_body_bytes: int,
        tries: WrongTries,
        clock: Callable[[], float] = time.time,
        make_limit: MakeLimit = in_process,
    ) -> None:
        self._commit_queue = commit_queue
        self._verifier = verifier
        self._stats = stats
        self._program = program
        self._access = access
        self._rate = make_limit(rate_limit, (access.project,))
        self._max_body_bytes = max_body_bytes
        self._tries = tries
        self._clock = clock

    async def __call__(self, headers: Headers, receive: Receive) -> Answer | None:
        """Answer one request; see ``Endpoint``."""
        access = self._access
        try:
            token = bearer_of(headers, trust_forwarded=access.trust_forwarded)
            caller = self._verifier.recall(token) or await self._verifier.verify(token)
            if not self._rate.take(access.project):
                raise RateLimited(retry_after_seconds=RETRY_AFTER_SECONDS)
            require_json(headers)
            body = await read_body(headers, receive, self._max_body_bytes)
            request = decode(body)
            await self._require_allowed(request, caller.subject, headers)
            received_at_ms = int(self._clock() * 1_000)
            accepted = batch(request, project=access.project, received_at_ms=received_at_ms)
            award = await self._commit_queue.submit(accepted)
        except Disconnected:
            return None
        except Refused as refusal:
            self._stats.refused_requests[refusal.tag] += 1
            return refused(refusal)
        body = success_body(request.event_id, request.user_id, award, received_at_ms)
        return Answer(200, body, [JSON_TYPE], accepted, is_stored=True)

    def error_body(self, status: int, message: str) -> bytes:
        """See ``Endpoint``."""
        return error_body(status)

    async def _require_allowed(self, request: Request, subject: str, headers: Headers) -> None:
        event = self._program.active_event(request.event_id)
        if event is None:
            raise NotFound(NO_EVENT)
        if event.requires_api_key and not self._access.has_key(headers):
            if headers.get(b"x-api-key"):
                await self._tries.pay(DOOR)
            raise Forbidden(WANTS_KEY)
        self._access.require_user(subject, request.user_id)


def refused(refusal: Refused) -> Answer:
    """Return the answer to a refused request of this dialect."""
    # These words were chosen where they were raised; all others are those of the status.
    is_chosen = isinstance(refusal, Forbidden | NotFound) or refusal.message == WRONG_QUERY
    message = refusal.message if is_chosen else None
    body = error_body(refusal.status, refusal.details, message)
    return Answer(refusal.status, body, error_headers(refusal))
