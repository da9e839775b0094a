"""What others added to a file, their views, triggers and indexes: out of the way of a migration.

SQLite changes no table whose columns a view or an index names that it then could not read, and it
rewrites what names a table that gets another name. So they go, and come back as they were written.
"""

import logging
import sqlite3
from contextlib import closing

import aiosqlite

from playsmart_gateway.stores.sqlite.schema import MIGRATIONS

logger = logging.getLogger(__name__)

_MADE = "SELECT type, name, sql FROM sqlite_master WHERE type != 'table' AND sql IS NOT NULL"

Addition = tuple[str, str, str]
"""What it is (``index``, ``trigger`` or ``view``), its name, and the statement that made it."""


async def take_out(db: aiosqlite.Connection, version: int) -> list[Addition]:
    """Drop what is not of the schema of that version, if it is to change, and return it."""
    if version == len(MIGRATIONS):
        return []
    with closing(sqlite3.connect(":memory:")) as plain:
        for script in MIGRATIONS[:version]:
            plain.executescript(script)
        ours = {name for _, name, _ in plain.execute(_MADE)}
    found = [
        (kind, name, sql)
        for kind, name, sql in await db.execute_fetchall(_MADE)
        if name not in ours
    ]
    for kind, name, _ in found:
        quoted = name.replace('"', '""')
        await db.execute(f'DROP {kind} IF EXISTS "{quoted}"')  # with a view go its triggers
    return found


async def put_back(db: aiosqlite.Connection, additions: list[Addition]) -> None:
    """Make again what was taken out; what cannot be any more is told in the log."""
    for kind, name, sql in sorted(additions, key=lambda each: each[0] == "trigger"):
        try:
            await db.execute(sql)
        except sqlite3.Error as error:
            made_by = " ".join(sql.split())
            told = "the %s %s cannot be in the new schema and is gone (%s); it was made by: %s"
            logger.warning(told, kind, name, error, made_by)
