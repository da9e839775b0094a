"""The loop that empties the ring into the sink: wait, look, write, let go.

It waits for the first of three things (the ring is ripe, the oldest batch is old enough, stop)
and then does one pass. Batches leave the ring only after the sink committed them, so whatever
goes wrong here, the same batches are tried again. When the sink says that some batches will never
fit, flushes get half as large until the one at fault stands alone and is buried.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence

from playsmart_gateway.buffer import Buffer
from playsmart_gateway.errors import SinkRejected, SinkUnavailable
from playsmart_gateway.event import Batch
from playsmart_gateway.journal import SEGMENT_BYTES, Journal, NoJournal
from playsmart_gateway.sinks import Sink
from playsmart_gateway.stats import Stats

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 5.0


def _nobody(_: object) -> None:
    pass


class Flusher:
    """Moves batches from ``buffer`` to ``sink``, oldest first, one transaction at a time.

    What is stored is taken from the ``journal`` too, a segment at a time and only after the sink
    has synced it; ``stored`` is called with batches that left the ring, then ``room_came``.
    Before a batch leaves it that is buried, ``buried`` is called with it.

    A flush is triggered by ``events`` or ``bytes`` (the ring is ripe), by ``age`` (the oldest
    batch waits for ``interval_seconds``), or by ``drain`` (stopping). One transaction takes at
    most ``max_events`` events and ``max_bytes`` bytes.
    """

    def __init__(
        self,
        buffer: Buffer,
        journal: Journal | NoJournal,
        sink: Sink,
        stats: Stats,
        *,
        room_came: Callable[[], None],
        stored: Callable[[Sequence[Batch]], None] = _nobody,
        buried: Callable[[Batch], None] = _nobody,
        interval_seconds: float,
        max_events: int,
        max_bytes: int,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._buffer = buffer
        self._journal = journal
        self._sink = sink
        self._room_came = room_came
        self._stored = stored
        self._buried = buried
        self._limit: int | None = None
        self._stats = stats
        self._interval_seconds = interval_seconds
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._clock = clock
        self._jitter = jitter
        self._stopping = asyncio.Event()
        self.last_error: SinkUnavailable | None = None

    async def run(self) -> None:
        """Flush until ``stop`` was called and the ring is empty; then empty the journal."""
        while trigger := await self._next_trigger():
            await self._flush_until_stored(trigger)
            if self._journal.removable_bytes >= SEGMENT_BYTES:
                await self._trim_journal()
        if self._journal.removable_bytes:
            await self._trim_journal()

    def stop(self) -> None:
        """Ask ``run`` to drain the ring and return; does not wait for it."""
        self._stopping.set()
        self._buffer.stirred.set()

    async def flush(self, trigger: str = "explicit") -> int:
        """Write the head of the ring in one transaction and return how many events left the ring.

        Raises:
            SinkUnavailable: nothing was written and nothing left the ring.
        """
        batches = self._buffer.head(self._max_events, self._max_bytes)[: self._limit]
        if not batches:
            return 0
        started = self._clock()
        try:
            written = await self._sink.write(batches)
        except SinkRejected as error:
            if len(batches) > 1:
                self._limit = len(batches) // 2
                return 0
            return await self._bury(batches[0], str(error))
        seconds = self._clock() - started
        events = written.stored + written.duplicate
        self._stats.stored += written.stored
        self._stats.duplicate += written.duplicate
        self._stats.observe_flush(trigger, events, seconds)
        self._let_go(batches)
        logger.info(
            "flushed events=%d batches=%d trigger=%s ms=%.1f left=%d",
            events, len(batches), trigger, seconds * 1000, self._buffer.events,
        )  # fmt: skip
        return events

    async def _bury(self, batch: Batch, reason: str) -> int:
        await self._sink.bury(batch, reason)
        self._limit = None
        self._stats.rejected["buried"] += batch.count
        self._buried(batch)
        self._let_go([batch])
        logger.error("buried one batch of %d events as dead letters: %s", batch.count, reason)
        return batch.count

    def _let_go(self, batches: Sequence[Batch]) -> None:
        self._buffer.drop(len(batches))
        self._journal.stored(len(batches))
        self._stored(batches)
        self._room_came()

    async def _trim_journal(self) -> None:
        """Remove what is stored from the journal; if that fails now, the next time will do."""
        try:
            await self._sink.sync()
            await self._journal.remove_stored()
        except SinkUnavailable as error:
            logger.warning("the journal keeps what is stored already: %s", error)

    async def _next_trigger(self) -> str | None:
        """Wait until there is a reason to flush and name it; None when stopped and empty."""
        buffer = self._buffer
        while True:
            buffer.stirred.clear()
            if self._journal.last_error is not None and self._journal.removable_bytes:
                await self._trim_journal()  # its disk may be full of what is stored already
            if self._stopping.is_set():
                return "drain" if len(buffer) else None
            if trigger := buffer.ripe:
                return trigger
            wait = self._interval_seconds - buffer.oldest_age if len(buffer) else None
            if wait is not None and wait <= 0:
                return "age"
            await _wait(buffer.stirred, wait)

    async def _flush_until_stored(self, trigger: str) -> None:
        pause = FIRST_RETRY_SECONDS
        while True:
            try:
                await self.flush(trigger)
            except SinkUnavailable as error:
                self._stats.observe_flush_failure("unavailable")
                if self.last_error is None:
                    logger.warning("store unavailable, events wait: %s. %s", error, error.hint)
                self.last_error = error
            else:
                if self.last_error is not None:
                    logger.warning("store is back, left=%d", self._buffer.events)
                self.last_error = None
                if self._limit is None or not len(self._buffer):
                    self._limit = None
                    return
                continue  # somewhere at the head is a batch to bury
            await asyncio.sleep(pause * (0.5 + self._jitter()))
            pause = min(pause * 2, LAST_RETRY_SECONDS)


async def _wait(event: asyncio.Event, seconds: float | None) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
