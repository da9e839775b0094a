"""One measurement: start a target, load it, let it drain, count what it stored."""

import tempfile
import time
from pathlib import Path

import msgspec

from tests.bench.generators import CONNECTIONS, BenchError, Generator, Load
from tests.bench.processes import Target
from tests.bench.requests import requests

_ROWS = {"gateway": "event_rows", "obvious": "events"}
"""Where events are counted. The gateway's view ``events`` joins what is known to join."""


class Stored(msgspec.Struct, frozen=True):
    """What became of the accepted events; ``lost`` must be 0.

    ``left`` were not stored yet when the load ended; ``seconds`` run from the first request until
    the last commit, ``loaded_seconds`` until the end of the load.
    """

    events: int
    left: int
    lost: int
    loaded_seconds: float
    seconds: float

    @property
    def rate(self) -> float:
        """Durable events a second."""
        return self.events / self.seconds

    @property
    def rate_under_load(self) -> float:
        """Events a second that were stored while the load went on."""
        return max(0, self.events - self.left) / self.loaded_seconds


class Sample(msgspec.Struct, frozen=True):
    """One design under one load; the bare route stores nothing.

    ``cpu_seconds`` is the processor time of the target while it was loaded.
    """

    round: int
    events: int
    design: str
    load: Load
    cpu_seconds: float
    stored: Stored | None

    @property
    def request_rate(self) -> float:
        """Accepted requests a second."""
        return self.load.accepted / self.load.seconds


def sample(
    generator: Generator,
    *,
    turn: int,
    events: int,
    seconds: int,
    design: str,
    kind: str,
    settings: tuple[str, ...],
) -> Sample:
    sent = requests(events)
    with (
        tempfile.TemporaryDirectory(prefix="playsmart-bench-") as folder,
        Target(kind, Path(folder), settings) as target,
    ):
        cpu_before = target.cpu_seconds()
        started = time.monotonic()
        load = generator.run(target.port, sent, seconds)
        loaded = time.monotonic()
        cpu_seconds = target.cpu_seconds() - cpu_before
        if not load.accepted:
            raise BenchError(f"{design} accepted nothing of {load.answered} requests")
        if kind not in _ROWS:
            target.stop()
            return Sample(turn, events, design, load, cpu_seconds, None)
        left = target.buffered()
        drained = target.drain()
        rows = target.count(_ROWS[kind])
    acknowledged = load.accepted * events
    # When the generator stops, a request may be in flight on each connection: stored, not counted.
    if rows > acknowledged + CONNECTIONS * events:
        raise BenchError(f"{design} stored {rows} events of {acknowledged} acknowledged")
    stored = Stored(
        events=min(rows, acknowledged),
        left=left,
        lost=max(0, acknowledged - rows),
        loaded_seconds=loaded - started,
        seconds=drained - started,
    )
    return Sample(turn, events, design, load, cpu_seconds, stored)
