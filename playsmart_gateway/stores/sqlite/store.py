"""The SQLite sink: one writer, one transaction a flush, a handful of statements in it."""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import aiosqlite
from typing_extensions import override

from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.economy.points import Award, Program
from playsmart_gateway.errors import AdjustmentRefused, ConfigError, SinkUnavailable
from playsmart_gateway.events.batch import LYNES, PLAYSMART, Batch, first_event_id
from playsmart_gateway.events.sessions import sessions_in
from playsmart_gateway.stores.clearing import Traces
from playsmart_gateway.stores.contract import Quarantining, Replaceable, Store, TakeTurn
from playsmart_gateway.stores.models import (
    NEVER,
    Channel,
    CoinTransaction,
    Expired,
    ForgottenRuns,
    OptOutState,
    PropertyValue,
    Written,
)
from playsmart_gateway.stores.runs import Claimed
from playsmart_gateway.stores.sql import dead_letters
from playsmart_gateway.stores.sql import erasure as sql_erasure
from playsmart_gateway.stores.sql import retention as sql_retention
from playsmart_gateway.stores.sql import runs as sql_runs
from playsmart_gateway.stores.sql.accounts import SqlAccounts
from playsmart_gateway.stores.sql.migrations import require_current
from playsmart_gateway.stores.sql.points import Loyalty
from playsmart_gateway.stores.sqlite import burying, erasure, runs
from playsmart_gateway.stores.sqlite import teak as apps
from playsmart_gateway.stores.sqlite.additions import put_back, take_out
from playsmart_gateway.stores.sqlite.coins import TEMPORARY_TABLES, SqliteCoins
from playsmart_gateway.stores.sqlite.connection import (
    Connection,
    Statements,
    Undone,
    at_opening,
)
from playsmart_gateway.stores.sqlite.dashboard import SqliteRollups
from playsmart_gateway.stores.sqlite.file import StoreFile
from playsmart_gateway.stores.sqlite.inserting import Inserter
from playsmart_gateway.stores.sqlite.learned import SqliteLearned
from playsmart_gateway.stores.sqlite.one_go import InOneGo
from playsmart_gateway.stores.sqlite.players import MAX_CHANGES
from playsmart_gateway.stores.sqlite.reader import (
    SqliteReader,
    read_transactions,
)
from playsmart_gateway.stores.sqlite.schema import MIGRATIONS
from playsmart_gateway.stores.sqlite.versions import require_empty

CHECKPOINT_PAGES = 200
"""Of 4 KiB, at which the write-ahead log is moved into the file. Requests that wait for room wait
for that too: at SQLite's 1,000 the p99 at saturation is 32 ms, at 200 it is 19, no slower."""

MAX_LOG_BYTES = 16_777_216
"""To which the write-ahead log is cut when a reader that held it has gone."""

_ADJUST = """
    INSERT INTO coin_entries (id, player_id, amount, balance_after, created_at, reason)
    VALUES (?, ?, ?, ?, ?, ?)
"""
_CHANGE_BALANCE = """
    INSERT INTO player_changes (player_id, coins_balance) VALUES (?, ?)
    ON CONFLICT DO UPDATE SET coins_balance = coins_balance + excluded.coins_balance
"""


class SqliteSink(Store, Quarantining, Replaceable):
    """Writes batches into the SQLite file ``path``, creating it and its folder when missing.

    Where other processes of this gateway write to it, too, they ``take_turn``. What changes of
    players is folded beyond ``max_changes`` of them, see ``coins``.
    """

    def __init__(
        self,
        path: str,
        rules: Sequence[Rule] = (),
        program: Program | None = None,
        take_turn: TakeTurn = contextlib.nullcontext,
        *,
        migrates: bool = True,
        max_changes: int = MAX_CHANGES,
    ) -> None:
        self._path = Path(path)
        self._migrates = migrates
        self._coins = SqliteCoins(rules, max_changes)
        self._loyalty = Loyalty(program or Program(), str)
        self._file = StoreFile(self._path)
        self._connection = Connection(self._file, self._prepare, take_turn=take_turn)
        self._inserter = Inserter(self._coins.draws_for)
        self.accounts = SqlAccounts(self._connection.reading, self._connection.writing)
        self.learned = SqliteLearned(self._file, self._connection)

    async def __aenter__(self) -> Self:
        """Open the file and bring its schema up to date. See ``EventSink``."""
        self._file.is_written_here = True
        try:
            await self._connection.open()
        except (OSError, sqlite3.Error) as error:
            raise at_opening(self._path, error) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the file; SQLite moves the write-ahead log into it."""
        await self._connection.leave()

    @property
    @override
    def renewals(self) -> int:
        return self._file.renewals

    @property
    @override
    def damage(self) -> SinkUnavailable | None:
        return self._file.damage

    @property
    @override
    def log_bytes(self) -> int:
        return self._file.log_bytes

    @override
    async def look(self) -> None:
        await self._connection.look()

    @override
    def reader(self) -> SqliteReader:
        return SqliteReader(self._file, reads_older=self._migrates)

    @override
    def rollups(self) -> SqliteRollups:
        return SqliteRollups(self._file, self._connection)

    @override
    async def write(self, batches: Sequence[Batch]) -> Written:
        async with self._connection.transaction() as db:
            try:
                return await self._claim_and_insert(db, batches, batches)
            except sqlite3.IntegrityError:
                # Only a repeat can violate a unique key, and repeats are rare: look for them now.
                await db.execute("ROLLBACK")
                self._forget()
                await db.execute("BEGIN IMMEDIATE")
                new = await self._inserter.without_known(db, batches)
                return await self._claim_and_insert(db, new, batches)

    @override
    async def commit(self, batches: Sequence[Batch]) -> list[Award]:
        events = self._loyalty.occurrences(batches)
        async with self._connection.transaction() as db:
            try:
                claimed = await runs.claim(db, batches)
                first_id = await self._enter(db, claimed)
            except sqlite3.IntegrityError:  # as in write
                await db.execute("ROLLBACK")
                self._forget()
                await db.execute("BEGIN IMMEDIATE")
                claimed = await runs.claim(db, await self._inserter.without_known(db, batches))
                first_id = await self._enter(db, claimed)
            return await self._loyalty.settle(
                Statements(db), batches, events, claimed=claimed, first_batch_id=first_id
            )

    @override
    async def trial(self, batches: Sequence[Batch]) -> None:
        with contextlib.suppress(Undone):
            async with self._connection.transaction() as db:
                if batches:
                    new = await self._inserter.without_known(db, batches)
                    if new and new[0].source == LYNES:
                        events = self._loyalty.occurrences(new)
                        first_id = await self._inserter.insert(db, new)
                        await self._loyalty.award(Statements(db), dict(enumerate(events, first_id)))
                    elif new:
                        await self._insert(db, Claimed(new))  # all of it, so that all is tried
                    raise Undone

    @override
    async def bury(self, batch: Batch, reason: str) -> None:
        async with self._connection.transaction() as db:
            await burying.bury(db, batch, reason)

    @override
    async def quarantine(self, letters: Sequence[tuple[Batch, str]]) -> None:
        async with self._connection.transaction() as db:
            await burying.quarantine(db, letters)

    @override
    async def replay(self, journal: str, sequence: int) -> Written | None:
        async with self._connection.transaction() as db:
            sql = Statements(db)
            batch = await dead_letters.buried_batch(sql, str, journal, sequence)
            if batch is None:
                return None
            new = await self._inserter.without_known(db, [batch])
            written = await self._claim_and_insert(db, new, [batch])
            await dead_letters.unbury(sql, journal, sequence)
        return written

    @override
    async def adjust(
        self, user_id: str, amount: int, reason: str, *, force: bool = False
    ) -> CoinTransaction:
        async with self._connection.transaction() as db:
            rows = await db.execute_fetchall(
                "SELECT player_id, coins_balance FROM players WHERE user_id = ?", (user_id,)
            )
            for player_id, balance in rows:
                if balance + amount < 0 and amount < 0 and not force:
                    raise AdjustmentRefused(
                        f"{-amount} coins are more than the balance of {balance}; "
                        "force it if that is meant"
                    )
                entry_id = first_event_id(await self._take_batch_id(db))
                entry = (entry_id, player_id, amount, balance + amount, _now(), reason)
                await db.execute(_ADJUST, entry)
                await db.execute(_CHANGE_BALANCE, (player_id, amount))
                (transaction,) = await read_transactions(db, user_id, entry_id + 1, 1)
                return transaction
            raise AdjustmentRefused("no player goes by that id")

    @override
    async def set_properties(
        self, app_id: str, user_id: str, values: Mapping[str, PropertyValue]
    ) -> dict[str, PropertyValue]:
        async with self._connection.transaction() as db:
            return await apps.set_properties(db, app_id, user_id, values)

    @override
    async def exclude(self, app_id: str, user_id: str, expire_at: str | None) -> None:
        async with self._connection.transaction() as db:
            await apps.exclude(db, app_id, user_id, expire_at)

    @override
    async def include(self, app_id: str, user_id: str) -> bool:
        async with self._connection.transaction() as db:
            return await apps.include(db, app_id, user_id)

    @override
    async def set_opt_out(
        self, app_id: str, user_id: str, channel: Channel, state: OptOutState
    ) -> bool:
        async with self._connection.transaction() as db:
            return await apps.set_opt_out(db, app_id, user_id, channel, state)

    @override
    async def names(self, user_id: str) -> set[str]:
        async with self._connection.reading() as db:
            return await sql_erasure.names(db, user_id)

    @override
    async def erase(self, user_id: str, *, dry_run: bool = False) -> dict[str, int]:
        return await erasure.erase(
            self._connection, user_id, self._loyalty.program, dry_run=dry_run
        )

    @override
    async def clear(self, traces: Traces, *, dry_run: bool = False) -> dict[str, int]:
        return await erasure.clear(self._connection, traces, dry_run=dry_run)

    @override
    async def scrub(self, *, rewrite: bool = True) -> None:
        await erasure.scrub(self._path, rewrite=rewrite)

    @override
    async def forget_runs(self, before: int, *, after: bytes, limit: int) -> ForgottenRuns:
        async with self._connection.transaction() as db:
            return await sql_runs.forget(Statements(db), before, after=after, limit=limit)

    @override
    async def expire(
        self,
        before: str,
        *,
        latest: str = NEVER,
        game_id: str | None = None,
        type_: str | None = None,
        after_batch: int = 0,
        upto_batch: int | None = None,
        max_events: int,
        dry_run: bool = False,
    ) -> Expired:
        async with self._connection.transaction("BEGIN" if dry_run else "BEGIN IMMEDIATE") as db:
            return await sql_retention.expire(
                Statements(db), before, latest, game_id, type_,
                after_batch=after_batch, upto_batch=upto_batch, max_events=max_events,
                dry_run=dry_run,
            )  # fmt: skip

    @override
    async def sync_commits(self) -> None:
        log = self._path.with_name(self._path.name + "-wal")
        try:
            await asyncio.to_thread(_sync_file, log)
        except OSError as error:
            raise SinkUnavailable(f"cannot sync {log}: {error.strerror}") from error

    @override
    async def sync(self) -> None:  # a file that is moved or copied goes without its log
        await self._connection.checkpoint()

    async def _claim_and_insert(
        self, db: InOneGo, new: Sequence[Batch], sent: Sequence[Batch]
    ) -> Written:
        claimed = await runs.claim(db, new)
        conflicts = await sql_runs.conflicts(Statements(db), claimed.repeats)
        stored = await self._insert(db, claimed) if new else 0
        return Written(stored, sum(each.count for each in sent) - stored, conflicts)

    async def _enter(self, db: InOneGo, claimed: Claimed) -> int:
        """Insert what was claimed, and write that down; return the id of the first batch."""
        first_id = await self._inserter.insert(db, claimed.batches)
        await runs.write_down(db, claimed, first_id)
        return first_id

    async def _insert(self, db: InOneGo, claimed: Claimed) -> int:
        batches = claimed.batches
        first_id = await self._enter(db, claimed)
        if any(batch.source == PLAYSMART for batch in batches):
            await self._coins.pay(db, first_id, batches, _now())
        sessions = list(sessions_in(batches, first_id))
        repeated = await apps.track_sessions(db, sessions) if sessions else 0
        return sum(batch.count for batch in batches) - repeated

    async def _take_batch_id(self, db: aiosqlite.Connection) -> int:
        """Return an id that no batch has or will have."""
        cursor = await db.execute(
            "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'batches' RETURNING seq"
        )
        ((taken,),) = await cursor.fetchall()
        return int(taken)

    def _forget(self) -> None:
        """Believe nothing about the file any more."""
        self._inserter.forget()
        self._coins.forget()

    async def _prepare(self, db: aiosqlite.Connection, stamp: Callable[[], str]) -> None:
        self._forget()
        await db.execute("PRAGMA journal_mode = WAL")
        await db.execute("PRAGMA synchronous = NORMAL")
        await db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        await db.execute(f"PRAGMA journal_size_limit = {MAX_LOG_BYTES}")
        await db.execute("PRAGMA temp_store = MEMORY")
        await db.execute("BEGIN IMMEDIATE")
        ((version,),) = await db.execute_fetchall("PRAGMA user_version")
        if version > len(MIGRATIONS):
            raise ConfigError(
                [
                    f"storage.url: {self._path} has schema version {version}, newer than the "
                    f"{len(MIGRATIONS)} this program knows; upgrade playsmart-gateway"
                ]
            )
        if not version:
            await require_empty(db, self._path)
        elif not self._migrates:
            require_current(str(self._path), version, len(MIGRATIONS))
        additions = await take_out(db, version)
        for script in (*MIGRATIONS[version:], TEMPORARY_TABLES):
            for statement in script.split(";\n"):
                if statement.strip():
                    await db.execute(statement)
        await put_back(db, additions)
        await db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        await db.execute(stamp())
        await db.execute("COMMIT")
        if version < len(MIGRATIONS):  # so that the file says what it is, wherever it goes
            await db.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")


def _now() -> int:
    return time.time_ns() // 1_000


def _sync_file(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fdatasync(file)
    finally:
        os.close(file)
