"""The loop that empties the buffer into the sink: wait, look, write, let go.

It waits for the first of four things (somebody waits in the commit queue, the buffer is ripe, the
oldest batch is old enough, stop) and then does one pass. Batches leave the buffer only after the
sink committed them, so whatever goes wrong here, the same batches are tried again. When the sink
refuses some batches, flushes get half as large until one of them stands alone, and is buried if it
is to blame (see ``verdict``).

The commit queue goes first, as clients wait for it, and then by turns with the buffer, if that has
a reason to be flushed: a turn is one transaction, so neither can starve the other.
"""

import asyncio
import logging
import math
from collections.abc import Sequence

from playsmart_gateway.errors import SinkRejected, SinkUnavailable, Unstorable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.metrics import Stats
from playsmart_gateway.pipeline.buffer import Buffer
from playsmart_gateway.pipeline.commit_queue import CommitQueue
from playsmart_gateway.pipeline.flush_options import FlushOptions
from playsmart_gateway.pipeline.machine import MACHINE, Machine
from playsmart_gateway.pipeline.observers import NOBODY, Observers
from playsmart_gateway.pipeline.origin import Origin
from playsmart_gateway.pipeline.quarantine import Quarantine
from playsmart_gateway.pipeline.verdict import Judge
from playsmart_gateway.stores.contract import EventSink, Replaceable
from playsmart_gateway.tasks import heed_cancellation

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 5.0

CONFLICT_LOG_SECONDS = 60.0
"""At least so long is between two log lines about clients that use numbers twice."""

COMMIT = "commit"
PROBE = "probe"
RENEWAL = "renewal"
MAX_COMMIT_BATCHES = 256
"""Requests of the commit queue in one transaction: one turn of the loop computes their awards."""


class Flusher:
    """Moves batches from ``buffer`` to ``sink``, oldest first, one transaction at a time.

    What is stored the ``origin`` lets go of, when that is due and only after the sink has synced
    it. ``observers`` are told what leaves the buffer.

    A flush is triggered by ``events`` or ``bytes`` (the buffer is ripe), by ``age`` (the oldest
    batch waits for ``interval_seconds``), or by ``drain`` (stopping). One transaction takes at
    most ``max_events`` events and ``max_bytes`` bytes, and fewer events while requests wait for
    room (see ``FlushOptions``). ``commit`` is the trigger of the
    ``commit_queue``, if there is one, and needs no other reason than that somebody waits. While the
    store is away and nothing waits, ``probe`` asks whether it is back. When the store has become
    another one, ``renewal`` comes first: what the journal has of the stored batches is written once
    more.
    """

    def __init__(
        self,
        buffer: Buffer,
        origin: Origin,
        sink: EventSink,
        stats: Stats,
        options: FlushOptions,
        *,
        commit_queue: CommitQueue | None = None,
        observers: Observers = NOBODY,
        machine: Machine = MACHINE,
    ) -> None:
        self._buffer = buffer
        self._origin = origin
        self._sink = sink
        self._stats = stats
        self._options = options
        self._commit_queue = commit_queue
        self._observers = observers
        self._clock = machine.clock
        self._chance = machine.chance
        self._quarantine = Quarantine(options.standard, sink, stats, observers, machine.clock)
        self._committed_last = False
        self._commits_alone = 0
        self._limit: int | None = None
        self._judging = self._judging_commits = Judge(sink, chance=machine.chance)
        store: object = commit_queue.store if commit_queue is not None else sink
        if store is not sink:
            self._judging_commits = Judge(store, chance=machine.chance)
        self._stopping = asyncio.Event()
        self._left = 0
        self._urgent_until = 0
        self._quiet_until = -math.inf
        self._moved = asyncio.Event()
        self._replaceable = sink if isinstance(sink, Replaceable) else None
        self._known_renewals = self._renewals
        self.last_error: SinkUnavailable | None = None

    async def run(self) -> None:
        """Flush until ``stop`` was called and nothing waits any more; then empty the journal."""
        pause = FIRST_RETRY_SECONDS
        while trigger := await self._next_trigger():
            self._committed_last = trigger == COMMIT
            try:
                if trigger == COMMIT:
                    await self.commit()
                elif trigger == PROBE:
                    await self._probe()
                elif trigger == RENEWAL:
                    await self._store_once_more()
                else:
                    await self._flush_and_bury(trigger)
            except SinkUnavailable as error:
                heed_cancellation()
                self.note_failure(error)
                await asyncio.sleep(pause * (0.5 + self._chance()))
                pause = min(pause * 2, LAST_RETRY_SECONDS)
                continue
            self._note_success()
            pause = FIRST_RETRY_SECONDS
            if self._origin.is_due:
                await self.trim()
        if self._origin.keeps_stored:
            await self.trim()

    def stop(self) -> None:
        """Ask ``run`` to drain the buffer and return; does not wait for it."""
        self._stopping.set()
        self._buffer.stirred.set()

    async def settle(self) -> None:
        """Return when all that waits in the buffer now has left it; ``run`` makes haste with it."""
        target = self._left + len(self._buffer)
        self._urgent_until = max(self._urgent_until, target)
        self._buffer.stirred.set()
        while self._left < target:
            self._moved.clear()
            await self._moved.wait()

    async def flush(self, trigger: str = "explicit") -> int:
        """Write the head of the buffer in one transaction; return how many events left the buffer.

        Raises:
            SinkUnavailable: nothing was written and nothing left the buffer.
        """
        is_awaited, pace = self._buffer.is_nearly_full, self._stats.events_per_second
        most = self._options.most_events(is_awaited, pace)
        batches = self._buffer.head(most, self._options.max_bytes)[: self._limit]
        if not batches:
            return 0
        started = self._clock()
        fit, misfits = await self._quarantine.sift(batches)
        try:
            written = await self._sink.write(fit)
        except SinkRejected as error:
            if len(batches) > 1:
                self._limit = len(batches) // 2
                return 0
            await self._judge(self._judging, batches[0], error, self._waiting())
            return await self._bury(batches[0], str(error))
        seconds = self._clock() - started
        events = written.stored + written.duplicate
        self._judging.stored()
        self._stats.stored += written.stored
        self._stats.duplicate += written.duplicate
        self._stats.observe_flush(trigger, events, seconds)
        if written.conflicts:
            self._tell_conflicts(written.conflicts)
        self._quarantine.count(misfits)
        self._let_go(batches)
        logger.info(
            "flushed events=%d batches=%d trigger=%s ms=%.1f left=%d %s",
            events, len(batches), trigger, seconds * 1000, self._buffer.events, _Span(batches),
        )  # fmt: skip
        return events

    async def commit(self) -> int:
        """Store what waits in the commit queue in one transaction; return how many events left it.

        After the sink has rejected some of it, as many batches are committed one by one; the one
        at fault is answered that it is not stored.

        Raises:
            SinkUnavailable: nothing was stored; those who can wait, wait again.
        """
        queue = self._commit_queue
        if queue is None:
            return 0
        tickets = queue.take(
            1 if self._commits_alone else MAX_COMMIT_BATCHES, self._options.max_bytes
        )
        if not tickets:
            return 0
        started = self._clock()
        try:
            awards = await queue.store.commit([ticket.batch for ticket in tickets])
            if self._options.syncs_commits:
                await queue.store.sync_commits()
        except SinkRejected as error:
            if len(tickets) > 1:
                queue.put_back(tickets)
                self._commits_alone = len(tickets)
                return 0
            try:
                await self._judge(self._judging_commits, tickets[0].batch, error, ())
            except BaseException:
                queue.put_back(tickets)
                raise
            logger.error("the store rejects an event that a client waits for: %s", error)
            queue.refused(tickets[0], Unstorable())
        except BaseException:
            queue.put_back(tickets)
            raise
        else:
            self._judging_commits.stored()
            queue.stored(tickets, awards)
            self._stats.observe_commit(len(tickets), self._clock() - started)
        self._commits_alone = max(0, self._commits_alone - 1)
        return sum(ticket.batch.count for ticket in tickets)

    def _waiting(self) -> list[Batch]:
        return self._buffer.head(self._options.max_events, self._options.max_bytes)[1:]

    async def _judge(
        self, judge: Judge, batch: Batch, refusal: SinkRejected, waiting: Sequence[Batch]
    ) -> None:
        """Return if the batch is to blame that the store refuses it.

        Raises:
            SinkUnavailable: the store is. The next try is with as many batches as ever, so that
                one that is mended has not to prove itself batch by batch.
        """
        try:
            await judge.judge(batch, refusal, waiting)
        except SinkUnavailable:
            self._limit, self._commits_alone = None, 0
            raise

    async def _keep_dead_letter(self, batch: Batch, reason: str) -> None:
        try:
            await self._sink.bury(batch, reason)
        except SinkRejected as error:  # then it stays where it is
            raise SinkUnavailable(f"dead letters are refused: {error}") from error

    async def _bury(self, batch: Batch, reason: str) -> int:
        await self._keep_dead_letter(batch, reason)
        self._limit = None
        self._stats.rejected["buried"] += batch.count
        self._observers.buried(batch)
        self._let_go([batch])
        logger.error(
            "buried one batch of %d events as dead letters: %s batch=%s",
            batch.count, reason, batch.name,
        )  # fmt: skip
        return batch.count

    def _tell_conflicts(self, names: Sequence[str]) -> None:
        self._stats.run_conflicts += len(names)
        if (now := self._clock()) >= self._quiet_until:
            self._quiet_until = now + CONFLICT_LOG_SECONDS
            logger.warning(
                "a client gives numbers of a run to other events than before, and loses them; "
                "batch=%s",
                names[0],
            )

    def _let_go(self, batches: Sequence[Batch]) -> None:
        self._buffer.drop(len(batches))
        self._left += len(batches)
        self._moved.set()
        self._origin.stored(len(batches))
        self._observers.left_the_buffer(batches)

    async def _store_once_more(self) -> None:
        """Give a store that became another one what it may lack; it knows the rest by its names.

        It was counted when it was stored first, so it is not counted now.

        Raises:
            SinkUnavailable: not all of it is there; the next time begins anew.
        """
        renewals, events = self._renewals, 0
        async for batches in self._origin.once_more():
            for start in range(0, len(batches), MAX_COMMIT_BATCHES):
                some = batches[start : start + MAX_COMMIT_BATCHES]
                piece, _ = await self._quarantine.sift(some)
                try:
                    events += (await self._sink.write(piece)).stored
                except SinkRejected:
                    for batch in piece:
                        events += await self._write_or_bury(batch)
        self._known_renewals = renewals
        logger.warning("the store is another one: it was given %d events once more", events)

    async def _write_or_bury(self, batch: Batch) -> int:
        try:
            return (await self._sink.write([batch])).stored
        except SinkRejected as error:
            await self._judge(self._judging, batch, error, ())
            await self._keep_dead_letter(batch, str(error))
            return 0

    async def trim(self) -> None:
        """Have the origin let go of what is stored; if that fails now, the next time will do.

        What is being synced stays until the next time, too.
        """
        try:
            await self._sink.sync()
            await self._origin.remove_stored()
        except SinkUnavailable as error:
            heed_cancellation()
            logger.warning("the journal keeps what is stored already: %s", error)

    @property
    def _renewals(self) -> int:
        return 0 if self._replaceable is None else self._replaceable.renewals

    async def _next_trigger(self) -> str | None:
        """Wait until there is a reason to write and name it; None when stopped and empty."""
        buffer = self._buffer
        while True:
            buffer.stirred.clear()
            if self._renewals != self._known_renewals:
                return RENEWAL
            if self._origin.needs_room:
                await self.trim()  # its disk may be full of what is stored already
            wait = self._options.interval_seconds - buffer.oldest_age if len(buffer) else None
            due = self._due(wait)
            if self._commit_queue and not (due and self._committed_last):
                return COMMIT
            if due or self._stopping.is_set():
                return due
            if self.last_error is not None:
                return PROBE  # who is not ready may get nothing that would tell that it is back
            await _wait(buffer.stirred, wait)

    def _due(self, wait: float | None) -> str | None:
        """Return why the buffer should be flushed now, if ``wait`` seconds are left to its age."""
        if self._stopping.is_set():
            return "drain" if len(self._buffer) else None
        if self._left < self._urgent_until and len(self._buffer):
            return "age"
        return self._buffer.ripe or ("age" if wait is not None and wait <= 0 else None)

    async def _flush_and_bury(self, trigger: str) -> None:
        """Flush once; if some batch at the head is to be buried, until that is done."""
        while True:
            await self.flush(trigger)
            if self._limit is None or not len(self._buffer):
                self._limit = None
                return

    async def _probe(self) -> None:
        try:
            await self._sink.write(())
        except SinkRejected as error:  # there is nothing to blame but the store
            raise SinkUnavailable(str(error)) from error

    def note_failure(self, error: SinkUnavailable) -> None:
        """Take note that the store is away; ``run`` finds out when it is back."""
        self._stats.observe_flush_failure("unavailable")
        if self.last_error is None:
            logger.warning("store unavailable, events wait: %s. %s", error, error.hint)
        self.last_error = error

    def _note_success(self) -> None:
        if self.last_error is not None:
            logger.warning("store is back, left=%d", self._buffer.events)
        self.last_error = None


class _Span:
    """Which batches: ``first`` and ``last`` of each journal; made only if it is printed."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self._batches = batches

    def __str__(self) -> str:
        ends: dict[str, list[Batch]] = {}
        for batch in self._batches:
            ends.setdefault(batch.journal, [batch, batch])[1] = batch
        return " ".join(f"first={first.name} last={last.name}" for first, last in ends.values())


async def _wait(event: asyncio.Event, seconds: float | None) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
