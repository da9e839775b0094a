"""The whole system, each part a process that can be killed, stopped and started again."""

import asyncio
from pathlib import Path
from typing import Self

from playsmart_gateway.stores.open import open_store
from tests.support.count import (
    Auditor,
    Verdict,
)
from tests.support.engines.nats import NatsServers
from tests.support.engines.postgres import PostgresServer
from tests.support.players import Client, Ledger
from tests.support.polling import until
from tests.support.stream_worker import WorkerProcess
from tests.support.target import Target

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

    def number_events(self, place: int) -> None:
        """Have the players number their events, and send some again: under every other fault."""
        for client in self.clients:
            client.numbers = place % 2 == 0

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
        return all([await worker.has_nothing() for worker in self.workers])
