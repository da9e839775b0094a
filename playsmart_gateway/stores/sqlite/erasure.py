"""What erasing takes of SQLite: a ledger that can be deleted from, and files with nothing left.

SQLite can overwrite what it deletes (``secure_delete``), but where it moves rows from page to page
it leaves copies behind in their free space. Only a file that is written anew (``VACUUM``) has none.
Then the write-ahead log is moved into the file and cut, for which readers and writers have to be
away for a moment.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiosqlite

from playsmart_gateway.economy.points import Program
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.stores.clearing import Traces
from playsmart_gateway.stores.sql import clearing as sql_clearing
from playsmart_gateway.stores.sql import erasure as sql_erasure
from playsmart_gateway.stores.sql.database import Database
from playsmart_gateway.stores.sqlite.connection import (
    WRITE,
    Connection,
    Statements,
)
from playsmart_gateway.stores.sqlite.file import StoreFile

PATIENCE_SECONDS = 30.0
"""How long to try for a moment in which nobody else holds a lock."""

MAX_IN_MEMORY_BYTES = 268_435_456
"""Of a file that is written anew by way of memory; larger ones go by way of a temporary file."""

_TRIGGERS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = $1"


async def erase(
    connection: Connection, user_id: str, program: Program, *, dry_run: bool
) -> dict[str, int]:
    """See ``Store.erase``."""
    if dry_run:
        async with connection.reading() as db:
            return await sql_erasure.count(db, user_id)
    async with connection.alone() as own:
        await own.execute("PRAGMA secure_delete = ON")
    return await sql_erasure.erase(
        user_id,
        program,
        reading=connection.reading,
        writing=partial(_writing, connection),
        ledger_open=ledger_open,
    )


async def clear(connection: Connection, traces: Traces, *, dry_run: bool) -> dict[str, int]:
    """See ``Clearing.clear``."""
    if dry_run:
        async with connection.reading() as db:
            return await sql_clearing.count(db, traces)
    return await sql_clearing.clear(
        traces,
        reading=connection.reading,
        writing=partial(_writing, connection),
        ledger_open=ledger_open,
    )


async def scrub(path: Path, *, rewrite: bool) -> None:
    """See ``Store.scrub``; on a connection of its own."""
    connection = Connection(StoreFile(path), _prepare)
    try:
        if rewrite:
            await _until_free(connection, "VACUUM")
        await _until_free(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        await connection.leave()


async def _prepare(db: aiosqlite.Connection, _: object) -> None:
    ((pages,),) = await db.execute_fetchall("PRAGMA page_count")
    ((page_bytes,),) = await db.execute_fetchall("PRAGMA page_size")
    kept = "MEMORY" if pages * page_bytes <= MAX_IN_MEMORY_BYTES else "FILE"
    await db.execute(f"PRAGMA temp_store = {kept}")


async def _until_free(connection: Connection, statement: str) -> list[sqlite3.Row]:
    """Run a statement outside of a transaction, again and again while others hold a lock."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            async with connection.alone() as db:
                rows = list(await db.execute_fetchall(statement))
        except SinkUnavailable:
            if time.monotonic() > deadline:
                raise
        else:
            if "checkpoint" not in statement or not rows[0][0]:
                return rows
            if time.monotonic() > deadline:
                raise SinkUnavailable(
                    "the write-ahead log is in use and keeps what was erased",
                    hint="End what reads the database for long, then run this again.",
                )
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def _writing(connection: Connection) -> AsyncIterator[Statements]:
    """Open a transaction that writes; wait patiently for those of a gateway."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    async with contextlib.AsyncExitStack() as stack:
        while True:
            try:
                db = await stack.enter_async_context(connection.transaction(WRITE))
                break
            except SinkUnavailable:
                if time.monotonic() > deadline:
                    raise
        yield Statements(db)


@contextlib.asynccontextmanager
async def ledger_open(db: Database) -> AsyncIterator[None]:
    """Have the ledger without its triggers while entered, inside a transaction."""
    triggers = list(await db.fetch(_TRIGGERS, "coin_entries"))
    for name, _ in triggers:
        await db.fetch(f"DROP TRIGGER {name}")
    yield
    for _, sql in triggers:
        await db.fetch(sql)
