"""What erasing takes of SQLite: overwriting what is deleted, and a ledger that can be deleted from.

Deleted content is overwritten (``secure_delete``), and closing the file empties the write-ahead
log.
"""

import contextlib
from collections.abc import AsyncIterator

import aiosqlite

from playsmart_gateway.sinks import sql_erasure
from playsmart_gateway.sinks.sqlite.connection import Statements

_TRIGGERS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?"


async def erase(db: aiosqlite.Connection, user_id: str, *, dry_run: bool) -> dict[str, int]:
    """See ``Store.erase``."""
    if dry_run:
        return await sql_erasure.count(Statements(db), user_id)
    await db.execute("PRAGMA secure_delete = ON")
    return await sql_erasure.erase(Statements(db), user_id, _ledger_open(db))


@contextlib.asynccontextmanager
async def _ledger_open(db: aiosqlite.Connection) -> AsyncIterator[None]:
    triggers = list(await db.execute_fetchall(_TRIGGERS, ("coin_entries",)))
    for name, _ in triggers:
        await db.execute(f"DROP TRIGGER {name}")
    yield
    for _, sql in triggers:
        await db.execute(sql)
