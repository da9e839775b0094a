"""The worker behind a stream as a process of its own."""

import asyncio
import os
import signal
import urllib.error
import urllib.request
from pathlib import Path

from tests import ROOT
from tests.support import warm
from tests.support.metrics import parse_metrics, totals
from tests.support.ports import free_port
from tests.support.program import environment
from tests.support.warm import Forked


class WorkerProcess:
    """``playsmart-gateway worker`` through any number of lives."""

    def __init__(self, folder: Path, settings: dict[str, object]) -> None:
        self._folder = folder
        self._folder.mkdir(parents=True)
        self._port = free_port()
        texts = [f"{key}={value}" for key, value in settings.items()]
        self._environment = environment(0, folder, texts)
        self._process: Forked | None = None

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text("utf-8", "replace")

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = warm.start(
                ["worker", "--port", str(self._port)],
                folder=ROOT,
                environment={**os.environ, **self._environment},
                stdout=log,
            )

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(30)

    async def stop(self) -> int:
        """SIGTERM; return the exit code."""
        process = self._process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(process.wait, 40)

    async def metrics(self) -> dict[str, float]:
        """Return the metrics without their prefix; none if nobody answers."""
        try:
            text = await asyncio.to_thread(self._fetch, "/metrics")
        except OSError:
            return {}
        return totals(parse_metrics(text), "playsmart_worker_")

    async def is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        try:
            await asyncio.to_thread(self._fetch, "/readyz")
        except OSError:
            return False
        return True

    async def has_nothing(self) -> bool:
        """Whether no message is left in the stream, and it knows that."""
        values = await self.metrics()
        counts = ("lag_messages", "ack_pending_messages", "buffered_events")
        return [values.get(name) for name in counts] == [0, 0, 0]

    def _fetch(self, path: str) -> str:
        url = f"http://127.0.0.1:{self._port}{path}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
