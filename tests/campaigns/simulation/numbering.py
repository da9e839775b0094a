"""What a player who numbers its events sends next: new ones, or some that it has sent before."""

from tests.campaigns.simulation.chance import Chance

MAX_EVENTS = 6
"""In one request: fewer than any buffer holds."""

Part = tuple[int, int]
"""The number of a first event, and how many there are."""


class Numbering:
    """One ``run`` of one player; it lasts longer than a life of the gateway."""

    def __init__(self, run: bytes) -> None:
        self.run = run
        self._next = 0
        self._last: Part | None = None
        self._skipped: list[Part] = []

    def part(self, count: int, chance: Chance) -> Part:
        """Return what the next request holds: ``count`` new events, unless chance has it else."""
        if self._last is not None and chance.strikes("client: sends again"):
            return self._last
        if self._skipped and chance.random() < 0.5:
            return self._skipped.pop(0)
        if self._last is not None and chance.strikes("client: sends again, cut anew"):
            first = self._last[0] + chance.randrange(self._last[1])
        elif chance.strikes("client: sends out of order"):
            skipped = chance.randint(1, MAX_EVENTS)
            self._skipped.append((self._next, skipped))
            first = self._next + skipped
        else:
            first = self._next
        self._next = max(self._next, first + count)
        self._last = first, count
        return self._last
