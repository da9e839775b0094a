"""What one process counts and shows, the law that ties it together, and how processes add up.

Everything here is a plain number that one event loop changes; ``http.ops`` turns a ``Snapshot``
into Prometheus text when somebody asks. The law, in events::

    received = stored + duplicate + rejected + buffered

The snapshots of several workers add up to one, field by field, by the rule that stands beside each
field: the law holds in each of them, so it holds in the sum.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Self, TypeVar, get_type_hints

import msgspec

from playsmart_gateway.errors import Detail

_T = TypeVar("_T")

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


def _sum(mine: float, theirs: float) -> float:
    return mine + theirs


def _both(mine: bool, theirs: bool) -> bool:
    return mine and theirs


def _own(mine: _T, _: object) -> _T:
    return mine


def _by_label(mine: Counter[str], theirs: Counter[str]) -> Counter[str]:
    mine.update(theirs)  # unlike ``+`` it keeps what stands at 0
    return mine


def _by_bound(mine: Histogram, theirs: Histogram) -> Histogram:
    mine.add(theirs)
    return mine


def _by_request(mine: "_Requests", theirs: "_Requests") -> "_Requests":
    for key, histogram in theirs.items():
        mine.setdefault(key, Histogram(histogram.bounds)).add(histogram)
    return mine


_Requests = dict[tuple[str, int], Histogram]

Total = Annotated[int, _sum]
"""Of all processes together."""

Largest = Annotated[_T, max]
"""There is one of it, or the worst counts."""

Everywhere = Annotated[bool, _both]
"""True if it is in every process."""

Own = Annotated[_T, _own]
"""Says nothing of another process, and is left as it is."""

Labelled = Annotated[Counter[str], _by_label]
Distribution = Annotated[Histogram, _by_bound]


class Addable(msgspec.Struct):
    """Numbers that add up: beside each field stands its rule, and one without is an error."""

    def __init_subclass__(cls, **named: Any) -> None:
        """Look for the rules when the program starts, and not when somebody asks for a sum."""
        super().__init_subclass__(**named)
        cls.rules()

    @classmethod
    def rules(cls) -> dict[str, Callable[[Any, Any], Any]]:
        """Return by field what makes one value of two.

        Raises:
            TypeError: a field has no rule, or more than one.
        """
        rules = {}
        for name, hint in get_type_hints(cls, include_extras=True).items():
            found: tuple[Any, ...] = getattr(hint, "__metadata__", ())
            if len(found) != 1:
                raise TypeError(f"{cls.__name__}.{name} has {len(found)} rules for adding it up")
            rules[name] = found[0]
        return rules

    def add(self, other: Self) -> None:
        """Add what another process has, by the rules."""
        for name, rule in _rules_of(type(self)).items():
            setattr(self, name, rule(getattr(self, name), getattr(other, name)))


@cache
def _rules_of(kind: type[Addable]) -> dict[str, Callable[[Any, Any], Any]]:
    return kind.rules()


class Stats(Addable):
    """What the gateway counts since it started.

    Events: ``received`` reached the intake whole and valid, or were ``replayed`` from the journal;
    ``accepted`` were promised a place; ``rejected`` were refused or buried there or later (by
    reason). Wrong events of a request whose right ones were taken are received and rejected, too
    (``malformed``). Requests that were refused before their events could be counted are in
    ``refused_requests`` (by reason). ``connections_refused`` got no place, ``connections_closed``
    lost theirs (by reason; ``request_timeout`` are the 408). ``torn_tails`` and ``corrupt_records``
    were found when the journal was read.

    ``run_conflicts`` are batches that gave numbers of a run to other events than before. Of runs of
    today and yesterday ``run_numbers`` are all that were given, ``run_lost`` those that never came.

    ``customdata_misspelt`` are requests that seem to have their customdata under another name.

    ``auth_failures`` are wrong secrets and tokens, by the door that they were tried at.

    The audit of the coins: ``violations`` by kind since its beginning, and ``audit_lag``, how many
    batches it has not looked at yet.

    The catalogue: ``catalogue_lag``, how many batches it has not learned from yet, and what it
    finds odd of late (by kind).
    """

    received: Total = 0
    replayed: Total = 0
    accepted: Total = 0
    stored: Total = 0
    duplicate: Total = 0
    run_conflicts: Total = 0
    customdata_misspelt: Total = 0
    run_numbers: Largest[int] = 0
    run_lost: Largest[int] = 0
    rejected: Labelled = msgspec.field(default_factory=Counter)
    refused_requests: Labelled = msgspec.field(default_factory=Counter)
    auth_failures: Labelled = msgspec.field(default_factory=Counter)
    connections_refused: Labelled = msgspec.field(default_factory=Counter)
    connections_closed: Labelled = msgspec.field(default_factory=Counter)
    requests: Annotated[_Requests, _by_request] = {}
    flushes: Labelled = msgspec.field(default_factory=Counter)
    flush_failures: Labelled = msgspec.field(default_factory=Counter)
    flush_seconds: Distribution = _histogram(FLUSH_SECONDS)
    flush_events: Distribution = _histogram(FLUSH_EVENTS)
    commit_seconds: Distribution = _histogram(COMMIT_SECONDS)
    commit_batches: Distribution = _histogram(COMMIT_BATCHES)
    torn_tails: Total = 0
    corrupt_records: Total = 0
    violations: Labelled = msgspec.field(default_factory=Counter)
    audit_lag: Total = 0
    side_failures: Labelled = msgspec.field(default_factory=Counter)
    figures_lag: Total = 0
    figures_skipped: Total = 0
    catalogue_lag: Total = 0
    catalogue_findings: Labelled = msgspec.field(default_factory=Counter)
    lake_lag: Total = 0
    lake_files: Total = 0
    events_per_second: Own[float | None] = None

    def count_rejected(self, tag: str, events: int) -> None:
        """Count events that came and are not taken, for the reason that ``tag`` is."""
        self.received += events
        self.rejected[tag] += events

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
        self.audit_lag = self.figures_lag = self.catalogue_lag = 0
        self.lake_lag = self.lake_files = 0
        self.events_per_second = None


class Gauges(Addable):
    """How things stand now; ``in_buffer``, ``in_commit_queue``, ``arriving``: events that wait.

    Those that are ``arriving`` are counted as received, and not in the journal and the buffer yet.
    """

    in_buffer: Total
    in_commit_queue: Total
    arriving: Total
    buffered_bytes: Total
    max_events: Total
    max_bytes: Total
    oldest_age: Largest[float]
    requests_waiting: Total
    journal_bytes: Total
    journal_up: Everywhere
    store_up: Everywhere
    store_log_bytes: Largest[int]
    connections: Labelled
    max_connections: Total
    body_bytes: Total

    @property
    def waiting(self) -> int:
        """Events that are received, and neither stored nor rejected yet."""
        return self.in_buffer + self.in_commit_queue + self.arriving


class Snapshot(msgspec.Struct):
    """What a gateway says of itself at one moment: counts, gauges, and whether it is ready.

    ``workers_up`` of ``workers`` are alive, after ``restarts``; ``not_ready`` says why not.
    """

    stats: Stats
    gauges: Gauges
    not_ready: list[Detail]
    workers: int = 1
    workers_up: int = 1
    restarts: int = 0


def encode(snapshot: Snapshot) -> bytes:
    """Return it as bytes, to be read by ``decode`` of the same program."""
    return msgspec.msgpack.encode(snapshot)


def decode(content: bytes) -> Snapshot:
    """Return the snapshot that was encoded."""
    return _decode(content)


def _counter(_: type, value: Any) -> Counter[str]:
    return Counter(value)


_decode = msgspec.msgpack.Decoder(Snapshot, dec_hook=_counter).decode
