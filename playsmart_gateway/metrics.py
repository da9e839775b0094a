"""The counters, and the law that ties them together.

Everything here is a plain number that one event loop changes; ``ops`` turns them into Prometheus
text when somebody asks, added up over all workers if there are several. The law, in events::

    received = stored + duplicate + rejected + buffered
"""

from bisect import bisect_left
from collections import Counter

import msgspec

REQUEST_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
FLUSH_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
COMMIT_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
COMMIT_BATCHES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)
WORKER_DIED = "worker_died"
FLUSH_EVENTS = (1.0, 10.0, 100.0, 1_000.0, 5_000.0, 10_000.0, 20_000.0, 50_000.0, 100_000.0)


class Histogram(msgspec.Struct):
    """Counts of observations at or under each upper bound, with no locks."""

    bounds: tuple[float, ...]
    counts: list[int] = []
    total: float = 0.0

    def __post_init__(self) -> None:
        """Begin with nothing, unless counts were given."""
        if not self.counts:
            self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """How many values were observed."""
        return sum(self.counts)

    def add(self, other: "Histogram") -> None:
        """Count what another one of the same bounds has counted, too."""
        self.counts = [
            mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)
        ]
        self.total += other.total


def _histogram(bounds: tuple[float, ...]) -> Histogram:
    return msgspec.field(default_factory=lambda: Histogram(bounds))


class Stats(msgspec.Struct):
    """What the gateway counts since it started.

    Events: ``received`` reached the intake whole and valid, or were ``replayed`` from the journal;
    ``accepted`` were promised a place; ``rejected`` were refused or buried there or later (by
    reason). Requests that were refused before their events could be counted are in
    ``refused_requests`` (by reason). ``connections_refused`` got no place, ``connections_closed``
    lost theirs (by reason; ``request_timeout`` are the 408). ``torn_tails`` and ``corrupt_records``
    were found when the journal was read.

    ``auth_failures`` are wrong secrets and tokens, by the door that they were tried at.

    The audit of the coins: ``violations`` by kind since its beginning, and ``audit_lag``, how many
    batches it has not looked at yet.
    """

    received: int = 0
    replayed: int = 0
    accepted: int = 0
    stored: int = 0
    duplicate: int = 0
    rejected: Counter[str] = msgspec.field(default_factory=Counter)
    refused_requests: Counter[str] = msgspec.field(default_factory=Counter)
    auth_failures: Counter[str] = msgspec.field(default_factory=Counter)
    connections_refused: Counter[str] = msgspec.field(default_factory=Counter)
    connections_closed: Counter[str] = msgspec.field(default_factory=Counter)
    requests: dict[tuple[str, int], Histogram] = {}
    flushes: Counter[str] = msgspec.field(default_factory=Counter)
    flush_failures: Counter[str] = msgspec.field(default_factory=Counter)
    flush_seconds: Histogram = _histogram(FLUSH_SECONDS)
    flush_events: Histogram = _histogram(FLUSH_EVENTS)
    commit_seconds: Histogram = _histogram(COMMIT_SECONDS)
    commit_batches: Histogram = _histogram(COMMIT_BATCHES)
    torn_tails: int = 0
    corrupt_records: int = 0
    violations: Counter[str] = msgspec.field(default_factory=Counter)
    audit_lag: int = 0
    side_failures: Counter[str] = msgspec.field(default_factory=Counter)
    figures_lag: int = 0
    figures_skipped: int = 0
    events_per_second: float | None = None

    def count_auth_failure(self, door: str) -> None:
        """Count a wrong secret or token."""
        self.auth_failures[door] += 1

    def count_side_failure(self, task: str) -> None:
        """Count one failure of what goes on beside ingest, which goes on without."""
        self.side_failures[task] += 1

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
        """Count one transaction of the commit queue, too small to say anything about the pace."""
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

    def settle(self, *, replayed: int, in_buffer: int = 0, arriving: int = 0) -> None:
        """Go on from these counts, the last of a process that died, with what its journal had.

        It had ``in_buffer`` events in its buffer and ``arriving`` ones on their way there;
        ``replayed`` are those of the journal. If they are fewer, the others were stored since. If
        they are more, the rest had arrived meanwhile, or was stored before and is a repeat. What is
        in no journal, on its way or in the commit queue, was promised to nobody.
        """
        more = max(0, replayed - in_buffer)
        arrived = min(arriving, more)
        if promised_to_nobody := self.unaccounted(in_buffer) - arrived:
            self.rejected[WORKER_DIED] += promised_to_nobody
        self.received += more - arrived
        self.replayed += replayed
        self.stored += max(0, in_buffer - replayed)
        self.audit_lag = self.figures_lag = 0
        self.events_per_second = None

    def add(self, other: "Stats") -> None:
        """Count what another process has counted, too; only the pace is not added."""
        for name in self.__struct_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, Histogram):
                mine.add(theirs)
            elif isinstance(mine, Counter):
                mine.update(theirs)
            elif name == "requests":
                for key, histogram in theirs.items():
                    mine.setdefault(key, Histogram(histogram.bounds)).add(histogram)
            elif name != "events_per_second":
                setattr(self, name, mine + theirs)
