"""How often something may be called."""

import math
from collections.abc import Callable

RETRY_AFTER_SECONDS = 1
"""Who is refused may come back after this: a window is one second long."""


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
