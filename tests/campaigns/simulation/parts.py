"""The gateway under test: wired as the real one, of the same parts, over simulated surroundings."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from playsmart_gateway import config
from playsmart_gateway.build import Storage, parts_for
from playsmart_gateway.config.verifier import verifier_for
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.gateway import Gateway
from playsmart_gateway.pipeline.buffer import Buffer
from playsmart_gateway.pipeline.flusher import Flusher
from playsmart_gateway.pipeline.intake import Intake
from playsmart_gateway.pipeline.journal import Journal
from playsmart_gateway.pipeline.machine import Machine
from playsmart_gateway.pipeline.origin import Fsync
from playsmart_gateway.pipeline.segments import SegmentFiles
from playsmart_gateway.pipeline.wiring import Kinds
from tests.campaigns.simulation.disk import SimDisk
from tests.campaigns.simulation.loop import SimLoop
from tests.campaigns.simulation.store import SimSink

_AUTH = config.Auth(secret="nobody sends a token here, but a gateway has a verifier")
_FOLDER = "/nowhere/journal"


class SimJournal(Journal):
    """The real journal, which also says how long its syncs took."""

    _sync_began: float | None = None
    _longest_sync = 0.0

    def __init__(self, folder: Path, *, files: type[SegmentFiles], **named: Any) -> None:
        super().__init__(folder, **named)
        self._files = files(self._disk, folder)

    async def sync(self) -> None:
        self._sync_began = self._clock()
        try:
            await super().sync()
        finally:
            self._longest_sync = self.longest_sync()
            self._sync_began = None

    def longest_sync(self) -> float:
        """Seconds that the longest sync took, or takes by now."""
        running = 0.0 if self._sync_began is None else self._clock() - self._sync_began
        return max(self._longest_sync, running)


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

    def config(self, drain_timeout_seconds: float) -> config.Config:
        """As it would be configured."""
        return config.Config(
            server=config.Server(drain_timeout_seconds=drain_timeout_seconds),
            auth=_AUTH,
            journal=config.Journal(
                path=_FOLDER,
                fsync=self.fsync,
                fsync_interval_seconds=self.fsync_interval_seconds,
            ),
            buffer=config.Buffer(
                max_events=self.max_events,
                max_bytes=self.max_bytes,
                flush_interval_seconds=self.flush_interval_seconds,
                flush_max_events=self.flush_max_events,
                flush_max_bytes=self.flush_max_bytes,
                wait_for_room_ms=int(self.wait_for_room_seconds * 1_000),
            ),
        )


class Bystander:
    """Counts what it is told.

    ``after_room`` is called when batches have left the buffer, and those who wait were let in.
    """

    def __init__(self) -> None:
        self.accepted_events = 0
        self.left_events = 0
        self.buried_events = 0
        self.after_room: list[Callable[[], None]] = []

    def accepted(self, batch: Batch) -> None:
        self.accepted_events += batch.count

    def buried(self, batch: Batch) -> None:
        self.buried_events += batch.count

    def left_the_buffer(self, batches: Sequence[Batch]) -> None:
        self.left_events += sum(batch.count for batch in batches)
        for call in self.after_room:
            call()


class SimGateway(Gateway):
    """A gateway that nobody changed, but for its mutants."""

    @property
    def sim_journal(self) -> SimJournal:
        """Its journal, which it has."""
        assert isinstance(self.journal, SimJournal)
        return self.journal


class Parts(NamedTuple):
    """Which classes a gateway is built from; a mutant has one exchanged for a broken one."""

    journal: type[SimJournal] = SimJournal
    files: type[SegmentFiles] = SegmentFiles
    buffer: type[Buffer] = Buffer
    intake: type[Intake] = Intake
    flusher: type[Flusher] = Flusher
    disk: type[SimDisk] = SimDisk
    sink: type[SimSink] = SimSink
    gateway: type[SimGateway] = SimGateway

    def make_gateway(
        self,
        limits: Limits,
        sink: SimSink,
        machine: Machine,
        bystander: Bystander,
        drain_timeout_seconds: float,
    ) -> SimGateway:
        """Wire them as the real ones are."""
        segment_bytes = limits.segment_bytes
        journal = partial(self.journal, files=self.files, segment_bytes=segment_bytes)
        parts = parts_for(
            limits.config(drain_timeout_seconds),
            Storage(sink, sink),
            verifier_for(_AUTH),
            machine=machine,
            kinds=Kinds(journal, self.buffer, self.intake, self.flusher),
            observers={"bystander": bystander},
        )
        return self.gateway(parts, machine)


def sim_machine(loop: SimLoop, disk: SimDisk, wall: Callable[[], float]) -> Machine:
    """Return the machine of one life."""
    chance = loop.chance

    async def in_thread(function: Callable[[], object]) -> object:
        slow = chance.between(0.01, 2.0) if chance.strikes("disk: slow") else 0.0
        return await loop.in_thread(function, slow)

    return Machine(
        clock=loop.time,
        wall=wall,
        chance=chance.random,
        in_thread=in_thread,
        make_disk=lambda: disk,
        make_identity=lambda: chance.randbytes(16),
    )
