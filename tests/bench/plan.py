"""All measurements in turn, the ones to be compared next to each other."""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from tests.bench import ceiling, memory
from tests.bench.ceiling import Ceiling
from tests.bench.generators import Generator
from tests.bench.measure import Sample, sample
from tests.bench.memory import Memory
from tests.bench.options import Options
from tests.bench.sustained import EVENTS, Sustained, sustain

_T = TypeVar("_T")


class CeilingSample(msgspec.Struct, frozen=True):
    """SQLite alone, for requests of ``events`` events."""

    round: int
    events: int
    ceiling: Ceiling


class Measured(msgspec.Struct):
    """Everything that was measured, raw."""

    samples: list[Sample] = []
    ceilings: list[CeilingSample] = []
    sustained: list[Sustained] = []
    memory: list[Memory] = []


class Step(msgspec.Struct, frozen=True):
    """One measurement: ``what`` says which, ``run`` makes it and notes it down."""

    what: str
    run: Callable[[], None]


def plan(options: Options, generator: Generator, measured: Measured) -> list[Step]:
    """Return the measurements that fill ``measured``."""
    return [*_rounds(options, generator, measured), *_memory(options, measured)]


def _rounds(options: Options, generator: Generator, measured: Measured) -> Iterator[Step]:
    for turn in range(1, options.rounds + 1):
        for events in options.sizes:
            where = f"round {turn} of {options.rounds}, {events} a request"
            for subject in options.subjects:
                run = partial(
                    sample, generator, subject, turn=turn, events=events, seconds=options.seconds
                )
                what = f"{where}: {subject.name} ({subject.players:,} players)"
                yield Step(what, partial(_note, measured.samples, run))
            yield _alone(turn, events, options, measured)

        if options.sustained and EVENTS not in options.sizes:
            yield _alone(turn, EVENTS, options, measured)
        for subject in options.sustained:
            seconds = options.sustained_seconds
            held = partial(sustain, generator, subject, turn=turn, seconds=seconds)
            what = f"round {turn} of {options.rounds}, buffer full: {subject.name}"
            yield Step(what, partial(_note, measured.sustained, held))


def _alone(turn: int, events: int, options: Options, measured: Measured) -> Step:
    run = partial(_ceiling, turn, events, options.seconds / 2)
    what = f"round {turn} of {options.rounds}, {events} a request: SQLite alone"
    return Step(what, partial(_note, measured.ceilings, run))


def _memory(options: Options, measured: Measured) -> Iterator[Step]:
    for events in options.memory_sizes:
        run = partial(memory.measure, events, options.memory_events, options.settings)
        what = f"{options.memory_events:,} events in the buffer, {events} a request"
        yield Step(what, partial(_note, measured.memory, run))


def _ceiling(turn: int, events: int, seconds: float) -> CeilingSample:
    with tempfile.TemporaryDirectory(prefix="playsmart-bench-") as folder:
        return CeilingSample(turn, events, ceiling.measure(Path(folder), events, seconds))


def _note(notes: list[_T], run: Callable[[], _T]) -> None:
    notes.append(run())
