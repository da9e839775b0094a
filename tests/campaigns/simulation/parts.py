"""The gateway under test: the real lifecycle of ``Gateway`` over simulated surroundings."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from playsmart_gateway import config
from playsmart_gateway.auth.tokens import TokenVerifier
from playsmart_gateway.gateway import Gateway
from playsmart_gateway.pipeline.buffer import Buffer
from playsmart_gateway.pipeline.commit_queue import CommitQueue
from playsmart_gateway.pipeline.flusher import Flusher
from playsmart_gateway.pipeline.intake import Intake
from playsmart_gateway.pipeline.journal import (
    SEGMENT_BYTES,
    Fsync,
    Journal,
)
from playsmart_gateway.pipeline.segments import SegmentFiles
from playsmart_gateway.stores.contract import Store
from tests.campaigns.simulation.chance import Chance
from tests.campaigns.simulation.disk import SimDisk
from tests.campaigns.simulation.loop import SimLoop
from tests.campaigns.simulation.store import SimSink


class SimJournal(Journal):
    """The real journal; its small segments weigh as much for the flusher as full-sized ones."""

    weight = 1
    clock: Callable[[], float]
    _sync_began: float | None = None
    _longest_sync = 0.0

    def exchange_files(self, files: SegmentFiles) -> None:
        """Do through others what is done on the disk."""
        self._files = files

    async def sync(self) -> None:
        self._sync_began = self.clock()
        try:
            await super().sync()
        finally:
            self._longest_sync = self.longest_sync()
            self._sync_began = None

    def longest_sync(self) -> float:
        """Seconds that the longest sync took, or takes by now."""
        running = 0.0 if self._sync_began is None else self.clock() - self._sync_began
        return max(self._longest_sync, running)

    @property
    def removable_bytes(self) -> int:
        return super().removable_bytes * self.weight


@dataclass(frozen=True)
class Limits:
    """The configuration of a seed, small enough that every edge is near."""

    fsync: Fsync
    fsync_interval_seconds: float
    segment_bytes: int
    max_events: int
    max_bytes: int
    flush_interval_seconds: float
    flush_max_events: int
    flush_max_bytes: int
    wait_for_room_seconds: float

    @classmethod
    def draw(cls, chance: random.Random) -> "Limits":
        max_events = chance.randint(8, 60)
        max_bytes = chance.choice((3_000, 10_000, 100_000))
        return cls(
            fsync=chance.choice(("interval", "always", "never")),
            fsync_interval_seconds=chance.choice((0.05, 0.1, 0.5)),
            segment_bytes=chance.choice((200, 700, 2_000, 8_000)),
            max_events=max_events,
            max_bytes=max_bytes,
            flush_interval_seconds=chance.choice((0.05, 0.3, 1.0)),
            flush_max_events=chance.randint(4, max_events),
            flush_max_bytes=chance.randint(1_000, max_bytes),
            wait_for_room_seconds=chance.choice((0.0, 0.05, 1.0)),
        )


class _Since(float):
    """An instant; ``app`` subtracts it from the real clock and gets the virtual time since."""

    loop: SimLoop
    at: float

    def __new__(cls, loop: SimLoop) -> "_Since":
        since = super().__new__(cls, 1.0)
        since.loop = loop
        since.at = loop.now
        return since

    def __rsub__(self, _: float) -> float:
        return self.loop.now - self.at


class SimGateway(Gateway):
    """Starts, replays, drains and stops as the real one does: only the constructor differs."""

    def __init__(
        self,
        parts: "Parts",
        limits: Limits,
        disk: SimDisk,
        sink: SimSink,
        loop: SimLoop,
        *,
        wall: Callable[[], float],
        drain_timeout_seconds: float,
    ) -> None:
        server = config.Server(drain_timeout_seconds=drain_timeout_seconds)
        journal_section = config.Journal(
            fsync=limits.fsync, fsync_interval_seconds=limits.fsync_interval_seconds
        )
        super().__init__(
            config.Config(server=server, journal=journal_section),
            cast(TokenVerifier, None),
            sink,
            cast(Store, sink),
        )
        chance: Chance = loop.chance
        journal = parts.journal(
            Path("journal"),
            fsync=limits.fsync,
            segment_bytes=limits.segment_bytes,
            disk=disk,
            in_thread=self._journal_thread,
            identity=chance.randbytes(16),
            waiting=lambda: self.buffer,
            clock=loop.time,
        )
        journal.clock = loop.time
        journal.weight = SEGMENT_BYTES // limits.segment_bytes
        journal.exchange_files(parts.files(disk, Path("journal")))
        self.journal = self.sim_journal = journal
        self.buffer = parts.buffer(
            max_events=limits.max_events,
            max_bytes=limits.max_bytes,
            ripe_events=limits.flush_max_events,
            ripe_bytes=limits.flush_max_bytes,
            clock=loop.time,
        )
        self.intake = parts.intake(
            journal,
            self.buffer,
            self.stats,
            wait_for_room_seconds=limits.wait_for_room_seconds,
            clock=wall,
        )
        self.commit_queue = CommitQueue(self.stats, cast(Store, sink), wake=self.buffer.stirred.set)
        self.flusher = parts.flusher(
            self.buffer,
            journal,
            sink,
            self.stats,
            commit_queue=self.commit_queue,
            room_came=self._room_came,
            interval_seconds=limits.flush_interval_seconds,
            max_events=limits.flush_max_events,
            max_bytes=limits.flush_max_bytes,
            clock=loop.time,
            jitter=chance.random,
        )
        self.after_room: list[Callable[[], None]] = []
        self._loop = loop

    def _room_came(self) -> None:
        self.intake.room_came()
        for call in self.after_room:
            call()

    def stop_soon(self, *, hurry: bool = False) -> None:
        super().stop_soon(hurry=hurry)
        self._stopping_since = _Since(self._loop)

    async def _journal_thread(self, function: Callable[[], object]) -> object:
        chance = self._loop.chance
        slow = chance.between(0.01, 2.0) if chance.strikes("disk: slow") else 0.0
        return await self._loop.in_thread(function, slow)


@dataclass(frozen=True)
class Parts:
    """Which classes a gateway is built from; a mutant has one exchanged for a broken one."""

    journal: type[SimJournal] = SimJournal
    files: type[SegmentFiles] = SegmentFiles
    buffer: type[Buffer] = Buffer
    intake: type[Intake] = Intake
    flusher: type[Flusher] = Flusher
    disk: type[SimDisk] = SimDisk
    sink: type[SimSink] = SimSink
    gateway: type[SimGateway] = SimGateway
