"""What can be read of points, streaks and statistics, of every sink that stores them."""

from collections.abc import Collection
from datetime import date
from typing import Literal, Protocol

import msgspec

from playsmart_gateway.economy.points import (
    MetadataStats,
    Streak,
)

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


class LoyaltyReader(Protocol):
    """Reads what ``Sink.commit`` wrote; a project is the ``game_id`` of its batches.

    Every method raises ``SinkUnavailable`` when the store cannot be read now.
    """

    async def points(self, project: str, user_id: str) -> int | None:
        """Return the balance of a user; None if no event of theirs was stored yet."""
        ...

    async def history(
        self,
        project: str,
        user_id: str,
        *,
        types: Collection[EntryType],
        from_ms: int,
        to_ms: int,
        offset: int,
        limit: int,
    ) -> list[Entry]:
        """Return entries of these types and times, both ends included, the newest first."""
        ...

    async def streaks(self, project: str, user_id: str) -> dict[str, Streak]:
        """Return where a user's streaks stand, by streak id."""
        ...

    async def streak_figures(
        self, project: str, streak_id: str, active_since: date
    ) -> StreakFigures:
        """Return the figures of a streak; it is active whose last day is not before that one."""
        ...

    async def event_stats(
        self, project: str, event_id: str, *, first: date, last: date, group: str | None
    ) -> MetadataStats:
        """Return what was counted on these days, both included, of one group or of all."""
        ...

    async def event_days(
        self, project: str, event_id: str, *, first: date, last: date, group: str | None
    ) -> dict[date, int]:
        """Return how many events there were on each of these days that had any, in order."""
        ...
