"""What was answered of late, by request id: for who asks on this machine (``trace``)."""

import time
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from playsmart_gateway.events.batch import Batch

MAX_TAKEN = 16_384
MAX_REFUSED = 1_024
"""Requests that are remembered: those of which a batch was taken, and those that were refused."""


class Remembered(msgspec.Struct, omit_defaults=True):
    """One answer: what was taken, by the name of the ``batch``, or why nothing was.

    ``at`` is in seconds since the epoch, and only known of what was refused.
    """

    status: int
    batch: str = ""
    reason: str = ""
    at: float = 0.0


class Answered:
    """Remembers the last answers in memory, some 3 MB at most; nothing of them is on a disk."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._taken: deque[tuple[bytes, int, str, int]] = deque(maxlen=MAX_TAKEN)
        self._refused: deque[tuple[bytes, int, str, float]] = deque(maxlen=MAX_REFUSED)

    def took(self, request_id: bytes, status: int, batch: Batch) -> None:
        """Take note of a request of which a batch was taken."""
        self._taken.append((request_id, status, batch.journal, batch.sequence))

    def refused(self, request_id: bytes, status: int, reason: str) -> None:
        """Take note of a request that was refused."""
        self._refused.append((request_id, status, reason, self._clock()))

    def find(self, request_id: bytes) -> Iterator[Remembered]:
        """Yield the answers to the requests of that id: a client may use one again."""
        for asked, status, reason, at in self._refused:
            if asked == request_id:
                yield Remembered(status, reason=reason, at=at)
        for asked, status, journal, sequence in self._taken:
            if asked == request_id:
                yield Remembered(status, batch=f"{journal}-{sequence}")

    def told(self, request_id: str) -> bytes:
        """Return them as JSON, for ``Errands``."""
        return msgspec.json.encode(list(self.find(request_id.encode("utf-8", "replace"))))
