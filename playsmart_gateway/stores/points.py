"""What can be read of points, streaks and statistics, of every sink that stores them."""

from typing import Literal

import msgspec

EntryType = Literal["event", "streak_milestone"]


class Entry(msgspec.Struct, frozen=True):
    """One line of a user's history; ``source_id`` is an event, or the streak of a milestone."""

    id: int
    type: EntryType
    source_id: str
    points: int
    timestamp_ms: int


class StreakFigures(msgspec.Struct, frozen=True):
    """How a streak does: how many users ever had it, and how many of them have it now.

    ``longest`` is the longest that anybody ever had, ``total`` the sum of the current counts, and
    ``users_by_count`` how many users stand at each of them, at most ``MAX_COUNTS`` of them, the
    smallest.
    """

    users: int = 0
    active: int = 0
    longest: int = 0
    total: int = 0
    users_by_count: dict[int, int] = {}


MAX_COUNTS = 1_000
