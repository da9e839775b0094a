"""The figures of a PostgreSQL store."""

import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Self

import asyncpg
from typing_extensions import override

from playsmart_gateway.events.batch import LYNES, MAX_EVENTS_PER_BATCH
from playsmart_gateway.stores.contract import Rollups
from playsmart_gateway.stores.losses import Loss
from playsmart_gateway.stores.postgres.connection import (
    READ,
    WRITER_LOCK,
    Connection,
    Damage,
    Undone,
)
from playsmart_gateway.stores.postgres.rollup import (
    PLAIN,
    ahead,
    gather,
)
from playsmart_gateway.stores.postgres.schema import printed_time
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
    add,
    leave_out,
    position_of,
    run,
)

_STATE = f"""
    SELECT position, (SELECT last_batch_id FROM batch_counter), (
        SELECT {printed_time("received_at")} FROM batches
        WHERE batch_id <= position ORDER BY batch_id DESC LIMIT 1
    ) FROM rollup_state
"""  # noqa: S608 - built from our own constants
_BEGINNING = r"^ *([-+]?[0-9]{1,40}(?:\.[0-9]*)?(?:e\+[0-9]{2})?)"
_LEVEL_NUMBER = f"coalesce(substring(level FROM '{_BEGINNING}')::float8, 0)"


def _float(number: str) -> str:
    """Return SQL of a ``numeric`` as a float; of one too near to 0 for a float there is none."""
    return f"round({number}, 300)::float8"


_FIELDS = Query(
    f"""
    WITH entries AS MATERIALIZED (
        SELECT key AS name, atom, kind,
               CASE kind WHEN 'number' THEN atom::numeric END AS number
        FROM (
            SELECT batch_id FROM (
                SELECT batch_id, source, game_id FROM batches
                ORDER BY batch_id DESC LIMIT {NEWEST_BATCHES}
            ) AS newest
            WHERE source = '{LYNES}' AND game_id = coalesce($1, game_id)
            ORDER BY batch_id DESC LIMIT {NEWEST_OF_LYNES}
        ) AS chosen
        CROSS JOIN LATERAL (
            SELECT customdata FROM event_rows
            WHERE event_id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                  AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1} OFFSET 0
        ) AS event
        CROSS JOIN LATERAL (
            SELECT key, json_typeof(value) AS kind, (value #>> '{{}}') COLLATE "C" AS atom
            FROM json_each(customdata)
        ) AS field
    ), told AS (
        SELECT name, atom, count(*) AS events,
               row_number() OVER (PARTITION BY name ORDER BY count(*) DESC, atom) AS place
        FROM entries WHERE kind IN ('string', 'boolean') GROUP BY name, atom
    )
    SELECT name, 'number' AS sort, count(*) AS n, {_float("min(number)")} AS least,
           {_float("avg(number)")} AS mean, {_float("max(number)")} AS most, NULL AS common
    FROM entries WHERE abs(number) < 1e300 GROUP BY name
    UNION ALL
    SELECT name, 'category', sum(events)::bigint, NULL, NULL, NULL,
           array_agg(ROW(atom, events) ORDER BY place) FILTER (WHERE place <= 5)
    FROM told GROUP BY name
    ORDER BY sort DESC, name LIMIT {MAX_ROWS}
    """,  # noqa: S608 - built from our own constants
    "name, sort, n, least, mean, most, common",
    ("game",),
)


ROLLUP_LOCK = WRITER_LOCK + 1
"""Held by the session that rolls up, for as long as it lives."""

SILENT_SECONDS = 30.0
"""A gateway whose machine went away does not say so; then the server takes the lock from it."""

_TAKE_LOCK = f"SELECT pg_try_advisory_lock({ROLLUP_LOCK})"


class PostgresRollups(Rollups):
    """See ``Rollups``; ``store`` is the connection of the sink, which alone writes.

    Of all gateways on a database one rolls up; another one goes on when that has gone.
    """

    def __init__(
        self,
        url: str,
        store: Connection,
        *,
        damage: Damage | None = None,
        silent_seconds: float = SILENT_SECONDS,
    ) -> None:
        self._reading = Connection(url, self._prepare, damage=damage)
        self._store = store
        self._silent_ms = round(silent_seconds * 1_000)
        self._has_lock = False
        self.busy_seconds = 0.0

    @override
    async def __aenter__(self) -> Self:
        return self

    @override
    async def __aexit__(self, *_: object) -> None:
        await self._reading.close()

    @override
    async def roll_up(self, max_events: int) -> RolledUp | None:
        began = time.monotonic()  # it is the server that is busy, nearly all of the time
        try:
            return await self._roll_up(max_events)
        finally:
            self.busy_seconds += time.monotonic() - began

    async def _roll_up(self, max_events: int) -> RolledUp | None:
        async with self._reading.transaction(READ) as db:
            if not self._has_lock:
                if not await db.fetchval(_TAKE_LOCK):
                    return None
                await db.execute(f"SET idle_session_timeout = {self._silent_ms}")
                self._has_lock = True
            chunk = await gather(db, max_events)
        if chunk.position > chunk.start:
            async with self._store.transaction() as db:
                if not await add(db, chunk):
                    return RolledUp(chunk.start, chunk.end)
        return RolledUp(chunk.position, chunk.end)

    @override
    async def skip(self) -> RolledUp:
        async with self._reading.transaction(READ) as db:
            chunk = await ahead(db, 1)
        with suppress(Undone):
            async with self._store.transaction() as db:
                await run(db, PLAIN)
                raise Undone
        async with self._store.transaction() as db:
            await leave_out(db, chunk)
        return RolledUp(chunk.position, chunk.end)

    @override
    async def keep_losses(self, losses: Sequence[Loss]) -> None:
        async with self._store.transaction() as db:
            await runs.keep_losses(db, losses)

    @override
    async def name_properties(self, properties: Sequence[Property]) -> None:
        async with self._store.transaction() as db:
            await sql_properties.name_properties(db, properties)

    @override
    async def read(self, game_id: str | None, seconds: int, now: float) -> Figures:
        async with self._reading.transaction(READ) as db:
            await position_of(db)
            position, end, counted_until = await db.fetchrow(_STATE)
            return await read_figures(
                partial(_rows, db), game_id, seconds, now,
                level_number=_LEVEL_NUMBER,
                followed=RolledUp(position, end),
                counted_until=counted_until,
                fields=_FIELDS,
            )  # fmt: skip

    async def _prepare(self, _: asyncpg.Connection) -> None:
        self._has_lock = False  # another session has the lock, or nobody


async def _rows(
    db: asyncpg.Connection, query: Query, parameters: Sequence[Any]
) -> Sequence[Sequence[Any]]:
    rows: list[asyncpg.Record] = await db.fetch(query.sql, *parameters)
    return rows
