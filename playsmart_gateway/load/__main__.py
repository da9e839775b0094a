"""One of several processes that load together: see ``processes``."""

import asyncio
import signal
import socket
import sys

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.load.figures import Figures
from playsmart_gateway.load.job import Job
from playsmart_gateway.load.loops import allow_open_files, loop_factory
from playsmart_gateway.load.options import MAX_CONNECTIONS
from playsmart_gateway.load.pool import Unreachable
from playsmart_gateway.load.processes import Begin, Channel, Failed, Ready, Stop, Telling
from playsmart_gateway.load.run import Conduct, Progress, send


async def work(channel: Channel) -> None:
    """Do the job that the other end tells, and tell what came of it."""
    job = await channel.receive()
    if not isinstance(job, Job):
        return
    stop, enough = asyncio.Event(), asyncio.Event()
    telling = Telling()
    latest: list[tuple[Figures, float]] = []

    async def ready() -> float:
        channel.send(Ready())
        message = await channel.receive()
        if not isinstance(message, Begin):  # nobody is there any more
            raise asyncio.CancelledError
        listening.append(asyncio.ensure_future(listen()))
        return message.at

    async def listen() -> None:
        while True:
            message = await channel.receive()
            if message is None or (isinstance(message, Stop) and message.is_interrupted):
                stop.set()
                return
            enough.set()

    def is_enough(figures: Figures, elapsed: float) -> bool:
        latest[:] = [(figures, elapsed)]
        return enough.is_set()

    def on_progress(at: Progress) -> None:
        for figures, elapsed in latest:
            channel.send(telling.next(figures.timeline, elapsed, at))

    listening: list[asyncio.Future[None]] = []
    conduct = Conduct(
        stop=stop, is_enough=is_enough, on_progress=on_progress, ready=ready, share=job.share
    )
    try:
        channel.send(await send(job.options, job.what.workload(), job.token_for, conduct))
    except (ConfigError, Unreachable) as error:
        channel.send(Failed(error))
    finally:
        for each in listening:
            each.cancel()
        await channel.close()


async def _work(descriptor: int) -> None:
    await work(await Channel.over(socket.socket(fileno=descriptor)))


def main() -> int:
    """Work with the other end of the socket whose number is the argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the coordinator, which tells
    allow_open_files(MAX_CONNECTIONS)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_work(int(sys.argv[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
