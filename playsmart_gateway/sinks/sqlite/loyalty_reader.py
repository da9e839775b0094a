"""Reads points, streaks and statistics: each query one range of one index."""

import asyncio
import json
from collections.abc import Collection
from datetime import date
from typing import Any

import msgspec

from playsmart_gateway.loyalty import MetadataStats, Streak
from playsmart_gateway.loyalty.analytics import MAX_VALUES, FieldStats
from playsmart_gateway.sinks.loyalty import MAX_COUNTS, Entry, EntryType, StreakFigures
from playsmart_gateway.sinks.sqlite.connection import Connection
from playsmart_gateway.sinks.sqlite.loyalty import ENTRY_TYPES

_USER = "(SELECT user_number FROM lynes_users WHERE project = ? AND user_id = ?)"
_POINTS = "SELECT points FROM lynes_users WHERE project = ? AND user_id = ?"
_HISTORY = f"""
    SELECT entry_id, type, source_id, points, at_ms FROM lynes_history
    WHERE user_number = {_USER} AND at_ms BETWEEN ? AND ?
    AND type IN (SELECT value FROM json_each(?))
    ORDER BY at_ms DESC, entry_id DESC LIMIT ? OFFSET ?
"""  # noqa: S608 - built from our own constants
_STREAKS = f"""
    SELECT streak_id, count, longest, day, updated_at_ms FROM lynes_streaks
    WHERE user_number = {_USER} ORDER BY streak_id
"""  # noqa: S608 - built from our own constants
_OF_STREAK = """
    FROM lynes_streaks CROSS JOIN lynes_users USING (user_number)
    WHERE streak_id = ? AND project = ?
"""
_FIGURES = f"""
    SELECT count(*), ifnull(sum(day >= ?), 0), ifnull(max(longest), 0),
           ifnull(sum(iif(day >= ?, count, 0)), 0) {_OF_STREAK}
"""
_COUNTS = f"""
    SELECT count, count(*) {_OF_STREAK} AND day >= ?
    GROUP BY count ORDER BY count LIMIT {MAX_COUNTS}
"""
_CELLS = """
    FROM lynes_cells {} WHERE project = ? AND event_id = ? AND day BETWEEN ? AND ?
    AND usergroup = ifnull(?, usergroup)
"""
_EVENTS = f"SELECT ifnull(sum(events), 0), ifnull(sum(unnamed), 0) {_CELLS.format('')}"
_DAYS = f"SELECT day, sum(events) {_CELLS.format('')} GROUP BY day ORDER BY day"
_FIELDS = f"SELECT name, stats {_CELLS.format('CROSS JOIN lynes_fields USING (cell_id)')}"
_JOINED = "CROSS JOIN lynes_fields USING (cell_id) CROSS JOIN lynes_values USING (field_id)"
_VALUES = f"""
    SELECT name, iif(place <= {MAX_VALUES}, value, NULL) AS shown, sum(count)
    FROM (
        SELECT name, value, sum(count) AS count,
               row_number() OVER (PARTITION BY name ORDER BY crc, value) AS place
        {_CELLS.format(_JOINED)} GROUP BY name, crc, value
    )
    GROUP BY name, shown
"""  # noqa: S608 - built from our own constants


class SqliteLoyaltyReader:
    """See ``LoyaltyReader``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def points(self, project: str, user_id: str) -> int | None:
        """See ``LoyaltyReader.points``."""
        for (points,) in await self._rows(_POINTS, project, user_id):
            return int(points)
        return None

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
        """See ``LoyaltyReader.history``."""
        kinds = json.dumps([ENTRY_TYPES.index(each) for each in types])
        rows = await self._rows(_HISTORY, project, user_id, from_ms, to_ms, kinds, limit, offset)
        return [Entry(row[0], ENTRY_TYPES[row[1]], *row[2:]) for row in rows]

    async def streaks(self, project: str, user_id: str) -> dict[str, Streak]:
        """See ``LoyaltyReader.streaks``."""
        return {
            streak_id: Streak(count, longest, date.fromisoformat(day), at_ms)
            for streak_id, count, longest, day, at_ms in await self._rows(
                _STREAKS, project, user_id
            )
        }

    async def streak_figures(
        self, project: str, streak_id: str, active_since: date
    ) -> StreakFigures:
        """See ``LoyaltyReader.streak_figures``."""
        day = active_since.isoformat()
        async with self._connection.transaction("BEGIN") as db:
            ((users, active, longest, total),) = await db.execute_fetchall(
                _FIGURES, (day, day, streak_id, project)
            )
            counts: Any = await db.execute_fetchall(_COUNTS, (streak_id, project, day))
        return StreakFigures(users, active, longest, total, dict(counts))

    async def event_stats(
        self, project: str, event_id: str, *, first: date, last: date, group: str | None
    ) -> MetadataStats:
        """See ``LoyaltyReader.event_stats``."""
        cells = (project, event_id, first.isoformat(), last.isoformat(), group)
        async with self._connection.transaction("BEGIN") as db:
            ((events, unnamed),) = await db.execute_fetchall(_EVENTS, cells)
            fields = await db.execute_fetchall(_FIELDS, cells)
            values = await db.execute_fetchall(_VALUES, cells)
        # Many days have many cells: others go on meanwhile.
        return await asyncio.to_thread(_merged, MetadataStats(events, {}, unnamed), fields, values)

    async def event_days(
        self, project: str, event_id: str, *, first: date, last: date, group: str | None
    ) -> dict[date, int]:
        """See ``LoyaltyReader.event_days``."""
        rows = await self._rows(
            _DAYS, project, event_id, first.isoformat(), last.isoformat(), group
        )
        return {date.fromisoformat(day): events for day, events in rows}

    async def _rows(self, query: str, *parameters: Any) -> list[Any]:
        async with self._connection.transaction("BEGIN") as db:
            return list(await db.execute_fetchall(query, parameters))


def _merged(whole: MetadataStats, fields: Any, values: Any) -> MetadataStats:
    """Add the fields of many cells, and then their named strings, to ``whole``."""
    for name, stats in fields:
        stored = msgspec.json.decode(stats, type=FieldStats)
        whole.fields.setdefault(name, FieldStats()).merge(stored)
    for name, value, count in values:
        strings = whole.fields[name].strings
        if value is None:
            strings.unnamed += count
        else:
            strings.named[value] = count
    whole.trim()
    return whole
