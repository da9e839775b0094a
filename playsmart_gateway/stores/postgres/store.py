"""The PostgreSQL sink: one writer, one transaction a flush, a handful of statements in it.

Batches that are stored already are looked for first: under the lock of the one writer nobody can
store them in between. What is new goes by ``copying``, and is paid by ``coins``.
"""

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Self

import asyncpg
from typing_extensions import override

from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.economy.points import (
    Award,
    Program,
)
from playsmart_gateway.errors import AdjustmentRefused, ConfigError, SinkUnavailable
from playsmart_gateway.events.batch import (
    LYNES,
    PLAYSMART,
    Batch,
    first_event_id,
)
from playsmart_gateway.events.sessions import sessions_in
from playsmart_gateway.stores.clearing import Traces
from playsmart_gateway.stores.contract import Quarantining, Store
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
from playsmart_gateway.stores.postgres import erasure, runs
from playsmart_gateway.stores.postgres import teak as apps
from playsmart_gateway.stores.postgres.coins import PostgresCoins
from playsmart_gateway.stores.postgres.connection import (
    READ,
    WRITE,
    Connection,
    Damage,
    Undone,
    require_session,
)
from playsmart_gateway.stores.postgres.copying import (
    copy_batches,
    prepare_times,
    received_at,
)
from playsmart_gateway.stores.postgres.dashboard import PostgresRollups
from playsmart_gateway.stores.postgres.learned import PostgresLearned
from playsmart_gateway.stores.postgres.migrate import migrate
from playsmart_gateway.stores.postgres.reader import (
    PostgresReader,
    read_transactions,
)
from playsmart_gateway.stores.postgres.schema import printed_time
from playsmart_gateway.stores.postgres.url import read_url
from playsmart_gateway.stores.runs import Claimed
from playsmart_gateway.stores.sql import dead_letters
from playsmart_gateway.stores.sql import erasure as sql_erasure
from playsmart_gateway.stores.sql import retention as sql_retention
from playsmart_gateway.stores.sql import runs as sql_runs
from playsmart_gateway.stores.sql.accounts import SqlAccounts
from playsmart_gateway.stores.sql.points import Loyalty

_KNOWN = "SELECT sequence FROM batches WHERE journal_id = $1 AND sequence BETWEEN $2 AND $3"
_TAKE_IDS = "UPDATE batch_counter SET last_batch_id = last_batch_id + $1 RETURNING last_batch_id"
_ADJUST = """
    INSERT INTO coin_entries (id, player_id, amount, balance_after, created_at, reason)
    VALUES ($1, $2, $3, $4, statement_timestamp(), $5)
"""
_BURY = """
    INSERT INTO dead_letters
        (journal, sequence, reason, source, game_id, user_id, received_at, event_count, rows)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT DO NOTHING
"""


class PostgresSink(Store, Quarantining):
    """Writes batches into the database at ``url``, creating its tables when missing.

    Raises:
        ConfigError: that cannot be the URL of a database.
    """

    log_bytes = 0

    def __init__(
        self,
        url: str,
        rules: Sequence[Rule] = (),
        program: Program | None = None,
        *,
        migrates: bool = True,
    ) -> None:
        self._migrates = migrates
        self._target = read_url(url)
        self._url = url
        self._coins = PostgresCoins(rules)
        self._loyalty = Loyalty(program or Program(), printed_time)
        self._damage = Damage()
        self._connection = Connection(url, self._prepare, damage=self._damage)
        transaction = self._connection.transaction
        self.accounts = SqlAccounts(partial(transaction, READ), transaction)
        self.learned = PostgresLearned(url, self._connection, damage=self._damage)
        self._journals: dict[str, int] = {}
        self._syncs_commits = True

    async def __aenter__(self) -> Self:
        """Connect and bring the schema up to date. See ``EventSink``."""
        await self._connection.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        await self._connection.close()

    @override
    def reader(self) -> PostgresReader:
        return PostgresReader(self._url, self._damage, reads_older=self._migrates)

    @override
    def rollups(self) -> PostgresRollups:
        return PostgresRollups(self._url, self._connection, damage=self._damage)

    @override
    async def write(self, batches: Sequence[Batch]) -> Written:
        async with self._connection.transaction() as db:
            return await self._claim_and_store(db, await self._unknown(db, batches), batches)

    @override
    async def commit(self, batches: Sequence[Batch]) -> list[Award]:
        events = self._loyalty.occurrences(batches)
        async with self._connection.transaction() as db:
            claimed = await runs.claim(db, await self._unknown(db, batches))
            first_id = await self._enter(db, claimed)
            return await self._loyalty.settle(
                db, batches, events, claimed=claimed, first_batch_id=first_id
            )

    @override
    async def trial(self, batches: Sequence[Batch]) -> None:
        with contextlib.suppress(Undone):
            async with self._connection.transaction() as db:
                if batches:
                    new = await self._unknown(db, batches)
                    if new and new[0].source == LYNES:
                        events = self._loyalty.occurrences(new)
                        first_id = await self._insert(db, new)
                        await self._loyalty.award(db, dict(enumerate(events, first_id)))
                    elif new:
                        await self._store(db, Claimed(new))  # all of it, so that all is tried
                    raise Undone

    @override
    async def bury(self, batch: Batch, reason: str) -> None:
        async with self._connection.transaction() as db:
            await self._bury(db, [(batch, reason)])

    @override
    async def quarantine(self, letters: Sequence[tuple[Batch, str]]) -> None:
        async with self._connection.transaction() as db:
            new = {each.key for each in await self._unknown(db, [batch for batch, _ in letters])}
            await self._bury(db, [each for each in letters if each[0].key in new])

    async def _bury(self, db: asyncpg.Connection, letters: Sequence[tuple[Batch, str]]) -> None:
        reasons = {batch.key: reason for batch, reason in letters}
        batches: Sequence[Batch] = [batch for batch, _ in letters]
        if any(batch.run for batch in batches):
            known = await runs.buried(db, batches)
            claimed = await runs.claim(db, [each for each in batches if each.key not in known])
            await runs.write_down(db, claimed, None)
            batches = [each for each in claimed.batches if each.count or not each.run]
        rows = [
            (
                *each.key, reasons[each.key], each.source, each.game_id, each.user_id,
                received_at(each), each.count, bytes(each.rows),
            )
            for each in batches
        ]  # fmt: skip
        await db.executemany(_BURY, rows)

    @override
    async def replay(self, journal: str, sequence: int) -> Written | None:
        async with self._connection.transaction() as db:
            batch = await dead_letters.buried_batch(db, printed_time, journal, sequence)
            if batch is None:
                return None
            new = await self._unknown(db, [batch])
            written = await self._claim_and_store(db, new, [batch])
            await dead_letters.unbury(db, journal, sequence)
        return written

    @override
    async def adjust(
        self, user_id: str, amount: int, reason: str, *, force: bool = False
    ) -> CoinTransaction:
        async with self._connection.transaction() as db:
            rows = await db.fetch(
                "SELECT player_id, coins_balance FROM players WHERE user_id = $1", user_id
            )
            for player_id, balance in rows:
                if balance + amount < 0 and amount < 0 and not force:
                    raise AdjustmentRefused(
                        f"{-amount} coins are more than the balance of {balance}; "
                        "force it if that is meant"
                    )
                entry_id = first_event_id(await db.fetchval(_TAKE_IDS, 1))
                await db.execute(_ADJUST, entry_id, player_id, amount, balance + amount, reason)
                await db.execute(
                    "UPDATE players SET coins_balance = coins_balance + $1 WHERE player_id = $2",
                    *(amount, player_id),
                )
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
        async with self._connection.transaction(READ) as db:
            return await sql_erasure.names(db, user_id)

    @override
    async def erase(self, user_id: str, *, dry_run: bool = False) -> dict[str, int]:
        return await erasure.erase(
            self._connection, user_id, self._loyalty.program, dry_run=dry_run
        )

    @override
    async def clear(self, traces: Traces, *, dry_run: bool = False) -> dict[str, int]:
        return await erasure.clear(self._connection, traces, dry_run=dry_run)

    async def scrub(self, *, rewrite: bool = True) -> None:
        """See ``Upkeep.scrub``: the server frees what was deleted in its own time."""

    @override
    async def forget_runs(self, before: int, *, after: bytes, limit: int) -> ForgottenRuns:
        async with self._connection.transaction() as db:
            return await sql_runs.forget(db, before, after=after, limit=limit)

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
        async with self._connection.transaction(READ if dry_run else WRITE, patient=True) as db:
            return await sql_retention.expire(
                db, datetime.fromisoformat(before), datetime.fromisoformat(latest), game_id, type_,
                after_batch=after_batch, upto_batch=upto_batch, max_events=max_events,
                dry_run=dry_run,
            )  # fmt: skip

    async def sync(self) -> None:
        """See ``EventSink.sync``: each COMMIT has waited for the disk, if the server lets it.

        With ``synchronous_commit`` off, one commit that waits takes along all before it.
        """
        if not self._syncs_commits:
            async with self._connection.transaction() as db:
                await db.execute("SET LOCAL synchronous_commit = on")
                await db.fetchval(_TAKE_IDS, 0)

    @override
    async def sync_commits(self) -> None:
        await self.sync()

    @property
    @override
    def damage(self) -> SinkUnavailable | None:
        return self._damage.found

    async def _claim_and_store(
        self, db: asyncpg.Connection, new: Sequence[Batch], sent: Sequence[Batch]
    ) -> Written:
        claimed = await runs.claim(db, new)
        conflicts = await sql_runs.conflicts(db, claimed.repeats)
        stored = await self._store(db, claimed) if new else 0
        return Written(stored, sum(each.count for each in sent) - stored, conflicts)

    async def _enter(self, db: asyncpg.Connection, claimed: Claimed) -> int:
        """Insert what was claimed, and write that down; return the id of the first batch."""
        first_id = await self._insert(db, claimed.batches)
        await runs.write_down(db, claimed, first_id)
        return first_id

    async def _store(self, db: asyncpg.Connection, claimed: Claimed) -> int:
        batches = claimed.batches
        first_id = await self._enter(db, claimed)
        if any(batch.source == PLAYSMART for batch in batches):
            await self._coins.pay(db, first_id, first_id + len(batches) - 1)
        sessions = list(sessions_in(batches, first_id))
        repeated = await apps.track_sessions(db, sessions) if sessions else 0
        return sum(batch.count for batch in batches) - repeated

    async def _unknown(self, db: asyncpg.Connection, batches: Sequence[Batch]) -> list[Batch]:
        """Return those that are not stored yet, each once."""
        sequences: dict[str, list[int]] = {}
        for batch in batches:
            sequences.setdefault(batch.journal, []).append(batch.sequence)
        known = set()
        for journal, numbers in sequences.items():
            journal_id = self._journals.get(journal) or await self._journal_id(db, journal)
            found = await db.fetch(_KNOWN, journal_id, min(numbers), max(numbers))
            known |= {(journal, sequence) for (sequence,) in found}
        if not known and all(len(set(each)) == len(each) for each in sequences.values()):
            return list(batches)  # as it nearly always is
        return list({batch.key: batch for batch in batches if batch.key not in known}.values())

    async def _insert(self, db: asyncpg.Connection, batches: Sequence[Batch]) -> int:
        """Insert headers and rows; return the id of the first batch, which the others follow."""
        first_id = int(await db.fetchval(_TAKE_IDS, len(batches))) - len(batches) + 1
        await copy_batches(
            db, batches, first_id, journals=self._journals, draws_for=self._coins.draws_for
        )
        return first_id

    async def _journal_id(self, db: asyncpg.Connection, identity: str) -> int:
        """Return the number that stands for a journal in this database."""
        await db.execute(
            "INSERT INTO journals (identity) VALUES ($1) ON CONFLICT DO NOTHING", identity
        )
        self._journals[identity] = int(
            await db.fetchval("SELECT journal_id FROM journals WHERE identity = $1", identity)
        )
        return self._journals[identity]

    async def _prepare(self, db: asyncpg.Connection) -> None:
        self._journals.clear()
        self._coins.forget()
        if await db.fetchval("SHOW server_encoding") != "UTF8":
            raise ConfigError(["storage.url: the encoding of the database must be UTF8"])
        await require_session(db, self._target)
        await prepare_times(db)
        self._syncs_commits = await db.fetchval("SHOW synchronous_commit") != "off"
        await migrate(db, may=self._migrates)
