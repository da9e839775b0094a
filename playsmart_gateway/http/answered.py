"""What was answered of late, by request id: for who asks on this machine (``trace``)."""

import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from playsmart_gateway.events.batch import Batch
from playsmart_gateway.logs import shown

MAX_TAKEN = 16_384
MAX_REFUSED = 1_024
"""Requests that are remembered: those of which a batch was taken, and those that were refused."""

_STATUS_BITS, _REJECTED_BITS = 10, 8


class Passed(NamedTuple):
    """A request that reached no endpoint; of a broken one method and target may not be known."""

    method: str
    target: str
    request_id: bytes
    status: int
    reason: str
    answer: bytes
    seconds: float = 0.0
    told: str = ""


class Remembered(msgspec.Struct, omit_defaults=True):
    """One answer: what was taken, by the name of the ``batch``, or why nothing was.

    Beside the batch so many events were ``rejected``. ``at`` is in seconds since the epoch, and
    only known of what was refused; so is what the operator was ``told`` beside the reason.
    """

    status: int
    batch: str = ""
    reason: str = ""
    at: float = 0.0
    rejected: int = 0
    told: str = ""


class Answered:
    """Remembers the last answers in memory, some 1 MB at most; nothing of them is on a disk.

    Of those of which a batch was taken it keeps numbers only, in arrays: the hash of the request
    id, 64 bits with a key of this process, and sequence, rejected events and status. On the path of
    every request objects that stay would cost two microseconds: the next ones come from memory that
    is cold.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._taken = 0
        self._hashes = array("q", bytes(8 * MAX_TAKEN))
        self._names = array("q", bytes(8 * MAX_TAKEN))
        self._journal = ""
        self._journals: list[tuple[int, str]] = []
        self._refused: deque[tuple[bytes, int, str, str, float]] = deque(maxlen=MAX_REFUSED)

    def took(self, request_id: bytes, status: int, batch: Batch, rejected: int = 0) -> None:
        """Take note of a request of which ``batch`` was taken, and ``rejected`` events were not."""
        place = self._taken % MAX_TAKEN
        self._hashes[place] = hash(request_id)
        self._names[place] = (batch.sequence << _REJECTED_BITS | rejected) << _STATUS_BITS | status
        if batch.journal != self._journal:
            self._begin(batch.journal)
        self._taken += 1

    def refused(self, request_id: bytes, status: int, reason: str, told: str = "") -> None:
        """Take note of a request that was refused."""
        self._refused.append((request_id, status, reason, told, self._clock()))

    def forget(self, user_id: str) -> None:
        """Tell no more of refusals in which a player was named than that there were some."""
        name = shown(user_id)
        kept = [(*each[:3], "" if name in each[3] else each[3], each[4]) for each in self._refused]
        self._refused = deque(kept, MAX_REFUSED)

    def find(self, request_id: bytes) -> Iterator[Remembered]:
        """Yield the answers to the requests of that id: a client may use one again."""
        for asked, status, reason, told, at in self._refused:
            if asked == request_id:
                yield Remembered(status, reason=reason, at=at, told=told)
        wanted = hash(request_id)
        for number in range(max(0, self._taken - MAX_TAKEN), self._taken):
            if self._hashes[number % MAX_TAKEN] == wanted:
                packed, status = divmod(self._names[number % MAX_TAKEN], 1 << _STATUS_BITS)
                sequence, rejected = divmod(packed, 1 << _REJECTED_BITS)
                journal = next(name for since, name in reversed(self._journals) if since <= number)
                yield Remembered(status, batch=f"{journal}-{sequence}", rejected=rejected)

    def told(self, request_id: str) -> bytes:
        """Return them as JSON, for ``Errands``."""
        return msgspec.json.encode(list(self.find(request_id.encode("utf-8", "replace"))))

    def _begin(self, journal: str) -> None:
        """Take note of whose sequences come from now on: another journal's, after trouble."""
        oldest = self._taken - MAX_TAKEN
        gone = sum(since <= oldest for since, _ in self._journals[1:])  # the one before it, too
        self._journals = [*self._journals[gone:], (self._taken, journal)]
        self._journal = journal
