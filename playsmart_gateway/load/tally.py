"""Holding stored rows against what was sent, one row at a time, in bounded memory."""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple, Protocol

import msgspec

from playsmart_gateway.load.lane import Outcome
from playsmart_gateway.load.row import Row

_CACHED_REQUESTS = 256
_CACHED_ROWS = 65_536


class Counts(msgspec.Struct):
    """What was found, in events.

    ``acknowledged`` and ``unknown`` are what the run sent with that outcome; the others are rows.
    ``duplicated`` rows are there once too often, ``unexpected`` ones were refused, never sent or
    changed on the way, ``foreign`` ones belong to somebody else and are no failure.
    """

    acknowledged: int = 0
    unknown: int = 0
    stored: int = 0
    unknown_stored: int = 0
    duplicated: int = 0
    unexpected: int = 0
    foreign: int = 0

    @property
    def missing(self) -> int:
        """Acknowledged events that are not stored."""
        return self.acknowledged - self.stored


class Again(NamedTuple):
    """What was sent more than once, in events, beside the first copy of each.

    ``runs`` are the bytes with which the names of the runs begin. ``certain`` are those of repeats
    that were acknowledged; with those of which a copy was not answered they are ``possible``.
    """

    runs: bytes
    certain: int
    possible: int


class Tally(Protocol):
    """Rows of the store are shown to it once each; ``counts`` says what they amount to.

    ``again`` is what was sent more than once on purpose; None if nothing was.
    """

    counts: Counts
    again: Again | None

    def see(self, row: Row) -> None:
        """Count one stored row."""


class IdTally:
    """For events that carry the number of their request and their place in it.

    Only requests that are partly stored are kept, as one bit an event; whole ones are a byte. A row
    that bears an id of this run and differs from the event that was sent is unexpected.
    """

    def __init__(
        self,
        locate: Callable[[Row], tuple[int, int] | None],
        expected: Callable[[int], list[Row]],
        outcomes: bytes,
        events: int,
    ) -> None:
        """``locate`` finds (request, place) in a row; ``outcomes`` has a byte a request sent."""
        self.counts = Counts(
            acknowledged=outcomes.count(Outcome.ACKNOWLEDGED) * events,
            unknown=outcomes.count(Outcome.UNKNOWN) * events,
        )
        self.again: Again | None = None
        self._locate = locate
        self._expected = lru_cache(maxsize=_CACHED_REQUESTS)(expected)
        self._outcomes = outcomes
        self._events = events
        self._whole = (1 << events) - 1
        self._complete = bytearray(len(outcomes))
        self._partial: dict[int, int] = {}

    def see(self, row: Row) -> None:
        """Count one stored row."""
        counts = self.counts
        place = self._locate(row)
        if place is None:
            counts.foreign += 1
            return
        request, number = place
        if (
            request >= len(self._outcomes)
            or self._outcomes[request] == Outcome.REFUSED
            or number >= self._events
            or not _same(row, self._expected(request)[number])
        ):
            counts.unexpected += 1
        elif self._is_new(request, 1 << number):
            if self._outcomes[request] == Outcome.ACKNOWLEDGED:
                counts.stored += 1
            else:
                counts.unknown_stored += 1
        else:
            counts.duplicated += 1

    def _is_new(self, request: int, bit: int) -> bool:
        if self._complete[request]:
            return False
        seen = self._partial.get(request, 0)
        if seen & bit:
            return False
        if seen | bit == self._whole:
            self._complete[request] = 1
            self._partial.pop(request, None)
        else:
            self._partial[request] = seen | bit
        return True


class MultisetTally:
    """For events without an id, which may be equal: of each kind, as many as were acknowledged.

    A row that is one too many counts as duplicated, whoever sent it: a stranger who sends the very
    same events beside the run cannot be told from a gateway that stores twice.
    """

    def __init__(
        self, acknowledged: Counter[Row], unknown: Counter[Row], known: Iterable[Row]
    ) -> None:
        """The counters hold canonical events; ``known`` are all that the run might have sent."""
        self.counts = Counts(acknowledged=acknowledged.total(), unknown=unknown.total())
        self.again: Again | None = None
        self._acknowledged = acknowledged
        self._unknown = unknown
        self._known = frozenset(known)
        self._canonical = lru_cache(maxsize=_CACHED_ROWS)(Row.canonical)
        self._seen: Counter[Row] = Counter()

    def see(self, row: Row) -> None:
        """Count one stored row."""
        counts = self.counts
        event = self._canonical(row)
        if event not in self._known:
            counts.foreign += 1
            return
        self._seen[event] += 1
        surplus = self._seen[event] - self._acknowledged[event]
        if surplus <= 0:
            counts.stored += 1
        elif surplus <= self._unknown[event]:
            counts.unknown_stored += 1
        elif self._acknowledged[event] or self._unknown[event]:
            counts.duplicated += 1
        else:
            counts.unexpected += 1


def _same(stored: Row, sent: Row) -> bool:
    return stored == sent or stored.canonical() == sent.canonical()
