"""The counters, and the law that ties them together.

Everything here is a plain number that one event loop changes; ``ops`` turns them into Prometheus
text when somebody asks. The law, in events::

    received = stored + duplicate + rejected + buffered
"""

from bisect import bisect_left
from collections import Counter

REQUEST_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
FLUSH_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
COMMIT_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
COMMIT_BATCHES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)
FLUSH_EVENTS = (1.0, 10.0, 100.0, 1_000.0, 5_000.0, 10_000.0, 20_000.0, 50_000.0, 100_000.0)


class Histogram:
    """Counts of observations at or under each upper bound, with no locks."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """How many values were observed."""
        return sum(self.counts)


class Stats:
    """What the gateway counts since it started.

    Events: ``received`` reached the intake whole and valid, or were ``replayed`` from the journal;
    ``accepted`` were promised a place; ``rejected`` were refused or buried there or later (by
    reason). Requests that were refused before their events could be counted are in
    ``refused_requests`` (by reason).

    The audit of the coins: ``violations`` by kind since its beginning, and ``audit_lag``, how many
    batches it has not looked at yet.
    """

    def __init__(self) -> None:
        self.received = 0
        self.replayed = 0
        self.accepted = 0
        self.stored = 0
        self.duplicate = 0
        self.rejected: Counter[str] = Counter()
        self.refused_requests: Counter[str] = Counter()
        self.requests: dict[tuple[str, int], Histogram] = {}
        self.flushes: Counter[str] = Counter()
        self.flush_failures: Counter[str] = Counter()
        self.flush_seconds = Histogram(FLUSH_SECONDS)
        self.flush_events = Histogram(FLUSH_EVENTS)
        self.commit_seconds = Histogram(COMMIT_SECONDS)
        self.commit_batches = Histogram(COMMIT_BATCHES)
        self.events_per_second: float | None = None
        self.violations: Counter[str] = Counter()
        self.audit_lag = 0

    def observe_request(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request; ``route`` is a path template, never a raw path."""
        histogram = self.requests.get((route, status))
        if histogram is None:
            histogram = self.requests[route, status] = Histogram(REQUEST_SECONDS)
        histogram.observe(seconds)

    def observe_flush(self, trigger: str, events: int, seconds: float) -> None:
        """Count one transaction; ``events_per_second`` follows the pace of the last few."""
        self.flushes[trigger] += 1
        self.flush_seconds.observe(seconds)
        self.flush_events.observe(events)
        pace = events / max(seconds, 0.000_001)
        known = self.events_per_second
        self.events_per_second = pace if not known else known + 0.2 * (pace - known)

    def observe_commit(self, batches: int, seconds: float) -> None:
        """Count one transaction of the lane; it is small, so it says nothing about the pace."""
        self.flushes["commit"] += 1
        self.commit_seconds.observe(seconds)
        self.commit_batches.observe(batches)

    def observe_flush_failure(self, reason: str) -> None:
        """Count one failed transaction; a store that fails has no pace."""
        self.flush_failures[reason] += 1
        self.events_per_second = 0.0

    def unaccounted(self, buffered: int) -> int:
        """Events that the law misses, given those now ``buffered``; anything but 0 is a bug."""
        return self.received - (self.stored + self.duplicate + self.rejected.total() + buffered)
