"""A worker as a process: signals, exit codes, and a port for those who watch."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator

import uvicorn

from playsmart_gateway.config import Config
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.http.slots import (
    Limits,
    Slots,
)
from playsmart_gateway.serve.server import (
    SWITCH_INTERVAL_SECONDS,
    Server,
    ignore_hangup,
    uvicorn_config,
)
from playsmart_gateway.serve.worker_ops import create_worker_app
from playsmart_gateway.stream.worker import StreamWorker

LIMITS = Limits(max_connections=64)
"""Of those who watch; what they may hold is otherwise what clients of a gateway may."""

STOP_SECONDS = 1
"""What their requests get when the worker ends."""


class _Watched(Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the worker."""
        yield


def work(worker: StreamWorker, port: int | None) -> int:
    """Run ``worker`` until a signal, then drain; returns the exit code of the process.

    0: all that was taken is stored. 1: something is not, and will be delivered again, or a part
    of the worker died. With a ``port`` of 127.0.0.1 it can be watched there.

    Raises:
        GatewayError: the stream or the store could not be opened.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    config = uvicorn.Config(lambda: None)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_run(worker, port))
    return 1 if worker.failed or worker.left_behind else 0


async def _run(worker: StreamWorker, port: int | None) -> None:
    stop = asyncio.Event()
    worker.on_fatal = stop.set
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop.set)
    ignore_hangup()
    async with _watched(worker, port), worker.running():
        await stop.wait()


@contextlib.asynccontextmanager
async def _watched(worker: StreamWorker, port: int | None) -> AsyncIterator[None]:
    if port is None:
        yield
        return
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise ConfigError([f"--port {port}: {error.strerror}"]) from error
    slots = Slots(LIMITS, worker.stats)
    config = uvicorn_config(create_worker_app(worker), Config(), slots)
    config.timeout_graceful_shutdown = STOP_SECONDS
    server = _Watched(config, slots, on_signal=lambda _: None)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving
