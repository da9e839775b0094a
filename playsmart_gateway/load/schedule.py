"""When requests are due: at one rate, with a tenfold one in between, or at one that rises.

Nothing here waits for the gateway: a request that is late was due when it was due.
"""

from enum import StrEnum
from math import exp2, log, log2
from typing import Protocol

SPIKE = 10
"""So many times the rate, in the middle of a spike."""

SPIKE_BEGINS, SPIKE_ENDS = 0.4, 0.6
"""Of the whole."""

DOUBLING_SECONDS = 15.0
"""Of a ramp."""

LN_2 = log(2)


class Profile(StrEnum):
    """How the rate changes while a run goes on."""

    SOAK = "soak"
    SPIKE = "spike"
    RAMP = "ramp"


class Schedule(Protocol):
    """When each request is due; times are in seconds since the start."""

    def due(self, request: int) -> float:
        """Return when a request is due; the first one, 0, is at 0.0."""
        ...

    def arrivals(self, seconds: float) -> float:
        """Return how many requests the first so many seconds have; parts of one count as such."""
        ...

    def rate(self, at: float) -> float:
        """Return how many requests a second are due then."""
        ...


class Steady:
    """So many a second, for ever."""

    def __init__(self, rate: float) -> None:
        self._rate = rate

    def due(self, request: int) -> float:
        """See ``Schedule``."""
        return request / self._rate

    def arrivals(self, seconds: float) -> float:
        """See ``Schedule``."""
        return seconds * self._rate

    def rate(self, at: float) -> float:
        """See ``Schedule``."""
        return self._rate


class Spike:
    """``rate`` a second, ten times as many from 0.4 to 0.6 of ``seconds``, and then ``rate``."""

    def __init__(self, rate: float, seconds: float) -> None:
        self._rate = rate
        self._begins, self._ends = seconds * SPIKE_BEGINS, seconds * SPIKE_ENDS
        self._before = self._begins * rate
        self._until = self._before + (self._ends - self._begins) * rate * SPIKE

    def due(self, request: int) -> float:
        """See ``Schedule``."""
        if request < self._before:
            return request / self._rate
        if request < self._until:
            return self._begins + (request - self._before) / (self._rate * SPIKE)
        return self._ends + (request - self._until) / self._rate

    def arrivals(self, seconds: float) -> float:
        """See ``Schedule``."""
        in_spike = min(max(seconds - self._begins, 0), self._ends - self._begins)
        return self._rate * (seconds + in_spike * (SPIKE - 1))

    def rate(self, at: float) -> float:
        """See ``Schedule``."""
        return self._rate * (SPIKE if self._begins <= at < self._ends else 1)


class Ramp:
    """``rate`` a second, twice as many ``DOUBLING_SECONDS`` later, and so on."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._scale = rate * DOUBLING_SECONDS / LN_2

    def due(self, request: int) -> float:
        """See ``Schedule``."""
        return DOUBLING_SECONDS * log2(1 + request / self._scale)

    def arrivals(self, seconds: float) -> float:
        """See ``Schedule``."""
        return self._scale * (exp2(min(seconds / DOUBLING_SECONDS, 1_000)) - 1)

    def rate(self, at: float) -> float:
        """See ``Schedule``."""
        return self._rate * exp2(min(at / DOUBLING_SECONDS, 1_000))


def schedule(profile: Profile | None, rate: float, seconds: float | None) -> Schedule:
    """Return the schedule of a profile; ``seconds`` is how long a spike takes as a whole."""
    if profile is Profile.SPIKE:
        assert seconds is not None, "a spike has a duration"
        return Spike(rate, seconds)
    return Ramp(rate) if profile is Profile.RAMP else Steady(rate)
