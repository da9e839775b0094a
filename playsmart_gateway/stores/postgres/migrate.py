"""Brings the tables of a database up to date, whoever else does so at the same time."""

import asyncpg

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.stores.postgres.connection import WRITER_LOCK
from playsmart_gateway.stores.postgres.schema import (
    MIGRATIONS,
    VERSION_TABLE,
)
from playsmart_gateway.stores.sql.migrations import require_current

_BEGIN = f"""
    BEGIN ISOLATION LEVEL READ COMMITTED;
    SET LOCAL lock_timeout = '60s';
    SET LOCAL statement_timeout = 0;
    SELECT pg_advisory_xact_lock({WRITER_LOCK});
"""
"""Somebody else may be at it, and that may take its time."""


async def migrate(db: asyncpg.Connection, *, may: bool = True) -> None:
    """Create what is missing, in one transaction under the lock of the one writer.

    Raises:
        ConfigError: the schema is of a later version of this program, or of an earlier one and
            nobody ``may`` change that.
    """
    version = await _version(db)
    if version == len(MIGRATIONS):
        return
    if version and not may:
        require_current("the database", version, len(MIGRATIONS))
    await db.execute(_BEGIN)
    version = await _version(db)
    if version > len(MIGRATIONS):
        raise ConfigError(
            [
                f"storage.url: the database has schema version {version}, newer than the "
                f"{len(MIGRATIONS)} this program knows; upgrade playsmart-gateway"
            ]
        )
    if not version:
        await db.execute(VERSION_TABLE)
    for script in MIGRATIONS[version:]:
        await db.execute(script)
    await db.execute("UPDATE schema_version SET version = $1", len(MIGRATIONS))
    await db.execute("COMMIT")


async def require_migrated(db: asyncpg.Connection) -> None:
    """Require that nothing is missing.

    Raises:
        ConfigError: the schema is of an earlier version of this program, or there is none.
    """
    require_current("the database", await _version(db), len(MIGRATIONS))


# to_regclass would answer from a cache that a lock does not bring up to date.
_IS_THERE = """
    SELECT EXISTS (
        SELECT FROM pg_catalog.pg_class
        WHERE relname = 'schema_version' AND pg_catalog.pg_table_is_visible(oid)
    )
"""


async def _version(db: asyncpg.Connection) -> int:
    if not await db.fetchval(_IS_THERE):
        return 0
    return int(await db.fetchval("SELECT version FROM schema_version"))
