"""Measured loss: how many numbers of runs never came, by game, program and day.

A run says by the numbers of its events which of them did not arrive (see ``events.intervals``). It
is counted on the day of UTC on which something of it came last, and once nothing has come for
``QUIET_SECONDS``: before that a number may well be on its way.

The numbers are a client's own words. A run that says of itself what no game can do, more than
``MAX_NUMBERS`` events or ``MAX_LOST`` of them lost, is in no figure: it would hide what all others
lost, and a thousand of them would be more than the 64 bits that a store adds up in.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

QUIET_SECONDS = 3_600
MAX_LOST = 1_000_000
MAX_NUMBERS = 10_000_000_000
"""Of one run that is counted. The view ``losses`` has all three, too."""

UNKNOWN = "unknown"
"""Stands for a game, app version or platform that nothing is known of."""

OTHER = "other"
"""Stands for those that are too many to be told apart."""


class Loss(NamedTuple):
    """What became of the ``runs`` of one game, app version, platform and day (since the epoch).

    ``numbers`` is how many events they numbered, up to the last that came; ``lost`` never came.
    """

    day: int
    game_id: str
    app_version: str
    platform: str
    runs: int
    numbers: int
    lost: int


class LossPage(NamedTuple):
    """What was found in a piece of the table, in no order, and its last key; None at the end."""

    losses: list[Loss]
    position: bytes | None


class Losses:
    """Adds up what the pieces have.

    Clients name their versions as they like: beyond ``max_groups`` there is one more a day.
    """

    def __init__(self, max_groups: float = math.inf) -> None:
        self._max_groups = max_groups
        self._sums: dict[tuple[int, str, str, str], tuple[int, int, int]] = {}

    def add(self, found: Iterable[Loss]) -> None:
        """Add some more."""
        for day, game_id, app_version, platform, runs, numbers, lost in found:
            key = day, game_id, app_version, platform
            if key not in self._sums and len(self._sums) >= self._max_groups:
                key = day, OTHER, OTHER, OTHER
            known = self._sums.get(key, (0, 0, 0))
            self._sums[key] = known[0] + runs, known[1] + numbers, known[2] + lost

    def all(self) -> list[Loss]:
        """Return the sums, in order."""
        return [Loss(*key, *self._sums[key]) for key in sorted(self._sums)]
