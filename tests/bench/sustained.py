"""The gateway when more is sent than it can store, for as long as one likes: its buffer is full."""

import tempfile
import time
from pathlib import Path

import msgspec

from playsmart_gateway.dialects import load_config
from tests.bench.generators import Generator, Load
from tests.bench.measure import introduce
from tests.bench.options import Subject
from tests.bench.processes import STORED, Target, variables
from tests.bench.requests import Crowd

EVENTS = 200
FULL = 0.9
_FILL_SECONDS = 2


class Sustained(msgspec.Struct, frozen=True):
    """``full`` is the share of the buffer that was full at the start and the end, the lesser."""

    round: int
    design: str
    players: int
    load: Load
    stored: int
    seconds: float
    cpu_seconds: float
    full: float

    @property
    def rate(self) -> float:
        """Events stored a second."""
        return self.stored / self.seconds


def sustain(generator: Generator, subject: Subject, *, turn: int, seconds: int) -> Sustained:
    """Fill the buffer, for ``seconds`` at most, and then measure for ``seconds``."""
    sent = Crowd(EVENTS, subject.players)
    room = load_config(None, variables(subject.settings)).buffer.max_events
    with (
        tempfile.TemporaryDirectory(prefix="playsmart-bench-") as folder,
        Target("gateway", Path(folder), subject.settings) as target,
    ):
        if subject.players > 1:
            introduce(generator, target, subject.players)
        full = 0.0
        for _ in range(seconds // _FILL_SECONDS):
            generator.run(target.port, sent, _FILL_SECONDS)
            full = target.buffered() / room
            if full >= FULL:
                break
        stored, cpu = target.figure(STORED), target.cpu_seconds()
        started = time.monotonic()
        load = generator.run(target.port, sent, seconds)
        taken = time.monotonic() - started
        cpu = target.cpu_seconds() - cpu
        stored = target.figure(STORED) - stored
        full = min(full, target.buffered() / room)
    return Sustained(turn, subject.name, subject.players, load, stored, taken, cpu, full)
