"""One request, from its headers to its answer: the frame that the endpoints of all dialects share.

``Endpoint`` is the frame of what is sent to us, ``reading`` that of what is read back. With them go
what each dialect needs of a request: the media type, the capped body, the token.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from playsmart_gateway.auth.token_cache import Caller
from playsmart_gateway.auth.tokens import TokenVerifier
from playsmart_gateway.errors import (
    Detail,
    InternalError,
    Refused,
    SinkError,
    StoreUnavailable,
    Unauthenticated,
    UnsupportedMedia,
    too_large,
)
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.http.content_encoding import Inflater, Inflation, is_gzip
from playsmart_gateway.http.error_body import (
    JSON_TYPE,
    NO_PROBLEMS,
    Problems,
    Said,
    Sound,
    envelope,
    error_headers,
)
from playsmart_gateway.http.turns import LARGE_BODY_BYTES, LongWork, Steps
from playsmart_gateway.metrics import Stats

_JSON = b"application/json"
_JSON_WANTED = Detail("content-type", f"must be {_JSON.decode()}")

Who = TypeVar("Who")
Asked = TypeVar("Asked")

Headers = dict[bytes, bytes]
"""The headers of a request by lower-case name; of repeated ones the last, of ``prefer`` all."""


ERROR_BODY = "playsmart.error_body"
"""A key of the ASGI scope: the body of a 500, set by routes that do not sound like the envelope."""


REFUSED = "playsmart.refused"
"""A key of the ASGI scope: the ``Answer`` that a route refused a request with."""

CUT = "playsmart.cut"
"""A message of our own server in the place of the rest of a body: ``refusal`` is why there is no
more of it, and what to answer."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """One whole answer; whoever sends it adds its length and the request id.

    The rest is for whoever watches: ``batch`` is what was accepted of the request, ``is_stored`` if
    it was committed before the answer, ``points`` what it earned by then; ``problems`` are what is
    wrong with the request, or with a part of it, which is ``rejected`` events. ``reason`` is why it
    was refused, one of the words of ``errors.Refused.reason``, and ``told`` what the operator is
    told beside it. ``inflated`` is the body of a request that came compressed, empty if nothing
    could be made of it.
    """

    status: int
    body: bytes
    headers: Sequence[tuple[bytes, bytes]]
    batch: Batch | None = None
    is_stored: bool = False
    points: int = 0
    problems: Problems = NO_PROBLEMS
    reason: str = ""
    told: str = ""
    rejected: int = 0
    inflated: bytes | None = None


Settle = Callable[[Answer], None]


class Disconnected(Exception):
    """The client went away before its request was whole; there is nobody to answer."""


def require_json(headers: Headers) -> None:
    """Raise ``UnsupportedMedia`` unless the body is plain JSON; a missing type counts as JSON."""
    media_type = headers.get(b"content-type", _JSON)
    if media_type != _JSON and media_type.partition(b";")[0].strip().lower() != _JSON:
        raise UnsupportedMedia(explanation=_JSON_WANTED)


def any_media(headers: Headers) -> None:
    """Require nothing: what the body is in is for its reader to say."""


class Room(Protocol):
    """Where what is asked has to fit in; see ``Intake``."""

    def has_room_for(self, body_bytes: int, max_events: int) -> bool:
        """Whether a body fits that comes to so many bytes and events at most."""
        ...

    async def room_for(self, body_bytes: int, max_events: int) -> None:
        """Return when it is likely to fit."""
        ...


class Endpoint(ABC, Generic[Who, Asked]):
    """Answers the POST requests of one path, in the order that is the same for all.

    Who asks, and may they ask once more (``authenticate``); the media type; the body, up to what
    ``inflater`` lets one come to, as it was sent and inflated; is there ``room`` for the
    ``max_events`` that it can come to; what is asked (``decode``, in steps by ``decoding`` if
    the body is large); do it and say so (``act``). Whatever refuses on the way raises
    ``Refused``, which is answered as the dialect says it (``sound``), with its reason for whoever
    notes it. A store that cannot be asked is 503.
    """

    reads_first: ClassVar[bool] = False
    """Whether the credential is in the body, so that nobody is known before it is read."""

    max_events: ClassVar[int] = 0
    """Events that a body may come to; 0 if there is always room."""

    require_media = staticmethod(require_json)
    """Raises ``UnsupportedMedia`` for a body that cannot be read."""

    def __init__(
        self,
        stats: Stats,
        inflater: Inflater,
        *,
        room: Room | None = None,
        decoding: LongWork | None = None,
    ) -> None:
        self._room = room if self.max_events else None
        self._decoding = decoding
        self._stats = stats
        self._inflater = inflater
        self._max_body_bytes = inflater.max_bytes

    async def __call__(self, headers: Headers, receive: Receive) -> Answer | None:
        """Answer one request; None when the client has left."""
        if b"prefer" in headers and (preferred := self.preferred(headers)) is not None:
            return await preferred(headers, receive)
        who, body = None, b""
        inflation: Inflation | None = None
        try:
            if not self.reads_first:
                who = self.recall(headers) or await self.authenticate(headers, body)
            self.require_media(headers)
            is_compressed = is_gzip(headers)
            body = await read_body(headers, receive, self._max_body_bytes)
            if is_compressed:
                inflation = self._inflater.begin(self._max_body_bytes)
                body = await inflation.inflate(body, "" if who is None else self.sender(who))
            if who is None:
                who = await self.authenticate(headers, body)
            room, size = self._room, len(body)
            if room is not None and not room.has_room_for(size, self.max_events):
                await room.room_for(size, self.max_events)
            if size > LARGE_BODY_BYTES and self._decoding is not None:
                steps = self.decode_in_steps(who, body)
                asked = await self._decoding.run(steps, self.sender(who))
            else:
                asked = self.decode(who, body)
            if key := headers.get(b"idempotency-key"):
                self.name(asked, key)
            answer = await self.act(who, asked, size)
            return answer if inflation is None else replace(answer, inflated=body)
        except Disconnected:
            return None
        except Refused as error:
            refusal, size = error, len(body) if inflation is None else inflation.size
        except SinkError as error:
            refusal, size = _away(error), len(body)
        finally:
            if inflation is not None:
                inflation.let_go()
        answer = self._refuse(refusal, who, size)
        return answer if inflation is None else replace(answer, inflated=inflation.content)

    def attempt(self, headers: Headers, body: bytes, settle: Settle) -> bool:
        """Answer a request that is here as a whole, if that needs nothing but its batch settled.

        Then ``settle`` is given the answer, once, now or later. Else nothing was done, and the
        endpoint is to be called.
        """
        return False

    def _refuse(self, refusal: Refused, who: Who | None, size: int) -> Answer:
        self.refused(refusal, who, size)
        return self.answer_to(refusal)

    def preferred(self, headers: Headers) -> "Endpoint[Any, Any] | None":
        """Return what answers instead of this one who sends such a ``Prefer`` header, if any."""
        return None

    def recall(self, headers: Headers) -> Who | None:
        """Return who asks if that is known without waiting; else ``authenticate`` is asked.

        Raises:
            Refused: as ``authenticate`` does.
        """
        return None

    @abstractmethod
    async def authenticate(self, headers: Headers, body: bytes) -> Who:
        """Return who asks; ``body`` is empty unless the endpoint ``reads_first``.

        Raises:
            Refused: nobody is believed, or they have asked too often.
        """

    @abstractmethod
    def decode(self, who: Who, body: bytes) -> Asked:
        """Return what is asked.

        Raises:
            Refused: it breaks the contract, or is not for them to ask.
        """

    def sender(self, who: Who) -> str:
        """Return who rests when large bodies of theirs have held up the others; empty: nobody."""
        return ""

    def decode_in_steps(self, who: Who, body: bytes) -> Steps[Asked]:
        """Do what ``decode`` does, for a large body: each step is a part of the work."""
        yield from ()  # one step, unless the dialect knows better
        return self.decode(who, body)

    def name(self, asked: Asked, key: bytes) -> None:
        """Take note of the ``Idempotency-Key`` of a request, by which a repeat of it is known."""

    @abstractmethod
    async def act(self, who: Who, asked: Asked, size: int) -> Answer:
        """Do what is asked and return the answer; the body had ``size`` bytes.

        Raises:
            Refused: it cannot be done.
            SinkError: the store cannot be asked now.
        """

    @abstractmethod
    def sound(self, refusal: Refused) -> Said:
        """Put a refusal into the words of the dialect."""

    def answer_to(self, refusal: Refused) -> Answer:
        """Return the answer to a request that is refused."""
        return answer_to(refusal, self.sound)

    def refused(self, refusal: Refused, who: Who | None, size: int) -> None:
        """Take note of a refusal; ``size`` bytes of a body were read, of ``who`` if anybody."""


def answer_to(refusal: Refused, sound: Sound) -> Answer:
    """Return the answer to a request that is refused, as ``sound`` puts it."""
    body, problems = sound(refusal)
    return Answer(
        refusal.status,
        body,
        error_headers(refusal),
        problems=problems,
        reason=refusal.reason,
        told=refusal.told,
    )


def reading(
    read: Callable[[Request], Awaitable[bytes]], sound: Sound
) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers a route with the JSON that ``read`` returns, or with why not.

    ``read`` raises what ``Endpoint.act`` raises.
    """
    broken = sound(InternalError()).body

    async def answer(request: Request) -> Response:
        request.scope[ERROR_BODY] = broken
        try:
            try:
                return response(Answer(200, await read(request), [JSON_TYPE]))
            except SinkError as error:
                raise _away(error) from error
        except Refused as refusal:
            return response(answer_to(refusal, sound))

    return answer


def response(answer: Answer) -> Response:
    """Return an answer as a route of Starlette's sends it; the frame gets to know of a refusal."""
    return _Response(answer)


def refusing(refusal: Refused) -> Response:
    """Return a refusal as a route of Starlette's sends it, in the gateway's own words."""
    return response(answer_to(refusal, envelope))


class _Response(Response):
    def __init__(self, answer: Answer) -> None:
        headers = {name.decode(): value.decode() for name, value in answer.headers}
        super().__init__(answer.body, answer.status, headers)
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._answer.reason:
            scope[REFUSED] = self._answer
        await super().__call__(scope, receive, send)


def _away(error: SinkError) -> StoreUnavailable:
    return StoreUnavailable(retry_after_seconds=1, told=str(error))


class Tokens(NamedTuple):
    """Whose bearer tokens are believed, and whether those that a proxy passes on are."""

    verifier: TokenVerifier
    trust_forwarded: bool

    async def caller(self, headers: Headers) -> Caller:
        """Return who sent a request.

        Raises:
            Refused: there is no token, it is not valid, or no key could be had yet.
        """
        token = bearer_of(headers, trust_forwarded=self.trust_forwarded)
        return await self.verifier.verify(token)


async def read_body(headers: Headers, receive: Receive, max_bytes: int) -> bytes:
    """Return the whole body.

    Raises:
        TooLarge: it is announced as, or turns out to be, over ``max_bytes`` bytes.
        Disconnected: the client left first.
        Refused: the server reads no more of it: too slow, too many bodies at once, or stopping.
    """
    if (announced := int(headers.get(b"content-length", b"0"))) > max_bytes:
        raise too_large(max_bytes, f"{announced:,}")
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        if message["type"] == CUT:
            chunks.clear()  # an error that a local name holds keeps them all in a circle
            raise message.pop("refusal")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise too_large(max_bytes, f"{size:,} so far")
        if not message.get("more_body", False):
            return b"".join([*chunks, chunk]) if chunks else chunk
        chunks.append(chunk)


def bearer_token(authorization: bytes | None) -> bytes:
    """Return the token of an ``Authorization`` value; the scheme is case-insensitive (RFC 9110).

    Raises:
        Unauthenticated: ``missing_bearer_token`` when there is none.
    """
    if authorization is not None:
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() == b"bearer" and (token := token.strip(b" ")):
            return token
    raise Unauthenticated("missing_bearer_token", cause="missing")


def bearer_of(headers: Headers, *, trust_forwarded: bool) -> bytes:
    """Return the token of a request; behind a proxy the forwarded header wins (contract section 2).

    Raises:
        Unauthenticated: ``missing_bearer_token`` when there is none.
    """
    if trust_forwarded and (forwarded := headers.get(b"x-forwarded-authorization")):
        return bearer_token(forwarded)
    return bearer_token(headers.get(b"authorization"))
