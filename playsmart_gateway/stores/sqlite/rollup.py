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
from playsmart_gateway.stores.sqlite.one_go import InOneGo
from playsmart_gateway.stores.sqlite.schema import last_member

CHUNK_TABLES = """
    CREATE TEMP TABLE chunk_batches (
        batch_id INTEGER PRIMARY KEY, source TEXT, game_id TEXT, user_id TEXT, at INTEGER,
        alike INTEGER, player_id INTEGER
    );
    CREATE TEMP TABLE chunk_games (
        game INTEGER PRIMARY KEY, source TEXT, game_id TEXT, UNIQUE (source, game_id)
    );
    CREATE TEMP TABLE chunk_levels (
        batch_id INTEGER, alike INTEGER, done INTEGER, level TEXT, seconds REAL
    );
"""
"""Batches that are ``alike`` are of one minute, game and source: to sort by a number is quick.

``player_id`` is that of a player who is known already.
"""

_EMPTY = [
    (f"DELETE FROM {table}", ())  # noqa: S608 - built from our own constants
    for table in ("chunk_games", "chunk_batches", "chunk_levels")
]

_END = "SELECT max(seq) FROM sqlite_sequence WHERE name = 'batches'"
_LIST_GAMES = """
    INSERT INTO chunk_games (source, game_id)
    SELECT DISTINCT source, game_id FROM batches WHERE batch_id BETWEEN ? AND ?
"""
_LIST_BATCHES = """
    INSERT INTO chunk_batches
    SELECT *, (at / 60 << 20) + (
        SELECT game FROM chunk_games
        WHERE chunk_games.source = batch.source AND chunk_games.game_id = batch.game_id
    ), (
        SELECT player_id FROM rollup_players AS known
        WHERE known.game_id = batch.game_id AND known.user_id = batch.user_id
    ) FROM (
        SELECT batch_id, source, game_id, user_id,
               CAST(strftime('%s', received_at) AS INTEGER) AS at
        FROM batches WHERE batch_id BETWEEN ? AND ?
    ) AS batch
"""
_CHUNK = f"""
    event_rows CROSS JOIN chunk_batches ON batch_id = event_id / {MAX_EVENTS_PER_BATCH}
    WHERE event_id BETWEEN :first AND :last
"""
_EVENTS_OF = f"""
    chunk_batches CROSS JOIN event_rows
    ON event_id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
"""
"""From the batches to their events, where most batches are of no interest."""

_COUNT_EVENTS = f"""
    SELECT row_number() OVER () AS place,
           json_array(at - at % 60, game_id, source, type, events) AS item
    FROM (
        SELECT type, count(*) AS events, min(batch_id) AS one
        FROM {_CHUNK} GROUP BY type, alike
    ) CROSS JOIN chunk_batches ON batch_id = one
"""  # noqa: S608 - built from our own constants
_SEE_PLAYERS = f"""
    SELECT row_number() OVER (ORDER BY min(seen)) AS place, json_array(game_id, player, day) AS item
    FROM (
        SELECT game_id, user_id AS player, at / {DAY} AS day,
               batch_id * {MAX_EVENTS_PER_BATCH} AS seen
        FROM chunk_batches WHERE user_id <> '' AND NOT EXISTS (
            SELECT 1 FROM rollup_player_days AS known
            WHERE known.player_id = chunk_batches.player_id AND day = at / {DAY}
        )
        UNION ALL
        SELECT game_id, event_rows.user_id, at / {DAY}, event_id
        FROM {_EVENTS_OF} WHERE chunk_batches.user_id = '' AND event_rows.user_id <> ''
    ) GROUP BY game_id, player, day
"""  # noqa: S608 - built from our own constants
"""Without those of whom it is known: who played a game on a day is there in all games, too."""


def _member(name: str, value: str) -> str:
    """Return SQL of ``value``, made of ``type`` and ``atom`` of a member of ``customdata``.

    Where the name is there once at most, which its text tells, that is quick to find.
    """
    return f"""iif(
        instr(customdata, '\\') = 0 AND customdata NOT GLOB '*"{name}"*"{name}"*', (
            SELECT {value} FROM (
                SELECT json_type(customdata, '$.{name}') AS type,
                       json_extract(customdata, '$.{name}') AS atom
            )
        ), {last_member(name, value)}
    )"""  # noqa: S608 - built from our own constants


_LEVEL = _member(
    "level",
    f"""CASE
        WHEN typeof(atom) = 'integer' AND type = 'integer' THEN CAST(atom AS TEXT)
        WHEN type = 'text' AND length(atom) BETWEEN 1 AND {MAX_LEVEL_LENGTH}
             AND (instr(customdata, '\\u0000') = 0
                  OR instr(customdata -> '$.level', '\\u0000') = 0) THEN atom
        WHEN type NOT IN ('integer', 'real') OR abs(atom + 0.0) > {MAX_LEVEL} THEN NULL
        WHEN abs(atom) < {MIN_LEVEL} THEN '0'
        WHEN abs(atom) < 9.2e18 AND atom = CAST(atom AS INTEGER)
             THEN CAST(CAST(atom AS INTEGER) AS TEXT)
        ELSE printf('%.15g', atom)
    END""",
)
"""SQLite ends a text at a NUL, so only the JSON tells that there was one."""

_SECONDS = _member(
    "duration_seconds",
    f"iif(type IN ('integer', 'real') AND atom BETWEEN 0 AND {MAX_SECONDS}, atom, NULL)",
)
_LIST_LEVELS = f"""
    INSERT INTO chunk_levels
    SELECT batch_id, alike, done, level, seconds
    FROM (
        SELECT batch_id, alike, type = 'LevelCompleted' AS done, {_LEVEL} AS level,
               iif(type = 'LevelCompleted', {_SECONDS}, NULL) AS seconds
        FROM {_CHUNK} AND source = '{PLAYSMART}' AND (
            type = 'LevelCompleted'
            OR type = 'GameEnd' AND {_member("reason", "atom")} IS NOT 'completed'
            OR type = 'Custom'
            AND lower(replace(custom_event_name, '_', '')) IN ('levelfailed', 'fail')
        ) LIMIT -1
    )
    WHERE level IS NOT NULL
"""  # noqa: S608 - built from our own constants
_COUNT_LEVELS = f"""
    SELECT row_number() OVER () AS place, json_array(
        game_id, at / {DAY}, level, completions, failures, timed, sum_of_seconds
    ) AS item
    FROM (
        SELECT level, sum(done) AS completions, sum(NOT done) AS failures,
               count(seconds) AS timed, total(seconds) AS sum_of_seconds, min(batch_id) AS one
        FROM chunk_levels GROUP BY level, alike
    ) CROSS JOIN chunk_batches ON batch_id = one
"""  # noqa: S608 - built from our own constants
_SEE_LEVELS = f"""
    SELECT row_number() OVER () AS place, json_array(game_id, player, level, day) AS item FROM (
        SELECT game_id, user_id AS player, level, at / {DAY} AS day, min(batch_id)
        FROM chunk_levels CROSS JOIN chunk_batches USING (batch_id)
        WHERE done AND NOT EXISTS (
            SELECT 1 FROM rollup_player_levels AS known
            WHERE known.player_id = chunk_batches.player_id AND known.level = chunk_levels.level
        )
        GROUP BY game_id, user_id, level
    )
"""  # noqa: S608 - built from our own constants
_COUNT_COINS = f"""
    SELECT row_number() OVER () AS place, json_array(at / {DAY}, game_id, amount) AS item
    FROM (
        SELECT sum(amount) AS amount, min(batch_id) AS one
        FROM coin_entries CROSS JOIN chunk_batches ON batch_id = id / {MAX_EVENTS_PER_BATCH}
        WHERE id BETWEEN :first AND :last AND trigger IS NOT NULL GROUP BY alike
    ) CROSS JOIN chunk_batches ON batch_id = one
"""  # noqa: S608 - built from our own constants


def _number(path: str) -> str:
    value = f"CAST(json_extract(customdata, '{path}') AS REAL)"
    return f"max(-{MOST}, min({MOST}, ifnull({value}, 1)))"


_COUNT_ACTIONS = f"""
    SELECT row_number() OVER () AS place, json_array(
        game_id, at / {DAY}, type, count(*),
        sum({_number("$.event_count")}), sum({_number("$.value")})
    ) AS item
    FROM {_EVENTS_OF} WHERE source = '{TEAK}' GROUP BY game_id, at / {DAY}, type
"""  # noqa: S608 - built from our own constants


def _whole(items: str) -> str:
    """Return SQL of all items as one text: to fetch each would cost as many turns of the GIL.

    What is no UTF-8 did not come through the door; as a BLOB it does not stop the rollup task.
    """
    return f"(SELECT CAST(json_group_object(place, json(item)) AS BLOB) FROM ({items}))"  # noqa: S608


_GATHERING = (
    _COUNT_EVENTS, _SEE_PLAYERS, _COUNT_LEVELS, _SEE_LEVELS, _COUNT_COINS, _COUNT_ACTIONS,
)  # fmt: skip
"""One for each of ``Gathered``."""

_GATHER = f"SELECT {', '.join(map(_whole, _GATHERING))}"


async def ahead(db: aiosqlite.Connection, max_events: int) -> Chunk:
    """Return the batches with the next ``max_events`` events or so, nothing gathered yet."""
    ((end,),) = await db.execute_fetchall(_END)
    return await next_chunk(Statements(db), end or 0, max_events)


async def gather(db: InOneGo, max_events: int) -> Chunk:
    """Read the next ``max_events`` events or so, in a read transaction."""
    chunk = await ahead(db, max_events)
    if chunk.position == chunk.start:
        return chunk
    batches = (chunk.start + 1, chunk.position)
    events = {"first": first_event_id(batches[0]), "last": last_event_id(batches[1])}
    await db.run(
        [
            *_EMPTY,
            (_LIST_GAMES, batches),
            (_LIST_BATCHES, batches),
            (_LIST_LEVELS, events),
        ]
    )
    (texts,) = await db.execute_fetchall(_GATHER, events)
    return chunk._replace(gathered=Gathered(*[str(text, "utf-8", "replace") for text in texts]))
