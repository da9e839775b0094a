"""What erasing takes of PostgreSQL: a ledger that can be deleted from, and statistics made anew.

The server frees what was deleted when it vacuums, and its write-ahead log and backups are as old as
they are kept: both are its administrator's. What its planner knows has samples of texts in it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import asyncpg

from playsmart_gateway.economy.points import Program
from playsmart_gateway.stores.clearing import Traces
from playsmart_gateway.stores.postgres.connection import (
    READ,
    WRITE,
    Connection,
)
from playsmart_gateway.stores.sql import clearing as sql_clearing
from playsmart_gateway.stores.sql import erasure as sql_erasure

_SAMPLED = (
    *sql_erasure.PERSONAL_ROWS, "batches", "runs", "clients", "dead_letters", "lynes_cells",
    "lynes_fields", "lynes_values", "rollup_levels", "rollup_actions", "rollup_counts",
)  # fmt: skip


async def erase(
    connection: Connection, user_id: str, program: Program, *, dry_run: bool
) -> dict[str, int]:
    """See ``Store.erase``."""
    reading = partial(connection.transaction, READ, patient=True)
    writing = partial(connection.transaction, WRITE, patient=True)
    if dry_run:
        async with reading() as db:
            return await sql_erasure.count(db, user_id)
    erased = await sql_erasure.erase(
        user_id, program, reading=reading, writing=writing, ledger_open=_ledger_open
    )
    async with writing() as db:
        await db.execute(f"ANALYZE {', '.join(_SAMPLED)}")
    return erased


async def clear(connection: Connection, traces: Traces, *, dry_run: bool) -> dict[str, int]:
    """See ``Clearing.clear``."""
    reading = partial(connection.transaction, READ, patient=True)
    writing = partial(connection.transaction, WRITE, patient=True)
    if dry_run:
        async with reading() as db:
            return await sql_clearing.count(db, traces)
    return await sql_clearing.clear(
        traces, reading=reading, writing=writing, ledger_open=_ledger_open
    )


@asynccontextmanager
async def _ledger_open(db: asyncpg.Connection) -> AsyncIterator[None]:
    await db.execute("ALTER TABLE coin_entries DISABLE TRIGGER coin_entries_stay")
    yield
    await db.execute("ALTER TABLE coin_entries ENABLE TRIGGER coin_entries_stay")
