"""Where all luck of a seed comes from: one generator, the odds of each fault, and their count."""

import random
from collections import Counter
from collections.abc import Callable

ODDS: dict[str, float] = {
    "disk: short write": 0.3,
    "disk: write error": 0.1,
    "disk: full": 0.05,
    "disk: sync error": 0.15,
    "disk: folder sync error": 0.15,
    "disk: truncate error": 0.3,
    "disk: create error": 0.1,
    "disk: remove error": 0.2,
    "disk: read error at start": 0.1,
    "disk: save error at start": 0.3,
    "disk: folder in use at start": 0.05,
    "disk: slow": 0.1,
    "store: locked": 0.3,
    "store: outage": 0.05,
    "store: commits, then reports failure": 0.2,
    "store: slow": 0.15,
    "store: slow to close": 0.5,
    "store: sync error": 0.3,
    "store: cannot open": 0.05,
    "store: rejects a poisoned batch": 0.08,
    "clock: jumps forward": 0.05,
    "clock: jumps back": 0.05,
    "client: cancels": 0.15,
    "client: cancels as room comes": 0.1,
    "client: malformed body": 0.1,
    "client: sends again": 0.4,
    "client: sends again, cut anew": 0.4,
    "client: sends out of order": 0.2,
    "store: somebody breaks it": 0.03,
}
"""How often each fault may strike at most, an opportunity, in a seed that knows it."""

KNOWN_FAULTS = 0.35
"""The share of the faults above that a seed knows: alone and in small company they show more."""

Tell = Callable[[str], None]


class Chance(random.Random):
    """The generator of one seed. ``calm`` turns every fault off.

    ``say`` is for traces; who has to make up the text asks first whether it is ``traced``.
    """

    def __init__(self, seed: int, tell: Tell | None = None) -> None:
        super().__init__(seed)
        self.traced = tell is not None
        self.clock: Callable[[], float] = lambda: 0.0
        self._tell = tell
        self.calm = False
        self.counts: Counter[str] = Counter()
        self._odds = {
            kind: most * self.random()
            for kind, most in ODDS.items()
            if self.random() < KNOWN_FAULTS
        }

    def say(self, text: str) -> None:
        """Tell the trace, if there is one, with the virtual time."""
        if self._tell is not None:
            self._tell(f"{self.clock():12.6f}  {text}")

    def strikes(self, kind: str) -> bool:
        """Whether a fault happens now; counts it."""
        odds = self._odds.get(kind)
        if odds is None or self.calm or self.random() >= odds:
            return False
        self.count(kind)
        return True

    def count(self, kind: str) -> None:
        """Count a fault that was injected."""
        self.counts[kind] += 1
        self.say(f"!! {kind}")

    def between(self, low: float, high: float) -> float:
        """Return a number between two, small ones as likely as large ones (log-uniform)."""
        return float(low * (high / low) ** self.random())
