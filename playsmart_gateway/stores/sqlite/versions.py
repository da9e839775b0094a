"""Which schema version a SQLite file has that does not say so."""

import sqlite3
from contextlib import closing
from pathlib import Path

import aiosqlite

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.stores.sqlite.schema import MIGRATIONS

_NAMES = "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"


async def require_empty(db: aiosqlite.Connection, path: Path) -> None:
    """Require that a file without a schema version has no tables.

    A dump of the ``sqlite3`` shell has no version, so a database made from it has none either.

    Raises:
        ConfigError: it has some; the text says what to do.
    """
    found = {(kind, name) for kind, name in await db.execute_fetchall(_NAMES)}
    if not found:
        return
    version = _version_with(found)
    if version is None:
        what = "is it another program's? Name another file, or restore a backup"
    else:
        set_it = f"sqlite3 {path} 'PRAGMA user_version = {version}'"
        what = f"if it was made from a dump of the sqlite3 shell, run: {set_it}"
    raise ConfigError([f"storage.url: {path} has tables and no schema version; {what}"])


def _version_with(found: set[tuple[str, str]]) -> int | None:
    """Return the latest version that has exactly these tables, views, indexes and triggers."""
    version = None
    with closing(sqlite3.connect(":memory:")) as db:
        for number, script in enumerate(MIGRATIONS, 1):
            db.executescript(script)
            if set(db.execute(_NAMES).fetchall()) == found:
                version = number
    return version
