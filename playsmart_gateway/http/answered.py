"""What was answered of late, by request id: for who asks on this machine (``trace``)."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

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
    """Remembers the last answers in memory, some 3 MB at most; nothing of them is on a disk.

    ``took`` takes note of a request of which a batch was taken: its id, the status, and journal and
    sequence of the batch. They lie in a row, four by four: on the path of every request a tuple
    that stays would cost a microsecond, as each is one more for the garbage collector.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._taken: deque[Any] = deque(maxlen=4 * MAX_TAKEN)
        self.took: Callable[[tuple[bytes, int, str, int]], None] = self._taken.extend
        self._refused: deque[tuple[bytes, int, str, float]] = deque(maxlen=MAX_REFUSED)

    def refused(self, request_id: bytes, status: int, reason: str) -> None:
        """Take note of a request that was refused."""
        self._refused.append((request_id, status, reason, self._clock()))

    def find(self, request_id: bytes) -> Iterator[Remembered]:
        """Yield the answers to the requests of that id: a client may use one again."""
        for asked, status, reason, at in self._refused:
            if asked == request_id:
                yield Remembered(status, reason=reason, at=at)
        for asked, status, journal, sequence in zip(*[iter(self._taken)] * 4, strict=True):
            if asked == request_id:
                yield Remembered(status, batch=f"{journal}-{sequence}")

    def told(self, request_id: str) -> bytes:
        """Return them as JSON, for ``Errands``."""
        return msgspec.json.encode(list(self.find(request_id.encode("utf-8", "replace"))))
