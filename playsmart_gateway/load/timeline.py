"""What happened when: counts and latencies of each stretch of a run, in bounded memory.

A stretch is a second. When there are ``MAX_STRETCHES`` of them, two each become one: an hour is
told in stretches of 8 s, a day in some of 3 min.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec

from playsmart_gateway.load.histogram import percentile_of

MAX_STRETCHES = 600


class Stretch(msgspec.Struct):
    """What was sent and answered in it; latencies by the bucket of ``histogram``, in order of none.

    A request that was sent in one may be answered in another.
    """

    sent: int = 0
    events_sent: int = 0
    acknowledged: int = 0
    events: int = 0
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    errors: Counter[str] = msgspec.field(default_factory=Counter)
    latencies: Counter[int] = msgspec.field(default_factory=Counter)

    @property
    def ended(self) -> int:
        """How many requests ended in it, one way or another."""
        return self.latencies.total()

    @property
    def failed(self) -> int:
        """How many of them were refused, or given up."""
        return self.refused.total() + self.errors.total()

    def percentile(self, percent: float) -> float:
        """Return a percentile of the latencies in seconds; 0.0 if nothing ended."""
        return percentile_of(self.latencies, percent)

    def add(self, other: "Stretch") -> None:
        """Take what another one has."""
        self.sent += other.sent
        self.events_sent += other.events_sent
        self.acknowledged += other.acknowledged
        self.events += other.events
        self.refused.update(other.refused)
        self.errors.update(other.errors)
        self.latencies.update(other.latencies)


class Timeline:
    """The stretches of a run, each ``seconds`` long, from its start on."""

    def __init__(self) -> None:
        self.seconds = 1
        self.stretches: list[Stretch] = []

    def at(self, elapsed: float) -> Stretch:
        """Return the stretch of an instant, in seconds since the start."""
        place = max(0, int(elapsed / self.seconds))
        while place >= MAX_STRETCHES:
            self._halve()
            place = int(elapsed / self.seconds)
        while len(self.stretches) <= place:
            self.stretches.append(Stretch())
        return self.stretches[place]

    def whole(self, elapsed: float) -> list[Stretch]:
        """Return those that are over."""
        return self.stretches[: max(0, int(elapsed / self.seconds))]

    def add(self, other: "Timeline") -> None:
        """Take the stretches of another timeline, of a run that began at the same time."""
        self.put(other.seconds, 0, other.stretches)

    def put(self, seconds: int, first: int, stretches: Sequence[Stretch]) -> None:
        """Take some stretches of another timeline, of so many seconds each, from a place on."""
        while self.seconds < seconds:
            self._halve()
        for place, stretch in enumerate(stretches, first):
            self.at(place * seconds).add(stretch)

    def _halve(self) -> None:
        pairs = self.stretches
        for place in range(0, len(pairs) - 1, 2):
            pairs[place].add(pairs[place + 1])
        self.stretches = pairs[::2]
        self.seconds *= 2
