"""Looks at what a SQLite store has, and keeps what was learned of it."""

from collections.abc import Sequence
from typing import Self

import aiosqlite
from typing_extensions import override

from playsmart_gateway.stores.learned import Buried, EventKey, Kept, LearnedStore, Sight
from playsmart_gateway.stores.sql import learned as sql
from playsmart_gateway.stores.sqlite.connection import Connection, Statements
from playsmart_gateway.stores.sqlite.file import StoreFile


class SqliteLearned(LearnedStore):
    """See ``LearnedStore``; ``store`` is the connection of the sink, which alone writes."""

    def __init__(self, file: StoreFile, store: Connection) -> None:
        self.busy_seconds = 0.0
        self._reading = Connection(file, _prepare, read_only=True)
        self._store = store

    @override
    async def __aenter__(self) -> Self:
        return self

    @override
    async def __aexit__(self, *_: object) -> None:
        await self._reading.leave()

    @override
    async def look(self, start: int, *, max_events: int, max_looked: int) -> Sight:
        async with self._reading.transaction("BEGIN") as db:
            before = db.busy_seconds
            sight = await sql.look(
                Statements(db), str, start, max_events=max_events, max_looked=max_looked
            )
        self.busy_seconds += db.busy_seconds - before
        return sight

    @override
    async def kept(self, game_id: str | None = None) -> Kept:
        async with self._reading.reading() as db:
            return await sql.kept(db, game_id)

    @override
    async def keep(
        self,
        start: int,
        position: int,
        learned: Sequence[tuple[EventKey, str]],
        forgotten: Sequence[EventKey] = (),
        *,
        erasures: int = 0,
    ) -> bool:
        async with self._store.writing() as db:
            return await sql.keep(db, start, position, learned, forgotten, erasures)

    @override
    async def buried(self) -> list[Buried]:
        async with self._reading.reading() as db:
            return await sql.buried(db, str)


async def _prepare(db: aiosqlite.Connection, _: object) -> None:
    await db.execute("PRAGMA temp_store = MEMORY")
