"""How often something may be called, by one process or by several; what a wrong secret costs."""

import asyncio
import fcntl
import logging
import math
import mmap
import os
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from typing_extensions import override

RETRY_AFTER_SECONDS = 1
"""Who is refused may come back after this: a window is one second long."""

WRONG_TRY_SECONDS = 0.5
"""How long the answer to a wrong secret takes."""

MAX_WRONG_TRIES = 64
"""Answers that wait for that at once; it is what strangers can hold of our connections."""

TOLD_SECONDS = 60.0
"""Wrong secrets are logged once in so many seconds, with their number."""

logger = logging.getLogger(__name__)

_COUNT = struct.Struct("<qq")  # the second, and how many calls it has seen


class Limit(Protocol):
    """Says whether somebody may call once more."""

    def take(self, key: str) -> bool:
        """Count a call; False, and nothing is counted, when ``key`` has used up this second."""
        ...

    def give_back(self, key: str) -> None:
        """Count a call that was taken just now no more."""
        ...


MakeLimit = Callable[[int, Sequence[str]], Limit]
"""Makes a limit of so many calls a second (0: none) of each of these keys."""

_START = time.time() - time.monotonic()


def steady_clock() -> float:
    """Return the wall time of the start, carried on by the monotonic clock, which nobody can set.

    Forked processes share it, and its seconds begin where those of the wall did.
    """
    return _START + time.monotonic()


class RateLimit:
    """At most ``limit`` calls of each key in one second; 0 sets no limit.

    The windows are fixed, all keys share them, and ``clock`` (seconds) says where they begin. So
    a new second forgets everything, which bounds the memory by the keys of one second, and two
    bursts around a boundary may come to twice the limit.
    """

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._limit = limit or math.inf
        self._clock = clock
        self._second = 0
        self._taken: dict[str, int] = {}

    def take(self, key: str) -> bool:
        """Count a call; False, and nothing is counted, when ``key`` has used up this second."""
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._taken.clear()
        taken = self._taken.get(key, 0)
        if taken >= self._limit:
            return False
        self._taken[key] = taken + 1
        return True

    def give_back(self, key: str) -> None:
        """See ``Limit``."""
        if self._taken.get(key):
            self._taken[key] -= 1


def in_process(limit: int, _: Sequence[str], clock: Callable[[], float] = steady_clock) -> Limit:
    """Return a limit that only this process knows of."""
    return RateLimit(limit, clock)


_ROUNDING = 1e-6


class SlowLimit:
    """At most ``per_minute`` calls of each key at once, and then one as often; 0 sets no limit.

    It is kept of a key until when its calls are paid for (GCRA), and of no more than ``max_keys``;
    of more the one is forgotten that came first. ``clock`` is in seconds. Of one process.
    """

    def __init__(
        self,
        per_minute: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        max_keys: int = 100_000,
    ) -> None:
        self.per_minute = per_minute
        self._each = 60 / per_minute if per_minute else 0.0
        self._ahead = 60 - self._each
        self._clock = clock
        self._max_keys = max_keys
        self._paid: dict[str, float] = {}

    def take(self, key: str) -> float:
        """Count a call and return 0; or count nothing, and return for how many seconds to wait."""
        if not self._each:
            return 0.0
        now = self._clock()
        paid = max(self._paid.pop(key, now), now)
        early = paid - now - self._ahead
        if early <= _ROUNDING:
            paid += self._each
        self._paid[key] = paid
        if len(self._paid) > self._max_keys:
            del self._paid[next(iter(self._paid))]
        return early if early > _ROUNDING else 0.0


class SharedCounts:
    """Memory for the counts of several limits, shared by the processes forked after it was made.

    A count has a lock of its own, which the kernel lets go of when its holder dies.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._taken = 0
        self._file = os.memfd_create("limits")
        os.ftruncate(self._file, max(1, places) * _COUNT.size)
        self._memory = mmap.mmap(self._file, 0)

    def limit(
        self, limit: int, keys: Sequence[str], clock: Callable[[], float] = steady_clock
    ) -> Limit:
        """Return a limit for ``keys``; all processes must ask for the same ones in one order."""
        first, self._taken = self._taken, self._taken + len(keys)
        assert self._taken <= self._places, "every count has a place"
        places = {key: (first + number) * _COUNT.size for number, key in enumerate(keys)}
        return _SharedRateLimit(limit, places, self._file, self._memory, clock)


class _SharedRateLimit(Limit):
    """A ``RateLimit`` whose counts are in memory that other processes count in, too."""

    def __init__(
        self,
        limit: int,
        places: dict[str, int],
        file: int,
        memory: mmap.mmap,
        clock: Callable[[], float],
    ) -> None:
        self._limit = limit or math.inf
        self._places = places
        self._file = file
        self._memory = memory
        self._clock = clock

    @override
    def take(self, key: str) -> bool:
        if self._limit == math.inf:
            return True
        place = self._places[key]
        fcntl.lockf(self._file, fcntl.LOCK_EX, _COUNT.size, place)
        try:
            second, taken = _COUNT.unpack_from(self._memory, place)
            now = int(self._clock())  # behind the lock, so that no earlier second comes later
            if now != second:
                taken = 0
            if taken >= self._limit:
                return False
            _COUNT.pack_into(self._memory, place, now, taken + 1)
            return True
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, _COUNT.size, place)

    @override
    def give_back(self, key: str) -> None:
        if self._limit == math.inf:
            return
        place = self._places[key]
        fcntl.lockf(self._file, fcntl.LOCK_EX, _COUNT.size, place)
        try:
            second, taken = _COUNT.unpack_from(self._memory, place)
            _COUNT.pack_into(self._memory, place, second, max(0, taken - 1))
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, _COUNT.size, place)


class WrongTries:
    """Makes guessing secrets slow and seen: a wrong one is counted, and answered after a pause.

    The right one never waits and is never refused, however many wrong ones there were: a lock that
    strangers could close would keep out the operator. ``max_waiting`` answers wait at once, what is
    more is answered immediately. ``count`` is told the door, a name from a closed set; ``pause``
    sleeps for seconds, and ``clock`` measures them.
    """

    def __init__(
        self,
        count: Callable[[str], None],
        *,
        max_waiting: int = MAX_WRONG_TRIES,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count = count
        self._max_waiting = max_waiting
        self._pause = pause
        self._clock = clock
        self._waiting = 0
        self._untold: dict[str, int] = {}
        self._told_at: dict[str, float] = {}

    async def pay(self, door: str) -> None:
        """Count a wrong secret, and wait before it is answered."""
        self._count(door)
        self._tell(door)
        if self._waiting >= self._max_waiting:
            return
        self._waiting += 1
        try:
            await self._pause(WRONG_TRY_SECONDS)
        finally:
            self._waiting -= 1

    def _tell(self, door: str) -> None:
        self._untold[door] = self._untold.get(door, 0) + 1
        now = self._clock()
        if now - self._told_at.get(door, -math.inf) >= TOLD_SECONDS:
            logger.warning("wrong secrets for %s: %d", door, self._untold.pop(door))
            self._told_at[door] = now
