"""One request on a connection and its answer: uvicorn's, with a body that can be cut."""

import asyncio
import logging
from collections.abc import Callable

from playsmart_gateway.errors import Refused, where
from playsmart_gateway.http.endpoint import CUT
from playsmart_gateway.http.turns import Turns
from playsmart_gateway.serve.uvicorn_parts import (
    ASGI3Application,
    ASGIReceiveEvent,
    ASGISendEvent,
    FlowControl,
    HTTPScope,
    RequestResponseCycle,
)

logger = logging.getLogger(__name__)


class Cycle(RequestResponseCycle):
    """One request and its answer; if ``is_cut``, ``cut`` is why, until it was told.

    ``held`` are the bytes of the body that count as in flight, ``unread`` those of them that the
    application has not asked for; with ``lingers`` the connection ends behind this answer, gently.
    The end of a body that ``is_queued`` waits for its turn.
    """

    # What a request begins with, as attributes of the class: storing them would take longer than
    # all limits together.
    access_log = False
    disconnected = False
    more_body = True
    response_started = False
    response_complete = False
    chunked_encoding: bool | None = None
    expected_content_length = 0
    held = 0
    unread = 0
    is_cut = False
    cut: Refused | None = None
    lingers = False
    is_queued = False
    flow: "Flow"

    def __init__(  # not that of uvicorn, for the same reason
        self,
        scope: HTTPScope,
        transport: asyncio.Transport,
        flow: "Flow",
        default_headers: list[tuple[bytes, bytes]],
        on_response: Callable[[], None],
        *,
        keep_alive: bool,
        waiting_for_100_continue: bool,
        reads: Turns,
    ) -> None:
        self.reads = reads
        self.scope = scope
        self.transport = transport
        self.flow = flow
        self.default_headers = default_headers
        self.on_response = on_response
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = waiting_for_100_continue
        self.message_event = asyncio.Event()
        self.chunks: list[bytes] = []

    async def run_asgi(self, app: ASGI3Application) -> None:
        """Run the application, which answers its own errors; hang up if it does not answer."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            logger.warning("hung up: a request was not answered in the time to stop")
        except Exception as error:  # noqa: BLE001 - the frame answers all but those of sending
            logger.error("hung up: %s", where(error))
        finally:
            if not self.response_complete and not self.disconnected:
                self.transport.abort()
            self.on_response = _nothing  # a reference in a circle

    def go_on(self) -> None:
        """Have the application get the end of a body that ``is_queued``."""
        self.is_queued = False
        self.message_event.set()

    async def receive(self) -> ASGIReceiveEvent:
        """Return the next part of the body, that the client left, or why the body is cut."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if not self.disconnected and not self.response_complete:
            if self.flow.read_paused:  # that much came of a body
                self.flow.resume_in_turn(self.reads)
            await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        if self.cut is not None:
            refusal, self.cut = self.cut, None  # or it would be held by what it holds, once raised
            return {"type": CUT, "refusal": refusal}  # type: ignore[return-value]
        chunks = self.chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self.chunks = []
        self.unread = 0
        return {"type": "http.request", "body": body, "more_body": self.more_body or self.is_queued}

    async def send(self, message: ASGISendEvent) -> None:
        """Send a part of the answer; an answer before the end of the body is the last one."""
        if self.more_body or self.lingers:
            if message["type"] == "http.response.start":
                self.keep_alive = False
            elif not message.get("more_body", False):
                self.keep_alive = self.lingers = True  # the protocol hangs up, and more gently
        await super().send(message)


class Flow(FlowControl):
    """``held`` while there is enough to do: then nobody may go on reading."""

    held = False

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(transport)
        self._loop = loop
        self._has_turn = False

    def resume_reading(self) -> None:
        """Read again, unless it is held."""
        if not self.held:
            super().resume_reading()

    def resume_in_turn(self, turns: Turns) -> None:
        """Read again when it is its turn, unless it is held then; not before."""
        self.pause_reading()
        if not self._has_turn:
            self._has_turn = True
            turns.put(self._loop, self._take_turn)

    def _take_turn(self) -> None:
        self._has_turn = False
        self.resume_reading()


def _nothing() -> None:
    pass
