"""How requests are read from one connection: uvicorn's HTTP, with a limit for all that is read.

What differs from uvicorn. A wish to upgrade is ignored (RFC 9110 section 7.8), where uvicorn takes
the body for the next request. Trailers are dropped. What another parser could read in another way
is refused. Few requests of a pipeline are read ahead of their turn, and no body is.
"""

from abc import abstractmethod
from collections import deque
from typing import Any

import httptools

from playsmart_gateway.errors import Detail, HeadTooLarge, Malformed, Refused, TooLarge
from playsmart_gateway.http.endpoint import Headers
from playsmart_gateway.http.ops import PROBES
from playsmart_gateway.http.request_frame import HEADERS
from playsmart_gateway.http.slots import (
    ANSWERING,
    BODY,
    HEAD,
    IDLE,
    LINGERING,
    WAITING,
    Slots,
    too_many,
)
from playsmart_gateway.http.turns import LARGE_BODY_BYTES
from playsmart_gateway.serve.cycle import (
    Cycle,
    Flow,
)
from playsmart_gateway.serve.heads import (
    Heads,
    without_upgrade,
)
from playsmart_gateway.serve.uvicorn_parts import (
    ASGI3Application,
    HttpToolsProtocol,
    RequestResponseCycle,
)

MAX_HEAD_BYTES = 32_768
"""Request line and headers together; a token may take 8 KB of them."""

MAX_QUEUED = 8
"""Requests of a pipeline that are read before their turn; the rest waits unread."""

READ_BYTES = 65_536
CROWDED_BYTES = 4_194_304
CROWDED_READ_BYTES = 16_384
"""Of a body that is not whole, before others have their turn to read: less of it where so much is
held already. For a few bodies of 100 KB a turn at each of the smaller reads would cost a third."""

MAX_PIECES = 4_096
"""In so many chunks or reads a body may come: each costs what some hundred bytes in one do."""

LINGER_BYTES = 1_048_576
"""What is thrown away at most after hanging up."""

_IN_PIECES = Detail("", f"must come in at most {MAX_PIECES:,} pieces")
_ASGI: Any = {"version": "3.0", "spec_version": "2.3"}
_HEAD_END = b"\r\n\r\n"
_PIECE_BYTES = 1_024
_NOTHING = memoryview(b"")


class Reader(HttpToolsProtocol):
    """Bytes of one connection to requests, ``cycle`` the newest; it notes ``stage`` and ``since``.

    Who answers them derives from it.
    """

    cycle: Cycle
    pipeline: deque[tuple[Cycle, ASGI3Application]]  # type: ignore[assignment]
    flow: Flow

    def __init__(self, *arguments: Any, slots: Slots, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.stage, self.since = WAITING, 0.0
        self._slots = slots
        self._clock = slots.clock
        self._is_extra = self._is_new = False
        self._refusal: Refused | None = None
        self._is_broken = False
        self._head_bytes = 0
        self._in_body = False
        self._body_left = self._pieces = 0
        self._behind_head = 0
        self._body_waits = False
        self._upgrade: bytes | None = None
        self._heads = Heads()
        self._unparsed = _NOTHING
        self._discarded = 0
        self._extensions: dict[str, Any] = {}

    @abstractmethod
    def refuse(self, refusal: Refused) -> None:
        """Answer with an error, if it is this request's turn to be answered, and hang up."""

    @abstractmethod
    def cut(self, refusal: Refused) -> None:
        """Read no more of the body; whoever reads it is told why, answers, and that is the end."""

    @abstractmethod
    def _start(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Begin to answer."""

    # ---- What the transport tells -----------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which must not get to know of more requests than may wait."""
        if self.stage == LINGERING or self._is_broken:
            self._discard(len(data))
        elif self._unparsed or self.flow.held:  # it was on its way when reading was paused
            self._unparsed = memoryview(b"".join((self._unparsed, data)))
            self.flow.pause_reading()
            if self._is_new:
                self._slots.arrivals.put(self.loop, self._enter)
        elif self._in_body and len(data) <= self._body_left:
            self._feed(data)
        elif self.stage == HEAD:
            self._unparsed = memoryview(data)
            self._feed_in_pieces(first=len(_HEAD_END))  # its end may come in two parts
        else:
            end = 0 if self._in_body else data.find(_HEAD_END) + 4
            if end in (3, len(data)):  # the end of one head at most
                self._feed(data)
                return
            if end:
                self._behind_head = len(data) - end
                self._feed(data[:end])
                self._behind_head = 0
            rest = memoryview(data)[end:]
            if self._in_body and len(rest) <= self._body_left and not self.flow.held:
                self._feed(rest)
            else:
                self._unparsed = rest
                self._feed_in_pieces()

    def _feed_in_pieces(self, first: int = 0) -> None:
        """Feed the parser one request after the other while there is room for them.

        The ``first`` bytes are a piece of their own.
        """
        view = self._unparsed
        data: bytes = view.obj  # type: ignore[assignment] # made of bytes, always
        start, size = len(data) - len(view), len(data)
        whole = memoryview(data)
        while start < size and self.stage != LINGERING and not self._is_broken:
            if self.flow.held:
                self._unparsed = whole[start:]
                return
            if first:
                end, first = min(start + first, size), 0
            elif self._in_body:  # of chunks no end is known: small pieces will do
                end = min(start + (self._body_left if self._body_left > 0 else _PIECE_BYTES), size)
            else:
                end = data.find(_HEAD_END, start) + 4
                end = size if end < 4 else end
            self._feed(whole[start:end])
            start = end
        self._unparsed = _NOTHING

    def _feed(self, data: bytes | memoryview) -> None:
        """Feed the parser, unless what is no body (head, trailers, empty lines) grows too large."""
        self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(bytes(data[upgrade.args[0] :]))
        except httptools.HttpParserError:
            self._is_broken = True
            large = self._head_bytes > MAX_HEAD_BYTES
            broken = _head_too_large() if large else Malformed("invalid_http", cause="http")
            self.refuse(self._refusal or broken)
        else:
            if self._head_bytes > MAX_HEAD_BYTES:
                self.refuse(_head_too_large())

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > LINGER_BYTES:
            self.transport.close()
        elif self.stage == LINGERING:
            self.flow.resume_in_turn(self._slots.discards)

    # ---- What the parser tells --------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Start the clock of a request."""
        self.stage, self.since = HEAD, self._clock()
        self.url = b""
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Hand the request to the application, unless its head is too large or says two things.

        An exception stops the parser, and ``_feed`` answers.
        """
        # Only a read of more than the limit can have brought a whole head that is over it.
        if self._head_bytes > MAX_HEAD_BYTES and self._head_size() > MAX_HEAD_BYTES:
            raise ValueError
        self._head_bytes = 0
        method, version = self.parser.get_method(), self.parser.get_http_version()
        headers = self._heads.read(self.headers, version)
        if self.parser.should_upgrade():
            self._upgrade = without_upgrade(method, self.url, version, self.headers)
            return
        keeps = version == "1.1" and self.parser.should_keep_alive()
        if self._is_extra:
            self._require_probe(method)
            keeps = keeps and not self._is_extra
        self._begin(headers, method, version, keeps and self._slots.stopping_since is None)

    def _begin(self, headers: Headers, method: bytes, version: str, keeps: bool) -> None:
        """Hand a request to the application, with what follows of its body."""
        path, raw_path, query = self._heads.target(self.url)
        slots = self._slots
        scope: Any = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": "http",
            "method": method.decode("ascii"),
            "root_path": "",
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self.headers,
            # One for all requests: a reference from a request to itself would be work for the
            # garbage collector.
            "extensions": self._extensions,
            HEADERS: headers,
        }
        self.headers = []  # for trailers, which nobody looks at
        before: Cycle | None = self.cycle
        self.cycle = cycle = Cycle(
            scope,
            self.transport,
            self.flow,
            slots.kept_headers if keeps else self.server_state.default_headers,
            self.on_response_complete,
            keep_alive=keeps,
            waiting_for_100_continue=version == "1.1"  # RFC 9110 section 10.1.1
            and headers.get(b"expect", b"").lower() == b"100-continue",
            reads=slots.reads,
        )
        self.stage = BODY
        self._in_body = True
        self._body_left = int(headers.get(b"content-length", 0))
        self._pieces = 0
        if before is None or before.response_complete:
            self._start(cycle, self.app)
        else:
            self.pipeline.appendleft((cycle, self.app))
            # A body before its turn would be held for nobody knows whom, and nobody knows how long.
            self._body_waits = self._body_left > 0 or b"transfer-encoding" in headers
            if self._body_waits:
                self.stage = ANSWERING
            if self._body_waits or len(self.pipeline) >= MAX_QUEUED:
                self._hold_reading()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body; how large that may be is the application's to say."""
        self._head_bytes = 0
        size = len(body)
        self._body_left -= size
        cycle = self.cycle
        if cycle.response_complete or cycle.is_cut:
            return
        cycle.chunks.append(body)
        cycle.held += size
        cycle.unread += size
        is_crowded = self._slots.body_bytes > CROWDED_BYTES
        most = CROWDED_READ_BYTES if is_crowded else READ_BYTES
        if cycle.unread > most and self._body_left != 0:  # the rest in turn
            self.flow.pause_reading()
            cycle.message_event.set()
        self._pieces += 1
        if self._pieces > MAX_PIECES:
            self.cut(TooLarge(explanation=_IN_PIECES))
        self._slots.hold(size)

    def on_message_complete(self) -> None:
        """Go on to answer: what takes time now is ours."""
        if self._upgrade is not None:
            return
        self._head_bytes = 0
        self._in_body = False
        cycle = self.cycle
        cycle.more_body = False
        if cycle.held > LARGE_BODY_BYTES:
            self.stage = ANSWERING
            cycle.is_queued = True
            self._slots.large_bodies.put(self.loop, cycle.go_on)
        elif cycle.response_complete:  # before its body was here
            self.stage, self.since = IDLE, self._clock()
        else:
            self.stage = ANSWERING
            cycle.message_event.set()

    def _require_probe(self, method: bytes) -> None:
        """Raise ``ValueError`` unless there is room by now, or a probe asks."""
        self._is_extra = self._slots.excess > 0
        path = self.url.partition(b"?")[0].decode("latin-1")
        if self._is_extra and not (method in (b"GET", b"HEAD") and path in PROBES):
            self._refusal = too_many(self._slots.limits.max_connections)
            raise ValueError

    # ---- A wish to upgrade ------------------------------------------------------------------

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Read the head once more, without the wish; to the old parser the request is over.

        ``rest`` is what followed the head in the same piece.
        """
        head, self._upgrade = self._upgrade, None
        assert head is not None
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._head_bytes = 0
        self._feed(head + rest)

    # ---- Going on, or not -------------------------------------------------------------------

    def _enter(self) -> None:
        """Begin to read, unless it was done or is over."""
        if self._is_new and not self.transport.is_closing():
            self._is_new = False
            self._read_on()

    def _stop_reading(self) -> None:
        self._is_broken = True
        self._hold_reading()

    def _read_on(self) -> None:
        if self.flow.held and not self._is_broken:
            self.flow.held = False
            self._feed_in_pieces()
        self.flow.resume_reading()

    def _hold_reading(self) -> None:
        self.flow.pause_reading()
        self.flow.held = True

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)


def _head_too_large() -> HeadTooLarge:
    return HeadTooLarge(told=f"at most {MAX_HEAD_BYTES:,} bytes")
