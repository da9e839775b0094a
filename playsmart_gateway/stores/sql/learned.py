"""What ``LearnedStore`` asks a database: one look, and what was learned of it."""

from collections.abc import Callable, Sequence
from typing import Any, Self

from typing_extensions import override

from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.events.batch import (
    MAX_EVENTS_PER_BATCH,
    first_event_id,
    last_event_id,
)
from playsmart_gateway.stores.learned import (
    MAX_DATA_LENGTH,
    MAX_NAME_LENGTH,
    TOO_LONG,
    Buried,
    Counted,
    EventKey,
    Kept,
    LearnedStore,
    Looked,
    Sight,
)
from playsmart_gateway.stores.sql.database import Database, Transaction, keyed
from playsmart_gateway.stores.sql.rollup import ERASURES

MAX_BATCHES = 5_000
"""Of one look."""

MAX_KINDS = 300
"""Of events that one look counts, the most frequent ones."""

MAX_REASONS = 100

Printed = Callable[[str], str]
"""Returns SQL that prints the time in a column."""

_HINT = "To learn all anew, empty the catalogue_ tables and INSERT INTO catalogue_state VALUES (0)."
_ENDS = f"""
    SELECT position, coalesce((SELECT max(batch_id) FROM batches), position), ({ERASURES})
    FROM catalogue_state
"""  # noqa: S608 - built from our own constants
_PIECE = f"""
    SELECT coalesce(max(CASE WHEN events <= $2 THEN batch_id END), min(batch_id)), count(*)
    FROM (
        SELECT batch_id, sum(event_count) OVER (ORDER BY batch_id) AS events
        FROM batches WHERE batch_id > $1 ORDER BY batch_id LIMIT {MAX_BATCHES}
    ) AS next
"""  # noqa: S608 - built from our own constants
_KEPT = """
    SELECT source, game_id, type, name, learned FROM catalogue_entries
    WHERE CAST($1 AS TEXT) IS NULL OR game_id = $1 OR type = ''
"""
_MOVE = "UPDATE catalogue_state SET position = $1 WHERE position = $2 RETURNING 1"
_KEEP = """
    INSERT INTO catalogue_entries (source, game_id, type, name, learned)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4
    FROM json_each($1) WHERE true
    ON CONFLICT (game_id, source, type, name) DO UPDATE SET learned = excluded.learned
"""
_FORGET = """
    DELETE FROM catalogue_entries WHERE (source, game_id, type, name) IN (
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each($1)
    )
"""


async def look(
    db: Database, printed: Printed, start: int, *, max_events: int, max_looked: int
) -> Sight:
    """See ``LearnedStore.look``."""
    ((_, end, erasures),) = await _ends(db)
    ((position, batches),) = await db.fetch(_PIECE, start, max_events)
    if not batches:
        return Sight(start, max(start, end), end, erasures=erasures)
    bounds = first_event_id(start + 1), last_event_id(position)
    counted = await db.fetch(
        f"""
        WITH games AS MATERIALIZED (
            SELECT batch_id, dense_rank() OVER (ORDER BY source, game_id) AS game
            FROM batches WHERE batch_id BETWEEN $3 AND $4
        )
        SELECT source, game_id, type, substr(coalesce(name, ''), 1, {MAX_NAME_LENGTH}), events,
               {printed("first.received_at")}, {printed("latest")}
        FROM (
            SELECT type, custom_event_name AS name, count(*) AS events,
                   min(batch_id) AS first_id, max(batch_id) AS last_id
            FROM event_rows JOIN games ON batch_id = event_id / {MAX_EVENTS_PER_BATCH}
            WHERE event_id BETWEEN $1 AND $2 GROUP BY game, type, custom_event_name
            ORDER BY 3 DESC LIMIT {MAX_KINDS}
        ) AS kinds
        JOIN batches AS first ON first.batch_id = first_id
        JOIN (SELECT batch_id, received_at AS latest FROM batches) AS last
            ON last.batch_id = last_id
        """,  # noqa: S608 - built from our own constants
        *bounds,
        *(start + 1, int(position)),
    )
    counts = [
        Counted(EventKey(source, game, type_, name), *counts)
        for source, game, type_, name, *counts in counted
    ]
    events = sum(each.events for each in counts)
    every = -(-events // max_looked)
    looked = await db.fetch(
        f"""
        SELECT events.source, events.game_id, events.type,
               substr(coalesce(events.custom_event_name, ''), 1, {MAX_NAME_LENGTH}),
               events.user_id, events.received_at,
               CASE WHEN length(CAST(events.customdata AS TEXT)) <= {MAX_DATA_LENGTH}
                    THEN CAST(events.customdata AS TEXT)
                    WHEN events.customdata IS NOT NULL THEN '{TOO_LONG}' END,
               events.clock, clients.app_version
        FROM events
        JOIN batches ON batches.batch_id = events.event_id / {MAX_EVENTS_PER_BATCH}
        LEFT JOIN runs ON runs.run = batches.run
        LEFT JOIN clients ON clients.client_id = runs.client_id
        WHERE events.event_id BETWEEN $1 AND $2 AND batches.batch_id % $3 = 0
        ORDER BY events.event_id LIMIT $4
        """,  # noqa: S608 - built from our own constants
        *(*bounds, max(every, 1), 2 * max_looked),
    )
    return Sight(
        start,
        int(position),
        end,
        counts,
        [
            Looked(EventKey(source, game, type_, name), *rest)
            for source, game, type_, name, *rest in looked
        ],
        erasures,
    )


class SqlLearned(LearnedStore):
    """What is the same in each store that speaks SQL; ``printed`` prints its columns of times."""

    def __init__(self, reading: Transaction, writing: Transaction, printed: Printed) -> None:
        self.busy_seconds = 0.0
        self._reading = reading
        self._writing = writing
        self._printed = printed

    @override
    async def __aenter__(self) -> Self:
        return self

    @override
    async def kept(self, game_id: str | None = None) -> Kept:
        async with self._reading() as db:
            return await kept(db, game_id)

    @override
    async def keep(
        self,
        start: int,
        position: int,
        learned: Sequence[tuple[EventKey, str]],
        forgotten: Sequence[EventKey] = (),
        *,
        erasures: int = 0,
    ) -> bool:
        async with self._writing() as db:
            ((now,),) = await db.fetch(ERASURES)
            if now != erasures or not await db.fetch(_MOVE, position, start):
                return False
            if forgotten:
                await db.fetch(_FORGET, keyed(forgotten))
            if learned:
                await db.fetch(_KEEP, keyed([(*key, text) for key, text in learned]))
            return True

    @override
    async def buried(self) -> list[Buried]:
        async with self._reading() as db:
            return await buried(db, self._printed)


async def kept(db: Database, game_id: str | None = None) -> Kept:
    """See ``LearnedStore.kept``."""
    ((position, end, erasures),) = await _ends(db)
    rows = await db.fetch(_KEPT, game_id)
    return Kept(position, end, {EventKey(*key): learned for *key, learned in rows}, erasures)


async def buried(db: Database, printed: Printed) -> list[Buried]:
    """See ``LearnedStore.buried``."""
    rows = await db.fetch(
        f"""
        SELECT game_id, reason, count(*) AS letters, CAST(sum(event_count) AS BIGINT),
               {printed("min(buried_at)")}, {printed("max(buried_at)")}
        FROM dead_letters GROUP BY game_id, reason ORDER BY 3 DESC, 1, 2 LIMIT {MAX_REASONS}
        """  # noqa: S608 - built from our own constants
    )
    return [Buried(*row) for row in rows]


async def _ends(db: Database) -> Sequence[Any]:
    rows = await db.fetch(_ENDS)
    if len(rows) != 1:
        raise SinkUnavailable(f"catalogue_state has {len(rows)} rows, not one", hint=_HINT)
    return rows
