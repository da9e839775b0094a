"""Gathers from a SQLite store what ``sql_rollup`` adds to the sums."""

import aiosqlite

from playsmart_gateway.events.batch import (
    MAX_EVENTS_PER_BATCH,
    PLAYSMART,
    TEAK,
    first_event_id,
    last_event_id,
)
from playsmart_gateway.stores.rollups import DAY
from playsmart_gateway.stores.sql.rollup import (
    MAX_LEVEL,
    MAX_LEVEL_LENGTH,
    MAX_SECONDS,
    MIN_LEVEL,
    MOST,
    Chunk,
    Gathered,
    next_chunk,
)
from playsmart_gateway.stores.sqlite.connection import Statements
from playsmart_gateway.stores.sqlite.schema import last_member

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
    SELECT row_number() OVER () AS place,
           json_array(at - at % 60, game_id, source, type, count(*)) AS item
    FROM {_CHUNK} GROUP BY at / 60, game_id, source, type
"""  # noqa: S608 - built from our own constants
_SEE_PLAYERS = f"""
    SELECT row_number() OVER (ORDER BY min(seen)) AS place, json_array(game_id, player, day) AS item
    FROM (
        SELECT game_id, user_id AS player, at / {DAY} AS day,
               batch_id * {MAX_EVENTS_PER_BATCH} AS seen
        FROM chunk_batches WHERE user_id <> ''
        UNION ALL
        SELECT game_id, event_rows.user_id, at / {DAY}, event_id
        FROM {_CHUNK} AND chunk_batches.user_id = '' AND event_rows.user_id <> ''
    ) GROUP BY game_id, player, day
"""  # noqa: S608 - built from our own constants
_LEVEL = last_member(
    "level",
    f"""CASE
        WHEN type = 'text' AND length(atom) BETWEEN 1 AND {MAX_LEVEL_LENGTH}
             AND (instr(customdata, '\\u0000') = 0
                  OR instr(customdata -> '$.level', '\\u0000') = 0) THEN atom
        WHEN type NOT IN ('integer', 'real') OR abs(atom + 0.0) > {MAX_LEVEL} THEN NULL
        WHEN typeof(atom) = 'integer' THEN CAST(atom AS TEXT)
        WHEN abs(atom) < {MIN_LEVEL} THEN '0'
        WHEN abs(atom) < 9.2e18 AND atom = CAST(atom AS INTEGER)
             THEN CAST(CAST(atom AS INTEGER) AS TEXT)
        ELSE printf('%.15g', atom)
    END""",
)
"""SQLite ends a text at a NUL, so only the JSON tells that there was one."""

_SECONDS = last_member(
    "duration_seconds",
    f"iif(type IN ('integer', 'real') AND atom BETWEEN 0 AND {MAX_SECONDS}, atom, NULL)",
)
_LIST_LEVELS = f"""
    INSERT INTO chunk_levels
    SELECT game_id, player, event_id, day, done, level, seconds
    FROM (
        SELECT game_id, chunk_batches.user_id AS player, event_id, at / {DAY} AS day,
               type = 'LevelCompleted' AS done, {_LEVEL} AS level,
               iif(type = 'LevelCompleted', {_SECONDS}, NULL) AS seconds
        FROM {_CHUNK} AND source = '{PLAYSMART}' AND (
            type = 'LevelCompleted'
            OR type = 'GameEnd' AND {last_member("reason")} IS NOT 'completed'
            OR type = 'Custom'
            AND lower(replace(custom_event_name, '_', '')) IN ('levelfailed', 'fail')
        ) LIMIT -1
    )
    WHERE level IS NOT NULL
"""  # noqa: S608 - built from our own constants
_COUNT_LEVELS = """
    SELECT row_number() OVER () AS place, json_array(
        game_id, day, level, sum(done), sum(NOT done), count(seconds), total(seconds)
    ) AS item
    FROM chunk_levels GROUP BY game_id, day, level
"""
_SEE_LEVELS = """
    SELECT row_number() OVER () AS place, json_array(game_id, player, level, day) AS item FROM (
        SELECT game_id, player, level, day, min(event_id)
        FROM chunk_levels WHERE done GROUP BY game_id, player, level
    )
"""
_COUNT_COINS = f"""
    SELECT row_number() OVER () AS place, json_array(at / {DAY}, game_id, sum(amount)) AS item
    FROM coin_entries CROSS JOIN chunk_batches ON batch_id = id / {MAX_EVENTS_PER_BATCH}
    WHERE id BETWEEN :first AND :last AND trigger IS NOT NULL GROUP BY at / {DAY}, game_id
"""  # noqa: S608 - built from our own constants


def _number(path: str) -> str:
    value = f"CAST(json_extract(customdata, '{path}') AS REAL)"
    return f"max(-{MOST}, min({MOST}, ifnull({value}, 1)))"


_COUNT_ACTIONS = f"""
    SELECT row_number() OVER () AS place, json_array(
        game_id, at / {DAY}, type, count(*),
        sum({_number("$.event_count")}), sum({_number("$.value")})
    ) AS item
    FROM {_CHUNK} AND source = '{TEAK}' GROUP BY game_id, at / {DAY}, type
"""  # noqa: S608 - built from our own constants

_GATHERING = (
    _COUNT_EVENTS, _SEE_PLAYERS, _COUNT_LEVELS, _SEE_LEVELS, _COUNT_COINS, _COUNT_ACTIONS,
)  # fmt: skip
"""One for each of ``Gathered``."""


async def ahead(db: aiosqlite.Connection, max_events: int) -> Chunk:
    """Return the batches with the next ``max_events`` events or so, nothing gathered yet."""
    ((end,),) = await db.execute_fetchall(_END)
    return await next_chunk(Statements(db), end or 0, max_events)


async def gather(db: aiosqlite.Connection, max_events: int) -> Chunk:
    """Read the next ``max_events`` events or so, in a read transaction."""
    chunk = await ahead(db, max_events)
    if chunk.position == chunk.start:
        return chunk
    await db.execute("DELETE FROM chunk_batches")
    await db.execute(_LIST_BATCHES, (chunk.start + 1, chunk.position))
    events = {
        "first": first_event_id(chunk.start + 1),
        "last": last_event_id(chunk.position),
    }
    await db.execute("DELETE FROM chunk_levels")
    await db.execute(_LIST_LEVELS, events)
    gathered = Gathered(*[await _whole(db, query, events) for query in _GATHERING])
    return chunk._replace(gathered=gathered)


async def _whole(db: aiosqlite.Connection, items: str, events: dict[str, int]) -> str:
    """Return all items as one row and no text: to fetch each would cost as many turns of the GIL.

    What is no UTF-8 did not come through the door; it must not stop the rollup task.
    """
    whole = f"SELECT CAST(json_group_object(place, json(item)) AS BLOB) FROM ({items})"  # noqa: S608
    ((text,),) = await db.execute_fetchall(whole, events)
    return str(text, "utf-8", "replace")
