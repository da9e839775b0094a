"""One keep-alive HTTP/1.1 connection: a bare ``asyncio.Protocol``, without a task or a future."""

import asyncio
from time import perf_counter
from typing import Protocol, cast

from playsmart_gateway.load.response import BadResponse, Response, ResponseReader


class Owner(Protocol):
    """Who is told what becomes of a connection. For every ``send`` exactly one of the first two."""

    def answered(self, connection: "Connection", response: Response) -> None:
        """The request in flight got its answer."""

    def failed(self, connection: "Connection", kind: str) -> None:
        """The request in flight was given up; whether the server acted on it is unknown."""

    def opened(self, connection: "Connection") -> None:
        """The connection can carry its first request."""

    def closed(self, connection: "Connection") -> None:
        """The connection is gone; it may be connected again."""


class Connection(asyncio.Protocol):
    """At most one request in flight. It can be connected again after it was closed.

    ``position`` and ``since`` belong to the owner: which request is in flight and from when its
    latency counts. ``sent_at`` is when it was written, on the clock of ``perf_counter``.
    """

    __slots__ = (
        "_owner",
        "_reader",
        "_transport",
        "busy",
        "position",
        "proven",
        "sent_at",
        "since",
    )

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._reader = ResponseReader()
        self._transport: asyncio.Transport | None = None
        self.busy = False
        self.proven = False
        """Whether this connection was answered since it was opened."""
        self.position = 0
        self.since = 0.0
        self.sent_at = 0.0

    @property
    def ready(self) -> bool:
        """Whether a request can be sent now."""
        return self._transport is not None and not self.busy and not self._transport.is_closing()

    def send(self, request: bytes) -> None:
        """Write one whole request. Only when ``ready``."""
        assert self._transport is not None
        self.busy = True
        self.sent_at = perf_counter()
        self._transport.write(request)

    def abort(self) -> None:
        """Drop the connection now; ``closed`` follows."""
        if self._transport is not None:
            self._transport.abort()

    def fail(self, kind: str) -> None:
        """Give the request in flight up, as ``kind``, and drop the connection."""
        self.abort()
        if self.busy:
            self.busy = False
            self._owner.failed(self, kind)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start with an empty reader: what an earlier connection left behind is not ours."""
        self._transport = cast("asyncio.Transport", transport)
        self._reader = ResponseReader()
        self.busy = self.proven = False
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        """Hand the answer over once it is whole."""
        try:
            response = self._reader.feed(data)
        except BadResponse:
            self.fail("bad_response")
            return
        if response is not None:
            self._answer(response)

    def connection_lost(self, exc: Exception | None) -> None:
        """Settle the request in flight; an answer without a length ends here."""
        if self.busy:
            response = None if exc else self._reader.end()
            if response is not None:
                self._answer(response)
            else:
                self.fail("connection_lost")
        self._transport = None
        self._owner.closed(self)

    def _answer(self, response: Response) -> None:
        assert self._transport is not None
        if not self.busy:  # a server says goodbye to an idle connection, for example with a 408
            self.abort()
            return
        self.busy = False
        self.proven = True
        # An answer that overtakes its request leaves the rest of the body in the pipe.
        if not response.keep_alive or self._transport.get_write_buffer_size():
            self.abort()
        self._owner.answered(self, response)
