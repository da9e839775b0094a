"""Looks at what a PostgreSQL store has, and keeps what was learned of it."""

import time

from typing_extensions import override

from playsmart_gateway.stores.learned import Sight
from playsmart_gateway.stores.postgres.connection import READ, Connection, Damage, as_it_is
from playsmart_gateway.stores.postgres.schema import printed_time
from playsmart_gateway.stores.sql.learned import SqlLearned, look


class PostgresLearned(SqlLearned):
    """See ``LearnedStore``; ``store`` is the connection of the sink, which alone writes."""

    def __init__(self, url: str, store: Connection, *, damage: Damage | None = None) -> None:
        self._own = Connection(url, as_it_is, damage=damage)
        super().__init__(lambda: self._own.transaction(READ), store.transaction, printed_time)

    @override
    async def __aexit__(self, *_: object) -> None:
        await self._own.close()

    @override
    async def look(self, start: int, *, max_events: int, max_looked: int) -> Sight:
        began = time.monotonic()
        try:
            async with self._reading() as db:
                return await look(
                    db, printed_time, start, max_events=max_events, max_looked=max_looked
                )
        finally:
            self.busy_seconds += time.monotonic() - began
