"""The store: what it keeps outlives processes, and a power cut takes its newest transactions.

That is SQLite with ``synchronous = NORMAL``: a commit survives the death of a process at once, and
a power cut only after a sync.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Self

from playsmart_gateway.economy.points import Award
from playsmart_gateway.errors import SinkRejected, SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.models import Written
from tests.campaigns.simulation.chance import Chance
from tests.campaigns.simulation.ledger import POISON
from tests.campaigns.simulation.loop import (
    Killed,
    SimLoop,
)

Name = tuple[str, int]


class Store:
    """What is on the medium of the database: transactions, each of rows or of one dead letter."""

    def __init__(self) -> None:
        self.transactions: list[tuple[list[Batch], list[Batch]]] = []
        self.synced = 0
        self.down_until = 0.0
        self.broken_until = 0.0
        self.rows: dict[Name, Batch] = {}
        self.dead_letters: dict[Name, Batch] = {}

    def commit(self, rows: list[Batch], dead_letters: list[Batch]) -> None:
        """Apply one transaction."""
        self.transactions.append((rows, dead_letters))
        self.rows.update((_name(batch), batch) for batch in rows)
        self.dead_letters.update((_name(batch), batch) for batch in dead_letters)

    def cut_power(self, chance: Chance) -> int:
        """Lose some of the newest transactions that were not synced; return how many."""
        everything = self.transactions
        kept = chance.randint(self.synced, len(everything))
        if kept < len(everything):
            self.transactions, self.rows, self.dead_letters = [], {}, {}
            for rows, dead_letters in everything[:kept]:
                self.commit(rows, dead_letters)
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
        names = [_name(batch) for batch in batches]
        if len(set(names)) < len(names):
            self.misuse.append("a flush with a batch twice")
        slow = self._chance.between(0.01, 3.0) if self._chance.strikes("store: slow") else 0.0
        written = await self._in_thread(lambda: self._write(list(batches)), slow)
        assert isinstance(written, Written)
        return written

    async def trial(self, batches: Sequence[Batch]) -> None:
        await self._in_thread(lambda: self._require_fit(list(batches)))

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
        new = self._require_fit(batches)
        if self._chance.traced:
            self._chance.say(f"store: commits {[_name(batch)[1] for batch in new]}")
        self._store.commit(new, [])
        self._fail_by_chance("store: commits, then reports failure")
        stored = sum(batch.count for batch in new)
        return Written(stored, sum(batch.count for batch in batches) - stored)

    def _require_fit(self, batches: list[Batch]) -> list[Batch]:
        self._require_up()
        self._require_whole()
        new = [batch for batch in batches if _name(batch) not in self._store.rows]
        if any(POISON in batch.rows for batch in new):
            raise SinkRejected("poison", certain=True)
        return new

    def _bury(self, batch: Batch) -> None:
        self._require_up()
        self._store.commit([], [batch])
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


def _name(batch: Batch) -> Name:
    return batch.journal, batch.sequence
