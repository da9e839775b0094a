"""Reads the figures: bounded, indexed queries over the sums that ``rollup`` keeps.

Each query returns one row, a JSON text, as to fetch each row would cost a turn of the GIL.
"""

from pathlib import Path
from typing import Any, Self

import aiosqlite
import msgspec

from playsmart_gateway.event import MAX_EVENTS_PER_BATCH
from playsmart_gateway.sinks.figures import (
    DAY,
    DAYS_SHOWN,
    SPANS,
    Action,
    Coins,
    Count,
    Day,
    Field,
    Figures,
    Followed,
    Game,
    Level,
)
from playsmart_gateway.sinks.sqlite.connection import Connection
from playsmart_gateway.sinks.sqlite.rollup import CHUNK_TABLES, add, gather

MAX_ROWS = 10_000
"""Of one query."""

MAX_LEVELS = 200
NEWEST_BATCHES = 20_000
NEWEST_OF_LYNES = 1_000
"""Its distributions are of so many batches among the newest of all: ``batches`` has no index."""

_STATE = """
    SELECT position, (SELECT max(seq) FROM sqlite_sequence WHERE name = 'batches'), (
        SELECT received_at FROM batches WHERE batch_id <= position ORDER BY batch_id DESC LIMIT 1
    ) FROM rollup_state
"""
_GAMES = f"""
    SELECT json_array(game_id, sum(events)) AS item FROM rollup_counts
    WHERE span = {DAY} AND start >= (:today - {DAYS_SHOWN - 1}) * {DAY}
    GROUP BY game_id ORDER BY sum(events) DESC, game_id
"""  # noqa: S608 - built from our own constants
_COUNTS = """
    SELECT json_array(start, source, type, sum(events)) AS item FROM rollup_counts
    WHERE span = :span AND start >= :since AND (:game IS NULL OR game_id = :game)
    GROUP BY start, source, type ORDER BY start, source, type
"""
_ACTIVE = """
    SELECT json_array(day, players, new_players, retained_1, retained_7) AS item FROM rollup_days
    WHERE game_id = ifnull(:game, '') AND day >= :first_day ORDER BY day
"""
_PLAYED = f"""
    SELECT json_array(
        start / {DAY},
        sum(iif((source, type) = ('playsmart', 'AppOpen') OR (source, type) = ('teak', 'Played'),
                events, 0)),
        sum(iif((source, type) = ('playsmart', 'AdImpression'), events, 0)),
        sum(iif((source, type) = ('playsmart', 'IAPPurchase'), events, 0))
    ) AS item
    FROM rollup_counts
    WHERE span = {DAY} AND start >= :first_day * {DAY} AND (:game IS NULL OR game_id = :game)
    GROUP BY start ORDER BY start
"""  # noqa: S608 - built from our own constants
_LEVELS_GAME = """
    SELECT game_id FROM rollup_levels WHERE day >= :first_day AND (:game IS NULL OR game_id = :game)
    GROUP BY game_id ORDER BY sum(completions + failures) DESC, game_id LIMIT 1
"""
_LEVELS = f"""
    SELECT json_array(
        level, sum(completions), sum(failures), sum(players), sum(timed), sum(seconds)
    ) AS item
    FROM rollup_levels WHERE day >= :first_day AND game_id = :game
    GROUP BY level ORDER BY CAST(level AS INTEGER), level LIMIT {MAX_LEVELS}
"""  # noqa: S608 - built from our own constants
_COINS = """
    SELECT json_array(day, game_id, coins) AS item FROM rollup_coins
    WHERE day >= :first_day AND (:game IS NULL OR game_id = :game) ORDER BY day, game_id
"""
_ACTIONS = """
    SELECT json_array(action, sum(events), sum(occurrences), sum(value)) AS item
    FROM rollup_actions WHERE day >= :first_day AND (:game IS NULL OR game_id = :game)
    GROUP BY action ORDER BY sum(events) DESC, action
"""
_FIELDS = f"""
    WITH entries AS MATERIALIZED (
        SELECT field.key AS name, field.type AS kind, field.atom
        FROM (
            SELECT batch_id FROM (
                SELECT batch_id, source, game_id FROM batches
                ORDER BY batch_id DESC LIMIT {NEWEST_BATCHES}
            )
            WHERE source = 'lynes' AND (:game IS NULL OR game_id = :game) LIMIT {NEWEST_OF_LYNES}
        )
        CROSS JOIN event_rows ON event_id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                                 AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
        CROSS JOIN json_each(customdata) AS field
    )
    SELECT json_array(
        name, 'number', count(*), min(atom), avg(atom), max(atom), json('[]')
    ) AS item
    FROM entries WHERE kind IN ('integer', 'real') AND abs(atom + 0.0) < 1e300 GROUP BY name
    UNION ALL
    SELECT json_array(name, 'category', events, NULL, NULL, NULL, (
        SELECT json_group_array(json_array(value, events)) FROM (
            SELECT CASE kind WHEN 'text' THEN atom ELSE kind END AS value, count(*) AS events
            FROM entries AS same
            WHERE same.name = counted.name AND kind IN ('text', 'true', 'false')
            GROUP BY value ORDER BY events DESC, value LIMIT 5
        )
    ))
    FROM (SELECT name, count(*) AS events FROM entries
          WHERE kind IN ('text', 'true', 'false') GROUP BY name) AS counted
"""  # noqa: S608 - built from our own constants
_decode = msgspec.json.Decoder(list[list[Any]]).decode


class SqliteFigures:
    """See ``FigureKeeper``; ``store`` is the connection of the sink, which alone writes."""

    def __init__(self, path: Path, store: Connection) -> None:
        self._reading = Connection(path, _prepare, read_only=True)
        self._store = store

    async def __aenter__(self) -> Self:
        """See ``FigureKeeper``."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """See ``FigureKeeper``."""
        await self._reading.close()

    async def follow(self, max_events: int) -> Followed:
        """See ``FigureKeeper.follow``."""
        async with self._reading.transaction("BEGIN") as db:
            chunk = await gather(db, max_events)
        if chunk.position > chunk.start:
            async with self._store.transaction() as db:
                if not await add(db, chunk):
                    return Followed(chunk.start, chunk.end)
        return Followed(chunk.position, chunk.end)

    async def read(self, game_id: str | None, seconds: int, now: float) -> Figures:
        """See ``FigureKeeper.read``."""
        span = SPANS[seconds]
        today = int(now) // DAY
        days = DAYS_SHOWN if seconds > 7 * DAY else 7
        recent = {"game": game_id, "today": today, "first_day": today - days + 1}
        # A cohort shows up in the day of its birth: retention needs all of them.
        month = {"game": game_id, "first_day": today - DAYS_SHOWN + 1}
        first = (int(now) // span + 1) * span - seconds
        async with self._reading.transaction("BEGIN") as db:
            ((position, end, counted_until),) = await db.execute_fetchall(_STATE)
            by_day = {row[0]: Day(*row) for row in await _rows(db, _ACTIVE, month)}
            for day, sessions, ads, purchases in await _rows(db, _PLAYED, month):
                each = by_day.setdefault(day, Day(day))
                each.sessions, each.ads, each.purchases = sessions, ads, purchases
            levels_game = None
            for (name,) in await db.execute_fetchall(_LEVELS_GAME, recent):
                levels_game = name
            levels = await _rows(db, _LEVELS, {**recent, "game": levels_game})
            counts = {"game": game_id, "span": span, "since": first}
            return Figures(
                followed=Followed(position, end or 0),
                counted_until=counted_until,
                games=[Game(*row) for row in await _rows(db, _GAMES, recent)],
                counts=[Count(*row) for row in await _rows(db, _COUNTS, counts)],
                days=[by_day[day] for day in sorted(by_day)],
                levels_game=levels_game,
                levels=[Level(*row) for row in levels],
                coins=[Coins(*row) for row in await _rows(db, _COINS, recent)],
                actions=[Action(*row) for row in await _rows(db, _ACTIONS, recent)],
                fields=[
                    Field(name, kind, values, least, mean, most, [(v, n) for v, n in common])
                    for name, kind, values, least, mean, most, common in await _rows(
                        db, _FIELDS, recent
                    )
                ],
            )


async def _rows(
    db: aiosqlite.Connection, query: str, parameters: dict[str, Any]
) -> list[list[Any]]:
    whole = (
        f"SELECT json_group_array(json(item)) FROM (SELECT item FROM ({query}) LIMIT {MAX_ROWS})"  # noqa: S608 - built from our own constants
    )
    for (text,) in await db.execute_fetchall(whole, parameters):
        return _decode(text)
    return []


async def _prepare(db: aiosqlite.Connection) -> None:
    await db.execute("PRAGMA temp_store = MEMORY")
    for statement in CHUNK_TABLES.split(";\n"):
        if statement.strip():
            await db.execute(statement)
