"""Gateways with one decision turned round; each function is a program to start, as a gateway is.

The real process, but for its store of SQLite, in which something is exchanged as it starts.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Self
from unittest.mock import patch

import msgspec
from typing_extensions import override

from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.intervals import Span
from playsmart_gateway.events.row import picked
from playsmart_gateway.stores import sqlite
from playsmart_gateway.stores.models import Written
from playsmart_gateway.stores.runs import decide, keys_of
from playsmart_gateway.stores.sqlite import SqliteSink, runs
from playsmart_gateway.stores.sqlite.one_go import InOneGo
from tests.support import program


def _with(store: type[SqliteSink]) -> int:
    with patch.object(sqlite, "SqliteSink", store):
        return program.main()


def claims_outside_the_transaction() -> int:
    """Two workers find the same numbers new, and both store them."""
    return _with(_ClaimsOutside)


class _ClaimsOutside(SqliteSink):
    @override
    async def write(self, batches: Sequence[Batch]) -> Written:
        async with self._connection.transaction() as db:
            new = await self._inserter.without_known(db, batches)
            claimed = await runs.claim(db, new)
        await asyncio.sleep(0.05)
        stored = 0
        if new:
            async with self._connection.transaction() as db:
                stored = await self._insert(db, claimed)
        return Written(stored, sum(batch.count for batch in batches) - stored)


def forgets_at_restart() -> int:
    """What came before its start is new to it."""
    return _with(_ForgetsAtRestart)


class _ForgetsAtRestart(SqliteSink):
    @override
    async def __aenter__(self) -> Self:
        await super().__aenter__()
        async with self._connection.transaction() as db:
            await db.execute("DELETE FROM runs")
        return self


def remembers_by_worker() -> int:
    """What came to another worker is new to it."""
    return _with(_RemembersByWorker)


class _RemembersByWorker(SqliteSink):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._known: dict[bytes, tuple[bytes, int, str | None, None, None]] = {}

    @override
    async def _claim_and_insert(
        self, db: InOneGo, new: Sequence[Batch], sent: Sequence[Batch]
    ) -> Written:
        known = [self._known[key] for key in keys_of(new) if key in self._known]
        claimed = decide(new, known)
        stored = await self._insert(db, claimed) if new else 0
        for key, end, missing, *_ in claimed.runs:
            self._known[key] = (key, end, missing, None, None)
        return Written(stored, sum(batch.count for batch in sent) - stored)


def cuts_the_wrong_end() -> int:
    """Of a batch of which a part came before it keeps as many events, but from its start."""
    with patch("playsmart_gateway.stores.runs._cut", _cut):
        return program.main()


def _cut(batch: Batch, new: Sequence[Span]) -> Batch:
    count = sum(end - first for first, end in new)
    rows = picked(batch.rows, batch.count, range(count)) if count else b"[]"
    assert rows is not None
    return msgspec.structs.replace(batch, rows=rows, count=count)


def counts_replays_as_repeats() -> int:
    """It asks for numbers before it asks for names, so what the journal says again is a repeat."""
    return _with(_CountsReplays)


class _CountsReplays(SqliteSink):
    @override
    async def write(self, batches: Sequence[Batch]) -> Written:
        stored = 0
        async with self._connection.transaction() as db:
            claimed = await runs.claim(db, batches)
            new = [batch for batch in claimed.batches if batch.count]
            if new:
                stored = await self._insert(db, claimed._replace(batches=new))
            else:
                await runs.write_down(db, claimed, None)
        return Written(stored, sum(batch.count for batch in batches) - stored)
