"""Start, watch, stop and kill the process under attack; only by its own id, only on 127.0.0.1."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from tests import ROOT
from tests.support import warm
from tests.support.metrics import law, parse_metrics, totals
from tests.support.players import fetch
from tests.support.polling import until
from tests.support.ports import free_port
from tests.support.program import (
    DATABASE,
    JOURNAL,
)
from tests.support.warm import Forked

Settings = dict[str, object]
PROGRAM = "tests.support.program:main"


class Target:
    """The gateway on one data folder and port, through any number of lives.

    ``settings`` hold from the next start on; ``prefix`` is a command to run it under. ``program``
    is what is started without one, a function by its name.
    """

    def __init__(self, data: Path, *, prefix: Sequence[str] = (), **settings: object) -> None:
        self.data = data
        self.database = data / DATABASE
        self.journal = data / JOURNAL
        self.port = free_port()
        self.settings: Settings = {
            "buffer.flush_interval_seconds": 0.1,
            **{key.replace("__", "."): value for key, value in settings.items()},
        }
        self.life_seconds = 300
        self.program = PROGRAM
        self.is_unread = False
        self._unread: int | None = None
        self._prefix = list(prefix)
        self._process: Forked | subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Target":
        """Nothing is started yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave no process behind."""
        self.kill()
        if self._unread is not None:
            self._pipe.close()
            os.close(self._unread)

    @property
    def process(self) -> Forked | subprocess.Popen[bytes]:
        """The life that was started last."""
        assert self._process is not None, "it was started"
        return self._process

    @property
    def log(self) -> str:
        """What the current life has written, to stdout or stderr, if anybody can read it."""
        if self.is_unread:
            return ""
        return (self.data / "log").read_text("utf-8")

    async def told(self, text: str) -> None:
        """Wait until the log has a text: it may be written a little later."""

        async def is_there() -> bool:
            return text in self.log

        await until(is_there, f"the log has: {text}")

    @contextlib.contextmanager
    def _log(self) -> Iterator[BinaryIO]:
        """Yield where a life writes to: a file, or a pipe that is full and that nobody reads."""
        if not self.is_unread:
            with (self.data / "log").open("wb") as log:
                yield log
            return
        if self._unread is None:
            self._unread, end = os.pipe()
            os.set_blocking(end, False)
            with contextlib.suppress(BlockingIOError):
                while os.write(end, bytes(4_096)):
                    pass
            os.set_blocking(end, True)
            self._pipe = os.fdopen(end, "wb", buffering=0)
        yield self._pipe

    def start(self) -> None:
        """Start a life; does not wait for anything."""
        self.data.mkdir(parents=True, exist_ok=True)
        arguments = ["--port", str(self.port), "--data", str(self.data)]
        arguments += ["--life", str(self.life_seconds)]
        for key, value in self.settings.items():
            arguments += ["--set", f"{key}={value}"]
        if self._prefix:
            command = [*self._prefix, sys.executable, "-m", "tests.support.program", *arguments]
            self._run(command, ROOT, {"PYTHONPATH": str(ROOT)})
            return
        with self._log() as log:
            self._process = warm.start(
                arguments, folder=ROOT, environment=os.environ, stdout=log, main=self.program
            )

    def _run(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        with self._log() as log:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def up(self) -> None:
        """Start a life and wait until it is ready."""
        self.start()
        await self.wait_ready()

    async def wait_ready(self) -> None:
        """Wait until ``/readyz`` says 200."""
        await until(self.is_ready, "ready")

    async def is_ready(self) -> bool:
        """Whether ``/readyz`` says 200 now."""
        assert self.process.poll() is None, f"exited {self.process.returncode}: {self.log}"
        return (await self.ready())[0] == 200

    async def ready(self) -> tuple[int, str]:
        """Return the status and body of ``/readyz``; status 0 if nobody answers."""
        try:
            return await fetch(self.port, "/readyz")
        except OSError:
            return 0, ""

    async def metrics(self) -> dict[str, float]:
        """Return the metrics without their prefix; those with labels are summed up."""
        return totals(await self._samples())

    async def drained(self) -> dict[str, float]:
        """Wait until nothing is buffered, check the law and return the metrics."""

        async def nothing_waits() -> bool:
            assert self.process.poll() is None, f"exited {self.process.returncode}: {self.log}"
            return law(await self._samples())["buffered"] == 0

        await until(nothing_waits, "the buffer is empty", seconds=60)
        return await self.metrics()

    async def _samples(self) -> dict[str, float]:
        return parse_metrics((await fetch(self.port, "/metrics"))[1])

    def kill(self) -> None:
        """SIGKILL the current life, if there is one, and wait for its end."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGSTOP)  # or it would start workers again
            workers = self.workers()
            for pid in (*workers, self._process.pid):
                with contextlib.suppress(ProcessLookupError):  # it was just ending by itself
                    os.kill(pid, signal.SIGKILL)
            self._process.wait(30)
            while any(Path(f"/proc/{pid}").exists() for pid in workers):
                time.sleep(0.001)  # whoever adopted them has yet to hear of it

    def workers(self) -> list[int]:
        """Return the processes of the workers, if there are several."""
        pid = self.process.pid
        with contextlib.suppress(FileNotFoundError):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
            return [int(each) for each in children.split()]
        return []

    def kill_a_worker(self, place: int) -> None:
        """SIGKILL one of the workers; nothing if it has none, or is just starting that one."""
        if workers := self.workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(workers[place % len(workers)], signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the current life."""
        self.process.send_signal(number)

    async def exit_code(self, *, seconds: float = 90) -> int:
        """Wait for the current life to end by itself and return its exit code."""

        async def ended() -> bool:
            return self.process.poll() is not None

        await until(ended, f"the process ends; log: {self.log}", seconds=seconds)
        return self.process.wait()

    async def stop(self) -> int:
        """SIGTERM; return the exit code."""
        self.signal(signal.SIGTERM)
        return await self.exit_code()

    async def closed(self) -> None:
        """Wait until nobody listens any more."""

        async def refused() -> bool:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return False
            return True

        await until(refused, "the listener is closed")
