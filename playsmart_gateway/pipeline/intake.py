"""The one door into the gateway, and the promise behind a 2xx.

A dialect asks ``room_for`` before it spends anything on a request, and calls ``accept`` once its
batch is whole, valid and allowed. What ``accept`` returned for is in the journal and in the buffer.

All the batches of one turn of the event loop form a group: one write to the journal, one sync if
the journal syncs always, and then into the buffer in the order in which they came. A group is
settled by the gateway and not by the requests in it, so a client that hangs up changes nothing.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable

import msgspec

from playsmart_gateway.errors import Closing, JournalUnavailable, Overloaded, Refused
from playsmart_gateway.events.batch import (
    BATCH_OVERHEAD_BYTES,
    MAX_EVENTS_PER_BATCH,
    Batch,
)
from playsmart_gateway.metrics import Stats
from playsmart_gateway.pipeline.buffer import Buffer
from playsmart_gateway.pipeline.observers import NOBODY, Observers
from playsmart_gateway.pipeline.origin import Log

MAX_WAITERS = 1_024
MAX_WAITING_BYTES = 67_108_864
"""Requests that may wait for room at once, and the bodies they may hold in memory meanwhile."""

LEAST_EVENT_BYTES = 40
"""No dialect's event is shorter on the wire; ``{"type":"AppOpen","timestamp":"..."}`` is longer."""

MAX_RETRY_AFTER_SECONDS = 30


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """What was promised: ``accepted`` events of this batch; ``buffered`` wait in all."""

    accepted: int
    buffered: int


Settle = Callable[[Receipt | Refused], None]
"""Is told once what became of a batch, and raises nothing."""

_Group = list[tuple[Batch, int, Settle]]


class Intake:
    """Admits batches into ``journal`` and ``buffer``, in order, and counts them.

    A request that finds no room waits for it up to ``wait_for_room_seconds``, oldest first, and is
    then refused; ``clock`` gives the wall time in seconds that batches are stamped with.
    ``observers`` are told of each batch as it enters the buffer, before the flusher can take it.
    ``arriving`` counts the events that are received and on their way through the journal.
    """

    def __init__(
        self,
        journal: Log,
        buffer: Buffer,
        stats: Stats,
        *,
        wait_for_room_seconds: float,
        clock: Callable[[], float] = time.time,
        observers: Observers = NOBODY,
    ) -> None:
        self._journal = journal
        self._buffer = buffer
        self._stats = stats
        self._wait_for_room_seconds = wait_for_room_seconds
        self._clock = clock
        self._accepted = observers.accepted
        buffer.room_came = self.room_came
        self.arriving = 0
        self._group: _Group = []
        self._syncing: asyncio.Task[None] | None = None
        self._waiters: deque[tuple[asyncio.Future[bool], int, int]] = deque()
        self._waiting_bytes = 0
        self.closed_because: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def waiting(self) -> int:
        """How many requests wait for room."""
        return len(self._waiters)

    def has_room_for(self, body_bytes: int, max_events: int) -> bool:
        """Whether a body fits that has at most so many bytes and events, before it is decoded.

        If not, await ``room_for``. Either way the caller then decodes and calls ``accept`` without
        awaiting anything in between.

        Raises:
            Closing: the door is closed.
        """
        self._require_open()
        if self._waiters:
            return False
        has_room = self._buffer.has_room
        return has_room(max_events, body_bytes + BATCH_OVERHEAD_BYTES) or has_room(
            *self._at_most(body_bytes, max_events)
        )

    async def room_for(self, body_bytes: int, max_events: int = MAX_EVENTS_PER_BATCH) -> None:
        """Return when a body of that many bytes is likely to fit.

        Raises:
            Closing: the door is closed.
            Overloaded: there is no room, and none came in time.
        """
        if self.has_room_for(body_bytes, max_events):
            return
        if self._wait_for_room_seconds:
            await self._wait_for_room(*self._at_most(body_bytes, max_events))
            self._require_open()
        else:
            self._require_some_room()

    async def accept(self, batch: Batch) -> Receipt:
        """Take a valid batch: all of its events or none.

        Raises:
            Closing: the door closed while the request was decoded.
            Overloaded: the events do not fit.
            JournalUnavailable: the disk did not take them.
        """
        loop = self._loop or self._find_loop()
        settled: asyncio.Future[Receipt | Refused] = loop.create_future()

        def settle(outcome: Receipt | Refused) -> None:
            if not settled.done():
                settled.set_result(outcome)

        # Everything up to the await happens in one step: no other request can come between.
        self.enter(batch, settle)
        outcome = await settled
        if isinstance(outcome, Refused):
            raise outcome
        return outcome

    def enter(self, batch: Batch, settle: Settle) -> None:
        """Let in a valid batch, all of its events or none; what becomes of it is told later.

        Raises:
            Closing, Overloaded: see ``accept``; then nothing is told.
        """
        count, size = batch.count, batch.size
        self._stats.received += count
        try:
            self._require_open()
            if not self._buffer.reserve(count, size):
                raise self._overloaded()
        except Refused as refusal:
            self._stats.rejected[refusal.tag] += count
            raise
        self.arriving += count
        batch.received_at = int(self._clock() * 1_000_000)
        group = self._group
        group.append((batch, size, settle))
        if len(group) == 1 and self._syncing is None:
            (self._loop or self._find_loop()).call_soon(self._commit)

    def close(self, because: str) -> None:
        """Refuse everything from now on with ``Closing(because)``; the first reason stays."""
        self.closed_because = self.closed_because or because
        for waiter, _, _ in self._waiters:
            if not waiter.done():
                waiter.set_result(False)
        self._waiters.clear()

    async def settled(self) -> None:
        """Return when every batch that was let in is in the buffer, or refused."""
        while self._group or self._syncing is not None:
            if self._syncing is not None:
                await asyncio.wait([self._syncing])
            await asyncio.sleep(0)

    def room_came(self) -> None:
        """Let in as many of those who wait as there is room for, the oldest first."""
        while self._waiters:
            waiter, events, size = self._waiters[0]
            if not waiter.done():
                if not self._buffer.reserve(events, size):  # until it runs; others may come before
                    return
                waiter.set_result(True)
            self._waiters.popleft()

    async def _wait_for_room(self, events: int, size: int) -> None:
        if len(self._waiters) >= MAX_WAITERS or self._waiting_bytes + size > MAX_WAITING_BYTES:
            raise self._overloaded()
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiters.append((waiter, events, size))
        self._waiting_bytes += size
        try:
            async with asyncio.timeout(self._wait_for_room_seconds):
                await waiter
        except BaseException as error:
            # The room may have come in the very moment of giving up: it is for the next one.
            self._take_room(waiter, events, size)
            self.room_came()
            if not isinstance(error, TimeoutError):
                raise
            self._require_some_room()
        else:
            self._take_room(waiter, events, size)
            # The caller may need less of it than was guessed, or nothing after all.
            asyncio.get_running_loop().call_soon(self.room_came)
        finally:
            self._waiting_bytes -= size

    def _take_room(self, waiter: asyncio.Future[bool], events: int, size: int) -> None:
        if waiter.done() and not waiter.cancelled() and waiter.result():
            self._buffer.release(events, size)

    def _require_open(self) -> None:
        if self.closed_because is not None:
            because = self.closed_because
            raise Closing(because, retry_after_seconds=self._retry_after(), told=because)

    def _at_most(self, body_bytes: int, max_events: int) -> tuple[int, int]:
        """Return the most events and bytes that a body can come to in the buffer."""
        buffer = self._buffer
        events = min(max_events, body_bytes // LEAST_EVENT_BYTES + 1, buffer.max_events)
        return events, min(body_bytes + BATCH_OVERHEAD_BYTES, buffer.max_bytes)

    def _find_loop(self) -> asyncio.AbstractEventLoop:
        """Asked once: up to Python 3.11 it costs a system call each time."""
        self._loop = asyncio.get_running_loop()
        return self._loop

    def _require_some_room(self) -> None:
        """Refuse what cannot fit; what may fit is decided when its events are counted."""
        if not self._buffer.has_room(1, BATCH_OVERHEAD_BYTES):
            raise self._overloaded()

    def _overloaded(self) -> Overloaded:
        buffer = self._buffer
        return Overloaded(
            retry_after_seconds=self._retry_after(),
            told=f"{buffer.events:,} of {buffer.max_events:,} events wait",
        )

    def _retry_after(self) -> int:
        """Seconds until the store has taken what waits now, as far as its pace is known."""
        pace = self._stats.events_per_second
        if pace is None:
            return 1
        seconds = math.ceil(self._buffer.events / pace) if pace else MAX_RETRY_AFTER_SECONDS
        return max(1, min(seconds, MAX_RETRY_AFTER_SECONDS))

    def _commit(self) -> None:
        """Write the group to the journal; settle it, or let it wait for its sync."""
        group, self._group = self._group, []
        try:
            self._journal.write([batch for batch, _, _ in group])
        except JournalUnavailable as error:
            self._refuse(group, error)
        else:
            if self._journal.fsync == "always":
                self._syncing = asyncio.create_task(self._sync(group), name="group sync")
            else:
                self._settle(group)

    async def _sync(self, group: _Group) -> None:
        """Sync one group; who comes meanwhile forms the next one, which follows at once."""
        try:
            await self._journal.sync()
        except JournalUnavailable as error:
            self._journal.undo()
            self._refuse(group, error)
        else:
            self._settle(group)
        finally:
            self._syncing = None
            if self._group:
                asyncio.get_running_loop().call_soon(self._commit)

    def _settle(self, group: _Group) -> None:
        buffer, stats, accepted = self._buffer, self._stats, self._accepted
        for batch, size, settle in group:
            count = batch.count
            buffer.put_reserved(batch, size)
            self.arriving -= count
            accepted(batch)
            stats.accepted += count
            settle(Receipt(count, buffer.events))

    def _refuse(self, group: _Group, error: JournalUnavailable) -> None:
        error.retry_after_seconds = self._retry_after()
        for batch, size, settle in group:
            self._buffer.release(batch.count, size)
            self.arriving -= batch.count
            self._stats.rejected[error.tag] += batch.count
            settle(error)
        self.room_came()
        self._buffer.stirred.set()  # the flusher may make room on the disk
