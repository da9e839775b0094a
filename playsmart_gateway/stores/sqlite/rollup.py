"""Gathers from a SQLite store what ``sql.rollup`` adds to the sums.

Each batch is read once, as a part of long texts that ``counting`` takes apart; then it is looked up
who and what is known already. All of that is done in one go, in the thread of the connection.

What is gathered is exactly what is new, with the numbers of new players: nobody else adds anything
between the gathering and the adding (see ``move``). So the transaction that adds it, for which
ingest has to wait, looks up nothing.
"""

import sqlite3
from bisect import bisect_left
from collections import defaultdict
from itertools import accumulate
from typing import Any

import msgspec

from playsmart_gateway.errors import SinkRejected
from playsmart_gateway.events.batch import (
    MAX_EVENTS_PER_BATCH,
    PLAYSMART,
    TEAK,
    first_event_id,
    last_event_id,
)
from playsmart_gateway.stores.rollups import DAY
from playsmart_gateway.stores.sql.rollup import (
    ADD_ACTIONS,
    ADD_COINS,
    ADD_COUNTS,
    ERASURES,
    MAX_BATCHES,
    MOST,
    Addition,
    Chunk,
    forgetting,
    the_only,
)
from playsmart_gateway.stores.sqlite.counting import (
    COMPLETED,
    ENDED,
    FAILED,
    Batches,
    count_events,
    count_levels,
    decode_attempts,
    decode_data,
    seen,
)
from playsmart_gateway.stores.sqlite.newcomers import (
    ADD_DAYS,
    ADD_LEVELS,
    ADD_PLAYER_DAYS,
    ADD_PLAYER_LEVELS,
    ADD_PLAYERS,
    Newcomers,
    Rows,
)

_integers = msgspec.json.Decoder(list[int]).decode

MAX_DATA_LENGTH = 512
"""Of customdata that is read with that of others; longer ones are read each by itself."""

_STATE = f"""
    SELECT position, (SELECT max(seq) FROM sqlite_sequence WHERE name = 'batches'), ({ERASURES})
    FROM rollup_state
"""  # noqa: S608 - built from our own constants
_SIZES = f"""
    SELECT '[' || group_concat(batch_id) || ']', '[' || group_concat(event_count) || ']' FROM (
        SELECT batch_id, event_count FROM batches WHERE batch_id > ? ORDER BY batch_id
        LIMIT {MAX_BATCHES}
    )
"""  # noqa: S608 - built from our own constants
_NUL = "char(0)"
_BATCHES = f"""
    SELECT CAST(group_concat(
        source || {_NUL} || game_id || {_NUL} || user_id || {_NUL} || substr(received_at, 1, 16),
        {_NUL}
    ) AS BLOB)
    FROM batches WHERE batch_id BETWEEN ? AND ?
"""  # noqa: S608 - built from our own constants
_EVENTS = f"""
    SELECT CAST(group_concat(type, {_NUL}) AS BLOB), CAST(group_concat(
        CASE type WHEN 'LevelCompleted' THEN '[' || event_id || ',{COMPLETED},'
                  WHEN 'GameEnd' THEN '[' || event_id || ',{ENDED},'
                  WHEN 'Custom' THEN CASE WHEN custom_event_name GLOB '[lLfF_]*'
                       AND lower(replace(custom_event_name, '_', '')) IN ('levelfailed', 'fail')
                       THEN '[' || event_id || ',{FAILED},' END
        END || iif(length(customdata) > {MAX_DATA_LENGTH}, 'null', customdata) || ']'
    ) AS BLOB)
    FROM event_rows WHERE event_id BETWEEN ? AND ?
"""  # noqa: S608 - built from our own constants
"""Without customdata there is no level: what is added to NULL is left out."""

_LEFT = f"""
    SELECT (
        SELECT count(*) FROM event_rows
        WHERE event_id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                       AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
    )
    FROM batches WHERE batch_id BETWEEN ? AND ? ORDER BY batch_id
"""  # noqa: S608 - built from our own constants
_DATA = "SELECT customdata FROM event_rows WHERE event_id = ?"

_EVENTS_OF = f"""
    FROM batches CROSS JOIN event_rows
    ON event_id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
    WHERE batch_id BETWEEN ? AND ?
"""
_OTHERS = f"""
    SELECT CAST(json_group_array(json_array(batch_id, event_rows.user_id)) AS BLOB)
    {_EVENTS_OF} AND batches.user_id = '' AND event_rows.user_id <> ''
"""
_RECEIVED_DAY = f"CAST(strftime('%s', received_at) AS INTEGER) / {DAY}"
_COINS = f"""
    SELECT CAST(json_group_array(json_array(day, game_id, coins)) AS BLOB) FROM (
        SELECT {_RECEIVED_DAY} AS day, game_id, sum(amount) AS coins
        FROM coin_entries CROSS JOIN batches ON batch_id = id / {MAX_EVENTS_PER_BATCH}
        WHERE id BETWEEN ? AND ? AND trigger IS NOT NULL
        GROUP BY game_id, substr(received_at, 1, 10)
    )
"""  # noqa: S608 - built from our own constants


def _number(path: str) -> str:
    value = f"CAST(json_extract(customdata, '{path}') AS REAL)"
    return f"max(-{MOST}, min({MOST}, ifnull({value}, 1)))"


_ACTIONS = f"""
    SELECT CAST(json_group_array(json_array(game_id, day, type, n, occurrences, value)) AS BLOB)
    FROM (
        SELECT game_id, {_RECEIVED_DAY} AS day, type, count(*) AS n,
               sum({_number("$.event_count")}) AS occurrences, sum({_number("$.value")}) AS value
        {_EVENTS_OF} AND source = '{TEAK}' GROUP BY game_id, day, type
    )
"""  # noqa: S608 - built from our own constants


def _addition(statement: str, rows: list[list[Any]]) -> Addition:
    return statement, msgspec.json.encode(rows).decode()


PLAIN = [
    _addition(ADD_COUNTS, [[0, "trial", PLAYSMART, "Custom", 1]]),
    _addition(ADD_PLAYERS, [["trial", 0, {"trial": 2**62}]]),
    _addition(ADD_PLAYER_DAYS, [[0, [2**62]]]),
    _addition(ADD_DAYS, [["trial", 0, 1, 1, 1, 1]]),
    _addition(ADD_LEVELS, [["trial", 0, "1", 1, 0, 1, 1.0, 1]]),
    _addition(ADD_PLAYER_LEVELS, [["1", 0, [2**62]]]),
    _addition(ADD_COINS, [[0, "trial", 1]]),
    _addition(ADD_ACTIONS, [["trial", 0, "trial", 1, 1.0, 1.0]]),
    forgetting(),
]
"""What any sums can take."""


def ahead(db: sqlite3.Connection, max_events: int) -> Chunk:
    """Return the batches with the next ``max_events`` events or so, nothing gathered yet."""
    chunk, _, _ = _ahead(db, max_events)
    return chunk


def gather(db: sqlite3.Connection, max_events: int) -> Chunk:
    """Read the next ``max_events`` events or so, in a read transaction.

    Raises:
        SinkRejected: they cannot be read.
        SinkUnavailable: it is not known what is counted.
    """
    chunk, ids, sizes = _ahead(db, max_events)
    if chunk.position == chunk.start:
        return chunk
    try:
        return chunk._replace(
            additions=_additions(db, (chunk.start + 1, chunk.position), ids, sizes)
        )
    except (ValueError, KeyError, msgspec.MsgspecError, RecursionError) as error:
        raise SinkRejected("the store cannot parse these rows", certain=True) from error


def _ahead(db: sqlite3.Connection, max_events: int) -> tuple[Chunk, list[int], list[int]]:
    """Return the same, the ids of the batches, and with how many events each came."""
    states = db.execute(_STATE).fetchall()
    start, end, erasures = the_only(states)
    if start >= (end or 0):
        return Chunk(start, start, end or 0), [], []
    ((ids, sizes),) = db.execute(_SIZES, (start,))
    ids, sizes = _integers(ids or "[]"), _integers(sizes or "[]")
    last = bisect_left([*accumulate(sizes)], max_events)
    if last >= len(ids) < MAX_BATCHES:  # it has them all; the last ids may be those of none
        return Chunk(start, end, end, erasures=erasures), ids, sizes
    ids, sizes = ids[: last + 1], sizes[: last + 1]
    return Chunk(start, ids[-1], end, erasures=erasures), ids, sizes


def _additions(
    db: sqlite3.Connection, between: tuple[int, int], ids: list[int], sizes: list[int]
) -> list[Addition]:
    """Return what adds everything that is new in the batches from the first to the last."""
    ((text,),) = db.execute(_BATCHES, between)
    batches = Batches.read(ids, _text(text))
    events = (first_event_id(between[0]), last_event_id(between[1]))
    ((text, tried),) = db.execute(_EVENTS, events)
    types = [] if text is None else _text(text).split("\0")
    if sum(sizes) != len(types):  # some are gone
        sizes = [left for (left,) in db.execute(_LEFT, between)]
    counts = count_events(batches, sizes, types)
    attempts = [
        (event_id, what, data or decode_data(*db.execute(_DATA, (event_id,)).fetchone()))
        for event_id, what, data in decode_attempts(b"[%b]" % (tried or b""))
    ]
    levels = count_levels(batches, attempts)
    others = defaultdict[int, list[str]](list)
    if "" in batches.users:
        for batch_id, user in _rows(db, _OTHERS, between):
            others[batch_id].append(user)
    newcomers = Newcomers(db)
    newcomers.see(seen(batches, others))
    found: Rows = [
        (ADD_COUNTS, counts),
        *newcomers.additions(levels),
        (ADD_COINS, _rows(db, _COINS, events)),
    ]
    if TEAK in batches.sources:
        found.append((ADD_ACTIONS, _rows(db, _ACTIONS, between)))
    return [*(_addition(statement, rows) for statement, rows in found if rows), forgetting()]


def _text(blob: bytes | None) -> str:
    """Return a text; what is no UTF-8 did not come through the door, and stops nobody here."""
    return "" if blob is None else blob.decode("utf-8", "replace")


def _rows(db: sqlite3.Connection, query: str, between: tuple[int, int]) -> list[list[Any]]:
    ((blob,),) = db.execute(query, between)
    return msgspec.json.decode(_text(blob), type=list[list[Any]])
