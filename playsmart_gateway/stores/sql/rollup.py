"""Sums kept beside the events, for questions about days that no index could answer quickly.

``event_rows`` has no index by time or player, which would halve the insert speed. So a rollup task
counts what was stored, a chunk of batches at a time, into small tables. A chunk is gathered on a
connection of its own, as one JSON text for each table, and then added in one short transaction of
a writer, which also moves the watermark ``rollup_state.position`` (a batch id) from where the chunk
begins to where it ends. If it is not there any more nothing is added. So every event counts exactly
once, whatever dies in between.

``rollup_counts`` has events by type, in buckets of several widths, each kept twice as long as it is
shown. ``rollup_players`` numbers the players of each game, and those of all games under the game
``''``; a player's first day is that of their first stored event. ``rollup_player_days`` and
``rollup_player_levels`` say on which days they played and which levels they completed; what is new
there is counted into ``rollup_days`` or ``rollup_levels``, so that nobody counts twice. A day is
that of ``received_at`` in UTC: clients' clocks are not to be trusted.

Whoever changes what is counted appends a migration that empties the tables and sets the position
to 0. Whoever deletes events keeps off those behind the position, which are not counted yet. The
sums stay, as they name nobody. To erase a player, delete their rows in ``rollup_players``
(``user_id`` is nowhere else here) and those of their ``player_id`` in the two tables beside it.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.stores.rollups import DAY, SPANS
from playsmart_gateway.stores.sql.database import Database

MAX_LEVEL = 1.7e308
MIN_LEVEL = 1e-300
MAX_LEVEL_LENGTH = 40
"""A level is a finite number, or a text of at most so many characters without NUL. Numbers are
written as one does: 5.0 is ``5``, 5.5 is ``5.5``, with 15 digits where they are not whole; nearer
to 0 than ``MIN_LEVEL`` they are ``0``."""

MAX_SECONDS = 86_400
"""A completion that says it took longer does not say how long it took."""

MOST = 1e18
"""Values of actions count as no more than that, so that their sums are numbers."""

MAX_BATCHES = 5_000
"""Of one chunk, as each may have a player to be added while others wait for the writer."""

_HINT = "To count all anew, empty the rollup_ tables and INSERT INTO rollup_state VALUES (0)."
_MOVE = "UPDATE rollup_state SET position = $1 WHERE position = $2 RETURNING 1"

ERASURES = "SELECT coalesce(max(count), 0) FROM erasures"

_WIDTHS = ", ".join(f"({width})" for width in (*SPANS.values(), DAY))
_KEPT = ", ".join(f"({width}, {2 * seconds})" for seconds, width in SPANS.items())
ADD_COUNTS = f"""
    INSERT INTO rollup_counts (span, start, game_id, source, type, events)
    SELECT width, at - at % width, game, origin, kind, CAST(sum(n) AS BIGINT)
    FROM (
        SELECT CAST(value ->> 0 AS BIGINT) AS at, value ->> 1 AS game, value ->> 2 AS origin,
               value ->> 3 AS kind, CAST(value ->> 4 AS BIGINT) AS n
        FROM json_each($1)
    ) AS counted
    CROSS JOIN (SELECT column1 AS width FROM (VALUES {_WIDTHS}) AS listed) AS widths
    GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (span, start, game_id, source, type)
        DO UPDATE SET events = rollup_counts.events + excluded.events
"""  # noqa: S608 - built from our own constants
_FORGET_COUNTS = f"""
    DELETE FROM rollup_counts WHERE (span, start, game_id, source, type) IN (
        SELECT span, start, game_id, source, type
        FROM (
            SELECT column1 AS width, (
                SELECT max(start) FROM rollup_counts WHERE span = column1 AND start <= $1
            ) - column2 AS horizon
            FROM (VALUES {_KEPT}) AS kept LIMIT {len(SPANS)}
        ) AS horizons
        CROSS JOIN rollup_counts WHERE span = width AND start < horizon
    )
"""  # noqa: S608 - built from our own constants
ADD_COINS = """
    INSERT INTO rollup_coins (day, game_id, coins)
    SELECT CAST(value ->> 0 AS BIGINT), value ->> 1, CAST(value ->> 2 AS BIGINT)
    FROM json_each($1) WHERE true
    ON CONFLICT (day, game_id) DO UPDATE SET coins = rollup_coins.coins + excluded.coins
"""
ADD_ACTIONS = """
    INSERT INTO rollup_actions (game_id, day, action, events, occurrences, value)
    SELECT each.value ->> 0, CAST(each.value ->> 1 AS BIGINT), each.value ->> 2,
           CAST(each.value ->> 3 AS BIGINT), CAST(each.value ->> 4 AS DOUBLE PRECISION),
           CAST(each.value ->> 5 AS DOUBLE PRECISION)
    FROM json_each($1) AS each WHERE true
    ON CONFLICT (day, game_id, action) DO UPDATE SET
        events = rollup_actions.events + excluded.events,
        occurrences = rollup_actions.occurrences + excluded.occurrences,
        value = rollup_actions.value + excluded.value
"""


Addition = tuple[str, str | int]
"""A statement that adds something, and its parameter."""


class Chunk(NamedTuple):
    """The batches behind ``start`` up to ``position``, of now ``end``; nothing if they are one.

    ``additions`` add them, once that is gathered; ``erasures`` is how many players had been erased
    by then.
    """

    start: int
    position: int
    end: int
    additions: Sequence[Addition] = ()
    erasures: int = 0


async def position_of(db: Database) -> int:
    """Return the batch up to which all are counted.

    Raises:
        SinkUnavailable: somebody removed the mark.
    """
    (position,) = the_only(await db.fetch("SELECT position FROM rollup_state"))
    return int(position)


def the_only(rows: Sequence[Any]) -> Any:
    """Return the only row of ``rollup_state``.

    Raises:
        SinkUnavailable: it is not the only one.
    """
    if len(rows) != 1:
        raise SinkUnavailable(f"rollup_state has {len(rows)} rows, not one", hint=_HINT)
    (row,) = rows
    return row


async def leave_out(db: Database, chunk: Chunk) -> None:
    """Move the position behind a chunk that is not counted, in a write transaction."""
    await db.fetch(_MOVE, chunk.position, chunk.start)


async def add(db: Database, chunk: Chunk) -> bool:
    """Add a chunk, in a write transaction; False if that cannot be (see ``move``)."""
    if not await move(db, chunk):
        return False
    await run(db, chunk.additions)
    return True


async def move(db: Database, chunk: Chunk) -> bool:
    """Move the position behind a chunk that is then to be added, in the same write transaction.

    False if somebody else moved it meanwhile, or a player was erased who may be in the chunk.
    """
    ((erasures,),) = await db.fetch(ERASURES)
    if erasures != chunk.erasures:
        return False
    return bool(await db.fetch(_MOVE, chunk.position, chunk.start))


async def run(db: Database, additions: Iterable[Addition]) -> None:
    """Run what adds something, in a write transaction."""
    for statement, parameter in additions:
        await db.fetch(statement, parameter)


def forgetting() -> Addition:
    """Return what forgets the counts that are not shown any more.

    What a clock ahead counted is no measure.
    """
    return _FORGET_COUNTS, int(time.time())
