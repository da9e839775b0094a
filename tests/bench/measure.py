"""One measurement: start a target, load it, let it drain, count what it stored."""

import tempfile
import time
from pathlib import Path

import msgspec

from tests.bench.generators import CONNECTIONS, BenchError, Generator, Load, Wrk
from tests.bench.options import GATEWAY, Subject
from tests.bench.peers import Peer, PeerProcess
from tests.bench.processes import Target
from tests.bench.requests import Crowd

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
    """One subject under one load; the bare route and peers store nothing that could be counted.

    ``cpu_seconds`` is the processor time of the target while it was loaded. ``first`` is what came
    before: each player's first request, of one event, with a token that nobody has seen yet.
    """

    round: int
    events: int
    design: str
    players: int
    load: Load
    cpu_seconds: float
    stored: Stored | None = None
    first: Load | None = None
    first_cpu_seconds: float = 0.0

    @property
    def request_rate(self) -> float:
        """Accepted requests a second."""
        return self.load.accepted / self.load.seconds


def sample(
    generator: Generator, subject: Subject, *, turn: int, events: int, seconds: int
) -> Sample:
    """Measure ``subject`` once, with ``events`` a request.

    Raises:
        BenchError: it accepts nothing, or what it has stored does not fit.
    """
    if subject.peer is not None:
        return _of_peer(generator, subject, subject.peer, turn, events, seconds)
    sent = Crowd(events, subject.players)
    with (
        tempfile.TemporaryDirectory(prefix="playsmart-bench-") as folder,
        Target(subject.kind, Path(folder), subject.settings) as target,
    ):
        first, first_cpu_seconds, before = None, 0.0, 0
        if subject.kind == GATEWAY and subject.players > 1:
            first, first_cpu_seconds, before = introduce(generator, target, subject.players)
        cpu_before = target.cpu_seconds()
        started = time.monotonic()
        load = generator.run(target.port, sent, seconds)
        loaded = time.monotonic()
        cpu_seconds = target.cpu_seconds() - cpu_before
        _require(subject.name, load)
        found = Sample(turn, events, subject.name, subject.players, load, cpu_seconds)
        if subject.kind not in _ROWS:
            target.stop()
            return found
        left = target.buffered()
        drained = target.drain()
        rows = target.count(_ROWS[subject.kind]) - before
    acknowledged = load.accepted * events
    # When the generator stops, a request may be in flight on each connection: stored, not counted.
    if rows > acknowledged + CONNECTIONS * events:
        raise BenchError(f"{subject.name} stored {rows} events of {acknowledged} acknowledged")
    stored = Stored(
        events=min(rows, acknowledged),
        left=left,
        lost=max(0, acknowledged - rows),
        loaded_seconds=loaded - started,
        seconds=drained - started,
    )
    return msgspec.structs.replace(
        found, stored=stored, first=first, first_cpu_seconds=first_cpu_seconds
    )


def introduce(generator: Generator, target: Target, players: int) -> tuple[Load, float, int]:
    """Have each player send one event, and wait until all are stored.

    So they and their tokens are known, as those are who play. Returns what was seen of it, the
    processor time of the target, and the events that are stored now.
    """
    before = target.cpu_seconds()
    load = generator.once(target.port, Crowd(1, players))
    cpu_seconds = target.cpu_seconds() - before
    return load, cpu_seconds, target.settle()


def _of_peer(
    generator: Generator, subject: Subject, peer: Peer, turn: int, events: int, seconds: int
) -> Sample:
    if not isinstance(generator, Wrk):
        raise BenchError("wrk is needed to measure a peer")
    sent = peer.requests(events, subject.players)
    with (
        tempfile.TemporaryDirectory(prefix="playsmart-bench-") as folder,
        PeerProcess(peer, Path(folder)) as process,
    ):
        generator.run(process.port, sent, 1, peer.path)  # it is warm then
        before = process.cpu_seconds()
        load = generator.run(process.port, sent, seconds, peer.path)
        cpu_seconds = process.cpu_seconds() - before
    _require(subject.name, load)
    return Sample(turn, events, subject.name, subject.players, load, cpu_seconds)


def _require(name: str, load: Load) -> None:
    if not load.accepted:
        raise BenchError(f"{name} accepted nothing of {load.answered} requests")
