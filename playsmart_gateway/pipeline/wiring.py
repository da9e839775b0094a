"""How the parts of a pipeline are connected, for a gateway, a stream worker and ``erase`` alike."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from playsmart_gateway.catalogue.judging import Standard
from playsmart_gateway.config import Config
from playsmart_gateway.metrics import Stats
from playsmart_gateway.pipeline.buffer import Buffer
from playsmart_gateway.pipeline.commit_queue import CommitQueue
from playsmart_gateway.pipeline.flush_options import FlushOptions
from playsmart_gateway.pipeline.flusher import Flusher
from playsmart_gateway.pipeline.intake import Intake
from playsmart_gateway.pipeline.journal import Journal
from playsmart_gateway.pipeline.machine import MACHINE, Machine
from playsmart_gateway.pipeline.observers import NOBODY, Observer, Observers
from playsmart_gateway.pipeline.origin import MemoryOnly, Origin
from playsmart_gateway.stores.contract import Awarding, EventSink

HELD_TRANSACTIONS = 4
"""How many full transactions a stream worker holds at most; more would keep them from others."""


class Kinds(NamedTuple):
    """What the parts are; the simulation exchanges one for a broken one."""

    journal: Callable[..., Journal] = Journal
    buffer: type[Buffer] = Buffer
    intake: type[Intake] = Intake
    flusher: type[Flusher] = Flusher


KINDS = Kinds()


class Pipeline(NamedTuple):
    """From the intake, or the commit queue, to the store; ``journal`` is None if it is off."""

    stats: Stats
    journal: Journal | None
    buffer: Buffer
    intake: Intake
    commit_queue: CommitQueue
    flusher: Flusher
    observers: Observers


class Outlet(NamedTuple):
    """From a buffer to the store, for who fills the buffer from elsewhere."""

    stats: Stats
    buffer: Buffer
    flusher: Flusher


class Wiring:
    """Connects parts of these ``kinds`` as ``config`` wants it, on a ``machine``.

    What is stored is held to the ``standard``.
    """

    def __init__(
        self,
        config: Config,
        machine: Machine = MACHINE,
        kinds: Kinds = KINDS,
        standard: Standard | None = None,
    ) -> None:
        self._config = config
        self._machine = machine
        self._kinds = kinds
        self._standard = standard

    def pipeline(
        self,
        sink: EventSink,
        store: Awarding,
        *,
        folder: Path,
        stats: Stats,
        observers: Mapping[str, Observer],
    ) -> Pipeline:
        """Return what a gateway has, with its journal in ``folder``; ``store`` awards commits."""
        buffer = self._buffer()
        journal = self._journal(folder, buffer) if self._config.journal.enabled else None
        origin = MemoryOnly() if journal is None else journal
        told = Observers(observers, stats.count_side_failure)
        intake = self._kinds.intake(
            origin,
            buffer,
            stats,
            wait_for_room_seconds=self._config.buffer.wait_for_room_ms / 1_000,
            clock=self._machine.wall,
            observers=told,
        )
        commit_queue = CommitQueue(stats, store, wake=buffer.stirred.set)
        flusher = self._flusher(
            buffer, origin, sink, stats, commit_queue=commit_queue, observers=told
        )
        return Pipeline(stats, journal, buffer, intake, commit_queue, flusher, told)

    def journal_outlet(self, sink: EventSink, folder: Path) -> tuple[Journal, Outlet]:
        """Return what empties the journal in ``folder``, which is not open yet."""
        buffer, stats = self._buffer(), Stats()
        journal = self._journal(folder, buffer)
        return journal, Outlet(stats, buffer, self._flusher(buffer, journal, sink, stats))

    def stream_outlet(self, sink: EventSink, origin: Origin, linger_seconds: float) -> Outlet:
        """Return what a stream worker has; a batch waits ``linger_seconds`` for others."""
        section, stats = self._config.buffer, Stats()
        buffer = self._kinds.buffer(
            max_events=HELD_TRANSACTIONS * section.flush_max_events,
            max_bytes=HELD_TRANSACTIONS * section.flush_max_bytes,
            ripe_events=section.flush_max_events,
            ripe_bytes=section.flush_max_bytes,
            ordered=False,
            clock=self._machine.clock,
        )
        flusher = self._flusher(buffer, origin, sink, stats, interval_seconds=linger_seconds)
        return Outlet(stats, buffer, flusher)

    def _buffer(self) -> Buffer:
        section = self._config.buffer
        return self._kinds.buffer(
            max_events=section.max_events,
            max_bytes=section.max_bytes,
            ripe_events=section.flush_max_events,
            ripe_bytes=section.flush_max_bytes,
            clock=self._machine.clock,
        )

    def _journal(self, folder: Path, buffer: Buffer) -> Journal:
        machine = self._machine
        return self._kinds.journal(
            folder,
            fsync=self._config.journal.fsync,
            disk=machine.make_disk(),
            in_thread=machine.in_thread,
            identity=machine.make_identity(),
            waiting=buffer,
            clock=machine.clock,
        )

    def _flusher(
        self,
        buffer: Buffer,
        origin: Origin,
        sink: EventSink,
        stats: Stats,
        *,
        commit_queue: CommitQueue | None = None,
        observers: Observers = NOBODY,
        interval_seconds: float | None = None,
    ) -> Flusher:
        section, journal = self._config.buffer, self._config.journal
        options = FlushOptions(
            interval_seconds=interval_seconds or section.flush_interval_seconds,
            max_events=section.flush_max_events,
            max_bytes=section.flush_max_bytes,
            syncs_commits=journal.enabled and journal.fsync == "always",
            standard=self._standard,
        )
        return self._kinds.flusher(
            buffer, origin, sink, stats, options,
            commit_queue=commit_queue, observers=observers, machine=self._machine,
        )  # fmt: skip
