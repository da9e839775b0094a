"""The outermost layer of the application: request id, timing, and the last word on errors.

Plain ASGI, because it is on the path of every request.
"""

import logging
import re
import time
from collections.abc import Callable
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
    number = time.time_ns() // 1_000_000 << 80 | getrandbits(80)
    number = number & ~(0xF << 76) | 7 << 76
    number = number & ~(0x3 << 62) | 2 << 62
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}".encode()


class RequestFrame:
    """Wraps ``app``: every answer carries ``X-Request-ID`` and is counted by route and status.

    A sane id (1 to 128 visible ASCII characters) is echoed, else one is made. An exception that
    nobody expected answers 500 in the envelope and is logged once, by type and place only: its
    text could quote what the client sent.
    """

    def __init__(
        self, app: ASGIApp, stats: Stats, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._app = app
        self._stats = stats
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._clock()
        request_id = b""
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                request_id = value
        if not _SANE_REQUEST_ID.fullmatch(request_id):
            request_id = make_request_id()
        status = 0

        async def send_framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id))
            await send(message)

        try:
            await self._app(scope, receive, send_framed)
        except Exception as error:
            logger.error("%s, request_id=%s", where(error), request_id.decode("ascii"))
            if status:
                raise
            await reply(send_framed, 500, error_body(500, "internal_error"), [JSON_TYPE])
        finally:
            if status:
                route = scope.get("route")
                path = route.path if route is not None else "unmatched"
                self._stats.observe_request(path, status, self._clock() - started)
