"""``make bench ARGS=--watched``: durable events with and without people who look.

Three pages of the inspector and three of the dashboard, as their browsers ask for them: a stream
each, and the data every two seconds each. Who looks is a process of its own, but on the same cores.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median

import msgspec
from rich.console import Console
from rich.table import Table

from playsmart_gateway.console.dashboard import routes as dashboard
from playsmart_gateway.console.inspector import routes as inspector_pages
from tests.bench.generators import CONNECTIONS, BenchError, Generator, generator
from tests.bench.processes import Target, environment
from tests.bench.requests import requests
from tests.bench.table import human

SIZES = (1, 10, 200)
PAGES = 3
TOKEN = "an operator of the benchmark"
LEAST_OF_ALONE = 0.90
_POLL_SECONDS = 2.0
_READY = b"watching\n"


class Size(msgspec.Struct):
    """Durable events a second; ``of_alone`` is the median of the rounds' ratios."""

    events: int
    alone: float
    watched: float
    of_alone: float


class WatchedResults(msgspec.Struct):
    """One entry for each number of events a request."""

    sizes: list[Size]

    @property
    def kept(self) -> bool:
        return all(size.of_alone >= LEAST_OF_ALONE for size in self.sizes)


def measure(rounds: int, seconds: int) -> WatchedResults:
    """Measure ``rounds`` times, ``seconds`` each, with and without in turns.

    Raises:
        BenchError: an accepted event is not stored, or nobody can look.
    """
    sender, found = generator("auto"), []
    for events in SIZES:
        pairs = []
        for turn in range(rounds):
            order = (False, True) if turn % 2 else (True, False)  # neither always comes first
            by_kind = {each: _durable(sender, events, seconds, watched=each) for each in order}
            pairs.append((by_kind[False], by_kind[True]))
        found.append(
            Size(
                events,
                median(alone for alone, _ in pairs),
                median(watched for _, watched in pairs),
                median(watched / alone for alone, watched in pairs),
            )
        )
    return WatchedResults(found)


def main(rounds: int, seconds: int, *, as_json: bool) -> bool:
    """Measure and print; whether the floor was kept."""
    results = measure(rounds, seconds)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(results)).decode())
    else:
        Console().print(render(results))
    return results.kept


def render(results: WatchedResults) -> Table:
    """Return the results for people."""
    table = Table("events a request", "alone", "watched", "of alone", box=None)
    for size in results.sizes:
        row = (human(size.alone), human(size.watched), f"{size.of_alone:.2f}")
        table.add_row(str(size.events), *row)
    table.caption = f"durable events/s; {PAGES} inspectors and {PAGES} dashboards are open"
    return table


def _durable(sender: Generator, events: int, seconds: int, *, watched: bool) -> float:
    with (
        tempfile.TemporaryDirectory(prefix="playsmart-bench-") as folder,
        Target("gateway", Path(folder), (f"operator.token={TOKEN}",)) as target,
    ):
        with _watching(target.port) if watched else nullcontext():
            started = time.monotonic()
            load = sender.run(target.port, requests(events), seconds)
        drained = target.drain()
        rows = target.count("event_rows")
    acknowledged = load.accepted * events
    if not acknowledged <= rows <= acknowledged + CONNECTIONS * events:
        raise BenchError(f"{rows} events are stored of {acknowledged} acknowledged")
    return acknowledged / (drained - started)


@contextmanager
def _watching(port: int) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.watched", str(port)],
        env=environment(),
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout
        if process.stdout.readline() != _READY:
            raise BenchError("nobody can look at the gateway")
        yield
        if process.poll() is not None:
            raise BenchError("who looked was sent away")
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


async def _look(port: int) -> None:
    streams = [await _asked(port, f"{inspector_pages.PATH}/events") for _ in range(PAGES)]
    pages = [_poll(port) for _ in range(PAGES)]
    sys.stdout.buffer.write(_READY)
    sys.stdout.buffer.flush()
    await asyncio.gather(*map(_read_on, streams), *pages)


Answer = tuple[asyncio.StreamReader, asyncio.StreamWriter]
"""A writer that nobody holds closes its connection."""


async def _asked(port: int, path: str) -> Answer:
    """Ask for ``path`` and return the answer behind its status line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {TOKEN}\r\n"
        "connection: close\r\n\r\n".encode()
    )
    await writer.drain()
    status = await reader.readline()
    if b" 200 " not in status:
        raise BenchError(f"{path}: {status!r}")
    return reader, writer


async def _read(answer: Answer) -> None:
    reader, writer = answer
    while await reader.read(65_536):
        pass
    writer.close()


async def _read_on(stream: Answer) -> None:
    await _read(stream)
    raise BenchError("a stream ended")


async def _poll(port: int) -> None:
    while True:
        await _read(await _asked(port, f"{dashboard.PATH}/data?range=1h"))
        await asyncio.sleep(_POLL_SECONDS)


def _run(arguments: Sequence[str]) -> None:
    asyncio.run(_look(int(arguments[0])))


if __name__ == "__main__":
    _run(sys.argv[1:])
