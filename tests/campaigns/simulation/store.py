"""The store: what it keeps outlives processes, and a power cut takes its newest transactions.

That is SQLite with ``synchronous = NORMAL``: a commit survives the death of a process at once, and
a power cut only after a sync.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

from playsmart_gateway.economy.points import Award
from playsmart_gateway.errors import SinkRejected, SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.memory.runs import MemoryRuns
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.models import Written
from playsmart_gateway.stores.runs import Claimed
from tests.campaigns.simulation.chance import Chance
from tests.campaigns.simulation.ledger import POISON
from tests.campaigns.simulation.loop import (
    Killed,
    SimLoop,
)

Name = tuple[str, int]


class Transaction(NamedTuple):
    """Rows, or one dead letter, and the numbers of runs that were claimed with them."""

    rows: Sequence[Batch] = ()
    dead_letters: Sequence[Batch] = ()
    claimed: Claimed = Claimed(())


class Store:
    """What is on the medium of the database: transactions, and what they came to."""

    def __init__(self) -> None:
        self.transactions: list[Transaction] = []
        self.synced = 0
        self.down_until = 0.0
        self.broken_until = 0.0
        self.rows: dict[Name, Batch] = {}
        self.dead_letters: dict[Name, Batch] = {}
        self.runs = MemoryRuns()

    def commit(self, transaction: Transaction) -> None:
        """Apply one transaction."""
        self.transactions.append(transaction)
        self.rows.update((batch.key, batch) for batch in transaction.rows)
        self.dead_letters.update((batch.key, batch) for batch in transaction.dead_letters)
        if transaction.claimed.runs:
            self.runs.write_down(transaction.claimed)

    def cut_power(self, chance: Chance) -> int:
        """Lose some of the newest transactions that were not synced; return how many."""
        everything = self.transactions
        kept = chance.randint(self.synced, len(everything))
        if kept < len(everything):
            self.transactions, self.rows, self.dead_letters = [], {}, {}
            self.runs = MemoryRuns()
            for transaction in everything[:kept]:
                self.commit(transaction)
        self.synced = kept
        return len(everything) - kept


class SimSink(MemorySink):
    """The store of one process, with a thread as aiosqlite's; only events come here."""

    def __init__(self, store: Store, chance: Chance, loop: SimLoop) -> None:
        super().__init__()
        self.misuse: list[str] = []
        self._store = store
        self._chance = chance
        self._loop = loop
        self._working = 0
        self._idle = asyncio.Event()

    def rollups(self) -> None:
        """Nothing follows it: what is simulated here is the path of the events."""

    async def __aenter__(self) -> Self:
        if self._chance.strikes("store: cannot open"):
            raise SinkUnavailable("cannot open the store")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._chance.strikes("store: slow to close"):
            await asyncio.sleep(self._chance.between(0.1, 5.0))
        if self._working:  # the thread ends what it does, whoever was cancelled
            await self._idle.wait()

    async def write(self, batches: Sequence[Batch]) -> Written:
        names = [batch.key for batch in batches]
        if len(set(names)) < len(names):
            self.misuse.append("a flush with a batch twice")
        slow = self._chance.between(0.01, 3.0) if self._chance.strikes("store: slow") else 0.0
        written = await self._in_thread(lambda: self._write(list(batches)), slow)
        assert isinstance(written, Written)
        return written

    async def trial(self, batches: Sequence[Batch]) -> None:
        await self._in_thread(lambda: self._try(list(batches)))

    async def bury(self, batch: Batch, reason: str) -> None:
        await self._in_thread(lambda: self._bury(batch))

    async def commit(self, batches: Sequence[Batch]) -> list[Award]:
        raise AssertionError("nobody waits for awards in here")

    def reader(self) -> MemorySink:  # type: ignore[override]
        return MemorySink()  # which has nothing to audit

    async def sync(self) -> None:
        await self._in_thread(self._sync)

    async def sync_commits(self) -> None:
        raise AssertionError("nobody waits for awards in here")

    async def _in_thread(self, function: Callable[[], object], slow: float = 0.0) -> object:
        if self._loop.dead:
            raise Killed
        self._working += 1
        self._idle.clear()

        def work() -> object:
            try:
                return function()
            finally:
                self._working -= 1
                if not self._working:
                    self._idle.set()

        return await self._loop.in_thread(work, slow)

    def _write(self, batches: list[Batch]) -> Written:
        self._require_up()
        self._require_whole()
        claimed = self._claim(self._unknown(batches))
        _require_fit(claimed.batches)
        if self._chance.traced:
            self._chance.say(f"store: commits {[batch.sequence for batch in claimed.batches]}")
        self._store.commit(Transaction(claimed.batches, claimed=claimed))
        self._fail_by_chance("store: commits, then reports failure")
        stored = sum(batch.count for batch in claimed.batches)
        return Written(stored, sum(batch.count for batch in batches) - stored)

    def _try(self, batches: list[Batch]) -> None:
        self._require_up()
        self._require_whole()
        _require_fit(self._unknown(batches))

    def _unknown(self, batches: list[Batch]) -> list[Batch]:
        return [batch for batch in batches if batch.key not in self._store.rows]

    def _claim(self, batches: list[Batch]) -> Claimed:
        return self._store.runs.claim(batches, self._store.dead_letters)

    def _bury(self, batch: Batch) -> None:
        self._require_up()
        if batch.key in self._store.dead_letters:
            return
        claimed = self._claim([batch])
        left = [each for each in claimed.batches if each.count]  # it may have come as others
        self._store.commit(Transaction(dead_letters=left, claimed=claimed))
        self._fail_by_chance("store: commits, then reports failure")

    def _sync(self) -> None:
        self._fail_by_chance("store: sync error")
        self._store.synced = len(self._store.transactions)

    def _require_whole(self) -> None:
        """Refuse everything for a while, as a trigger would that somebody left there."""
        if self._chance.calm:
            return
        if self._chance.strikes("store: somebody breaks it"):
            self._store.broken_until = self._loop.now + self._chance.between(0.1, 20.0)
        if self._loop.now < self._store.broken_until:
            raise SinkRejected("a trigger of somebody's")

    def _require_up(self) -> None:
        if self._chance.calm:
            return
        if self._loop.now < self._store.down_until:
            raise SinkUnavailable("the store is down")
        if self._chance.strikes("store: outage"):
            self._store.down_until = self._loop.now + self._chance.between(0.1, 20.0)
            raise SinkUnavailable("the store went down")
        self._fail_by_chance("store: locked")

    def _fail_by_chance(self, kind: str) -> None:
        if self._chance.strikes(kind):
            raise SinkUnavailable(kind)


def _require_fit(batches: Sequence[Batch]) -> None:
    if any(POISON in batch.rows for batch in batches):
        raise SinkRejected("poison", certain=True)
