"""A gateway that can be killed and started again, with what it stores to: one of five scenes."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Literal, get_args

from tests.campaigns.phones.old_gateway import OldGateway
from tests.support.engines.nats import NatsServers
from tests.support.engines.postgres import PostgresServer
from tests.support.polling import until
from tests.support.stream_worker import WorkerProcess
from tests.support.target import Target

SceneName = Literal["sqlite", "workers", "postgres", "jetstream-sqlite", "jetstream-postgres"]
SCENES: tuple[SceneName, ...] = get_args(SceneName)
WITHOUT_STREAM: tuple[SceneName, ...] = ("sqlite", "workers", "postgres")
ONE_AFTER_THE_OTHER = ("sqlite", "postgres")
"""Where the events of a run are stored in their order: one process takes and stores them."""

GAME = "com.example.game"
COINS_A_LEVEL = 10
LIFE_SECONDS = 3_600
_GAMES = (
    f'[{{id="{GAME}",coins_enabled=true,reward_mode="fixed",reward_fixed_amount={COINS_A_LEVEL}}}]'
)

_NATS: dict[str, object] = {"nats.stream": "phones", "nats.ack_wait_seconds": 3}


class Scene:
    """The gateway, and a worker if there is a ``stream``; ``url`` is the database's.

    ``program`` is what is started as the gateway: a function by its name. ``code`` has an old one
    instead (``old_gateway``), which does not know what comes twice.
    """

    def __init__(
        self,
        name: SceneName,
        folder: Path,
        url: str,
        postgres: PostgresServer | None,
        stream: NatsServers | None,
        program: str | None,
        code: Path | None,
    ) -> None:
        self.url = url
        self._postgres = postgres
        self._stream = stream
        self.has_order = name in ONE_AFTER_THE_OTHER
        self.is_once = code is None
        workers, data = 2 if name == "workers" else 1, folder / "gateway"
        self.gateway = (
            Target(data, server__workers=workers)
            if code is None
            else OldGateway(data, code, workers=workers)
        )
        self.gateway.life_seconds = LIFE_SECONDS
        self.worker: WorkerProcess | None = None
        if program is not None:
            self.gateway.program = program
        settings: dict[str, object] = {"games": _GAMES, "storage.url": url}
        if stream is not None:
            settings |= {**_NATS, "storage.url": stream.url, "storage.reads_url": url}
            self.worker = WorkerProcess(folder / "worker", settings)
        self.gateway.settings |= settings

    async def up(self) -> None:
        """Start what is not there and wait until events are taken and passed on."""
        if self.worker is not None:
            self.worker.start()
        await self.gateway.up()
        if self.worker is not None:
            await until(self.worker.is_ready, "the worker is ready")

    async def run_conflicts(self) -> int:
        """Return how often this life met numbers of a run that were other events'."""
        store = self.worker or self.gateway
        metrics = await store.metrics()
        return int(metrics.get("run_conflicts_total", 0))  # a worker may be too busy to answer

    def kill(self) -> None:
        """SIGKILL every process of it."""
        self.gateway.kill()
        if self.worker is not None:
            self.worker.kill()

    async def end_a_part(self, chance: Random) -> None:
        """End one part in a way of its own, while the others go on; all are up in the end."""
        ways: list[Callable[[Random], Awaitable[None]]] = [self._stop_the_gateway]
        if self.gateway.settings["server.workers"] != 1:
            ways.append(self._kill_one_of_its_workers)
        if self._postgres is not None:
            ways.append(self._kill_the_database)
        if self._stream is not None:
            ways += [self._kill_the_stream, self._kill_the_worker]
        await chance.choice(ways)(chance)
        await self.gateway.wait_ready()
        if self.worker is not None:
            await until(self.worker.is_ready, "the worker is ready")

    async def _stop_the_gateway(self, chance: Random) -> None:
        """As a deployment does that has little patience: SIGTERM, then SIGKILL."""
        self.gateway.signal(signal.SIGTERM)
        await asyncio.sleep(chance.uniform(0, 0.5))
        self.gateway.kill()
        self.gateway.start()

    async def _kill_one_of_its_workers(self, chance: Random) -> None:
        self.gateway.kill_a_worker(chance.randrange(2))

    async def _kill_the_database(self, chance: Random) -> None:
        assert self._postgres is not None
        await asyncio.to_thread(self._postgres.kill)
        await asyncio.sleep(chance.uniform(0, 1))
        await asyncio.to_thread(self._postgres.start)

    async def _kill_the_stream(self, chance: Random) -> None:
        assert self._stream is not None
        (node,) = self._stream.nodes
        node.kill()
        await asyncio.sleep(chance.uniform(0, 1))
        node.start()

    async def _kill_the_worker(self, chance: Random) -> None:
        assert self.worker is not None
        self.worker.kill()
        await asyncio.sleep(chance.uniform(0, 1))
        self.worker.start()

    async def drained(self) -> dict[str, float]:
        """Wait until all is stored; check the law and return the metrics of the gateway."""
        metrics = await self.gateway.drained()
        if self.worker is not None:
            await until(self.worker.has_nothing, "the stream is empty", seconds=300)
        return metrics

    async def stop(self) -> None:
        """SIGTERM, which has to end in order."""
        assert await self.gateway.stop() == 0, self.gateway.log
        if self.worker is not None:
            assert await self.worker.stop() == 0, self.worker.log


@asynccontextmanager
async def scene(
    name: SceneName,
    folder: Path,
    *,
    postgres: PostgresServer | None = None,
    program: str | None = None,
    code: Path | None = None,
) -> AsyncIterator[Scene]:
    """A scene whose processes are up; none is left at the end. ``postgres`` has the database."""
    async with AsyncExitStack() as stack:
        url = f"sqlite:///{folder}/store/playsmart.db"
        if "postgres" in name:
            assert postgres is not None
            url = await postgres.create_database()
            stack.push_async_callback(postgres.drop_database, url)
        stream = None
        if "jetstream" in name:
            stream = stack.enter_context(NatsServers())
        there = Scene(name, folder, url, postgres, stream, program, code)
        stack.callback(there.kill)
        await there.up()
        yield there
