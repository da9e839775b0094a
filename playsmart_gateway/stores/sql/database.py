"""SQL that SQLite and PostgreSQL both speak: written once, run by either.

A statement has its parameters as ``$1``, ``$2`` and so on. Many rows travel as one parameter: the
JSON object of ``keyed``, which ``json_each($1)`` takes apart in both; ``value ->> 0`` is then the
first column of a row, and ``CAST(value ->> 0 AS BIGINT)`` if it is a number.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

LEVEL_COMPLETE = 1
EVENT_TRIGGER = 2
"""What ``coin_entries.trigger`` holds; null for an adjustment."""


class Database(Protocol):
    """Runs statements in the transaction that is open; ``asyncpg``'s connection is one."""

    async def fetch(self, query: str, /, *args: Any) -> Sequence[Any]:
        """Run a statement and return its rows, as sequences."""
        ...


Transaction = Callable[[], AbstractAsyncContextManager[Database]]


def keyed(rows: Sequence[Sequence[Any]]) -> str:
    """Return rows as one JSON object, each under its place."""
    return json.dumps(dict(enumerate(rows)))


async def run(db: Database, statement: str, rows: Sequence[Sequence[Any]]) -> Sequence[Any]:
    """Run a statement over all rows at once, if there are any."""
    return await db.fetch(statement, keyed(rows)) if rows else []
