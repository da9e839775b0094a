"""The last minute of the counters, for those who watch.

``Stats`` counts since the start. Whoever looks again and again gets the difference to what they saw
up to a minute ago; nothing is kept while nobody looks.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence

import msgspec

from playsmart_gateway.metrics import (
    FLUSH_SECONDS,
    REQUEST_SECONDS,
    Stats,
)

WINDOW_SECONDS = 60.0
LEAST_SECONDS = 1.0
"""Between two things seen: many may watch at once."""


class Window(msgspec.Struct, frozen=True):
    """What happened in the last ``seconds``; a latency is None if nothing did, and in seconds."""

    seconds: float
    since_start: bool
    received: int
    stored: int
    requests: int
    request_p50: float | None
    request_p99: float | None
    flushes: int
    flush_p50: float | None
    flush_p99: float | None


class _Seen(msgspec.Struct, frozen=True):
    at: float
    received: int
    stored: int
    requests: list[int]
    flushes: list[int]


class Recent:
    """Has ``look`` return the counters; requests are those to ``routes``."""

    def __init__(
        self,
        look: Callable[[], Stats],
        routes: Collection[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stats = look
        self._routes = routes
        self._clock = clock
        self._seen = deque([self._look()])  # with siblings there may be something to see already
        self._started = self._seen[0].at

    def window(self) -> Window:
        """Return what happened since what was seen a minute ago, or else since the start."""
        now = self._look()
        seen = self._seen
        while len(seen) > 2 and now.at - seen[1].at >= WINDOW_SECONDS:
            seen.popleft()
        before = seen[0]
        if now.at - seen[-1].at >= LEAST_SECONDS:
            seen.append(now)
        requests = _difference(now.requests, before.requests)
        flushes = _difference(now.flushes, before.flushes)
        return Window(
            seconds=now.at - before.at,
            since_start=before.at == self._started,
            received=now.received - before.received,
            stored=now.stored - before.stored,
            requests=sum(requests),
            request_p50=quantile(0.5, REQUEST_SECONDS, requests),
            request_p99=quantile(0.99, REQUEST_SECONDS, requests),
            flushes=sum(flushes),
            flush_p50=quantile(0.5, FLUSH_SECONDS, flushes),
            flush_p99=quantile(0.99, FLUSH_SECONDS, flushes),
        )

    def _look(self) -> _Seen:
        stats = self._stats()
        requests = [0] * (len(REQUEST_SECONDS) + 1)
        for (route, _), histogram in stats.requests.items():
            if route in self._routes:
                requests = [a + b for a, b in zip(requests, histogram.counts, strict=True)]
        flushes = list(stats.flush_seconds.counts)
        return _Seen(self._clock(), stats.received, stats.stored, requests, flushes)


def quantile(share: float, bounds: Sequence[float], counts: Sequence[int]) -> float | None:
    """Return where that share of the observations ends, as if they were even in each bucket.

    Those beyond the last bound count as if they were at it.
    """
    wanted = share * sum(counts)
    if not wanted:
        return None
    below = 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count >= wanted:
            return below + (bound - below) * wanted / count
        wanted -= count
        below = bound
    return bounds[-1]


def _difference(now: Sequence[int], before: Sequence[int]) -> list[int]:
    return [a - b for a, b in zip(now, before, strict=True)]
