"""Reads the PostgreSQL store: a connection of its own, read-only, bounded and indexed queries."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from typing import Self

import asyncpg
from typing_extensions import override

from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.events.batch import (
    MAX_EVENTS_PER_BATCH,
    Batch,
)
from playsmart_gateway.stores.learned import Buried, Kept
from playsmart_gateway.stores.losses import LossPage
from playsmart_gateway.stores.models import (
    EVERYTHING,
    ActionStatistics,
    AppPlayer,
    Audited,
    Cause,
    CoinTransaction,
    CountPage,
    DeadLetter,
    EventFilter,
    EventPage,
    Outcome,
    Player,
    StoredBatch,
    StoreHealth,
)
from playsmart_gateway.stores.postgres import teak as apps
from playsmart_gateway.stores.postgres.audit import (
    AUDIT,
    audit_step,
)
from playsmart_gateway.stores.postgres.connection import (
    READ,
    Connection,
    Damage,
    as_it_is,
)
from playsmart_gateway.stores.postgres.health import examine
from playsmart_gateway.stores.postgres.migrate import require_migrated
from playsmart_gateway.stores.postgres.schema import printed_time
from playsmart_gateway.stores.postgres.turn import turn
from playsmart_gateway.stores.readers import BatchName, Reader
from playsmart_gateway.stores.sql import batches, dead_letters, learned, runs
from playsmart_gateway.stores.sql import events as sql_events
from playsmart_gateway.stores.sql.database import Database
from playsmart_gateway.stores.sql.points_reader import SqlPointsReader
from playsmart_gateway.stores.sql.rules import rules_in_force

_PLAYER = f"""
    SELECT user_id, coins_balance, total_games_played, sessions, best_score, last_score,
           {printed_time("first_seen_at")}, {printed_time("last_seen_at")}
    FROM players WHERE user_id = $1
"""  # noqa: S608 - built from our own constants
_TRANSACTIONS = """
    SELECT id, user_id, game_id, type, trigger, amount, balance_before, balance_after, event_id,
           created_at, reason
    FROM coin_transactions
    WHERE id IN (
        SELECT id FROM coin_entries
        WHERE player_id = (SELECT player_id FROM players WHERE user_id = $1) AND id < $2
        ORDER BY id DESC LIMIT $3
    )
    ORDER BY id DESC
"""
_CAUSES = f"""
    SELECT coin_entries.id, event_rows.type, custom_event_name, {printed_time("occurred_at")}, draw,
           batches.game_id, min_amount, max_amount, level_millionths, trigger_threshold,
           trigger_millionths, max_per_day
    FROM coin_entries JOIN event_rows ON event_id = coin_entries.id
    JOIN batches ON batch_id = event_id / {MAX_EVENTS_PER_BATCH}
    JOIN game_rules ON rule_id = (
        SELECT max(rule_id) FROM game_rules AS known
        WHERE known.game_id = batches.game_id AND since_batch_id <= batch_id
    )
    WHERE coin_entries.id = ANY($1::bigint[]) AND trigger IS NOT NULL
"""  # noqa: S608 - built from our own constants
_OUTCOMES = f"""
    SELECT wanted.identity, wanted.sequence, event_count, coalesce(sum(amount), 0)::bigint
    FROM unnest($1::text[], $2::bigint[]) AS wanted (identity, sequence)
    JOIN journals ON journals.identity = wanted.identity
    JOIN batches ON batches.journal_id = journals.journal_id
        AND batches.sequence = wanted.sequence
    LEFT JOIN coin_entries ON coin_entries.id
        BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
        AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
    GROUP BY wanted.identity, wanted.sequence, event_count
"""  # noqa: S608 - built from our own constants
_NEWEST = 2**63 - 1


class PostgresReader(Reader):
    """See ``Reader``; unless it ``reads_older``, the tables must be of this program's version."""

    def __init__(self, url: str, damage: Damage | None = None, *, reads_older: bool = True) -> None:
        prepare = as_it_is if reads_older else require_migrated
        self._url = url
        self._connection = Connection(url, prepare, damage=damage)
        self._points = SqlPointsReader(self.reading)

    @property
    @override
    def points(self) -> SqlPointsReader:
        return self._points

    @override
    async def __aenter__(self) -> Self:
        return self

    @override
    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    @override
    async def player(self, user_id: str) -> Player | None:
        async with self._connection.transaction(READ) as db:
            for name, coins, games, sessions, best, last, *seen in await db.fetch(_PLAYER, user_id):
                return Player(name, coins, games, sessions, _score(best), _score(last), *seen)
        return None

    @override
    async def coin_transactions(
        self, user_id: str, *, before: int | None = None, limit: int
    ) -> list[CoinTransaction]:
        async with self._connection.transaction(READ) as db:
            return await read_transactions(
                db, user_id, _NEWEST if before is None else before, limit
            )

    @override
    async def causes(self, entry_ids: Sequence[int]) -> dict[int, Cause]:
        async with self._connection.transaction(READ) as db:
            rows = await db.fetch(_CAUSES, list(entry_ids))
        return {
            entry_id: Cause(kind, name, occurred_at, draw, Rule(*rule))
            for entry_id, kind, name, occurred_at, draw, *rule in rows
        }

    @override
    async def outcomes(self, names: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Outcome]:
        journals, sequences = [journal for journal, _ in names], [number for _, number in names]
        async with self._connection.transaction(READ) as db:
            rows = await db.fetch(_OUTCOMES, journals, sequences)
        return {(identity, sequence): Outcome(*rest) for identity, sequence, *rest in rows}

    @override
    async def audit(self, max_events: int) -> Audited:
        async with self._connection.transaction(AUDIT) as db:
            return await audit_step(db, max_events)

    @override
    async def countries(self, app_id: str, user_ids: Collection[str]) -> dict[str, str]:
        async with self._connection.transaction(READ) as db:
            return await apps.countries(db, app_id, user_ids)

    @override
    async def app_player(self, app_id: str, user_id: str) -> AppPlayer:
        async with self._connection.transaction(READ) as db:
            return await apps.app_player(db, app_id, user_id)

    @override
    async def action_statistics(self, app_id: str) -> list[ActionStatistics]:
        async with self._connection.transaction(READ, patient=True) as db:
            return await apps.action_statistics(db, app_id)

    @override
    async def stored_batch(self, journal: str, sequence: int) -> StoredBatch | None:
        async with self._connection.transaction(READ) as db:
            return await batches.stored_batch(db, printed_time, journal, sequence)

    @override
    async def batch_names(self, first: int, last: int) -> list[BatchName]:
        async with self._connection.transaction(READ) as db:
            return await batches.batch_names(db, first, last)

    @override
    def turn(self, patience_seconds: float) -> AbstractAsyncContextManager[None]:
        return turn(self._url, patience_seconds)

    @override
    async def all_learned(self) -> Kept:
        async with self._connection.transaction(READ) as db:
            return await learned.kept(db)

    @override
    async def buried(self) -> list[DeadLetter]:
        async with self._connection.transaction(READ) as db:
            return await dead_letters.buried(db, printed_time)

    @override
    async def newest_buried(
        self, limit: int, *, game_id: str | None = None, reason: str | None = None
    ) -> list[DeadLetter]:
        async with self._connection.transaction(READ) as db:
            return await dead_letters.newest_buried(
                db, printed_time, "ctid", limit, game_id, reason
            )

    @override
    async def buried_by_reason(self) -> list[Buried]:
        async with self._connection.transaction(READ) as db:
            return await learned.buried(db, printed_time)

    @override
    async def rules_in_force(self) -> list[Rule]:
        async with self._connection.transaction(READ) as db:
            return await rules_in_force(db)

    @override
    async def buried_batch(self, journal: str, sequence: int) -> Batch | None:
        async with self._connection.transaction(READ) as db:
            return await dead_letters.buried_batch(db, printed_time, journal, sequence)

    @override
    async def losses(self, before: int, *, after: bytes, limit: int) -> LossPage:
        async with self._connection.transaction(READ) as db:
            return await runs.losses(db, before, after=after, limit=limit)

    @override
    async def newest_event_id(self) -> int:
        async with self._connection.transaction(READ) as db:
            return await sql_events.newest_event_id(db)

    @override
    async def events(
        self,
        wanted: EventFilter = EVERYTHING,
        *,
        after: int = 0,
        upto: int,
        limit: int,
        newest_first: bool = False,
    ) -> EventPage:
        async with self._connection.transaction(READ) as db:
            piece = await sql_events.piece(
                db, wanted, after, upto, limit, newest_first=newest_first
            )
            cursor = await db.cursor(piece.query, *piece.parameters)
            return await sql_events.page(cursor.fetch, piece)

    @override
    async def count_events(
        self, wanted: EventFilter = EVERYTHING, *, after: int = 0, upto: int, limit: int
    ) -> CountPage:
        async with self._connection.transaction(READ) as db:
            return await sql_events.count_events(db, wanted, after, upto, limit)

    @override
    async def examine(self) -> StoreHealth:
        async with self._connection.transaction(READ, patient=True) as db:
            return await examine(db)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Database]:
        """See ``AsksInSql``."""
        async with self._connection.transaction(READ) as db:
            yield db


async def read_transactions(
    db: asyncpg.Connection, user_id: str, before: int, limit: int
) -> list[CoinTransaction]:
    """Return the newest ``limit`` entries of a player whose id is less than ``before``."""
    rows = await db.fetch(_TRANSACTIONS, user_id, before, limit)
    return [CoinTransaction(*row) for row in rows]


def _score(score: Decimal | None) -> float | None:
    """Return a score as a number of JSON: an integer as long as it is one of 64 bits."""
    if score is None:
        return None
    return int(score) if score == score.to_integral_value() and abs(score) < 2**63 else float(score)
