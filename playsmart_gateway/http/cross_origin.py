"""Games in browsers: pages of other origins that may ask, and read what is answered (CORS).

After the Fetch standard, section 3.3. What a page may do is what its token may: no cookie is ever
read here, so credentials are not allowed. Without ``[cors]`` nothing of this is loaded.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from starlette.routing import BaseRoute, Match
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import override

from playsmart_gateway.http.endpoint import Answer, Headers
from playsmart_gateway.http.preferences import by_name
from playsmart_gateway.http.request_frame import (
    ANSWER,
    HEADERS,
    RawHeaders,
    RequestFrame,
    SendAtOnce,
)
from playsmart_gateway.http.request_ids import request_id_of

PREFLIGHT = "preflight"
"""The route of all preflights, for metrics and the access log."""

_VARY = (b"vary", b"origin")  # for caches: the answer to another origin is another
_EXPOSED = (
    b"access-control-expose-headers",
    b"date, retry-after, x-request-id, preference-applied",
)
_MAY = [
    (b"access-control-allow-methods", b"GET, HEAD, POST"),
    (
        b"access-control-allow-headers",
        b"authorization, content-type, content-encoding, idempotency-key, prefer, x-request-id",
    ),
    (b"access-control-max-age", b"7200"),  # Chromium takes no more
]


class CrossOriginFrame(RequestFrame):
    """The outermost layer of a gateway that pages of these ``origins`` may ask.

    Every answer to them says that they may read it, errors too, or a 401 would look like a network
    that is down. Their preflights are answered here, with 204 and no body. To all others nothing is
    said, so their browsers keep the answers from them. ``closed`` are the routes that are for no
    page but our own.
    """

    def __init__(
        self, *arguments: Any, origins: Iterable[str], closed: Sequence[BaseRoute], **named: Any
    ) -> None:
        super().__init__(*arguments, **named)
        self._origins = frozenset(each.encode() for each in origins)
        self._closed = closed

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        headers = scope.get(HEADERS) or by_name(scope["headers"])
        origin = headers.get(b"origin")
        if origin is None and scope["method"] == "POST":  # of no browser, and in no cache
            await super().__call__(scope, receive, send)
            return
        added = [_VARY]
        if origin in self._origins and not self._is_closed(scope):
            added += [(b"access-control-allow-origin", origin), _EXPOSED]
            if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
                await self._allow(headers, [*added[:2], *_MAY], send)
                return

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *added]
            await send(message)

        extensions = dict(scope.get("extensions") or {})
        if (at_once := extensions.get(ANSWER)) is not None:
            extensions[ANSWER] = _with(added, at_once)
        await super().__call__({**scope, "extensions": extensions}, receive, send_more)

    @override
    def attempt(self, target: bytes, headers: Headers, body: bytes, send: SendAtOnce) -> bool:
        return b"origin" not in headers and super().attempt(target, headers, body, send)

    def _is_closed(self, scope: Scope) -> bool:
        return scope["path"] not in self._endpoints and any(
            route.matches(scope)[0] is not Match.NONE for route in self._closed
        )

    async def _allow(self, headers: Headers, told: RawHeaders, send: Send) -> None:
        """Answer a preflight."""
        started, request_id = self._clock(), request_id_of(headers)
        told.append((b"x-request-id", request_id))
        await send({"type": "http.response.start", "status": 204, "headers": told})
        await send({"type": "http.response.body", "body": b""})
        seconds = self._clock() - started
        self._note("OPTIONS", PREFLIGHT, request_id, Answer(204, b"", told), seconds)


def _with(
    added: RawHeaders, at_once: Callable[[int, RawHeaders, bytes], bool]
) -> Callable[[int, RawHeaders, bytes], bool]:
    """Return what sends a whole answer, with these headers, too."""

    def answer(status: int, headers: RawHeaders, body: bytes) -> bool:
        return at_once(status, [*headers, *added], body)

    return answer
