"""One gateway: its parts, and its life from start to drain.

Start: journal (lock, replay), sink, flusher, then the door opens. It opens while the store is away,
too: what comes waits in journal and buffer, as when the store goes away later. Stop is that list
backwards: the door closes, the buffer drains into the sink, sink and journal close.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playsmart_gateway.auth.tokens import TokenVerifier
from playsmart_gateway.config import Config
from playsmart_gateway.console.inspector.hub import (
    MAX_WATCHERS,
    Inspector,
)
from playsmart_gateway.dialects.teak.known_players import KnownPlayers
from playsmart_gateway.errors import (
    Detail,
    JournalUnavailable,
    SinkUnavailable,
    where,
)
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.http.slots import (
    Limits,
    Slots,
)
from playsmart_gateway.metrics import Gauges, Snapshot, Stats
from playsmart_gateway.peers.peer import Peer
from playsmart_gateway.pipeline.buffer import Buffer
from playsmart_gateway.pipeline.commit_queue import CommitQueue
from playsmart_gateway.pipeline.errands import Errands
from playsmart_gateway.pipeline.flusher import (
    COMMIT,
    Flusher,
)
from playsmart_gateway.pipeline.intake import Intake
from playsmart_gateway.pipeline.journal import (
    Journal,
    NoJournal,
)
from playsmart_gateway.pipeline.journal_folders import (
    adopt,
    journal_folders,
    worker_folder,
)
from playsmart_gateway.stores.auditor import auditor
from playsmart_gateway.stores.contract import EventSink, Replaceable, Store
from playsmart_gateway.stores.follower import follower
from playsmart_gateway.tasks import Background, cancel

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.02
LOOK_SECONDS = 0.5
"""How often it is looked whether the store is still there, if nothing else finds out."""


class Gateway:
    """The parts of one gateway, and its life from start to drain.

    Events go to the ``sink``; the ``store`` answers, pays those who wait, and is looked after. It
    may be the sink, too.
    ``on_fatal`` is called when the gateway cannot go on; whoever runs the server sets it to stop
    in order, and calls ``stop_soon`` when it was told to stop. ``left_behind`` counts the events
    that the last drain could not store in time.
    """

    def __init__(
        self,
        config: Config,
        verifier: TokenVerifier,
        sink: EventSink,
        store: Store,
        *,
        development: bool = False,
        worker: Peer | None = None,
    ) -> None:
        buffer = config.buffer
        journal = config.journal
        self.worker = worker
        self._inherited = worker.inherited() if worker else None
        self.stats = self._inherited.stats if self._inherited else Stats()
        self.slots = Slots(_limits(config), self.stats)
        self._folder = Path(journal.path)
        folder = worker_folder(self._folder, worker.number) if worker else self._folder
        self._own_folder = folder
        self.journal: Journal | NoJournal = NoJournal()
        if journal.enabled:
            self.journal = Journal(folder, fsync=journal.fsync, waiting=lambda: self.buffer)
        self.verifier = verifier
        self.buffer = Buffer(
            max_events=buffer.max_events,
            max_bytes=buffer.max_bytes,
            ripe_events=buffer.flush_max_events,
            ripe_bytes=buffer.flush_max_bytes,
        )
        self.reader = store.reader()
        self.known_players = KnownPlayers(self.reader)
        if worker:
            self.known_players.share(worker)
        self.intake = Intake(
            self.journal,
            self.buffer,
            self.stats,
            wait_for_room_seconds=buffer.wait_for_room_ms / 1_000,
            accepted=self.known_players.accepted,
        )
        self.commit_queue = CommitQueue(self.stats, store, wake=self.buffer.stirred.set)
        self.flusher = Flusher(
            self.buffer,
            self.journal,
            sink,
            self.stats,
            commit_queue=self.commit_queue,
            room_came=self.intake.room_came,
            stored=self._left_the_buffer,
            buried=lambda batch: self._tell("inspector", self.inspector.buried, batch),
            interval_seconds=buffer.flush_interval_seconds,
            max_events=buffer.flush_max_events,
            max_bytes=buffer.flush_max_bytes,
        )
        self._drain_timeout_seconds = config.server.drain_timeout_seconds
        self.on_fatal: Callable[[], None] = lambda: None
        self._hurry = asyncio.Event()
        self._stopping_since: float | None = None
        self._background = Background(died=self._part_died, failed=self.stats.count_side_failure)
        self.left_behind = 0
        self._fsync_interval_seconds = journal.fsync_interval_seconds
        self._synced_commits = 0
        self.sink = sink
        self.store = store
        self.statistics = store.reader()  # of its own: statistics of a year take their time
        self._audited = store.reader()
        self.inspected = store.reader()
        self.inspector = Inspector(
            max_watchers=min(MAX_WATCHERS, max(1, config.server.max_connections // 10)),
            shows_bodies=development,
        )
        self.rollups = store.rollups()

    @property
    def failed(self) -> bool:
        """Whether a part of it died of a bug."""
        return self._background.has_died

    @property
    def is_first(self) -> bool:
        """Whether it does what a store needs once, the audit and the sums: alone, or worker 0."""
        return self.worker is None or self.worker.number == 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take and store events while entered; drain on the way out.

        Raises:
            GatewayError: the journal could not be opened, or no waiting helps with the store.
        """
        self.journal.open()
        with contextlib.closing(self.journal):
            if self.worker is None and isinstance(self.journal, Journal):
                adopt(self._folder, journal_folders(self._folder)[1:])  # what workers left
            self._replay()
            async with (
                self._storage_open(),
                self.reader,
                self.statistics,
                self._audited,
                self.inspected,
                self._following(),
                self._among_siblings(),
                self._trimmed_at_the_end(),
                self._draining(),
            ):
                errands = Errands(self._own_folder, self.settle)
                async with self._background.beside(errands.run, "errands"):
                    yield

    @asynccontextmanager
    async def _trimmed_at_the_end(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            if self.journal.removable_bytes:  # was being synced when the drain ended
                await self.flusher.trim_journal()

    @asynccontextmanager
    async def _draining(self) -> AsyncIterator[None]:
        """Flush while entered, with all that looks after it; let nobody in then, and drain."""
        background = self._background
        flushing = background.start(self.flusher.run(), "flusher")
        audit = auditor(self._audited, self.stats).run if self.is_first else _nothing
        async with (
            background.running(self._keep_synced(), "journal sync"),
            background.beside(self._keep_healthy, "journal health"),
            background.beside(self._look_after_store, "store health"),
            background.beside(audit, "audit"),
        ):
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
            self._stopping_since = time.monotonic()
        self.inspector.close()  # a stream that goes on would hold up the server
        if self.worker:
            self.worker.publish()
        if hurry:
            self._hurry.set()

    async def settle(self, user_id: str) -> None:
        """Store all that is accepted by now, leave nothing of it in the journal, forget a player.

        Meanwhile events are accepted as ever, into the buffer and a new segment of the journal.
        """
        while (sealed := self.journal.seal()) is None:  # noqa: ASYNC110 - a sync takes milliseconds
            await asyncio.sleep(_LOOK_SECONDS)
        in_commit_queue = self.commit_queue.newest
        await self.flusher.settle()
        while self.commit_queue.holds(in_commit_queue):  # noqa: ASYNC110 - a commit takes milliseconds
            await asyncio.sleep(_LOOK_SECONDS)
        while self.journal.holds(sealed):
            await self.flusher.trim_journal()
            await asyncio.sleep(_LOOK_SECONDS)
        self.known_players.forget(user_id)
        self.verifier.forget_subject(user_id)
        self.inspector.forget(user_id)

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
            journal_bytes=journal.size,
            journal_up=journal.last_error is None,
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

    def not_ready_because(self) -> list[Detail]:
        """Return why this process is not ready; nothing when it takes events and can store them."""
        reasons = []
        if self._stopping_since is not None:
            reasons.append(Detail("gateway", "stopping"))
        if self.intake.closed_because is not None:
            reasons.append(Detail("intake", self.intake.closed_because))
        if self._store_trouble is not None:
            reasons.append(Detail("store", str(self._store_trouble)))
        if self.journal.last_error is not None:
            reasons.append(Detail("journal", str(self.journal.last_error.strerror)))
        if not self.buffer.has_room(1, 0):
            reasons.append(Detail("buffer", "full"))
        return reasons

    def _left_the_buffer(self, batches: Sequence[Batch]) -> None:
        self._tell("known_players", self.known_players.stored, batches)
        self._tell("inspector", self.inspector.left_the_buffer, batches)

    def _tell(self, name: str, tell: Callable[[Any], None], what: object) -> None:
        """Have a bystander know what the flusher did, which goes on whatever that makes of it."""
        try:
            tell(what)
        except Exception as error:  # noqa: BLE001
            self.stats.count_side_failure(name)
            logger.error("%s failed: %s", name, where(error))

    def _replay(self) -> None:
        """Put what an earlier process left in the journal back into the buffer."""
        replayed = 0
        for batch in self.journal.replay():
            replayed += batch.count
            self.buffer.put(batch)
            self.known_players.accepted(batch)
        stats, before = self.stats, self._inherited
        keeps = before is not None and isinstance(self.journal, Journal)
        stats.settle(
            replayed=replayed,
            in_buffer=before.gauges.in_buffer if before and keeps else 0,
            arriving=before.gauges.arriving if before and keeps else 0,
        )
        stats.torn_tails += self.journal.torn_tails
        stats.corrupt_records += self.journal.corrupt_records
        if replayed:
            logger.warning("replayed %d events from the journal", replayed)

    async def _keep_synced(self) -> None:
        """Sync the journal at its interval; once more at the end, before the store closes."""
        try:
            while self.journal.fsync == "interval":
                await asyncio.sleep(self._fsync_interval_seconds)
                await self._sync_journal()
                await self._sync_commits()
        finally:
            await self._sync_journal()  # a store that closes slowly must not keep this waiting

    async def _keep_healthy(self) -> None:
        """Find out when trouble with the journal ends.

        A task of its own: it may take its time, and the time between two syncs is a promise.
        """
        while True:
            await asyncio.sleep(self._fsync_interval_seconds)
            await self.journal.heal()

    async def _look_after_store(self) -> None:
        """Find out when the sink was moved or replaced, though nothing is to be stored.

        The flusher then asks it until it is back.
        """
        while isinstance(self.sink, Replaceable):
            await asyncio.sleep(LOOK_SECONDS)
            if self.flusher.last_error is None:
                try:
                    await self.sink.look()
                except SinkUnavailable as error:
                    self.flusher.note_failure(error)
                    self.buffer.stirred.set()

    async def _sync_commits(self) -> None:
        """Sync what the commit queue has committed, which is in no journal, as often as that."""
        commits = self.stats.flushes[COMMIT]
        if commits != self._synced_commits:
            with contextlib.suppress(SinkUnavailable):  # the next interval will do
                await self.store.sync_commits()
                self._synced_commits = commits

    async def _sync_journal(self) -> None:
        with contextlib.suppress(JournalUnavailable):  # it is logged and in last_error
            await self.journal.sync()

    async def _drain(self, flushing: asyncio.Task[None]) -> None:
        await self.intake.settled()
        self.flusher.stop()
        hurrying = asyncio.create_task(self._hurry.wait())
        waited = time.monotonic() - (self._stopping_since or time.monotonic())
        timeout = max(0.0, self._drain_timeout_seconds - waited)
        first = asyncio.FIRST_COMPLETED
        await asyncio.wait([flushing, hurrying], timeout=timeout, return_when=first)
        await cancel(hurrying, flushing)
        self.commit_queue.abandon("shutting_down")
        self.left_behind = self.buffer.events
        if self.left_behind:
            kept = "the journal keeps them" if isinstance(self.journal, Journal) else "lost"
            logger.error("stopped with %d events not stored: %s", self.left_behind, kept)

    @asynccontextmanager
    async def _storage_open(self) -> AsyncIterator[None]:
        """Hold sink and store open. One that is away opens when it is used and is there."""
        async with contextlib.AsyncExitStack() as stack:
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
    async def _following(self) -> AsyncIterator[None]:
        """Keep the sums of a store that can."""
        if self.rollups is None:
            yield
            return
        async with self.rollups:
            if not self.is_first:
                yield
                return
            following = follower(self.rollups, self.stats)
            async with self._background.beside(following.run, "figures"):
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


async def _nothing() -> None:
    pass


def _limits(config: Config) -> Limits:
    server = config.server
    return Limits(
        max_connections=server.max_connections,
        max_of_address=server.max_connections_per_address,
        max_body_bytes=max(server.max_body_bytes, server.max_body_bytes_in_flight),
        request_seconds=server.request_timeout_seconds,
        keep_alive_seconds=server.keep_alive_seconds,
    )
