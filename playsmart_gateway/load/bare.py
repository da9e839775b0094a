"""What this machine can do at all: a server that reads a body and answers, measured the same way.

Figures of one machine say little of another, and what of them is the gateway's can be told only
beside something else. So the same requests are sent to a bare route of Starlette first, which is
what ``manual/performance.md`` compares with, too; what it found there is ``USUAL``. The server is a
process of its own, which ends when its input does.
"""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from math import log

import msgspec

from playsmart_gateway.load.report import Bare, Report

SECONDS = 3.0
READY_SECONDS = 60.0
USUAL = {1: 0.81, 10: 0.49, 200: 0.15}
"""By events a request: the gateway's requests a second, of those of a bare route."""

_ARGV = (sys.executable, "-m", "playsmart_gateway.load.bare")


@contextlib.asynccontextmanager
async def bare_server() -> AsyncIterator[str]:
    """Start the server and yield its URL; it is gone in the end."""
    with socket.create_server(("127.0.0.1", 0), backlog=1_024) as listening:
        port, number = listening.getsockname()[1], listening.fileno()
        process = await asyncio.create_subprocess_exec(
            *_ARGV, str(number), pass_fds=[number], stdin=asyncio.subprocess.PIPE
        )
    try:
        async with asyncio.timeout(READY_SECONDS):
            await _until_it_answers(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _until_it_answers(port: int) -> None:
    """Wait for an answer: who connects is only waiting until the program is there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    await reader.read()
    writer.close()
    await writer.wait_closed()


def usual(events: float) -> float:
    """Return the ratio of ``manual/performance.md`` for so many events a request.

    Between two that were measured it is on the line through both, by the logarithm of the number.
    """
    sizes = sorted(USUAL)
    events = min(max(events, sizes[0]), sizes[-1])
    for low, high in pairwise(sizes):
        if events <= high:
            share = log(events / low) / log(high / low)
            return round(USUAL[low] + share * (USUAL[high] - USUAL[low]), 2)
    raise AssertionError("no size is larger than the largest")


def beside(report: Report, bare: Report) -> Report:
    """Return ``report`` with what the same requests were answered at by a bare route."""
    rate = report.requests_per_second if report.broke is None else report.broke.held
    events = report.events_sent / max(report.requests_sent, 1)
    found = Bare(
        requests_per_second=bare.requests_per_second,
        p99=bare.latency_ms.p99,
        ratio=round(rate / max(bare.requests_per_second, 0.1), 3),
        usual=usual(events),
    )
    return msgspec.structs.replace(report, bare=found)


def main() -> int:
    """Answer on the listening socket whose number is the argument, until the input ends."""
    import signal

    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import Route

    class Answer:
        """Reads the body, and answers as the gateway does."""

        async def __call__(
            self,
            scope: object,
            receive: Callable[[], Awaitable[dict[str, object]]],
            send: Callable[[dict[str, object]], Awaitable[None]],
        ) -> None:
            while (await receive()).get("more_body"):
                pass
            headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
            await send({"type": "http.response.start", "status": 202, "headers": headers})
            await send({"type": "http.response.body", "body": b"{}"})

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started it
    application = Starlette(routes=[Route("/ingest/events", Answer(), methods=["POST"])])
    config = uvicorn.Config(
        application, lifespan="off", access_log=False, log_level="warning",
        server_header=False, proxy_headers=False, ws="none",
    )  # fmt: skip
    server = uvicorn.Server(config)

    async def serve() -> None:
        def leave() -> None:
            server.should_exit = True
            loop.remove_reader(0)

        loop = asyncio.get_running_loop()
        loop.add_reader(0, leave)
        await server.serve(sockets=[socket.socket(fileno=int(sys.argv[1]))])

    asyncio.run(serve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
