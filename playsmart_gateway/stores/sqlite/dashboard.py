"""The figures of a SQLite store.

Each query returns one row, a JSON text, as to fetch each row would cost a turn of the GIL.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Self

import aiosqlite
import msgspec
from typing_extensions import override

from playsmart_gateway.events.batch import LYNES, MAX_EVENTS_PER_BATCH
from playsmart_gateway.stores.contract import Rollups
from playsmart_gateway.stores.losses import Loss
from playsmart_gateway.stores.rollups import (
    Figures,
    Property,
    RolledUp,
)
from playsmart_gateway.stores.sql import properties as sql_properties
from playsmart_gateway.stores.sql import runs
from playsmart_gateway.stores.sql.dashboard import (
    MAX_ROWS,
    NEWEST_BATCHES,
    NEWEST_OF_LYNES,
    Query,
    read_figures,
)
from playsmart_gateway.stores.sql.rollup import (
    leave_out,
    move,
    position_of,
    run,
)
from playsmart_gateway.stores.sqlite.connection import (
    Connection,
    Statements,
    Undone,
    numbered,
)
from playsmart_gateway.stores.sqlite.file import StoreFile
from playsmart_gateway.stores.sqlite.rollup import (
    PLAIN,
    ahead,
    gather,
)

_STATE = """
    SELECT position, (SELECT max(seq) FROM sqlite_sequence WHERE name = 'batches'), (
        SELECT received_at FROM batches WHERE batch_id <= position ORDER BY batch_id DESC LIMIT 1
    ) FROM rollup_state
"""
_FIELDS = Query(
    f"""
    WITH entries AS MATERIALIZED (
        SELECT field.key AS name, field.type AS kind, field.atom
        FROM (
            SELECT batch_id FROM (
                SELECT batch_id, source, game_id FROM batches
                ORDER BY batch_id DESC LIMIT {NEWEST_BATCHES}
            )
            WHERE source = '{LYNES}' AND game_id = coalesce($1, game_id) LIMIT {NEWEST_OF_LYNES}
        )
        CROSS JOIN event_rows ON event_id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                                 AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
        CROSS JOIN json_each(customdata) AS field
    )
    SELECT name, 'number' AS sort, count(*) AS n, min(atom) AS least, avg(atom) AS mean,
           max(atom) AS most, '[]' AS common
    FROM entries WHERE kind IN ('integer', 'real') AND abs(atom + 0.0) < 1e300 GROUP BY name
    UNION ALL
    SELECT name, 'category', events, NULL, NULL, NULL, (
        SELECT json_group_array(json_array(value, events)) FROM (
            SELECT CASE kind WHEN 'text' THEN atom ELSE kind END AS value, count(*) AS events
            FROM entries AS same
            WHERE same.name = counted.name AND kind IN ('text', 'true', 'false')
            GROUP BY value ORDER BY events DESC, value LIMIT 5
        )
    )
    FROM (SELECT name, count(*) AS events FROM entries
          WHERE kind IN ('text', 'true', 'false') GROUP BY name) AS counted
    LIMIT {MAX_ROWS}
    """,  # noqa: S608 - built from our own constants
    "name, sort, n, least, mean, most, json(common)",
    ("game",),
)
_decode = msgspec.json.Decoder(list[list[Any]]).decode


class SqliteRollups(Rollups):
    """See ``Rollups``; ``store`` is the connection of the sink, which alone writes."""

    def __init__(self, file: StoreFile, store: Connection) -> None:
        self.busy_seconds = 0.0
        self._reading = Connection(file, _prepare, read_only=True)
        self._store = store

    @override
    async def __aenter__(self) -> Self:
        return self

    @override
    async def __aexit__(self, *_: object) -> None:
        await self._reading.leave()

    @override
    async def roll_up(self, max_events: int) -> RolledUp:
        async with self._reading.transaction("BEGIN") as db:
            before = db.busy_seconds
            chunk = await db.call(lambda opened: gather(opened, max_events))
        self.busy_seconds += db.busy_seconds - before
        if chunk.position == chunk.start:
            return RolledUp(chunk.position, chunk.end)
        async with self._store.transaction() as db:
            before = db.busy_seconds
            moved = await move(Statements(db), chunk)
            if moved:
                await db.run([(sql, numbered([each])) for sql, each in chunk.additions])
        self.busy_seconds += db.busy_seconds - before
        return RolledUp(chunk.position if moved else chunk.start, chunk.end)

    @override
    async def skip(self) -> RolledUp:
        async with self._reading.transaction("BEGIN") as db:
            chunk = await db.call(lambda opened: ahead(opened, 1))
        with suppress(Undone):
            async with self._store.transaction() as db:
                await run(Statements(db), PLAIN)
                raise Undone
        async with self._store.transaction() as db:
            await leave_out(Statements(db), chunk)
        return RolledUp(chunk.position, chunk.end)

    @override
    async def keep_losses(self, losses: Sequence[Loss]) -> None:
        async with self._store.writing() as db:
            await runs.keep_losses(db, losses)

    @override
    async def name_properties(self, properties: Sequence[Property]) -> None:
        async with self._store.writing() as db:
            await sql_properties.name_properties(db, properties)

    @override
    async def read(self, game_id: str | None, seconds: int, now: float) -> Figures:
        async with self._reading.transaction("BEGIN") as db:
            await position_of(Statements(db))
            ((position, end, counted_until),) = await db.execute_fetchall(_STATE)
            return await read_figures(
                partial(_rows, db), game_id, seconds, now,
                level_number="CAST(level AS REAL)",
                followed=RolledUp(position, end or 0),
                counted_until=counted_until,
                fields=_FIELDS,
            )  # fmt: skip


async def _rows(db: aiosqlite.Connection, query: Query, parameters: Sequence[Any]) -> list[Any]:
    whole = f"SELECT json_group_array(json_array({query.columns})) FROM ({query.sql})"  # noqa: S608 - built from our own constants
    ((text,),) = await db.execute_fetchall(whole, numbered(parameters))
    return _decode(text)


async def _prepare(db: aiosqlite.Connection, _: object) -> None:
    await db.execute("PRAGMA temp_store = MEMORY")
