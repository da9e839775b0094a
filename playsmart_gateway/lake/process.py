"""The process that writes the lake, as the gateway beside it sees it: started, watched and ended.

So neither its memory nor its death is the gateway's, and it never has the GIL. It may be killed at
any moment. Its first line of input is its ``Job``, and when its input ends, as the gateway is gone,
it ends too. Nothing is imported here that only the other process needs.
"""

import asyncio
import contextlib
import sys
from collections.abc import Sequence

import msgspec

from playsmart_gateway.lake.job import Job
from playsmart_gateway.metrics import Stats

PATIENCE_SECONDS = 5.0
"""To end a step, when the gateway ends."""

ARGV = (sys.executable, "-m", "playsmart_gateway.lake")


class Told(msgspec.Struct, frozen=True):
    """What the process says after each step, as a line of JSON; None is what it does not know."""

    lag_batches: int | None = None
    files: int | None = None
    failed: bool = False


class LakeProcess:
    """Has a process do ``job``, and notes in ``stats`` what it tells; ``argv`` starts it."""

    def __init__(self, job: Job, stats: Stats, argv: Sequence[str] = ARGV) -> None:
        self._job = job
        self._stats = stats
        self._argv = argv

    async def run(self) -> None:
        """Have it run until cancelled.

        Raises:
            RuntimeError: it has ended by itself; whoever calls this starts it again.
        """
        process = await asyncio.create_subprocess_exec(
            *self._argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(msgspec.json.encode(self._job) + b"\n")
            while line := await process.stdout.readline():
                self._note(line)
            raise RuntimeError(f"the lake's process ended with {await process.wait()}")
        finally:
            await _end(process)

    def _note(self, line: bytes) -> None:
        with contextlib.suppress(msgspec.MsgspecError):  # a library printed something
            told = msgspec.json.decode(line, type=Told)
            if told.failed:
                self._stats.count_side_failure("lake")
            if told.lag_batches is not None:
                self._stats.lake_lag = told.lag_batches
            if told.files is not None:
                self._stats.lake_files = told.files


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
