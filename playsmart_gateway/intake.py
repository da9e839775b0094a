"""The one door into the gateway, and the promise behind a 2xx.

A dialect asks ``require_room`` before it spends anything on a request and calls ``accept`` once
its batch is whole, valid and allowed. What ``accept`` returned for is in the ring.
"""

import time
from collections.abc import Callable

import msgspec

from playsmart_gateway.buffer import Buffer
from playsmart_gateway.errors import Closing, Overloaded
from playsmart_gateway.event import Batch
from playsmart_gateway.stats import Stats


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """What was promised: ``accepted`` events of this batch; ``buffered`` wait in the whole ring."""

    accepted: int
    buffered: int


class Intake:
    """Admits batches into ``buffer``, in order, and counts them.

    ``retry_after_seconds`` is what a refused client is told to wait; ``clock`` gives the wall
    time in seconds that batches are stamped with.
    """

    def __init__(
        self,
        buffer: Buffer,
        stats: Stats,
        *,
        retry_after_seconds: int,
        first_sequence: int = 1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._buffer = buffer
        self._stats = stats
        self._retry_after_seconds = max(1, retry_after_seconds)
        self._next_sequence = first_sequence
        self._clock = clock
        self.closed_because: str | None = None

    def require_room(self, body_bytes: int) -> None:
        """Refuse a request by the size of its body alone, before it is decoded.

        Raises:
            Closing: the door is closed.
            Overloaded: not even one event in that many bytes would fit.
        """
        if self.closed_because is not None:
            raise Closing(self.closed_because, retry_after_seconds=self._retry_after_seconds)
        self._require_room(1, body_bytes)

    async def accept(self, batch: Batch) -> Receipt:
        """Take a valid batch: all of its events or none.

        Raises:
            Closing: the door closed while the request was decoded.
            Overloaded: the events do not fit; nothing of them is kept.
        """
        stats, buffer = self._stats, self._buffer
        stats.received += batch.count
        try:
            if self.closed_because is not None:
                raise Closing(self.closed_because, retry_after_seconds=self._retry_after_seconds)
            self._require_room(batch.count, batch.size)
        except (Closing, Overloaded) as refusal:
            stats.rejected[refusal.tag] += batch.count
            raise
        batch.sequence = self._next_sequence
        batch.received_at = int(self._clock() * 1_000_000)
        self._next_sequence += 1
        buffer.put(batch)
        stats.accepted += batch.count
        return Receipt(batch.count, buffer.events)

    def close(self, because: str) -> None:
        """Refuse everything from now on with ``Closing(because)``; the first reason stays."""
        self.closed_because = self.closed_because or because

    def _require_room(self, events: int, size: int) -> None:
        if not self._buffer.has_room(events, size):
            raise Overloaded(retry_after_seconds=self._retry_after_seconds)
