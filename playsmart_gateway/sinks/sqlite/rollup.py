"""Sums kept beside the events, for questions about days that no index could answer quickly.

``event_rows`` has no index by time or player, which would halve the insert speed. So a follower
counts what was stored, a chunk of batches at a time, into small tables. A chunk is gathered on a
connection of its own, as one JSON text for each table, and then added in one short transaction of
the store's connection, which also moves the watermark ``rollup_state.position`` (a batch id) from
where the chunk begins to where it ends. If it is not there any more nothing is added. So every
event counts exactly once, whatever dies in between.

``rollup_counts`` has events by type, in buckets of several widths, each kept twice as long as it is
shown. ``rollup_players`` numbers the players of each game, and those of all games under the game
``''``; a player's first day is that of their first stored event. ``rollup_player_days`` and
``rollup_player_levels`` say on which days they played and which levels they completed; triggers
count their rows into ``rollup_days`` and ``rollup_levels``, so that nobody counts twice. A day is
that of ``received_at`` in UTC: clients' clocks are not to be trusted.

Whoever changes what is counted appends a migration that empties the tables and sets the position
to 0. Whoever deletes events keeps off those behind the position, which are not counted yet. The
sums stay, as they name nobody. To erase a player, delete their rows in ``rollup_players``
(``user_id`` is nowhere else here) and those of their ``player_id`` in the two tables beside it.
"""

from typing import Any, NamedTuple

import aiosqlite

from playsmart_gateway.event import MAX_EVENTS_PER_BATCH
from playsmart_gateway.sinks.figures import DAY, SPANS

MAX_LEVEL_LENGTH = 40
"""A level is a whole number, or a text of at most so many printable ASCII characters."""

MAX_SECONDS = 86_400
"""A completion that says it took longer does not say how long it took."""

MOST = 1e18
"""Values of actions count as no more than that, so that their sums are numbers."""

CHUNK_TABLES = """
    CREATE TEMP TABLE chunk_batches (
        batch_id INTEGER PRIMARY KEY, source TEXT, game_id TEXT, user_id TEXT, at INTEGER
    );
    CREATE TEMP TABLE chunk_levels (
        game_id TEXT, player TEXT, event_id INTEGER, day INTEGER, done INTEGER, level TEXT,
        seconds REAL
    );
"""

_END = "SELECT max(seq) FROM sqlite_sequence WHERE name = 'batches'"
_BEYOND = f"""
    SELECT event_id / {MAX_EVENTS_PER_BATCH} FROM event_rows
    WHERE event_id >= (? + 1) * {MAX_EVENTS_PER_BATCH} ORDER BY event_id LIMIT 1 OFFSET ?
"""  # noqa: S608 - built from our own constants
_LIST_BATCHES = """
    INSERT INTO chunk_batches
    SELECT batch_id, source, game_id, user_id, CAST(strftime('%s', received_at) AS INTEGER)
    FROM batches WHERE batch_id BETWEEN ? AND ?
"""
_CHUNK = f"""
    event_rows CROSS JOIN chunk_batches ON batch_id = event_id / {MAX_EVENTS_PER_BATCH}
    WHERE event_id BETWEEN :first AND :last
"""
_COUNT_EVENTS = f"""
    SELECT json_array(at - at % 60, game_id, source, type, count(*)) AS item
    FROM {_CHUNK} GROUP BY at / 60, game_id, source, type
"""  # noqa: S608 - built from our own constants
_SEE_PLAYERS = f"""
    SELECT json_array(game_id, player, day) AS item FROM (
        SELECT game_id, user_id AS player, at / {DAY} AS day, batch_id * 256 AS place
        FROM chunk_batches WHERE user_id <> ''
        UNION ALL
        SELECT game_id, event_rows.user_id, at / {DAY}, event_id
        FROM {_CHUNK} AND chunk_batches.user_id = '' AND event_rows.user_id <> ''
    ) GROUP BY game_id, player, day ORDER BY min(place)
"""  # noqa: S608 - built from our own constants
_LIST_LEVELS = f"""
    INSERT INTO chunk_levels
    SELECT game_id, player, event_id, day, done, level,
           iif(done AND json_type(customdata, '$.duration_seconds') IN ('integer', 'real')
               AND json_extract(customdata, '$.duration_seconds') BETWEEN 0 AND {MAX_SECONDS},
               json_extract(customdata, '$.duration_seconds'), NULL)
    FROM (
        SELECT game_id, chunk_batches.user_id AS player, event_id, at / {DAY} AS day,
               type = 'LevelCompleted' AS done, type, customdata,
               json_extract(customdata, '$.level') AS level
        FROM {_CHUNK} AND source = 'playsmart' AND (
            type IN ('LevelCompleted', 'GameEnd') OR type = 'Custom'
            AND lower(replace(custom_event_name, '_', '')) IN ('levelfailed', 'fail')
        )
    )
    WHERE CASE typeof(level)
        WHEN 'integer' THEN json_type(customdata, '$.level') = 'integer'
             AND level BETWEEN -1000000 AND 1000000
        WHEN 'text' THEN json_type(customdata, '$.level') = 'text'
             AND level NOT GLOB '*[^ -~]*' AND length(level) BETWEEN 1 AND {MAX_LEVEL_LENGTH}
    END
    AND (type <> 'GameEnd' OR json_extract(customdata, '$.reason') IS NOT 'completed')
"""  # noqa: S608 - built from our own constants
_COUNT_LEVELS = """
    SELECT json_array(
        game_id, day, level, sum(done), sum(NOT done), count(seconds), total(seconds)
    ) AS item
    FROM chunk_levels GROUP BY game_id, day, level
"""
_SEE_LEVELS = """
    SELECT json_array(game_id, player, level, day) AS item FROM (
        SELECT game_id, player, level, day, min(event_id)
        FROM chunk_levels WHERE done GROUP BY game_id, player, level
    )
"""
_COUNT_COINS = f"""
    SELECT json_array(at / {DAY}, game_id, sum(amount)) AS item
    FROM coin_entries CROSS JOIN chunk_batches ON batch_id = id / {MAX_EVENTS_PER_BATCH}
    WHERE id BETWEEN :first AND :last AND trigger IS NOT NULL GROUP BY at / {DAY}, game_id
"""  # noqa: S608 - built from our own constants


def _number(path: str) -> str:
    value = f"CAST(json_extract(customdata, '{path}') AS REAL)"
    return f"max(-{MOST}, min({MOST}, ifnull({value}, 1)))"


_COUNT_ACTIONS = f"""
    SELECT json_array(
        game_id, at / {DAY}, type, count(*),
        sum({_number("$.event_count")}), sum({_number("$.value")})
    ) AS item
    FROM {_CHUNK} AND source = 'teak' GROUP BY game_id, at / {DAY}, type
"""  # noqa: S608 - built from our own constants

_WIDTHS = ", ".join(f"({width})" for width in (*SPANS.values(), DAY))
_KEPT = ", ".join(f"({width}, {2 * seconds})" for seconds, width in SPANS.items())
_ADD_COUNTS = f"""
    INSERT INTO rollup_counts (span, start, game_id, source, type, events)
    SELECT width, item ->> 0 - item ->> 0 % width, item ->> 1, item ->> 2, item ->> 3,
           sum(item ->> 4)
    FROM (SELECT value AS item FROM json_each(?))
    CROSS JOIN (SELECT column1 AS width FROM (VALUES {_WIDTHS}))
    GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT DO UPDATE SET events = events + excluded.events
"""  # noqa: S608 - built from our own constants
_FORGET_COUNTS = f"""
    DELETE FROM rollup_counts WHERE (span, start, game_id, source, type) IN (
        SELECT span, start, game_id, source, type
        FROM (SELECT column1 AS width, column2 AS kept FROM (VALUES {_KEPT}))
        CROSS JOIN rollup_counts ON span = width
            AND start < (SELECT max(start) FROM rollup_counts WHERE span = width) - kept
    )
"""  # noqa: S608 - built from our own constants
_PLAYERS = """
    FROM (SELECT value AS item FROM json_each(?))
    CROSS JOIN (SELECT column1 AS everywhere FROM (VALUES (0), (1)))
"""
_ADD_PLAYERS = f"""
    INSERT INTO rollup_players (game_id, user_id, first_day)
    SELECT iif(everywhere, '', item ->> 0), item ->> 1, item ->> 2 {_PLAYERS} WHERE true
    ON CONFLICT DO NOTHING
"""
_ADD_PLAYER_DAYS = f"""
    INSERT INTO rollup_player_days (player_id, day)
    SELECT player_id, item ->> 2 {_PLAYERS}
    CROSS JOIN rollup_players
        ON game_id = iif(everywhere, '', item ->> 0) AND user_id = item ->> 1
    WHERE true ON CONFLICT DO NOTHING
"""
_ADD_LEVELS = """
    INSERT INTO rollup_levels (game_id, day, level, completions, failures, timed, seconds)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
    FROM json_each(?) WHERE true
    ON CONFLICT DO UPDATE SET
        completions = completions + excluded.completions, failures = failures + excluded.failures,
        timed = timed + excluded.timed, seconds = seconds + excluded.seconds
"""
_ADD_PLAYER_LEVELS = """
    INSERT INTO rollup_player_levels (player_id, level, day)
    SELECT player_id, item ->> 2, item ->> 3 FROM (SELECT value AS item FROM json_each(?))
    CROSS JOIN rollup_players ON game_id = item ->> 0 AND user_id = item ->> 1
    WHERE true ON CONFLICT DO NOTHING
"""
_ADD_COINS = """
    INSERT INTO rollup_coins (day, game_id, coins)
    SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?) WHERE true
    ON CONFLICT DO UPDATE SET coins = coins + excluded.coins
"""
_ADD_ACTIONS = """
    INSERT INTO rollup_actions (game_id, day, action, events, occurrences, value)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
    FROM json_each(?) WHERE true
    ON CONFLICT DO UPDATE SET
        events = events + excluded.events, occurrences = occurrences + excluded.occurrences,
        value = value + excluded.value
"""


def _whole(items: str) -> str:
    return f"SELECT CAST(json_group_array(json(item)) AS BLOB) FROM ({items})"  # noqa: S608 - ours


_STEPS = (
    (_whole(_COUNT_EVENTS), (_ADD_COUNTS,)),
    (_whole(_SEE_PLAYERS), (_ADD_PLAYERS, _ADD_PLAYER_DAYS)),
    (_whole(_COUNT_LEVELS), (_ADD_LEVELS,)),
    (_whole(_SEE_LEVELS), (_ADD_PLAYER_LEVELS,)),
    (_whole(_COUNT_COINS), (_ADD_COINS,)),
    (_whole(_COUNT_ACTIONS), (_ADD_ACTIONS,)),
)
"""What gathers a text from a chunk, and what adds it; a level is there before its players."""


class Chunk(NamedTuple):
    """What a chunk of batches, behind ``start`` up to ``position``, adds to the tables."""

    start: int
    position: int
    end: int
    texts: tuple[bytes, ...]


async def gather(db: aiosqlite.Connection, max_events: int) -> Chunk:
    """Read the next ``max_events`` events or so, in a read transaction."""
    start = await _one(db, "SELECT position FROM rollup_state")
    end = await _one(db, _END) or 0
    if start >= end:
        return Chunk(start, start, end, ())
    beyond = await _one(db, _BEYOND, (start, max_events - 1))
    position = end if beyond is None else min(end, max(beyond, start + 1))
    await db.execute("DELETE FROM chunk_batches")
    await db.execute(_LIST_BATCHES, (start + 1, position))
    events = {
        "first": (start + 1) * MAX_EVENTS_PER_BATCH,
        "last": (position + 1) * MAX_EVENTS_PER_BATCH - 1,
    }
    await db.execute("DELETE FROM chunk_levels")
    await db.execute(_LIST_LEVELS, events)
    # One row and no text each: to fetch every item would cost as many turns of the GIL.
    texts = [await _one(db, query, events) for query, _ in _STEPS]
    return Chunk(start, position, end, tuple(texts))


async def add(db: aiosqlite.Connection, chunk: Chunk) -> bool:
    """Add a chunk, in a write transaction; False if somebody else moved the position meanwhile."""
    cursor = await db.execute(
        "UPDATE rollup_state SET position = ? WHERE position = ?", (chunk.position, chunk.start)
    )
    if not cursor.rowcount:
        return False
    for (_, statements), text in zip(_STEPS, chunk.texts, strict=True):
        if text != b"[]":
            for statement in statements:
                await db.execute(statement, (text.decode("utf-8", "replace"),))
    await db.execute(_FORGET_COUNTS)
    return True


async def _one(db: aiosqlite.Connection, query: str, parameters: Any = ()) -> Any:
    for (value,) in await db.execute_fetchall(query, parameters):
        return value
    return None
