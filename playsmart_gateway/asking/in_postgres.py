"""Asks PostgreSQL: in a transaction that only reads, for a bounded time, some rows at a time."""

import asyncio

import asyncpg

from playsmart_gateway.asking.question import Answer, Page, Question, refused, too_large, too_long
from playsmart_gateway.asking.words import Catalog, problem_of
from playsmart_gateway.errors import GatewayError
from playsmart_gateway.stores.postgres.connection import READ, connect
from playsmart_gateway.stores.postgres.url import read_url

ROWS_PER_READ = 50
_SETTINGS = {
    "statement_timeout": "{milliseconds}",
    "idle_in_transaction_session_timeout": "{milliseconds}",
    "lock_timeout": "1000",
    "client_connection_check_interval": "1000",  # who asked may be gone
    "standard_conforming_strings": "on",  # as ``words`` reads them
    "default_transaction_read_only": "on",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}
_SET = """
    SELECT set_config(name, $2, false) FROM pg_settings WHERE name = $1
"""
_FUNCTIONS = "SELECT DISTINCT proname::text FROM pg_proc"
_RELATIONS = """
    SELECT relname::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'v', 'm', 'f', 'p', 'S') AND nspname = ANY (current_schemas(true))
"""
_SCHEMAS = "SELECT nspname::text FROM pg_namespace WHERE nspname <> current_schema()"
_TOO_LONG = ("57014", "25P03", "55P03")


def answer(question: Question) -> Answer:
    """Return the answer; every problem is in it."""
    try:
        return asyncio.run(_ask(question))
    except TimeoutError:
        return too_long(question.limits)
    except MemoryError:
        return too_large(question.limits)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, GatewayError, OSError) as error:
        if getattr(error, "sqlstate", None) in _TOO_LONG:
            return too_long(question.limits)
        return refused(error.args[0] if error.args else type(error).__name__)
    except (ValueError, OverflowError, asyncpg.InternalClientError) as error:
        return refused(error)


async def _ask(question: Question) -> Answer:
    limits = question.limits
    async with asyncio.timeout(limits.seconds):
        db = await connect(read_url(question.url))
        try:
            for name, value in _SETTINGS.items():
                told = value.format(milliseconds=int(limits.seconds * 1_000))
                await db.execute(_SET, name, told)
            await db.execute(READ)
            if problem := problem_of(question.sql, await _catalog(db)):
                return refused(problem)
            page = await _page(db, question)
            page.answer.counted_up_to = await db.fetchval("SELECT counted_up_to FROM v_counted")
            return page.answer
        finally:
            db.terminate()


async def _page(db: asyncpg.Connection, question: Question) -> Page:
    statement = await db.prepare(question.sql)
    columns = [each.name for each in statement.get_attributes()]
    page = Page(columns, question.limits)
    cursor = await statement.cursor(*question.parameters)
    while (rows := await cursor.fetch(ROWS_PER_READ)) and page.take(rows):
        pass
    return page


async def _catalog(db: asyncpg.Connection) -> Catalog:
    found = [
        frozenset(name for (name,) in await db.fetch(query))
        for query in (_FUNCTIONS, _RELATIONS, _SCHEMAS)
    ]
    return Catalog(*found)
