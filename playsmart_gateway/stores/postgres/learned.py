"""Looks at what a PostgreSQL store has, and keeps what was learned of it."""

import time
from collections.abc import Sequence
from typing import Self

from typing_extensions import override

from playsmart_gateway.stores.learned import Buried, EventKey, Kept, LearnedStore, Sight
from playsmart_gateway.stores.postgres.connection import READ, Connection, Damage, as_it_is
from playsmart_gateway.stores.postgres.schema import printed_time
from playsmart_gateway.stores.sql import learned as sql


class PostgresLearned(LearnedStore):
    """See ``LearnedStore``; ``store`` is the connection of the sink, which alone writes."""

    def __init__(self, url: str, store: Connection, *, damage: Damage | None = None) -> None:
        self.busy_seconds = 0.0
        self._reading = Connection(url, as_it_is, damage=damage)
        self._store = store

    @override
    async def __aenter__(self) -> Self:
        return self

    @override
    async def __aexit__(self, *_: object) -> None:
        await self._reading.close()

    @override
    async def look(self, start: int, *, max_events: int, max_looked: int) -> Sight:
        began = time.monotonic()
        try:
            async with self._reading.transaction(READ) as db:
                return await sql.look(
                    db, printed_time, start, max_events=max_events, max_looked=max_looked
                )
        finally:
            self.busy_seconds += time.monotonic() - began

    @override
    async def kept(self, game_id: str | None = None) -> Kept:
        async with self._reading.transaction(READ) as db:
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
        async with self._store.transaction() as db:
            return await sql.keep(db, start, position, learned, forgotten, erasures)

    @override
    async def buried(self) -> list[Buried]:
        async with self._reading.transaction(READ) as db:
            return await sql.buried(db, printed_time)
