"""SQLite alone: ``python -m tests.bench.ceiling EVENTS SECONDS`` in an empty folder.

The rows of the very requests, through the gateway's own sink and schema, 20,000 events a
transaction, with nothing else going on in the process; and the rows as Python tuples through
``executemany``, as the obvious design writes them. Prints both rates as JSON. Only the writes are
on the clock.
"""

import asyncio
import subprocess
import sys
import time
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path

import msgspec

from playsmart_gateway.dialects.playsmart.request import decode
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.sqlite import SqliteSink
from tests.bench import obvious
from tests.bench.generators import BenchError
from tests.bench.processes import environment
from tests.bench.requests import requests

EVENTS_PER_TRANSACTION = 20_000
_GRACE_SECONDS = 60


class Ceiling(msgspec.Struct, frozen=True):
    """Events stored a second."""

    sqlite: float
    executemany: float


def measure(folder: Path, events: int, seconds: float) -> Ceiling:
    """Measure in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.ceiling", str(events), str(seconds)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        check=False,
        timeout=2 * seconds + _GRACE_SECONDS,
    )
    try:
        return msgspec.json.decode(done.stdout, type=Ceiling)
    except msgspec.DecodeError:
        raise BenchError(f"the SQLite ceiling failed: {done.stderr.decode()}") from None


def _transaction(events: int) -> list[Batch]:
    batches = [decode(each.body) for each in requests(events)]
    return list(islice(cycle(batches), EVENTS_PER_TRANSACTION // events))


async def _sink_rate(path: str, events: int, seconds: float) -> float:
    template, received_at = _transaction(events), time.time_ns() // 1000
    stored, taken, sequence = 0, 0.0, 0
    async with SqliteSink(path) as sink:
        while taken < seconds:
            batches = [
                msgspec.structs.replace(each, sequence=sequence + place, received_at=received_at)
                for place, each in enumerate(template, start=1)
            ]
            sequence += len(batches)
            started = time.perf_counter()
            written = await sink.write(batches)
            taken += time.perf_counter() - started
            stored += written.stored
    assert stored == sequence * events, "every row is new"
    return stored / taken


def _executemany_rate(path: Path, events: int, seconds: float) -> float:
    rows = [
        row
        for each in islice(cycle(requests(events)), EVENTS_PER_TRANSACTION // events)
        for row in obvious.rows_of(msgspec.json.decode(each.body), time.time())
    ]
    stored, taken = 0, 0.0
    with closing(obvious.open_database(path)) as database:
        while taken < seconds:
            started = time.perf_counter()
            obvious.write(database, rows)
            taken += time.perf_counter() - started
            stored += len(rows)
    return stored / taken


def main(events: int, seconds: float) -> None:
    sqlite = asyncio.run(_sink_rate("ceiling.db", events, seconds))
    executemany = _executemany_rate(Path("executemany.db"), events, seconds / 2)
    print(msgspec.json.encode(Ceiling(sqlite, executemany)).decode())


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
