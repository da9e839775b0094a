"""What erasing takes of PostgreSQL: a ledger that can be deleted from.

The server frees what was deleted when it vacuums, and its write-ahead log and backups are as old as
they are kept: both are its administrator's.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from playsmart_gateway.sinks import sql_erasure


async def erase(db: asyncpg.Connection, user_id: str, *, dry_run: bool) -> dict[str, int]:
    """See ``Store.erase``."""
    if dry_run:
        return await sql_erasure.count(db, user_id)
    return await sql_erasure.erase(db, user_id, _ledger_open(db))


@asynccontextmanager
async def _ledger_open(db: asyncpg.Connection) -> AsyncIterator[None]:
    await db.execute("ALTER TABLE coin_entries DISABLE TRIGGER coin_entries_stay")
    yield
    await db.execute("ALTER TABLE coin_entries ENABLE TRIGGER coin_entries_stay")
