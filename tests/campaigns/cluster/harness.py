"""The whole system, each part a process that can be killed, stopped and started again."""

import asyncio
import os
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from playsmart_gateway.stores.open import open_store
from tests import ROOT
from tests.support import warm
from tests.support.count import (
    Auditor,
    Verdict,
)
from tests.support.engines.nats import NatsServers
from tests.support.engines.postgres import PostgresServer
from tests.support.metrics import parse_metrics, totals
from tests.support.players import Client, Ledger
from tests.support.polling import until
from tests.support.ports import free_port
from tests.support.program import environment
from tests.support.target import Target
from tests.support.warm import Forked

RING_EVENTS = 4_000
"""Of each gateway: small, so that it fills while the cluster is down."""

ACK_WAIT_SECONDS = 3
STREAM = "playsmart"
CLIENTS = 8
LIFE_SECONDS = 900
_SETTINGS: dict[str, object] = {
    "buffer.max_events": RING_EVENTS,
    "buffer.flush_max_events": 1_000,
    "buffer.wait_for_room_ms": 100,
    "server.drain_timeout_seconds": 20,
}


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

    def _fetch(self, path: str) -> str:
        url = f"http://127.0.0.1:{self._port}{path}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())


class Fleet:
    """Two gateways that write to the database at ``url``; all of it is up when entered.

    ``postgres`` is the server of that database, for those who mean to stop it.
    """

    keeps_order = True

    def __init__(
        self,
        folder: Path,
        url: str,
        *,
        postgres: PostgresServer | None = None,
        seed: int = 1,
        **settings: object,
    ) -> None:
        self.ledger = Ledger()
        self.url = url
        self.postgres = postgres
        self.gateways = [Target(folder / f"gateway-{number}") for number in (1, 2)]
        for gateway in self.gateways:
            gateway.settings |= {"storage.url": url, **_SETTINGS, **settings}
            gateway.life_seconds = LIFE_SECONDS
        self.clients = [
            Client(f"player-{place}", gateway.port, self.ledger, seed=seed, pause=0.02)
            for place in range(CLIENTS // 2)
            for gateway in self.gateways
        ]
        for place, client in enumerate(self.clients):
            client.name = f"player-{place}"
        self._auditor = Auditor(url, self.ledger)
        self._coins = open_store(url).reader()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
            await self.ready()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._coins.__aexit__()
        self.kill()

    async def start(self) -> None:
        """Start every process."""
        for gateway in self.gateways:
            await gateway.up()

    def kill(self) -> None:
        """Leave no process behind."""
        for gateway in self.gateways:
            gateway.kill()

    async def ready(self) -> None:
        """Wait until everybody takes events and can pass them on."""
        for gateway in self.gateways:
            await gateway.wait_ready()

    async def accepted(self, batches: int) -> None:
        """Wait until so many more batches are acknowledged to the clients."""
        ledger = self.ledger
        target = sum(status == 202 for status in ledger.statuses) + batches

        async def are_there() -> bool:
            return sum(status == 202 for status in ledger.statuses) >= target

        await until(are_there, f"{batches} batches are accepted", seconds=60)

    async def drained(self) -> None:
        """Wait until everything that was taken is stored."""
        for gateway in self.gateways:
            await gateway.drained()

    async def verdict(self) -> Verdict:
        """Wait until everything that was taken is stored, and hold the store against the ledger."""
        await self.ready()
        await self.drained()
        verdict = await asyncio.to_thread(self._auditor.audit)
        assert verdict.good if self.keeps_order else verdict.exactly_once, verdict
        assert verdict.buried == 0, verdict
        await self._audit_coins()
        return verdict

    async def stop(self) -> None:
        """Stop every process in order."""
        for gateway in self.gateways:
            assert await gateway.stop() == 0, gateway.log

    async def _audit_coins(self) -> None:
        while True:
            audited = await self._coins.audit(100_000)
            assert not audited.violations, audited.violations[0]
            if audited.position == audited.end:
                return


class System(Fleet):
    """The same by way of three NATS nodes and two workers, who write to the database."""

    keeps_order = False

    def __init__(
        self, folder: Path, url: str, *, postgres: PostgresServer | None = None, seed: int = 1
    ) -> None:
        self.servers = NatsServers(3)
        nats: dict[str, object] = {
            "storage.url": self.servers.url,
            "storage.reads_url": url,
            "nats.stream": STREAM,
            "nats.replicas": 3,
            "nats.ack_wait_seconds": ACK_WAIT_SECONDS,
        }
        super().__init__(folder, url, postgres=postgres, seed=seed, **nats)
        self.workers = [
            WorkerProcess(folder / f"worker-{number}", {**_SETTINGS, **nats}) for number in (1, 2)
        ]

    async def start(self) -> None:
        self.servers.__enter__()
        await super().start()
        for worker in self.workers:
            worker.start()

    def kill(self) -> None:
        for worker in self.workers:
            worker.kill()
        super().kill()
        self.servers.close()

    async def ready(self) -> None:
        self.servers.wait_healthy()
        await super().ready()
        for worker in self.workers:
            await until(worker.is_ready, f"a worker is ready: {worker.log[-2000:]}")

    async def drained(self) -> None:
        await super().drained()
        await until(self._nothing_waits, "the stream is empty", seconds=90)

    async def stop(self) -> None:
        await super().stop()
        for worker in self.workers:
            assert await worker.stop() == 0, worker.log

    async def _nothing_waits(self) -> bool:
        """Whether no message is left, and the workers know it."""
        for worker in self.workers:
            values = await worker.metrics()
            counts = ("lag_messages", "ack_pending_messages", "buffered_events")
            if [values.get(name) for name in counts] != [0, 0, 0]:
                return False
        return True
