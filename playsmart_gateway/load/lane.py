"""Whose turn it is, and how it ended: requests in order, and one byte for each."""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple


class Outcome(IntEnum):
    """How a request ended; one byte a request is all that a run remembers."""

    UNKNOWN = 0
    """Sent and never answered in full: the gateway may have stored it, or not."""
    ACKNOWLEDGED = 1
    """Answered with a 2xx: stored exactly once, from now on."""
    REFUSED = 2
    """Answered with anything else: never stored."""


class Share(NamedTuple):
    """Which part of the requests is a process's own: every ``of``-th, from ``place`` on."""

    place: int = 0
    of: int = 1


WHOLE = Share()


class Lane:
    """Requests that are sent in this order by these connections.

    The workload repeats after ``cycle`` requests, and this lane's are ``lines`` of each round.
    ``outcomes`` has one byte for every request that was sent; its length is the lane's position.
    """

    __slots__ = ("connections", "cycle", "lines", "outcomes")

    def __init__(self, lines: Sequence[int], *, cycle: int, connections: int) -> None:
        self.lines = lines
        self.cycle = cycle
        self.connections = connections
        self.outcomes = bytearray()

    def request(self, position: int) -> int:
        """Return the number, in the whole run, of this lane's request at ``position``."""
        rounds, line = divmod(position, len(self.lines))
        return rounds * self.cycle + self.lines[line]


def interleaved(lanes: Sequence[Lane]) -> Lane:
    """Return the one lane of which these were the shares; what was not sent counts as refused."""
    of, outcomes = len(lanes), [lane.outcomes for lane in lanes]
    whole = Lane((0,), cycle=1, connections=sum(lane.connections for lane in lanes))
    whole.outcomes = bytearray([Outcome.REFUSED]) * (of * max(map(len, outcomes)))
    for place, each in enumerate(outcomes):
        whole.outcomes[place : place + of * len(each) : of] = each
    return whole
