"""The process that a gateway starts: see ``process``."""

import asyncio
import os
import signal
import sys

import msgspec

from playsmart_gateway.errors import GatewayError, explained
from playsmart_gateway.lake.follower import NICENESS, follow
from playsmart_gateway.lake.job import Job
from playsmart_gateway.lake.process import Told
from playsmart_gateway.logs import set_up_logging


def tell(told: Told) -> None:
    """Say it to the gateway."""
    sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
    sys.stdout.buffer.flush()


async def _work(job: Job) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(0, stop.set)  # nothing more is said: the gateway is gone
    await follow(job, tell, stop)


def main() -> int:
    """Do the job that standard input tells, and return the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the gateway, which ends this
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGCHLD))  # of forked ones
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    os.nice(NICENESS)
    set_up_logging(job.log_format, job.log_level)
    try:
        asyncio.run(_work(job))
    except BrokenPipeError:
        return 0
    except GatewayError as error:
        lines, code = explained(error)
        sys.stderr.write("".join(f"{line}\n" for line in lines))
        return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
