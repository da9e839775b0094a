"""``make bench ARGS=--growing``: the same load on each step of growing, all in one run.

The gateway behind wrk on the same cores, with what it grows by beside it: a second worker process,
a PostgreSQL server, NATS servers with a worker that stores into SQLite. *Durable* is answered 202
and in the last store. Steps whose engine is not installed are left out.
"""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec
from rich.console import Console
from rich.table import Table

from tests.bench import postgres as postgres_alone
from tests.bench.generators import CONNECTIONS, BenchError, Generator, generator
from tests.bench.processes import Target, environment
from tests.bench.requests import requests
from tests.bench.table import human
from tests.support.engines import nats, postgres

SIZES = (1, 10, 200)
LEAST_OF_COPY = 0.5
"""The floor: what the PostgreSQL sink writes of what a bare COPY does."""

_DATABASE = "bench.db"
_STORE_SECONDS = 120.0
_POLL_SECONDS = 0.02
_EVENTS = "SELECT coalesce(sum(event_count), 0) FROM batches"


class Measure(msgspec.Struct):
    """Events accepted and durable, a second each, and the ``bytes_each`` takes in the store."""

    step: str
    events: int
    accepted: float
    durable: float
    p99_ms: float
    bytes_each: float


class GrowingResults(msgspec.Struct):
    """Medians; ``of_copy`` is the PostgreSQL sink alone by events a request."""

    steps: list[Measure]
    of_copy: dict[int, float]

    @property
    def kept(self) -> bool:
        return all(ratio >= LEAST_OF_COPY for ratio in self.of_copy.values())


class Stage(NamedTuple):
    """What a step needs: settings of the gateway; and how to ask for events and bytes stored."""

    settings: tuple[str, ...]
    stored: Callable[[], int]
    size: Callable[[], int]


def main(rounds: int, seconds: int, *, as_json: bool) -> bool:
    """Measure and print; whether the floor was kept."""
    results = measure(rounds, seconds)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(results)).decode())
    else:
        Console().print(render(results))
    return results.kept


def measure(rounds: int, seconds: int) -> GrowingResults:
    """Measure every step ``rounds`` times, ``seconds`` each.

    Raises:
        BenchError: an accepted event is not stored exactly once.
    """
    sender = generator("auto")
    found: dict[tuple[str, int], list[Measure]] = {}
    for _ in range(rounds):
        for events in SIZES:
            for name, step in _steps().items():
                measured = _run(name, step, sender, events, seconds)
                found.setdefault((name, events), []).append(measured)
    copies = {}
    if postgres.find_binaries() is not None:
        copies = {events: postgres_alone.run(events, float(seconds)).ratio for events in SIZES}
    return GrowingResults([_middle(each) for each in found.values()], copies)


def render(results: GrowingResults) -> Table:
    """Return the results for people."""
    columns = ("step", "events", "accepted/s", "durable/s", "of SQLite", "p99 ms", "bytes an event")
    table = Table(*columns, box=None)
    alone = {each.events: each.durable for each in results.steps if each.step == "SQLite"}
    for each in sorted(results.steps, key=lambda each: SIZES.index(each.events)):
        table.add_row(
            each.step, str(each.events), human(each.accepted), human(each.durable),
            f"{each.durable / alone[each.events]:.2f}", f"{each.p99_ms:.1f}",
            f"{each.bytes_each:.0f}",
        )  # fmt: skip
    copies = ", ".join(f"{ratio:.2f} at {events}" for events, ratio in results.of_copy.items())
    table.caption = (
        f"PostgreSQL sink alone of a bare COPY of the same rows: {copies or 'no server'}"
    )
    return table


def _steps() -> dict[str, Callable[[Path], "contextlib.AbstractContextManager[Stage]"]]:
    steps: dict[str, Callable[[Path], contextlib.AbstractContextManager[Stage]]] = {
        "SQLite": lambda folder: _sqlite(folder, workers=1),
        "SQLite, 2 workers": lambda folder: _sqlite(folder, workers=2),
    }
    if postgres.find_binaries() is not None:
        steps["PostgreSQL"] = lambda _: _postgres(workers=1)
        steps["PostgreSQL, 2 workers"] = lambda _: _postgres(workers=2)
    if nats.find_binary() is not None:
        steps["JetStream, R1"] = lambda folder: _jetstream(folder, replicas=1)
        steps["JetStream, R3"] = lambda folder: _jetstream(folder, replicas=3)
    return steps


def _run(
    name: str,
    step: Callable[[Path], "contextlib.AbstractContextManager[Stage]"],
    sender: Generator,
    events: int,
    seconds: int,
) -> Measure:
    with (
        tempfile.TemporaryDirectory(prefix="playsmart-bench-") as folder,
        step(Path(folder)) as stage,
    ):
        with Target("gateway", Path(folder), stage.settings) as target:
            started = time.monotonic()
            load = sender.run(target.port, requests(events), seconds)
            target.stop()
        acknowledged = load.accepted * events
        stored = _wait_for(stage.stored, acknowledged)
        took = time.monotonic() - started
        if stored > acknowledged + CONNECTIONS * events:
            raise BenchError(f"{name} stored {stored} events of {acknowledged} acknowledged")
        size = stage.size() / max(1, stored)
    accepted = acknowledged / load.seconds
    return Measure(name, events, accepted, acknowledged / took, load.p99_ms, size)


def _wait_for(count: Callable[[], int], events: int) -> int:
    deadline = time.monotonic() + _STORE_SECONDS
    while (stored := count()) < events:
        if time.monotonic() > deadline:
            raise BenchError(f"{stored} events are stored of {events} acknowledged")
        time.sleep(_POLL_SECONDS)
    return stored


@contextmanager
def _sqlite(folder: Path, *, workers: int) -> Iterator[Stage]:
    file = folder / _DATABASE
    yield Stage((f"server.workers={workers}",), lambda: _count(file), lambda: _size(file))


@contextmanager
def _postgres(*, workers: int) -> Iterator[Stage]:
    binaries = postgres.find_binaries()
    assert binaries is not None
    server = postgres.PostgresServer(binaries)
    try:
        server.stop()
        server.start(**postgres_alone.DURABLE)
        url = server.url()

        def ask(query: str) -> int:
            return int(asyncio.run(postgres.fetch(url, query))[0][0])

        yield Stage(
            (f"storage.url={url}", f"server.workers={workers}"),
            lambda: ask(_EVENTS),
            lambda: ask("SELECT pg_database_size(current_database())"),
        )
    finally:
        server.close()


@contextmanager
def _jetstream(folder: Path, *, replicas: int) -> Iterator[Stage]:
    file = folder / _DATABASE
    with nats.NatsServers(replicas) as servers:
        settings = (
            f"storage.url={servers.url}",
            f"storage.reads_url=sqlite:///{file}",
            f"nats.replicas={replicas}",
        )
        command = [sys.executable, "-m", "playsmart_gateway", "worker", "--from", servers.url]
        with (folder / "worker.log").open("wb") as log:
            worker = subprocess.Popen(
                [*command, "--to", f"sqlite:///{file}"],
                env=environment(settings[2:]),
                stdout=log,
                stderr=log,
            )
        try:
            yield Stage(settings, lambda: _count(file), lambda: _size(file))
        finally:
            worker.terminate()
            worker.wait()


def _count(file: Path) -> int:
    with closing(sqlite3.connect(file)) as database:
        return int(database.execute(_EVENTS).fetchone()[0])


def _size(file: Path) -> int:
    return sum(each.stat().st_size for each in file.parent.glob(f"{file.name}*"))


def _middle(measures: Sequence[Measure]) -> Measure:
    first = measures[0]
    return Measure(
        first.step,
        first.events,
        median(each.accepted for each in measures),
        median(each.durable for each in measures),
        median(each.p99_ms for each in measures),
        median(each.bytes_each for each in measures),
    )
