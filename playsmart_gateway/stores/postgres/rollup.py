"""Gathers from a PostgreSQL store what ``sql.rollup`` adds to the sums.

Triggers count players, days and levels that are added into ``rollup_days`` and ``rollup_levels``.
"""

import json
from typing import NamedTuple

import asyncpg

from playsmart_gateway.events.batch import (
    MAX_EVENTS_PER_BATCH,
    PLAYSMART,
    TEAK,
    first_event_id,
)
from playsmart_gateway.stores.rollups import DAY
from playsmart_gateway.stores.sql.rollup import (
    ADD_ACTIONS,
    ADD_COINS,
    ADD_COUNTS,
    ERASURES,
    MAX_BATCHES,
    MAX_LEVEL_LENGTH,
    MAX_SECONDS,
    MOST,
    Addition,
    Chunk,
    forgetting,
    position_of,
)

_NOTHING = "{}"
"""What is gathered of a chunk that has none."""

_BEYOND = f"""
    SELECT event_id / {MAX_EVENTS_PER_BATCH} FROM event_rows
    WHERE event_id >= $1 ORDER BY event_id LIMIT 1 OFFSET $2
"""  # noqa: S608 - built from our own constants
_BATCHES = """
    SELECT batch_id, source, game_id, user_id,
           floor(extract(epoch FROM received_at))::bigint AS at
    FROM batches WHERE batch_id BETWEEN $1 AND $2
"""
_CHUNK = f"""
    ({_BATCHES}) AS batch CROSS JOIN LATERAL (
        SELECT event_id, type, custom_event_name, customdata, event_rows.user_id AS player
        FROM event_rows WHERE event_id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                              AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
        OFFSET 0
    ) AS event
"""  # noqa: S608 - built from our own constants
"""From the batches to their events, as in ``coins``."""

_COUNT_EVENTS = f"""
    SELECT row_number() OVER () AS place,
           json_build_array(at - at % 60, game_id, source, type, count(*)) AS item
    FROM {_CHUNK} GROUP BY at - at % 60, game_id, source, type
"""  # noqa: S608 - built from our own constants
_SEE_PLAYERS = f"""
    SELECT row_number() OVER (ORDER BY min(seen)) AS place,
           json_build_array(game_id, player, day) AS item
    FROM (
        SELECT game_id, user_id AS player, at / {DAY} AS day,
               batch_id * {MAX_EVENTS_PER_BATCH} AS seen
        FROM ({_BATCHES}) AS batch WHERE user_id <> ''
        UNION ALL
        SELECT game_id, player, at / {DAY}, event_id
        FROM {_CHUNK} WHERE user_id = '' AND player <> ''
    ) AS sightings GROUP BY game_id, player, day
"""  # noqa: S608 - built from our own constants
_LEVEL = rf"""
    CASE json_typeof(said_level)
        WHEN 'string' THEN CASE
            WHEN char_length(said_level #>> '{{}}') BETWEEN 1 AND {MAX_LEVEL_LENGTH}
                 AND (strpos(said_level #>> '{{}}', U&'\FFFD') = 0
                      OR strpos(customdata::text, '\u0000') = 0)
            THEN said_level #>> '{{}}'
        END
        WHEN 'number' THEN CASE
            WHEN said_level::text ~ '^(0|-?[1-9][0-9]{{0,14}})$' THEN said_level::text
            WHEN length(said_level::text) > 1000 THEN NULL
            WHEN said_level::text ~ '[eE]-0*[1-9][0-9]{{4,}}$' THEN '0'
            WHEN said_level::text ~ '^[^eE]*([eE][-+]?0*[0-9]{{1,4}})?$'
            THEN level_of(said_level::text::numeric)
        END
    END
"""
"""What may be beyond ``numeric`` is not even tried, and U+FFFD beside a NUL may be that NUL.

Most are small whole numbers, which need no look at them as numbers.
"""

_SECONDS = rf"""
    CASE WHEN done AND json_typeof(said_seconds) = 'number' AND length(said_seconds::text) <= 300
         AND said_seconds::text ~ '^[^eE]*([eE][-+]?0*[0-9]{{1,2}})?$'
         AND said_seconds::text::numeric BETWEEN 0 AND {MAX_SECONDS}
    THEN said_seconds::text::float8 END
"""
"""What may be beyond ``numeric`` is not even tried."""

_GATHER_LEVELS = f"""
    WITH levels AS MATERIALIZED (
        SELECT game_id, user_id AS player, event_id, at / {DAY} AS day, done,
               {_LEVEL} AS level, {_SECONDS} AS seconds
        FROM (
            SELECT game_id, user_id, event_id, at, customdata, type = 'LevelCompleted' AS done,
                   data -> 'level' AS said_level, data -> 'duration_seconds' AS said_seconds
            FROM (
                SELECT *, readable(customdata) AS data FROM {_CHUNK}
                WHERE source = '{PLAYSMART}' AND (
                    type IN ('LevelCompleted', 'GameEnd') OR type = 'Custom'
                    AND lower(replace(custom_event_name, '_', '')) IN ('levelfailed', 'fail')
                ) OFFSET 0
            ) AS played
            WHERE type <> 'GameEnd' OR data ->> 'reason' IS DISTINCT FROM 'completed'
            OFFSET 0
        ) AS said
    ), counts AS (
        SELECT row_number() OVER () AS place, json_build_array(
            game_id, day, level, count(*) FILTER (WHERE done), count(*) FILTER (WHERE NOT done),
            count(seconds), coalesce(sum(seconds), 0)
        ) AS item
        FROM levels WHERE level IS NOT NULL GROUP BY game_id, day, level
    ), completed AS (
        SELECT DISTINCT ON (game_id, player, level) game_id, player, level, day
        FROM levels WHERE done AND level IS NOT NULL ORDER BY game_id, player, level, event_id
    ), firsts AS (
        SELECT row_number() OVER () AS place, json_build_array(game_id, player, level, day) AS item
        FROM completed
    )
    SELECT (SELECT json_object_agg(place, item) FROM counts),
           (SELECT json_object_agg(place, item) FROM firsts)
"""  # noqa: S608 - built from our own constants
"""Levels and who completed them, in one go: to look into customdata is what takes time."""

_COUNT_COINS = f"""
    SELECT row_number() OVER () AS place,
           json_build_array(at / {DAY}, game_id, sum(amount)::bigint) AS item
    FROM ({_BATCHES}) AS batch CROSS JOIN LATERAL (
        SELECT amount FROM coin_entries
        WHERE id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                 AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
        AND trigger IS NOT NULL OFFSET 0
    ) AS entry GROUP BY at / {DAY}, game_id
"""  # noqa: S608 - built from our own constants


def _number(key: str) -> str:
    """Return SQL of a number of Teak's events, 1 if there is none."""
    value = f"coalesce((readable(customdata) ->> '{key}')::numeric, 1)"
    return f"greatest(-{MOST:.0f}, least({MOST:.0f}, {value}))"


_COUNT_ACTIONS = f"""
    SELECT row_number() OVER () AS place, json_build_array(
        game_id, day, type, count(*), sum(occurrences::float8),
        sum(CASE WHEN abs(value) >= 1e-300 THEN value::float8 ELSE 0 END)
    ) AS item
    FROM (
        SELECT game_id, at / {DAY} AS day, type,
               {_number("event_count")} AS occurrences, {_number("value")} AS value
        FROM {_CHUNK} WHERE source = '{TEAK}' OFFSET 0
    ) AS acted GROUP BY game_id, day, type
"""  # noqa: S608 - built from our own constants

_EVERYWHERE = "(SELECT column1 AS everywhere FROM (VALUES (0), (1)) AS both_of_them) AS places"
_GAME = "CASE everywhere WHEN 1 THEN '' ELSE value ->> 0 END"
_ADD_PLAYERS = f"""
    INSERT INTO rollup_players (game_id, user_id, first_day)
    SELECT {_GAME}, value ->> 1, CAST(value ->> 2 AS BIGINT)
    FROM json_each($1) CROSS JOIN {_EVERYWHERE} WHERE true
    ORDER BY CAST(key AS BIGINT)
    ON CONFLICT (game_id, user_id) DO NOTHING
"""  # noqa: S608 - built from our own constants
_ADD_PLAYER_DAYS = f"""
    INSERT INTO rollup_player_days (player_id, day)
    SELECT player_id, CAST(value ->> 2 AS BIGINT)
    FROM json_each($1) CROSS JOIN {_EVERYWHERE} CROSS JOIN rollup_players
    WHERE game_id = {_GAME} AND user_id = value ->> 1
    ON CONFLICT (player_id, day) DO NOTHING
"""  # noqa: S608 - built from our own constants
_ADD_LEVELS = """
    INSERT INTO rollup_levels (game_id, day, level, completions, failures, timed, seconds)
    SELECT value ->> 0, CAST(value ->> 1 AS BIGINT), value ->> 2, CAST(value ->> 3 AS BIGINT),
           CAST(value ->> 4 AS BIGINT), CAST(value ->> 5 AS BIGINT),
           CAST(value ->> 6 AS DOUBLE PRECISION)
    FROM json_each($1) WHERE true
    ON CONFLICT (day, game_id, level) DO UPDATE SET
        completions = rollup_levels.completions + excluded.completions,
        failures = rollup_levels.failures + excluded.failures,
        timed = rollup_levels.timed + excluded.timed,
        seconds = rollup_levels.seconds + excluded.seconds
"""
_ADD_PLAYER_LEVELS = """
    INSERT INTO rollup_player_levels (player_id, level, day)
    SELECT player_id, value ->> 2, CAST(value ->> 3 AS BIGINT)
    FROM json_each($1) CROSS JOIN rollup_players
    WHERE game_id = value ->> 0 AND user_id = value ->> 1
    ON CONFLICT (player_id, level) DO NOTHING
"""


class Gathered(NamedTuple):
    """What some batches add to the tables, each a JSON object of rows under their places.

    - ``counts``: minute, game, source, type, events
    - ``players``: game, player, day, in the order in which they were seen
    - ``levels``: game, day, level, completions, failures, how many were timed, seconds
    - ``player_levels``: game, player, level, day: each completed level of a player once
    - ``coins``: day, game, coins
    - ``actions``: game, day, action, events, occurrences, value
    """

    counts: str
    players: str
    levels: str
    player_levels: str
    coins: str
    actions: str


_ADDING = (
    (ADD_COUNTS,),
    (_ADD_PLAYERS, _ADD_PLAYER_DAYS),
    (_ADD_LEVELS,),
    (_ADD_PLAYER_LEVELS,),
    (ADD_COINS,),
    (ADD_ACTIONS,),
)
"""The statements that add each of ``Gathered``; a level is there before its players."""


_PLAIN = Gathered(
    counts=json.dumps({"1": [0, "trial", PLAYSMART, "Custom", 1]}),
    players='{"1":["trial","trial",0]}',
    levels='{"1":["trial",0,"1",1,0,1,1.0]}',
    player_levels='{"1":["trial","trial","1",0]}',
    coins='{"1":[0,"trial",1]}',
    actions='{"1":["trial",0,"trial",1,1.0,1.0]}',
)


def _additions(gathered: Gathered) -> list[Addition]:
    found: list[Addition] = [
        (statement, text)
        for statements, text in zip(_ADDING, gathered, strict=True)
        if text != _NOTHING
        for statement in statements
    ]
    return [*found, forgetting()]


PLAIN = _additions(_PLAIN)
"""What any sums can take."""


async def ahead(db: asyncpg.Connection, max_events: int) -> Chunk:
    """Return the batches with the next ``max_events`` events or so, nothing gathered yet."""
    end = await db.fetchval("SELECT last_batch_id FROM batch_counter")
    start = await position_of(db)
    if start >= end:
        return Chunk(start, start, end)
    erasures = await db.fetchval(ERASURES)
    position = min(end, start + MAX_BATCHES)
    beyond = await db.fetchval(_BEYOND, first_event_id(start + 1), max_events - 1)
    if beyond is not None:
        position = min(position, max(beyond, start + 1))
    return Chunk(start, position, end, erasures=erasures)


async def gather(db: asyncpg.Connection, max_events: int) -> Chunk:
    """Read the next ``max_events`` events or so, in a read transaction."""
    chunk = await ahead(db, max_events)
    if chunk.position == chunk.start:
        return chunk
    batches = (chunk.start + 1, chunk.position)

    async def whole(items: str) -> str:
        query = f"SELECT json_object_agg(place, item) FROM ({items}) AS items"  # noqa: S608 - ours
        return await db.fetchval(query, *batches) or _NOTHING

    levels, player_levels = await db.fetchrow(_GATHER_LEVELS, *batches)
    gathered = Gathered(
        counts=await whole(_COUNT_EVENTS),
        players=await whole(_SEE_PLAYERS),
        levels=levels or _NOTHING,
        player_levels=player_levels or _NOTHING,
        coins=await whole(_COUNT_COINS),
        actions=await whole(_COUNT_ACTIONS),
    )
    return chunk._replace(additions=_additions(gathered))
