"""The loop that empties the ring into the sink: wait, look, write, let go.

It waits for the first of three things (the ring is ripe, the oldest batch is old enough, stop)
and then does one pass. Batches leave the ring only after the sink committed them, so whatever
goes wrong here, the same batches are tried again.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable

from playsmart_gateway.buffer import Buffer
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.sinks import Sink
from playsmart_gateway.stats import Stats

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 5.0


class Flusher:
    """Moves batches from ``buffer`` to ``sink``, oldest first, one transaction at a time.

    A flush is triggered by ``events`` or ``bytes`` (the ring is ripe), by ``age`` (the oldest
    batch waits for ``interval_seconds``), or by ``drain`` (stopping). One transaction takes at
    most ``max_events`` events and ``max_bytes`` bytes.
    """

    def __init__(
        self,
        buffer: Buffer,
        sink: Sink,
        stats: Stats,
        *,
        interval_seconds: float,
        max_events: int,
        max_bytes: int,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._buffer = buffer
        self._sink = sink
        self._stats = stats
        self._interval_seconds = interval_seconds
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._clock = clock
        self._jitter = jitter
        self._stopping = asyncio.Event()
        self.last_error: SinkUnavailable | None = None

    async def run(self) -> None:
        """Flush until ``stop`` was called and the ring is empty."""
        while trigger := await self._next_trigger():
            await self._flush_until_stored(trigger)

    def stop(self) -> None:
        """Ask ``run`` to drain the ring and return; does not wait for it."""
        self._stopping.set()
        self._buffer.stirred.set()

    async def flush(self, trigger: str = "explicit") -> int:
        """Write the head of the ring in one transaction and return how many events it had.

        Raises:
            SinkUnavailable: nothing was written and nothing left the ring.
        """
        batches = self._buffer.head(self._max_events, self._max_bytes)
        if not batches:
            return 0
        started = self._clock()
        written = await self._sink.write(batches)
        seconds = self._clock() - started
        self._buffer.drop(len(batches))
        events = written.stored + written.duplicate
        stats = self._stats
        stats.stored += written.stored
        stats.duplicate += written.duplicate
        stats.flushes[trigger] += 1
        stats.flush_seconds.observe(seconds)
        stats.flush_events.observe(events)
        logger.info(
            "flushed events=%d batches=%d trigger=%s ms=%.1f left=%d",
            events, len(batches), trigger, seconds * 1000, self._buffer.events,
        )  # fmt: skip
        return events

    async def _next_trigger(self) -> str | None:
        """Wait until there is a reason to flush and name it; None when stopped and empty."""
        buffer = self._buffer
        while True:
            buffer.stirred.clear()
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
                self._stats.flush_failures["unavailable"] += 1
                if self.last_error is None:
                    logger.warning("store unavailable, events wait in the ring: %s", error)
                self.last_error = error
            else:
                if self.last_error is not None:
                    logger.warning("store is back, left=%d", self._buffer.events)
                self.last_error = None
                return
            await asyncio.sleep(pause * (0.5 + self._jitter()))
            pause = min(pause * 2, LAST_RETRY_SECONDS)


async def _wait(event: asyncio.Event, seconds: float | None) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
