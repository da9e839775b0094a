"""One connection: uvicorn's HTTP with a limit wherever a client could cost what it does not send.

What differs from uvicorn, beside what is read (see ``reading``). Everything has a deadline (see
``slots``). A body can be cut: the endpoint that reads it is told why, and answers in its words.
Pipelines take turns.
"""

import asyncio
import socket
from collections.abc import Iterable
from typing import Any

from typing_extensions import override

from playsmart_gateway.console.inspector.routes import HANG_UP
from playsmart_gateway.errors import Refused, TooManyConnections
from playsmart_gateway.http.answered import Passed
from playsmart_gateway.http.endpoint import Answer
from playsmart_gateway.http.error_body import ONLY_JSON, error_body
from playsmart_gateway.http.refusals import Refusal
from playsmart_gateway.http.request_frame import (
    ANSWER,
    RawHeaders,
)
from playsmart_gateway.http.request_ids import make_request_id
from playsmart_gateway.http.slots import (
    ANSWERING,
    BODY,
    HEAD,
    IDLE,
    LINGERING,
    WAITING,
    Slots,
    group_of,
    too_many,
)
from playsmart_gateway.serve.cycle import (
    Cycle,
    Flow,
)
from playsmart_gateway.serve.express import Express
from playsmart_gateway.serve.uvicorn_parts import (
    STATUS_LINE,
    ASGI3Application,
    RequestResponseCycle,
)

KEPT_BODY_BYTES = 65_536
"""What may be missing of a body that was refused unread, if the connection is to be kept."""

TURNS = 8
"""Next requests of all pipelines together that begin in a turn of the loop: who asks one thing at a
time must not wait for all of them."""

KERNEL_BUFFER_BYTES = 65_536
"""What the kernel keeps in each direction for a client that does not read, or sends without end;
left to itself it would be megabytes."""


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % each for each in headers])


_JSON_LINE = _lines(ONLY_JSON)


class Protocol(Express):
    """One connection; it notes its ``stage`` and ``since`` when, and ``slots`` does the rest."""

    def __init__(self, *arguments: Any, slots: Slots, **named: Any) -> None:
        super().__init__(*arguments, slots=slots, **named)
        self.address = ""
        self.stuck_at, self.stuck_since = 0, 0.0
        self._descriptor = -1
        self._answering: Cycle | None = None
        self._is_stopping = False
        self._extensions = {ANSWER: self.answer, HANG_UP: self.hang_up}

    # ---- What the transport tells -----------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock: a client that connects owes a request."""
        self.since = self._clock()
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            for direction in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                connection.setsockopt(socket.SOL_SOCKET, direction, KERNEL_BUFFER_BYTES)
        slots = self._slots
        self.flow = Flow(transport, self.loop)
        if slots.limits.max_of_address:
            self.address = group_of(self.client[0]) if self.client else ""
        if (refused := slots.enter(self)) is not None:
            self.refuse(refused)
        elif connection is not None:
            self._descriptor = connection.fileno()
            self._is_new = self.flow.held = True
            # uvloop begins to read only now, whatever it is told here.
            self.loop.call_soon(self._wait)
        self._is_extra = slots.excess > 0

    def _wait(self) -> None:
        """Wait until the client has something to say, and then for the turn to read it."""
        if self._is_new and not self.transport.is_closing():
            self.flow.pause_reading()
            self._slots.lobby.wait(self.loop, self._descriptor, self._enter)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits for this client."""
        self._slots.lobby.leave(self._descriptor, self._enter)
        self._abandon()
        super().connection_lost(exc)
        self._slots.leave(self)

    # ---- Answers ----------------------------------------------------------------------------

    def _start(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        assert isinstance(cycle, Cycle)
        self._answering = cycle  # of pipelined requests one is started after the other
        task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def answer(self, status: int, headers: RawHeaders, body: bytes) -> bool:
        """Send a whole answer in one system call; see ``middleware.ANSWER``.

        What ``send`` would do with two messages, for an answer that is whole and well-formed. It
        does nothing and returns False while the client does not read.
        """
        cycle = self._answering
        assert cycle is not None
        if self.flow.write_paused:
            return False
        if not cycle.disconnected:
            if cycle.more_body and cycle.keep_alive:
                cycle.keep_alive = (
                    0 < self._body_left <= KEPT_BODY_BYTES and not cycle.waiting_for_100_continue
                )
            slots = self._slots
            head = slots.kept_head if cycle.keep_alive else slots.last_head
            self.transport.write(
                b"%b%b%b\r\n%b" % (STATUS_LINE[status], head, _lines(headers), body)
            )
            cycle.waiting_for_100_continue = False
            cycle.response_started = cycle.response_complete = True
            cycle.lingers |= not cycle.keep_alive and cycle.more_body
            if not cycle.keep_alive and not cycle.lingers:
                self.transport.close()
            cycle.on_response()
        return True

    @override
    def send_at_once(self, answer: Answer, request_id: bytes) -> None:
        self._is_settling = False
        transport, body = self.transport, answer.body
        if transport.is_closing():
            return
        slots, headers = self._slots, answer.headers
        parts = (
            STATUS_LINE[answer.status],
            slots.last_head if self._is_stopping else slots.kept_head,
            _JSON_LINE if headers is ONLY_JSON else _lines(headers),
            b"content-length: %d\r\nx-request-id: " % len(body),
            request_id,
            b"\r\n\r\n",
            body,
        )
        transport.write(b"".join(parts))
        if self._is_stopping:
            transport.close()
            return
        self.stage, self.since = IDLE, self._clock()
        if self._unparsed:  # others of its group are to be settled first
            self.loop.call_soon(self._read_on)
        else:
            self.flow.held = False
            self.flow.resume_reading()

    def on_response_complete(self) -> None:
        """Go on with the next request: of the pipeline, of what is unparsed, or still to come."""
        cycle = self._answering
        assert cycle is not None
        self._release(cycle)
        if self.transport.is_closing() or self.stage == LINGERING:
            return
        if cycle.lingers:
            self._hang_up()
            return
        if self.pipeline:
            slots = self._slots
            slots.queue.append(self.start_next)
            if len(slots.queue) == 1:
                self.loop.call_soon(self._take_turns)
            return
        if self.stage == ANSWERING:
            self.stage, self.since = IDLE, self._clock()
        self._read_on()

    def start_next(self) -> None:
        """Begin the next request of the pipeline, unless the client has left meanwhile."""
        if self.pipeline:
            self._start(*self.pipeline.pop())
            if self._body_waits and not self.pipeline:  # the body's turn, too
                self._body_waits = False
                if self._in_body:
                    self.stage, self.since = BODY, self._clock()
            if not self._body_waits:
                self._read_on()

    def _take_turns(self) -> None:
        """Begin some next requests, of whatever connections, and the others after all else."""
        queue = self._slots.queue
        for _ in range(min(len(queue), TURNS)):
            queue.popleft()()
        if queue:
            self.loop.call_soon(self._take_turns)

    def refuse(self, refusal: Refused) -> None:
        """Answer with an error, if it is this request's turn to be answered, and hang up."""
        if self.transport.is_closing() or self.stage == LINGERING:
            return
        status, stats = refusal.status, self._slots.stats
        no_place = isinstance(refusal, TooManyConnections)
        counts = stats.connections_refused if no_place else stats.connections_closed
        counts[refusal.message] += 1
        if self._in_body and self.pipeline:  # others are to be answered before this one
            self._release(self.pipeline.popleft()[0])
            assert self._answering is not None
            self.cycle = self.pipeline[0][0] if self.pipeline else self._answering
            self._in_body = False
        # Outside of a body the cycle, if any, is that of the request before.
        if not self._in_body and self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False  # hang up, but only behind the answer that is due first
            self.cycle.lingers = True
            self.stage = ANSWERING
            self._stop_reading()
            return
        if not self._in_body or not self.cycle.response_started:
            body, request_id = error_body(status, refusal.message), make_request_id()
            reason, told = refusal.reason, refusal.told
            self._slots.refusals.note(Refusal(request_id, status, reason, told))
            method, target = self._asked()
            self._slots.passed(Passed(method, target, request_id, status, reason, body, told=told))
            self.transport.write(
                STATUS_LINE[status]
                + self._slots.last_head
                + b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
                + (b"retry-after: 1\r\n" if status == 503 else b"")
                + b"x-request-id: %b\r\n\r\n" % request_id
                + body
            )
        self._hang_up()

    def _asked(self) -> tuple[str, str]:
        """Return method and target of the request that comes, as far as they are known."""
        if self._in_body:
            scope = self.cycle.scope
            return scope["method"], scope["path"]
        return "", self.url.decode("latin-1") if self.stage == HEAD else ""

    def cut(self, refusal: Refused) -> None:
        """Read no more of the body; whoever reads it is told why, answers, and that is the end."""
        cycle = self.cycle
        cycle.is_cut, cycle.cut = True, refusal
        cycle.keep_alive = False
        self._release(cycle)
        cycle.message_event.set()
        self._stop_reading()
        self.stage, self.since = ANSWERING, self._clock()

    def hang_up(self) -> None:
        """Cut a connection whose client does not read; see ``inspector_pages.HANG_UP``."""
        self.transport.abort()

    def _hang_up(self) -> None:
        """Say that no more comes, and throw away for a moment what the client still sends.

        To close at once would be answered by a reset, which can overtake the answer.
        """
        self.stage, self.since = LINGERING, self._clock()
        self._abandon()
        self.flow.held = self._is_new = False
        self.flow.resume_in_turn(self._slots.discards)
        self.transport.write_eof()

    def _abandon(self) -> None:
        """Tell whoever works for this client that nobody waits for it any more."""
        for cycle in {self._answering, self.cycle, *(cycle for cycle, _ in self.pipeline)}:
            if cycle is not None:
                cycle.disconnected = not cycle.response_complete
                cycle.message_event.set()
                self._release(cycle)
        self.pipeline.clear()
        self._unparsed = memoryview(b"")

    # ---- Its place --------------------------------------------------------------------------

    @property
    def unread_body(self) -> int:
        """See ``Held``."""
        return self.cycle.held if self._in_body else 0  # nothing of one that is answered or cut

    @property
    def unsent(self) -> int:
        """See ``Held``."""
        return self.transport.get_write_buffer_size()

    @property
    def is_closing(self) -> bool:
        """See ``Held``."""
        return self.transport.is_closing()

    @property
    def has_begun_to_answer(self) -> bool:
        """See ``Held``."""
        if self._is_settling:
            return False
        cycle = self.cycle if self._in_body else self._answering
        return cycle is not None and cycle.response_started

    def give_way(self) -> None:
        """See ``Held``."""
        if self.stage in (HEAD, BODY):
            self.refuse(too_many(self._slots.limits.max_connections))
        self.close()

    def shutdown(self) -> None:
        """End now if nothing is under way, else with the answer to it."""
        if self.stage in (WAITING, IDLE, LINGERING):
            self.close()
        elif self._is_settling:
            self._is_stopping = True
        elif self.cycle is not None:
            self.cycle.keep_alive = False

    def close(self) -> None:
        """See ``Held``."""
        if self.unsent:
            self.transport.abort()
        else:
            self.transport.close()

    def _release(self, cycle: Cycle) -> None:
        self._slots.body_bytes -= cycle.held
        cycle.held = 0
        cycle.chunks.clear()
