"""How the connections to a file are closed, and what its log holds brought where it belongs."""

import asyncio
import logging
import sqlite3
from pathlib import Path
from typing import Protocol

import aiosqlite

from playsmart_gateway.stores.sqlite.descriptors import inode_of, rename_aside
from playsmart_gateway.stores.sqlite.watching import Known

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 1.0
"""How long a reader may go on before it is interrupted, when all connections are to be closed."""


class Held(Protocol):
    """A connection, as the file sees it."""

    read_only: bool
    idle: asyncio.Event

    @property
    def db(self) -> aiosqlite.Connection | None:
        """What is open."""
        ...

    async def close(self) -> None:
        """Close it, if it is open."""


async def until_idle(connection: Held) -> None:
    """Wait until nobody uses a connection; a reader is interrupted after a while."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await connection.idle.wait()
    except TimeoutError:
        if connection.db is not None:
            await connection.db.interrupt()
        await connection.idle.wait()


async def moved_log_into_file(db: aiosqlite.Connection) -> bool:
    """Bring all that was committed into the file that is open, wherever it is now."""
    try:
        if db.in_transaction:
            await db.execute("ROLLBACK")
        for _ in range(3):
            ((busy, pages, moved),) = await db.execute_fetchall("PRAGMA wal_checkpoint(FULL)")
            if not busy and pages == moved:
                return True
    except sqlite3.Error as error:
        logger.error("what the log of the database holds cannot be moved into it: %s", error)
    return False


def clear_away(known: Known, *, set_aside: bool) -> None:
    """Leave no log of ours at the path for the next file to find."""
    if known.log is not None and inode_of(known.log_path) == known.log:
        if set_aside and known.log_path.stat().st_size:
            logger.error("its log is set aside as %s", rename_aside(known.log_path))
        else:
            known.log_path.unlink()
    if known.index is not None and inode_of(known.index_path) == known.index:
        known.index_path.unlink()


def keep(path: Path) -> sqlite3.Connection:
    """Return a reader that is there to the end.

    SQLite moves the log into the file when the last connection closes. A reader cannot, so as long
    as it is the last one nothing is written that was not asked for.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro"
    keeper = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    try:
        keeper.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except BaseException:
        keeper.close()
        raise
    return keeper
