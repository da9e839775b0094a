"""The process that serves: uvicorn with our connections, deadlines, signals and exit codes.

uvicorn itself has no deadline but one for idle connections. Ours (``connection``) note what they do
and since when, and ``Server`` sweeps them twice a second, which costs a request nothing.
"""

import asyncio
import gc
import logging
import resource
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from playsmart_gateway.app import Application
from playsmart_gateway.config import Config
from playsmart_gateway.errors import Detail
from playsmart_gateway.gateway import Gateway
from playsmart_gateway.http.arrivals import Gate
from playsmart_gateway.http.request_frame import Attempt
from playsmart_gateway.http.slots import Slots
from playsmart_gateway.peers.peer import Peer
from playsmart_gateway.serve.acceptor import PAUSE_SECONDS, listen_everywhere
from playsmart_gateway.serve.connection import Protocol
from playsmart_gateway.serve.known_heads import KnownHeads
from playsmart_gateway.serve.uvicorn_parts import say_where

logger = logging.getLogger(__name__)

SWITCH_INTERVAL_SECONDS = 0.00002
"""The store's thread gives up the GIL at every statement. At Python's 5 ms an event loop that
releases it more often than that never has to hand it over, and the store starves; at 20 us it
gets its turn at once, and its turns are short."""

GC_THRESHOLDS = 700, 10, 1_000
"""As Python has them, but for the last: all objects are walked through a hundred times less often.
With a thousand connections that stops the loop for 50 ms, and it would be tried again while they
come, as there is next to nothing else (see ``serve``). What requests leave behind is in no circles.
"""

HURRY = signal.SIGUSR1
"""What a supervisor sends to its workers when it got a second signal."""

SWEEP_PARTS = 25
SWEEP_SECONDS = 0.02
"""Between two of so many parts of all connections, so that each is looked at twice a second. As
many as came together may end together, and each end takes the loop some time."""

TICKS = 5
"""Of uvicorn, between two looks at the headers of all answers."""

OTHER_FILES = 256
"""Open files beside connections: journal, store, files for logs, connections to engines."""


OnListening = Callable[[int, Sequence[Detail]], None]
"""Is told the port, once, when whoever asks there is answered, and why it is not ready if it is not
yet: a store that is away keeps no gateway from listening."""


def nobody_told(_: int, __: Sequence[Detail]) -> None:
    """Tell nobody."""


class Server(uvicorn.Server):
    """Adds the sweep of ``slots``, and treats any second signal as "at once".

    ``on_signal`` is told of each signal, and whether it is not the first, ``on_listening`` once of
    the port. A ``worker`` listens to no port: its supervisor sends it connections.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        slots: Slots,
        *,
        on_signal: Callable[[bool], None],
        on_listening: Callable[[int], None] = lambda _: None,
        worker: Peer | None = None,
    ) -> None:
        super().__init__(config)
        self.server_state.connections = slots.connections  # type: ignore[assignment]
        self._slots = slots
        self._worker = worker
        self._on_signal = on_signal
        self._on_listening = on_listening
        self._arrived: deque[int] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        self._listeners: list[socket.socket] = []
        self._gates: list[Gate] = []
        self._cannot_accept = False
        self._sweeping: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve.

        Connections are accepted here and not by the event loop, which would make as many as wait in
        one go: a thousand that come at once would stop all others for a tenth of a second.

        Raises:
            GatewayError: it cannot listen there.
        """
        await super().startup([])
        self._sweeping = asyncio.create_task(self._keep_sweeping())
        if self._worker:
            self._worker.serves(self._take_over)
            return
        self._listeners = sockets or listen_everywhere(self.config.host, self.config.port)
        for each in self._listeners:
            each.setblocking(False)
            accept = partial(self._accept, each)
            gate = Gate(asyncio.get_running_loop(), self._slots.arrivals, each, accept)
            gate.open()
            self._gates.append(gate)
        say_where(self, self._listeners)
        self._on_listening(self._listeners[0].getsockname()[1])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what was begun; what is not whole gets half of the time that answers have."""
        if self._worker:
            self._worker.stops()
        for gate in self._gates:
            gate.close()
        for each in self._listeners:
            each.close()
        while self._arrived:  # those that are not there yet would not be told to end
            self._begin_next()
        if self._connecting:
            await asyncio.wait(self._connecting)
        self._slots.stop((self.config.timeout_graceful_shutdown or 0) / 2)
        try:
            await super().shutdown(sockets)
        finally:
            if self._sweeping is not None:
                self._sweeping.cancel()
            self._slots.refusals.tell_the_rest()

    def _accept(self, listener: socket.socket) -> float | None:
        """Accept one connection; see ``Gate``."""
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return 0.0
        except OSError as error:
            if not self._cannot_accept:  # told once, until it can again
                logger.warning("cannot accept a connection: %s", error.strerror)
            self._cannot_accept = True
            return PAUSE_SECONDS
        self._cannot_accept = False
        self._begin(connection.detach())
        return None

    def _take_over(self, descriptor: int) -> None:
        """Serve a connection that was accepted elsewhere, when it is its turn."""
        self._arrived.append(descriptor)
        self._slots.arrivals.put(asyncio.get_running_loop(), self._begin_next)

    def _begin_next(self) -> None:
        if self._arrived:
            self._begin(self._arrived.popleft())

    def _begin(self, descriptor: int) -> None:
        task = asyncio.create_task(self._connect(descriptor))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, descriptor: int) -> None:
        connection = socket.socket(fileno=descriptor)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        except OSError:  # the client is gone already
            connection.close()

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg] # as uvicorn makes it
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def on_tick(self, counter: int) -> bool:
        """Have all answers say what time it is."""
        is_over = await super().on_tick(counter)
        if counter % TICKS == 0:  # uvicorn has looked at the date
            self._slots.announce(self.server_state.default_headers)
        return is_over

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop in order at the first signal, at once at the second.

        A worker may get the first one twice, from its supervisor and from whoever stops them all.
        """
        self.force_exit = sig == HURRY if self._worker else self.should_exit
        self.should_exit = True
        self._on_signal(self.force_exit)

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._slots.sweep(SWEEP_PARTS)
            self._slots.refusals.sweep()


def serve(app: Application, config: Config, on_listening: OnListening = nobody_told) -> int:
    """Serve ``app`` until a signal, then drain; returns the exit code of the process.

    0: everything accepted is stored. 1: something is not, or a part of the gateway died.
    A worker listens nowhere itself, and tells ``on_listening`` nothing.

    Raises:
        GatewayError: the store could not be opened.
    """
    gateway: Gateway = app.state.gateway
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    allow_files(config.server.max_connections + OTHER_FILES)
    # What exists now lives as long as the process. Walking through all of it whenever the oldest
    # generation is collected would stop the loop for some ten milliseconds each time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    loop: asyncio.AbstractEventLoop | None = None

    def on_signal(again: bool) -> None:
        if loop is not None:
            loop.call_soon_threadsafe(partial(gateway.stop_soon, hurry=again))

    server = Server(
        uvicorn_config(
            app.frame,
            config,
            gateway.slots,
            attempt=app.frame.attempt if config.server.express else None,
        ),
        gateway.slots,
        on_signal=on_signal,
        on_listening=lambda port: on_listening(port, gateway.not_ready_because()),
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
        signal.pthread_sigmask(
            signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, HURRY)
        )
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


def allow_files(needed: int) -> None:
    """Raise the limit of open files: one connection more must not stop journal and store."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        logger.warning(
            "only %d files may be open: allow %d, or lower server.max_connections", allowed, needed
        )


def uvicorn_config(
    app: ASGIApp, config: Config, slots: Slots, *, attempt: Attempt | None = None
) -> uvicorn.Config:
    """Return how uvicorn is set up for the gateway."""
    protocol = partial(Protocol, slots=slots, attempt=attempt, known_heads=KnownHeads())
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
