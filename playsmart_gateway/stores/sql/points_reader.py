"""Reads points, streaks and statistics: each query one range of one index."""

import asyncio
from collections.abc import Collection
from datetime import date
from typing import Any

import msgspec
from typing_extensions import override

from playsmart_gateway.economy.points import (
    MetadataStats,
    Streak,
)
from playsmart_gateway.economy.points.analytics import (
    MAX_VALUES,
    FieldStats,
)
from playsmart_gateway.stores.models import (
    MAX_COUNTS,
    Entry,
    EntryType,
    StreakFigures,
)
from playsmart_gateway.stores.readers import PointsReader
from playsmart_gateway.stores.sql.database import (
    Transaction,
    keyed,
)
from playsmart_gateway.stores.sql.points import ENTRY_TYPES

_USER = "(SELECT user_number FROM lynes_users WHERE project = $1 AND user_id = $2)"
_POINTS = "SELECT points FROM lynes_users WHERE project = $1 AND user_id = $2"
_HISTORY = f"""
    SELECT entry_id, type, source_id, points, at_ms FROM lynes_history
    WHERE user_number = {_USER} AND at_ms BETWEEN $3 AND $4
    AND type IN (SELECT CAST(value ->> 0 AS BIGINT) FROM json_each($5))
    ORDER BY at_ms DESC, entry_id DESC LIMIT $6 OFFSET $7
"""  # noqa: S608 - built from our own constants
_STREAKS = f"""
    SELECT streak_id, count, longest, day, updated_at_ms FROM lynes_streaks
    WHERE user_number = {_USER} ORDER BY streak_id
"""  # noqa: S608 - built from our own constants
_OF_STREAK = """
    FROM lynes_streaks JOIN lynes_users USING (user_number)
    WHERE streak_id = $1 AND project = $2
"""
_FIGURES = f"""
    SELECT count(*), count(*) FILTER (WHERE day >= $3), coalesce(max(longest), 0),
           CAST(coalesce(sum(count) FILTER (WHERE day >= $3), 0) AS BIGINT) {_OF_STREAK}
"""
_COUNTS = f"""
    SELECT count AS day_count, count(*) {_OF_STREAK} AND day >= $3
    GROUP BY day_count ORDER BY day_count LIMIT {MAX_COUNTS}
"""
_CELLS = """
    FROM lynes_cells {} WHERE project = $1 AND event_id = $2 AND day BETWEEN $3 AND $4
    AND usergroup = coalesce($5, usergroup)
"""
_EVENTS = f"""
    SELECT CAST(coalesce(sum(events), 0) AS BIGINT), CAST(coalesce(sum(unnamed), 0) AS BIGINT)
    {_CELLS.format("")}
"""
_DAYS = f"""
    SELECT day, CAST(sum(events) AS BIGINT) {_CELLS.format("")} GROUP BY day ORDER BY day
"""
_FIELDS = f"SELECT name, stats {_CELLS.format('JOIN lynes_fields USING (cell_id)')}"
_JOINED = "JOIN lynes_fields USING (cell_id) JOIN lynes_values USING (field_id)"
_VALUES = f"""
    SELECT name, CASE WHEN place <= {MAX_VALUES} THEN value END AS shown, CAST(sum(n) AS BIGINT)
    FROM (
        SELECT name, value, sum(count) AS n,
               row_number() OVER (PARTITION BY name ORDER BY crc, value) AS place
        {_CELLS.format(_JOINED)} GROUP BY name, crc, value
    ) AS ranked
    GROUP BY name, shown
"""  # noqa: S608 - built from our own constants


class SqlPointsReader(PointsReader):
    """See ``PointsReader``."""

    def __init__(self, reading: Transaction) -> None:
        self._reading = reading

    @override
    async def points(self, project: str, user_id: str) -> int | None:
        for (points,) in await self._rows(_POINTS, project, user_id):
            return int(points)
        return None

    @override
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
        kinds = keyed([[ENTRY_TYPES.index(each)] for each in types])
        rows = await self._rows(_HISTORY, project, user_id, from_ms, to_ms, kinds, limit, offset)
        return [Entry(row[0], ENTRY_TYPES[row[1]], *row[2:]) for row in rows]

    @override
    async def streaks(self, project: str, user_id: str) -> dict[str, Streak]:
        return {
            streak_id: Streak(count, longest, date.fromisoformat(day), at_ms)
            for streak_id, count, longest, day, at_ms in await self._rows(
                _STREAKS, project, user_id
            )
        }

    @override
    async def streak_figures(
        self, project: str, streak_id: str, active_since: date
    ) -> StreakFigures:
        day = active_since.isoformat()
        async with self._reading() as db:
            ((users, active, longest, total),) = await db.fetch(_FIGURES, streak_id, project, day)
            counts = await db.fetch(_COUNTS, streak_id, project, day)
        by_count = {count: n for count, n in counts}  # noqa: C416 - a row is no tuple
        return StreakFigures(users, active, longest, total, by_count)

    @override
    async def event_stats(
        self, project: str, event_id: str, *, first: date, last: date, group: str | None
    ) -> MetadataStats:
        cells = (project, event_id, first.isoformat(), last.isoformat(), group)
        async with self._reading() as db:
            ((events, unnamed),) = await db.fetch(_EVENTS, *cells)
            fields = await db.fetch(_FIELDS, *cells)
            values = await db.fetch(_VALUES, *cells)
        # Many days have many cells: others go on meanwhile.
        return await asyncio.to_thread(_merged, MetadataStats(events, {}, unnamed), fields, values)

    @override
    async def event_days(
        self, project: str, event_id: str, *, first: date, last: date, group: str | None
    ) -> dict[date, int]:
        rows = await self._rows(
            _DAYS, project, event_id, first.isoformat(), last.isoformat(), group
        )
        return {date.fromisoformat(day): events for day, events in rows}

    async def _rows(self, query: str, *parameters: Any) -> list[Any]:
        async with self._reading() as db:
            return list(await db.fetch(query, *parameters))


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
