"""The outermost layer of the application: request id, timing, and the last word on errors.

Plain ASGI, because it is on the path of every request.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping
from random import getrandbits

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from playsmart_gateway.dialects.base import reply
from playsmart_gateway.envelope import JSON_TYPE, error_body
from playsmart_gateway.errors import where
from playsmart_gateway.stats import Stats

logger = logging.getLogger(__name__)

_SANE_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")


def make_request_id() -> bytes:
    """Return a UUIDv7 (RFC 9562 section 5.7): sorts by the time at which it was made.

    Names a request and guards nothing, so the quick source of chance will do.
    """
    now, chance = time.time_ns() // 1_000_000, getrandbits(74)
    return b"%08x-%04x-7%03x-%04x-%012x" % (
        now >> 16,
        now & 0xFFFF,
        chance >> 62,
        0x8000 | chance >> 48 & 0x3FFF,
        chance & 0xFFFFFFFFFFFF,
    )


class RequestFrame:
    """Wraps ``app``: every answer carries ``X-Request-ID`` and is counted by route and status.

    ``direct`` maps paths to the endpoints of POST requests, which go there at once: routing and
    Starlette's own layers would cost the busiest requests a tenth of their time.

    A sane id (1 to 128 visible ASCII characters) is echoed, else one is made. An exception that
    nobody expected answers 500 in the envelope and is logged once, by type and place only: its
    text could quote what the client sent.
    """

    def __init__(
        self,
        app: ASGIApp,
        stats: Stats,
        direct: Mapping[str, ASGIApp],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._app = app
        self._direct = direct
        self._stats = stats
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._clock()
        path = scope["path"]
        app = self._direct.get(path) if scope["method"] == "POST" else None
        request_id = b""
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                request_id = value
        if not request_id or not _SANE_REQUEST_ID.fullmatch(request_id):
            request_id = make_request_id()
        status = 0

        async def send_framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id))
            await send(message)

        try:
            await (app or self._app)(scope, receive, send_framed)
        except Exception as error:
            logger.error("%s, request_id=%s", where(error), request_id.decode("ascii"))
            if status:
                raise
            await reply(send_framed, 500, error_body(500, "internal_error"), [JSON_TYPE])
        finally:
            if status:
                if app is None:
                    route = scope.get("route")
                    path = route.path if route is not None else "unmatched"
                self._stats.observe_request(path, status, self._clock() - started)
