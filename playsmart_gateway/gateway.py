"""One gateway: its parts, and its life from start to drain.

Start: journal (lock, replay), sink, flusher, then the door opens. It opens while the store is away,
too: what comes waits in journal and buffer, as when the store goes away later. Stop is that list
backwards: the door closes, the buffer drains into the sink, sink and journal close.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from typing import NamedTuple

from playsmart_gateway.auth.tokens import TokenVerifier
from playsmart_gateway.console.inspector.hub import Inspector
from playsmart_gateway.dialects.teak.known_players import KnownPlayers
from playsmart_gateway.errors import Detail, SinkUnavailable
from playsmart_gateway.http.slots import Slots
from playsmart_gateway.metrics import Gauges, Snapshot
from playsmart_gateway.peers.peer import Peer
from playsmart_gateway.pipeline.caretaker import Caretaker
from playsmart_gateway.pipeline.errands import Errands
from playsmart_gateway.pipeline.journal_folders import adopt, journal_folders
from playsmart_gateway.pipeline.machine import MACHINE, Machine
from playsmart_gateway.pipeline.wiring import Pipeline
from playsmart_gateway.stores.contract import EventSink, Rollups, Store
from playsmart_gateway.stores.learned import LearnedStore
from playsmart_gateway.stores.readers import Reader
from playsmart_gateway.tasks import Background, Work, cancel

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.02


class Readers(NamedTuple):
    """Readers of the store, each on a connection of its own: some reads take their time."""

    players: Reader
    statistics: Reader
    inspector: Reader
    audit: Reader


class Parts(NamedTuple):
    """What a gateway is made of; ``build.gateway_for`` makes them from a configuration.

    What ``beside`` ingest goes on, by name, is started with it and started again when it fails. A
    drain may take ``drain_timeout_seconds``. ``inherited`` is what the process said that had
    this one's place before it died, if one did.
    """

    pipeline: Pipeline
    caretaker: Caretaker
    sink: EventSink
    store: Store
    readers: Readers
    rollups: Rollups | None
    learned: LearnedStore | None
    verifier: TokenVerifier
    slots: Slots
    known_players: KnownPlayers
    inspector: Inspector
    beside: Mapping[str, Work]
    drain_timeout_seconds: float
    inherited: Snapshot | None = None


class Gateway:
    """One gateway of these ``parts``, and its life from start to drain.

    A ``worker`` is one of several processes; what a store needs once the first of them does.

    Events go to the ``sink``; the ``store`` answers, pays those who wait, and is looked after. It
    may be the sink, too.
    ``on_fatal`` is called when the gateway cannot go on; whoever runs the server sets it to stop
    in order, and calls ``stop_soon`` when it was told to stop. ``left_behind`` counts the events
    that the last drain could not store in time.
    """

    def __init__(
        self, parts: Parts, machine: Machine = MACHINE, worker: Peer | None = None
    ) -> None:
        self.worker = worker
        self.stats = parts.pipeline.stats
        self.journal = parts.pipeline.journal
        self.buffer = parts.pipeline.buffer
        self.intake = parts.pipeline.intake
        self.commit_queue = parts.pipeline.commit_queue
        self.flusher = parts.pipeline.flusher
        self.reader = parts.readers.players
        self.statistics = parts.readers.statistics
        self.inspected = parts.readers.inspector
        self.sink = parts.sink
        self.store = parts.store
        self.rollups = parts.rollups
        self.learned = parts.learned
        self.verifier = parts.verifier
        self.slots = parts.slots
        self.known_players = parts.known_players
        self.inspector = parts.inspector
        self._parts = parts
        self.wall = machine.wall
        self._clock = machine.clock
        self.on_fatal: Callable[[], None] = lambda: None
        self.left_behind = 0
        self.answered = parts.slots.answered
        parts.slots.passed = self.inspector.passed
        self._background = Background(died=self._part_died, failed=self.stats.count_side_failure)
        self._hurry = asyncio.Event()
        self._stopping_since: float | None = None

    @property
    def failed(self) -> bool:
        """Whether a part of it died of a bug."""
        return self._background.has_died

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take and store events while entered; drain on the way out.

        Raises:
            GatewayError: the journal could not be opened, or no waiting helps with the store.
        """
        with self._journal_open():
            self._replay()
            async with (
                self._storage_open(),
                self.reader,
                self.statistics,
                self._parts.readers.audit,
                self.inspected,
                self.rollups or nullcontext(),
                self.learned or nullcontext(),
                self._among_siblings(),
                self._trimmed_at_the_end(),
                self._draining(),
            ):
                if self.journal is None:
                    yield
                    return
                recall = self.answered.told
                errands = Errands(self.journal.folder, self.settle, self._clock, recall)
                async with self._background.beside(errands.run, "errands"):
                    yield

    @contextlib.contextmanager
    def _journal_open(self) -> Iterator[None]:
        """Hold the journal, if there is one, with what another number of workers left of theirs."""
        if self.journal is None:
            yield
            return
        self.journal.open()
        with contextlib.closing(self.journal):
            if self.worker is None:
                adopt(self.journal.folder, journal_folders(self.journal.folder)[1:])
            yield

    @asynccontextmanager
    async def _trimmed_at_the_end(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            if self.journal and self.journal.keeps_stored:  # it was being synced before
                await self.flusher.trim()

    @asynccontextmanager
    async def _draining(self) -> AsyncIterator[None]:
        """Flush while entered, with all that looks after it; let nobody in then, and drain."""
        background, caretaker = self._background, self._parts.caretaker
        flushing = background.start(self.flusher.run(), "flusher")
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(
                background.running(caretaker.keep_synced(), "journal sync")
            )
            for name, work in self._parts.beside.items():
                await stack.enter_async_context(background.beside(work, name))
            try:
                yield
            finally:
                self.inspector.close()
                self.intake.close("shutting_down")
                self.commit_queue.close("shutting_down")
                await self._drain(flushing)

    def stop_soon(self, *, hurry: bool = False) -> None:
        """Be not ready from now on; the time to drain runs. With ``hurry`` it is over."""
        if self._stopping_since is None:
            self._stopping_since = self._clock()
        self.inspector.close()  # a stream that goes on would hold up the server
        if self.worker:
            self.worker.publish()
        if hurry:
            self._hurry.set()

    async def settle(self, user_id: str) -> None:
        """Store all that is accepted by now, leave nothing of it in the journal, forget a player.

        Meanwhile events are accepted as ever, into the buffer and a new segment of the journal.
        """
        journal = self.journal
        assert journal is not None, "who asks does so in its folder"
        while (sealed := journal.seal()) is None:  # noqa: ASYNC110 - a sync takes milliseconds
            await asyncio.sleep(_LOOK_SECONDS)
        in_commit_queue = self.commit_queue.newest
        await self.flusher.settle()
        while self.commit_queue.holds(in_commit_queue):  # noqa: ASYNC110 - a commit takes milliseconds
            await asyncio.sleep(_LOOK_SECONDS)
        while journal.holds(sealed):
            await self.flusher.trim()
            await asyncio.sleep(_LOOK_SECONDS)
        self.known_players.forget(user_id)
        self.verifier.forget_subject(user_id)
        self.inspector.forget(user_id)
        self.answered.forget(user_id)

    async def refresh(self) -> None:
        """Have the siblings, if there are any, say how things stand before ``report`` is called."""
        if self.worker:
            await self.worker.refresh()

    def report(self) -> Snapshot:
        """Return how things stand, here or, with siblings, in all workers together."""
        return (self.worker and self.worker.whole()) or self._own_report()

    def _own_report(self) -> Snapshot:
        buffer, journal = self.buffer, self.journal
        gauges = Gauges(
            in_buffer=buffer.events,
            in_commit_queue=self.commit_queue.events,
            arriving=self.intake.arriving,
            buffered_bytes=buffer.bytes,
            max_events=buffer.max_events,
            max_bytes=buffer.max_bytes,
            oldest_age=buffer.oldest_age,
            requests_waiting=self.intake.waiting,
            journal_bytes=journal.size if journal else 0,
            journal_up=self._journal_trouble is None,
            store_up=self._store_trouble is None,
            store_log_bytes=self.store.log_bytes,
            connections=self.slots.states(),
            max_connections=self.slots.limits.max_connections,
            body_bytes=self.slots.body_bytes,
        )
        return Snapshot(self.stats, gauges, self.not_ready_because())

    @property
    def _store_trouble(self) -> SinkUnavailable | None:
        return self.flusher.last_error or self.store.damage

    @property
    def _journal_trouble(self) -> OSError | None:
        return self.journal.last_error if self.journal else None

    def not_ready_because(self) -> list[Detail]:
        """Return why this process is not ready; nothing when it takes events and can store them."""
        reasons = []
        if self._stopping_since is not None:
            reasons.append(Detail("gateway", "stopping"))
        if self.intake.closed_because is not None:
            reasons.append(Detail("intake", self.intake.closed_because))
        if self._store_trouble is not None:
            reasons.append(Detail("store", str(self._store_trouble)))
        if self._journal_trouble is not None:
            reasons.append(Detail("journal", str(self._journal_trouble.strerror)))
        if not self.buffer.has_room(1, 0):
            reasons.append(Detail("buffer", "full"))
        return reasons

    def _replay(self) -> None:
        """Put what an earlier process left in the journal back into the buffer."""
        replayed = 0
        for batch in self.journal.replay() if self.journal else ():
            replayed += batch.count
            self.buffer.put(batch)
            self._parts.pipeline.observers.accepted(batch)
        stats = self.stats
        before = self._parts.inherited.gauges if self._parts.inherited and self.journal else None
        stats.settle(
            replayed=replayed,
            in_buffer=before.in_buffer if before else 0,
            arriving=before.arriving if before else 0,
        )
        if self.journal:
            stats.torn_tails += self.journal.torn_tails
            stats.corrupt_records += self.journal.corrupt_records
        if replayed:
            logger.warning("replayed %d events from the journal", replayed)

    async def _drain(self, flushing: asyncio.Task[None]) -> None:
        await self.intake.settled()
        self.flusher.stop()
        hurrying = asyncio.create_task(self._hurry.wait())
        now = self._clock()
        waited = 0.0 if self._stopping_since is None else now - self._stopping_since
        timeout = max(0.0, self._parts.drain_timeout_seconds - waited)
        first = asyncio.FIRST_COMPLETED
        await asyncio.wait([flushing, hurrying], timeout=timeout, return_when=first)
        await cancel(hurrying, flushing)
        self.commit_queue.abandon("shutting_down")
        self.left_behind = self.buffer.events
        if self.left_behind:
            kept = "the journal keeps them" if self.journal else "lost"
            logger.error("stopped with %d events not stored: %s", self.left_behind, kept)

    @asynccontextmanager
    async def _storage_open(self) -> AsyncIterator[None]:
        """Hold sink and store open. One that is away opens when it is used and is there."""
        async with AsyncExitStack() as stack:
            if self.store is not self.sink:
                try:
                    await stack.enter_async_context(self.store)
                except SinkUnavailable as error:
                    logger.warning("no database to read from yet: %s. %s", error, error.hint)
                    stack.push_async_exit(self.store)
            try:
                await stack.enter_async_context(self.sink)
            except SinkUnavailable as error:
                self.flusher.note_failure(error)
                stack.push_async_exit(self.sink)
            yield

    @asynccontextmanager
    async def _among_siblings(self) -> AsyncIterator[None]:
        """Hear the siblings and tell them how things stand, until the end of the drain."""
        if self.worker is None:
            yield
            return
        with self.worker.listening(self._own_report):
            async with self._background.beside(self.worker.keep_publishing, "reports"):
                yield

    def _part_died(self) -> None:
        """Close the door: nobody can keep what it would promise."""
        self.intake.close("internal_error")
        self.commit_queue.abandon("internal_error")
        self.on_fatal()
