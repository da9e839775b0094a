"""PostgreSQL alone: ``python -m tests.bench.postgres EVENTS SECONDS``, on a server of its own.

The rows of the very requests, 10,000 events a transaction, through the gateway's own sink, and by
turns as a bare ``COPY`` of the same rows, ready, into tables with the same columns and indexes. The
server syncs to disk as PostgreSQL does by default. Prints both rates, events a second, and their
ratio as JSON.
"""

import asyncio
import sys
import time
from itertools import cycle, islice
from typing import Any

import asyncpg
import msgspec

from playsmart_gateway.dialects.playsmart.request import decode
from playsmart_gateway.stores.open import open_store
from tests.bench.requests import requests
from tests.support.engines.postgres import PostgresServer, find_binaries

EVENTS_PER_TRANSACTION = 10_000
DURABLE = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "128MB"}
_TABLES = ("batches", "event_rows")


class Rates(msgspec.Struct, frozen=True):
    """Events stored a second, at best, and the median of the ratios of two that were neighbours."""

    copy: float
    sink: float
    ratio: float


async def measure(url: str, events: int, seconds: float) -> Rates:
    """Write and copy by turns for so many seconds."""
    template = [decode(each.body) for each in requests(events)]
    template = list(islice(cycle(template), EVENTS_PER_TRANSACTION // events))
    pairs: list[tuple[float, float]] = []
    sequence, stop = 0, time.monotonic() + seconds
    async with open_store(url) as sink:
        db = await asyncpg.connect(url)
        await db.set_type_codec(  # neither printed nor parsed: nothing is faster
            "timestamptz", schema="pg_catalog", format="tuple", encoder=tuple, decoder=tuple
        )
        for table in _TABLES:
            await db.execute(f"CREATE TABLE bare_{table} (LIKE {table} INCLUDING ALL)")
        while len(pairs) < 3 or time.monotonic() < stop:
            batches = [
                msgspec.structs.replace(
                    each, journal="bench", sequence=sequence + n, received_at=time.time_ns() // 1000
                )
                for n, each in enumerate(template)
            ]
            sequence += len(batches)
            started = time.perf_counter()
            await sink.write(batches)
            pairs.append((time.perf_counter() - started, await _copy(db, len(batches))))
        await db.close()
    stored = len(template) * events
    written, copied = zip(*pairs, strict=True)
    ratios = sorted(bare / whole for whole, bare in pairs)
    return Rates(stored / min(copied), stored / min(written), ratios[len(ratios) // 2])


async def _copy(db: asyncpg.Connection, batches: int) -> float:
    """Copy what the last batches left in the tables, and return how many seconds that took."""
    first = await db.fetchval("SELECT last_batch_id + 1 FROM batch_counter") - batches
    ready: dict[str, list[Any]] = {
        "batches": await db.fetch("SELECT * FROM batches WHERE batch_id >= $1", first),
        "event_rows": await db.fetch("SELECT * FROM event_rows WHERE event_id >= $1", first * 256),
    }
    started = time.perf_counter()
    async with db.transaction():
        for table, records in ready.items():
            await db.copy_records_to_table(f"bare_{table}", records=records)
    return time.perf_counter() - started


def run(events: int, seconds: float) -> Rates:
    """Measure on a server of its own."""
    binaries = find_binaries()
    assert binaries is not None, "PostgreSQL is not installed"
    server = PostgresServer(binaries)
    try:
        server.stop()
        server.start(**DURABLE)
        return asyncio.run(measure(server.url(), events, seconds))
    finally:
        server.close()


if __name__ == "__main__":
    print(msgspec.json.encode(run(int(sys.argv[1]), float(sys.argv[2]))).decode())
