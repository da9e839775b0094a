"""uvicorn with our limits: deadlines for slow requests, a cap on headers, signals, exit codes.

uvicorn itself has no deadline for a request that arrives slowly and answers broken HTTP in plain
text. The protocol here notes when a request began and ``Server`` sweeps the connections a few
times a second, which costs a request nothing.
"""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from playsmart_gateway.app import Application
from playsmart_gateway.config import Config
from playsmart_gateway.dealer import is_wildcard, listen
from playsmart_gateway.envelope import error_body
from playsmart_gateway.gateway import Gateway
from playsmart_gateway.inspector_pages import HANG_UP
from playsmart_gateway.middleware import ANSWER, RawHeaders, make_request_id
from playsmart_gateway.siblings import Worker

logger = logging.getLogger(__name__)

MAX_HEAD_BYTES = 32_768
"""Request line and headers together; a token may take 8 KB of them."""

SWITCH_INTERVAL_SECONDS = 0.00002
"""The store's thread gives up the GIL at every statement. At Python's 5 ms an event loop that
releases it more often than that never has to hand it over, and the store starves; at 20 us it
gets its turn at once, and its turns are short."""

HURRY = signal.SIGUSR1
"""What a supervisor sends to its workers when it got a second signal."""

SWEEP_TICKS = 5
"""uvicorn ticks ten times a second."""


class Protocol(HttpToolsProtocol):
    """One connection; ``waiting_since`` is the loop time at which the request it awaits began."""

    def __init__(self, *arguments: Any, max_connections: int, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._max_connections = max_connections
        self._head_bytes = 0
        self._in_body = False
        self.waiting_since: float | None = None
        self._answering: RequestResponseCycle | None = None
        self._extensions: dict[str, Any] = {ANSWER: self.answer, HANG_UP: self.hang_up}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock: a client that connects owes a request."""
        self.waiting_since = self.loop.time()
        super().connection_made(transport)
        if len(self.connections) > self._max_connections:
            self.refuse(503, "too_many_connections")

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless what is no body (head, trailers, empty lines) grows too large."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self.refuse(431, "request_headers_too_large")

    def on_message_begin(self) -> None:
        """Start the clock of a request."""
        self.waiting_since = self.loop.time()
        super().on_message_begin()
        # One for all requests: a reference from a request to itself would be work for the
        # garbage collector.
        self.scope["extensions"] = self._extensions

    def on_headers_complete(self) -> None:
        """Hand the request to the application, if its head is not too large."""
        # Only a read of more than the limit can have brought a whole head that is over it.
        if self._head_bytes > MAX_HEAD_BYTES and self._head_size() > MAX_HEAD_BYTES:
            raise ValueError  # the parser stops, and send_400_response below answers
        self._head_bytes = 0
        super().on_headers_complete()
        self._in_body = True

    def on_body(self, body: bytes) -> None:
        """Take a part of a body; how large that may be is the application's to say."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the clock: what comes now is ours to answer."""
        self.waiting_since = None
        self._head_bytes = 0
        self._in_body = False
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle  # of pipelined requests uvicorn starts one after the other
        super()._start_asgi_task(cycle, app)

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
            parts = [STATUS_LINE[status]]
            for name, value in (*cycle.default_headers, *headers):
                parts += (name, b": ", value, b"\r\n")
            if not cycle.keep_alive:
                parts.append(b"connection: close\r\n")
            parts += (b"\r\n", body)
            self.transport.write(b"".join(parts))
            cycle.waiting_for_100_continue = False
            cycle.response_started = cycle.response_complete = True
            if not cycle.keep_alive:
                self.transport.close()
            cycle.on_response()
        return True

    def hang_up(self) -> None:
        """Cut a connection whose client does not read; see ``inspector_pages.HANG_UP``."""
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, in the envelope."""
        if self._head_bytes > MAX_HEAD_BYTES:
            self.refuse(431, "request_headers_too_large")
        else:
            self.refuse(400, "invalid_http")

    def refuse(self, status: int, message: str) -> None:
        """Answer with an error, if it is this request's turn to be answered, and hang up."""
        if self.transport.is_closing():
            return
        # Outside of a body the cycle, if any, is that of the request before.
        if not self._in_body and self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False  # hang up, but only behind the answer that is due first
            return
        if not self._in_body or not (self.cycle.response_started or self.pipeline):
            body = error_body(status, message)
            self.transport.write(
                STATUS_LINE[status]
                + b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
                + (b"retry-after: 1\r\n" if status == 503 else b"")
                + b"x-request-id: %b\r\nconnection: close\r\n\r\n" % make_request_id()
                + body
            )
        self.transport.close()

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)


class Server(uvicorn.Server):
    """Adds the sweep for slow requests, and treats any second signal as "at once".

    ``on_signal`` is told of each signal, and whether it is not the first. A ``worker`` listens
    to no port: its supervisor sends it connections.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        request_timeout_seconds: float,
        on_signal: Callable[[bool], None],
        worker: Worker | None = None,
    ) -> None:
        super().__init__(config)
        self._worker = worker
        self._request_timeout_seconds = request_timeout_seconds
        self._on_signal = on_signal
        self._connecting: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        listeners = [] if self._worker else sockets
        if not self._worker and is_wildcard(self.config.host):
            listeners = [listen(self.config.host, self.config.port)]
        await super().startup(listeners)
        if self._worker:
            self._worker.serves(self._take_over)
        elif listeners:
            self._log_started_message(listeners)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what was begun."""
        if self._worker:
            self._worker.stops()
            if self._connecting:  # those that are not there yet would not be told to end
                await asyncio.wait(self._connecting)
        await super().shutdown(sockets)

    def _take_over(self, descriptor: int) -> None:
        """Serve a connection that the supervisor has accepted."""
        task = asyncio.create_task(self._connect(socket.socket(fileno=descriptor)))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        except OSError:  # the client is gone already
            connection.close()

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg] # as uvicorn makes it
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def on_tick(self, counter: int) -> bool:
        """Drop the connections whose request did not arrive in time."""
        if counter % SWEEP_TICKS == 0:
            self._sweep()
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop in order at the first signal, at once at the second.

        A worker may get the first one twice, from its supervisor and from whoever stops them all.
        """
        self.force_exit = sig == HURRY if self._worker else self.should_exit
        self.should_exit = True
        self._on_signal(self.force_exit)

    def _sweep(self) -> None:
        deadline = asyncio.get_running_loop().time() - self._request_timeout_seconds
        for connection in list(self.server_state.connections):
            assert isinstance(connection, Protocol)
            if connection.waiting_since is not None and connection.waiting_since < deadline:
                connection.refuse(408, "request_timeout")


def serve(app: Application, config: Config) -> int:
    """Serve ``app`` until a signal, then drain; returns the exit code of the process.

    0: everything accepted is stored. 1: something is not, or a part of the gateway died.

    Raises:
        GatewayError: the store could not be opened.
    """
    gateway: Gateway = app.state.gateway
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    # What exists now lives as long as the process. Walking through all of it whenever the oldest
    # generation is collected would stop the loop for some ten milliseconds each time.
    gc.collect()
    gc.freeze()
    loop: asyncio.AbstractEventLoop | None = None

    def on_signal(again: bool) -> None:
        if loop is not None:
            loop.call_soon_threadsafe(partial(gateway.stop_soon, hurry=again))

    server = Server(
        uvicorn_config(app.frame, config),
        request_timeout_seconds=config.server.request_timeout_seconds,
        on_signal=on_signal,
        worker=gateway.worker,
    )

    def stop() -> None:
        server.should_exit = True

    async def run() -> None:
        nonlocal loop
        loop = asyncio.get_running_loop()
        gateway.on_fatal = stop
        # Entered here and not by uvicorn, which would wrap an error of the start in its own words.
        async with app.router.lifespan_context(app):
            await server.serve()

    # uvicorn listens to signals only while it serves; the store is opened before and drained after.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, server.handle_exit)
    ignore_hangup()
    if gateway.worker:
        signal.signal(HURRY, server.handle_exit)
        # Blocked at the fork, as there was nobody yet to heed them.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM, HURRY))
    try:
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(run())
    except SystemExit:
        return 1  # uvicorn cannot listen there, and logged why
    return 1 if gateway.failed or gateway.left_behind else 0


def ignore_hangup() -> None:
    """Have SIGHUP, which ends a process that does not expect it, change nothing and say so."""
    told = "SIGHUP is ignored: the configuration is read at the start"
    signal.signal(signal.SIGHUP, lambda *_: logger.warning(told))


def uvicorn_config(app: ASGIApp, config: Config) -> uvicorn.Config:
    """Return how uvicorn is set up for the gateway."""
    protocol = partial(Protocol, max_connections=config.server.max_connections)
    return uvicorn.Config(
        app,
        host=config.server.host,
        port=config.server.port,
        http=protocol,  # type: ignore[arg-type] # uvicorn only calls it
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, int(config.server.drain_timeout_seconds / 2)),
    )
