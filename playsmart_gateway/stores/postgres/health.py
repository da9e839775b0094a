"""A look at the whole PostgreSQL store for damage: every row is read, and what it holds."""

import re

import asyncpg

from playsmart_gateway.stores.models import (
    StoreHealth,
    latest_sane,
)
from playsmart_gateway.stores.postgres.schema import MIGRATIONS

_find_tables = re.compile(r"CREATE TABLE (\w+)").findall
_AHEAD = """
    SELECT count(*), min(batch_id) FROM batches WHERE received_at > $1::text::timestamptz
"""


async def examine(db: asyncpg.Connection) -> StoreHealth:
    """See ``EventReader.examine``."""
    if await db.fetchval("SELECT to_regclass('schema_version') IS NULL"):
        return StoreHealth(0, len(MIGRATIONS))
    version = await db.fetchval("SELECT version FROM schema_version")
    tables = _find_tables("".join(MIGRATIONS[:version]))  # an older program made no more
    problems = [each for table in tables if (each := await _problem(db, table)) is not None]
    ahead, first = (0, 0) if problems else await db.fetchrow(_AHEAD, latest_sane())
    return StoreHealth(version, len(MIGRATIONS), tuple(problems), ahead, first or 0)


async def _problem(db: asyncpg.Connection, table: str) -> str | None:
    """Return what the server says about a table that cannot be read, None if it can."""
    await db.execute("SAVEPOINT look")
    try:
        await db.fetch(f"SELECT count(hashtext(t::text)) FROM {table} AS t")  # noqa: S608 - ours
    except asyncpg.InternalServerError as error:
        await db.execute("ROLLBACK TO look")
        return f"{table}: {error.args[0]}"
    return None
