"""The buffer: batches that are accepted and not yet stored, oldest first, bounded twice.

It never awaits, logs, grows past its limits or overwrites. One event loop owns it. The flusher
looks with ``head`` and lets go with ``drop`` only after the sink said yes, so a failed flush is a
non-event.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from playsmart_gateway.events.batch import Batch


class Buffer:
    """A FIFO of batches, limited to ``max_events`` events and ``max_bytes`` bytes of memory.

    It is ripe when it holds ``ripe_events`` events or ``ripe_bytes`` bytes; ``stirred`` is set
    when it becomes so, and when the first batch enters an empty buffer. Unless it is not
    ``ordered``, the batches of one journal must come in the order of their numbers. Who waits for
    room sets ``room_came``, which is called when some left.
    """

    def __init__(
        self,
        *,
        max_events: int,
        max_bytes: int,
        ripe_events: int,
        ripe_bytes: int,
        ordered: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_events = max_events
        self.max_bytes = max_bytes
        self.events = 0
        self.bytes = 0
        self.stirred = asyncio.Event()
        self.room_came: Callable[[], object] = bool
        self._ripe_events = ripe_events
        self._ripe_bytes = ripe_bytes
        self._ordered = ordered
        self._clock = clock
        self._batches: deque[Batch] = deque()
        self._oldest_since = 0.0
        self._looked_at = 0.0
        self._newest_seen: Batch | None = None
        self._seen = 0, 0, 0
        self._reserved_events = 0
        self._reserved_bytes = 0

    def __len__(self) -> int:
        """How many batches wait."""
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        """Every batch that waits, oldest first."""
        return iter(self._batches)

    def has_room(self, events: int, size: int) -> bool:
        """Whether ``events`` events in ``size`` bytes fit beside what is here and reserved."""
        return (
            self.events + self._reserved_events + events <= self.max_events
            and self.bytes + self._reserved_bytes + size <= self.max_bytes
        )

    def reserve(self, events: int, size: int) -> bool:
        """Keep room until ``release`` or ``put_reserved``; False if there is not enough of it."""
        if not self.has_room(events, size):
            return False
        self._reserved_events += events
        self._reserved_bytes += size
        return True

    def release(self, events: int, size: int) -> None:
        """Give reserved room back to others."""
        self._reserved_events -= events
        self._reserved_bytes -= size
        assert self._reserved_events >= 0, "what is released was reserved"

    def put(self, batch: Batch) -> None:
        """Append a batch behind all others; that there is room was settled before."""
        self._append(batch, batch.size)

    def put_reserved(self, batch: Batch, size: int) -> None:
        """Append a batch of ``size`` bytes, for which room is reserved, behind all others."""
        self._reserved_events -= batch.count
        self._reserved_bytes -= size
        assert self._reserved_events >= 0, "what is put was reserved"
        self._append(batch, size)

    def _append(self, batch: Batch, size: int) -> None:
        batches = self._batches
        if batches:
            last = batches[-1]
            follows = batch.journal != last.journal or batch.sequence > last.sequence
            assert follows or not self._ordered, "batches arrive in order"
        else:
            self._oldest_since = self._clock()
            self.stirred.set()
        batches.append(batch)
        self.events += batch.count
        self.bytes += size
        if self.events >= self._ripe_events or self.bytes >= self._ripe_bytes:
            self.stirred.set()

    def head(self, max_events: int, max_bytes: int) -> list[Batch]:
        """Return the oldest batches within both limits, at least one if any; they stay here."""
        self._looked_at = self._clock()
        self._newest_seen = self._batches[-1] if self._batches else None
        if self.events <= max_events and self.bytes <= max_bytes:
            self._seen = len(self._batches), self.events, self.bytes
            return list(self._batches)
        events = size = taken = 0
        for batch in self._batches:
            count, own = batch.count, batch.size
            if taken and (events + count > max_events or size + own > max_bytes):
                break
            events += count
            size += own
            taken += 1
        self._seen = taken, events, size
        return list(islice(self._batches, taken))

    def drop(self, count: int) -> None:
        """Let go of the oldest ``count`` batches: they are stored."""
        popleft = self._batches.popleft
        gone = [popleft() for _ in range(count)]
        seen, events, size = self._seen
        if count != seen:  # else they are those that ``head`` has added up
            events, size = sum(each.count for each in gone), sum(each.size for each in gone)
        self._seen = 0, 0, 0
        self.events -= events
        self.bytes -= size
        # What came in while the sink wrote is younger than the last look. What was left behind by
        # the limits of ``head`` keeps the old date: it is flushed too early rather than too late.
        if gone and gone[-1] is self._newest_seen:
            self._oldest_since = self._looked_at
        self.room_came()

    @property
    def ripe(self) -> str | None:
        """Why it should be flushed now, ``"events"`` or ``"bytes"``; None if it may wait."""
        if self.events >= self._ripe_events:
            return "events"
        if self.bytes >= self._ripe_bytes:
            return "bytes"
        return None

    @property
    def is_nearly_full(self) -> bool:
        """Whether who comes has to wait for room, or soon will: two more lots may not fit."""
        return (
            self.events + 2 * self._ripe_events > self.max_events
            or self.bytes + 2 * self._ripe_bytes > self.max_bytes
        )

    @property
    def oldest_age(self) -> float:
        """Seconds that the oldest batch has waited at most; 0 when empty."""
        return self._clock() - self._oldest_since if self._batches else 0.0
