"""Reads the SQLite store: a connection of its own, read-only, bounded and indexed queries."""

import json
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Self

import aiosqlite
from typing_extensions import override

from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.errors import ConfigError
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
    latest_sane,
)
from playsmart_gateway.stores.readers import BatchName, Reader
from playsmart_gateway.stores.sql import batches, dead_letters, learned, runs
from playsmart_gateway.stores.sql import events as sql_events
from playsmart_gateway.stores.sql.migrations import require_current
from playsmart_gateway.stores.sql.points_reader import SqlPointsReader
from playsmart_gateway.stores.sql.rules import rules_in_force
from playsmart_gateway.stores.sqlite import teak as apps
from playsmart_gateway.stores.sqlite.audit import (
    AUDIT_TABLES,
    audit_step,
)
from playsmart_gateway.stores.sqlite.connection import (
    Connection,
    Statements,
    numbered,
)
from playsmart_gateway.stores.sqlite.file import StoreFile
from playsmart_gateway.stores.sqlite.schema import MIGRATIONS
from playsmart_gateway.stores.sqlite.turn import turn
from playsmart_gateway.stores.sqlite.versions import require_empty

_PLAYER = """
    SELECT user_id, coins_balance, total_games_played, sessions, best_score, last_score,
           first_seen_at, last_seen_at
    FROM players WHERE user_id = ?
"""
_TRANSACTIONS = """
    SELECT id, user_id, game_id, type, trigger, amount, balance_before, balance_after, event_id,
           created_at, reason
    FROM coin_transactions
    WHERE id IN (
        SELECT id FROM coin_entries
        WHERE player_id = (SELECT player_id FROM players WHERE user_id = ?) AND id < ?
        ORDER BY id DESC LIMIT ?
    )
    ORDER BY id DESC
"""
_CAUSES = f"""
    SELECT coin_entries.id, event_rows.type, custom_event_name, occurred_at, draw, batches.game_id,
           min_amount, max_amount, level_millionths, trigger_threshold, trigger_millionths,
           max_per_day
    FROM json_each(?) AS wanted CROSS JOIN coin_entries ON coin_entries.id = wanted.value
    CROSS JOIN event_rows ON event_id = coin_entries.id
    CROSS JOIN batches ON batch_id = event_id / {MAX_EVENTS_PER_BATCH}
    CROSS JOIN game_rules ON rule_id = (
        SELECT max(rule_id) FROM game_rules AS known
        WHERE known.game_id = batches.game_id AND since_batch_id <= batch_id
    )
    WHERE trigger IS NOT NULL
"""  # noqa: S608 - built from our own constants
_OUTCOMES = f"""
    SELECT identity, batches.sequence, event_count, ifnull(sum(amount), 0)
    FROM json_each(?) AS wanted
    CROSS JOIN journals ON identity = wanted.value ->> 0
    CROSS JOIN batches ON batches.journal_id = journals.journal_id
        AND batches.sequence = wanted.value ->> 1
    LEFT JOIN coin_entries ON coin_entries.id
        BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
        AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
    GROUP BY batch_id
"""  # noqa: S608 - built from our own constants
_AHEAD = "SELECT count(*), min(batch_id) FROM batches WHERE received_at > ?"
_NEWEST = 2**63 - 1


class SqliteReader(Reader):
    """See ``Reader``; unless it ``reads_older``, the file must be of this program's version."""

    def __init__(self, file: StoreFile, *, reads_older: bool = True) -> None:
        self._reads_older = reads_older
        self._path = file.path
        self._connection = Connection(file, self._prepare, read_only=True)
        self.reading = self._connection.reading
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
        await self._connection.leave()

    @override
    async def player(self, user_id: str) -> Player | None:
        async with self._connection.transaction("BEGIN") as db:
            for row in await db.execute_fetchall(_PLAYER, (user_id,)):
                return Player(*row)
        return None

    @override
    async def coin_transactions(
        self, user_id: str, *, before: int | None = None, limit: int
    ) -> list[CoinTransaction]:
        async with self._connection.transaction("BEGIN") as db:
            return await read_transactions(
                db, user_id, _NEWEST if before is None else before, limit
            )

    @override
    async def causes(self, entry_ids: Sequence[int]) -> dict[int, Cause]:
        async with self._connection.transaction("BEGIN") as db:
            rows = await db.execute_fetchall(_CAUSES, (json.dumps(list(entry_ids)),))
        return {
            entry_id: Cause(kind, name, occurred_at, draw, Rule(*rule))
            for entry_id, kind, name, occurred_at, draw, *rule in rows
        }

    @override
    async def outcomes(self, names: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Outcome]:
        async with self._connection.transaction("BEGIN") as db:
            rows = await db.execute_fetchall(_OUTCOMES, (json.dumps(list(names)),))
        return {(identity, sequence): Outcome(*rest) for identity, sequence, *rest in rows}

    @override
    async def audit(self, max_events: int) -> Audited:
        async with self._connection.transaction("BEGIN") as db:
            return await audit_step(db, max_events)

    @override
    async def countries(self, app_id: str, user_ids: Collection[str]) -> dict[str, str]:
        async with self._connection.transaction("BEGIN") as db:
            return await apps.countries(db, app_id, user_ids)

    @override
    async def app_player(self, app_id: str, user_id: str) -> AppPlayer:
        async with self._connection.transaction("BEGIN") as db:
            return await apps.app_player(db, app_id, user_id)

    @override
    async def action_statistics(self, app_id: str) -> list[ActionStatistics]:
        async with self._connection.transaction("BEGIN") as db:
            return await apps.action_statistics(db, app_id)

    @override
    async def stored_batch(self, journal: str, sequence: int) -> StoredBatch | None:
        async with self._connection.reading() as db:
            return await batches.stored_batch(db, str, journal, sequence)

    @override
    async def batch_names(self, first: int, last: int) -> list[BatchName]:
        async with self._connection.reading() as db:
            return await batches.batch_names(db, first, last)

    @override
    def turn(self, patience_seconds: float) -> AbstractAsyncContextManager[None]:
        return turn(self._path, patience_seconds)

    @override
    async def all_learned(self) -> Kept:
        async with self._connection.reading() as db:
            return await learned.kept(db)

    @override
    async def buried(self) -> list[DeadLetter]:
        async with self._connection.reading() as db:
            return await dead_letters.buried(db, str)

    @override
    async def newest_buried(
        self, limit: int, *, game_id: str | None = None, reason: str | None = None
    ) -> list[DeadLetter]:
        async with self._connection.reading() as db:
            return await dead_letters.newest_buried(db, str, "rowid", limit, game_id, reason)

    @override
    async def buried_by_reason(self) -> list[Buried]:
        async with self._connection.reading() as db:
            return await learned.buried(db, str)

    @override
    async def rules_in_force(self) -> list[Rule]:
        async with self._connection.reading() as db:
            return await rules_in_force(db)

    @override
    async def buried_batch(self, journal: str, sequence: int) -> Batch | None:
        async with self._connection.reading() as db:
            return await dead_letters.buried_batch(db, str, journal, sequence)

    @override
    async def losses(self, before: int, *, after: bytes, limit: int) -> LossPage:
        async with self._connection.reading() as db:
            return await runs.losses(db, before, after=after, limit=limit)

    @override
    async def newest_event_id(self) -> int:
        async with self._connection.reading() as db:
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
        async with self._connection.transaction("BEGIN") as db:
            piece = await sql_events.piece(
                Statements(db), wanted, after, upto, limit, newest_first=newest_first
            )
            async with db.execute(piece.query, numbered(piece.parameters)) as cursor:
                return await sql_events.page(cursor.fetchmany, piece)

    @override
    async def count_events(
        self, wanted: EventFilter = EVERYTHING, *, after: int = 0, upto: int, limit: int
    ) -> CountPage:
        async with self._connection.reading() as db:
            return await sql_events.count_events(db, wanted, after, upto, limit)

    @override
    async def examine(self) -> StoreHealth:
        async with self._connection.transaction("BEGIN") as db:
            return await _examine(db, self._path)

    async def _prepare(self, db: aiosqlite.Connection, _: object) -> None:
        if not self._reads_older:
            ((version,),) = await db.execute_fetchall("PRAGMA user_version")
            require_current(str(self._path), version, len(MIGRATIONS))
        await db.execute("PRAGMA temp_store = MEMORY")
        for statement in AUDIT_TABLES.split(";\n"):
            if statement.strip():
                await db.execute(statement)


async def read_transactions(
    db: aiosqlite.Connection, user_id: str, before: int, limit: int
) -> list[CoinTransaction]:
    """Return the newest ``limit`` entries of a player whose id is less than ``before``."""
    rows = await db.execute_fetchall(_TRANSACTIONS, (user_id, before, limit))
    return [CoinTransaction(*row) for row in rows]


async def _examine(db: aiosqlite.Connection, path: Path) -> StoreHealth:
    ((version,),) = await db.execute_fetchall("PRAGMA user_version")
    checked = await db.execute_fetchall("PRAGMA quick_check(10)")
    problems = tuple(text for (text,) in checked if text != "ok")
    if not version and not problems:
        try:
            await require_empty(db, path)
        except ConfigError as error:
            problems = error.problems
    ahead, first_ahead = 0, 0
    if version and not problems:
        ((ahead, first_ahead),) = await db.execute_fetchall(_AHEAD, (latest_sane(),))
    return StoreHealth(version, len(MIGRATIONS), problems, ahead, first_ahead or 0)
