"""Looks at what a SQLite store has, and keeps what was learned of it."""

import aiosqlite
from typing_extensions import override

from playsmart_gateway.stores.learned import Sight
from playsmart_gateway.stores.sql.learned import SqlLearned, look
from playsmart_gateway.stores.sqlite.connection import Connection, Statements
from playsmart_gateway.stores.sqlite.file import StoreFile


class SqliteLearned(SqlLearned):
    """See ``LearnedStore``; ``store`` is the connection of the sink, which alone writes."""

    def __init__(self, file: StoreFile, store: Connection) -> None:
        self._own = Connection(file, _prepare, read_only=True)
        super().__init__(self._own.reading, store.writing, str)

    @override
    async def __aexit__(self, *_: object) -> None:
        await self._own.leave()

    @override
    async def look(self, start: int, *, max_events: int, max_looked: int) -> Sight:
        async with self._own.transaction("BEGIN") as db:
            before = db.busy_seconds
            sight = await look(
                Statements(db), str, start, max_events=max_events, max_looked=max_looked
            )
        self.busy_seconds += db.busy_seconds - before
        return sight


async def _prepare(db: aiosqlite.Connection, _: object) -> None:
    await db.execute("PRAGMA temp_store = MEMORY")
