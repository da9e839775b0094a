"""What the measurements amount to: medians, ratios within a round, floors."""

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any

import msgspec

from playsmart_gateway.config import masked
from playsmart_gateway.dialects import load_config
from tests.bench.machine import Machine
from tests.bench.measure import Sample, Stored
from tests.bench.options import Options
from tests.bench.plan import Measured
from tests.bench.processes import variables

MEGABYTE = 1_000_000


class Design(msgspec.Struct, frozen=True):
    """Medians of one design at one size. Rates are per second; what is stored, if anything is.

    ``of_bare`` is the rate of accepted requests over that of the bare route in the same round,
    ``of_sqlite`` the durable rate over that of SQLite alone. ``cpu_us`` is the target's processor
    time for each answered request in microseconds, writing to the store included; it says more than
    the rates do when others use the machine.
    """

    design: str
    requests: float
    accepted_events: float
    refused: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    of_bare: float
    durable_events: float | None = None
    stored_events_under_load: float | None = None
    left_events: float | None = None
    left_seconds: float | None = None
    of_sqlite: float | None = None


class Size(msgspec.Struct, frozen=True):
    """Everything at one number of events a request; SQLite alone in events a second."""

    events: int
    sqlite: float
    executemany: float
    designs: list[Design]


class Floor(msgspec.Struct, frozen=True):
    """A promise: the measured value is at least, or ``at_most``, the limit."""

    name: str
    value: float
    limit: float
    at_most: bool = False

    @property
    def kept(self) -> bool:
        return self.value <= self.limit if self.at_most else self.value >= self.limit


class Results(msgspec.Struct, frozen=True):
    """The whole run; its field names are those of ``--json``."""

    machine: Machine
    generator: str
    options: Options
    gateway: dict[str, Any]
    sizes: list[Size]
    floors: list[Floor]
    kept: bool
    measured: Measured


def conclude(machine: Machine, generator: str, options: Options, measured: Measured) -> Results:
    config = load_config(None, variables(options.settings))
    sizes = [_size(events, options, measured) for events in options.sizes]
    floors = list(_floors(sizes, measured, options, config.buffer.flush_interval_seconds))
    return Results(
        machine=machine,
        generator=generator,
        options=options,
        gateway=masked(config),
        sizes=sizes,
        floors=floors,
        kept=all(floor.kept for floor in floors),
        measured=measured,
    )


def _size(events: int, options: Options, measured: Measured) -> Size:
    ceilings = [each.ceiling for each in measured.ceilings if each.events == events]
    samples = [each for each in measured.samples if each.events == events]
    bare = {each.round: each.request_rate for each in samples if each.design == "bare"}
    sqlite = {
        each.round: each.ceiling.sqlite for each in measured.ceilings if each.events == events
    }
    return Size(
        events=events,
        sqlite=median(each.sqlite for each in ceilings),
        executemany=median(each.executemany for each in ceilings),
        designs=[
            _design(name, [each for each in samples if each.design == name], bare, sqlite)
            for name in options.designs
        ],
    )


def _design(
    name: str, samples: Sequence[Sample], bare: dict[int, float], sqlite: dict[int, float]
) -> Design:
    def middle(value: Callable[[Sample], float]) -> float:
        return median(map(value, samples))

    def middle_stored(value: Callable[[Sample, Stored], float]) -> float | None:
        found = [value(each, each.stored) for each in samples if each.stored is not None]
        return median(found) if found else None

    return Design(
        design=name,
        requests=middle(lambda each: each.request_rate),
        accepted_events=middle(lambda each: each.request_rate * each.events),
        refused=middle(lambda each: each.load.refused / each.load.answered),
        p50_ms=middle(lambda each: each.load.p50_ms),
        p99_ms=middle(lambda each: each.load.p99_ms),
        cpu_us=middle(lambda each: each.cpu_seconds / each.load.answered * 1e6),
        of_bare=middle(lambda each: each.request_rate / bare[each.round]),
        durable_events=middle_stored(lambda _, stored: stored.rate),
        stored_events_under_load=middle_stored(lambda _, stored: stored.rate_under_load),
        left_events=middle_stored(lambda _, stored: stored.left),
        left_seconds=middle_stored(
            lambda each, stored: stored.left / (each.request_rate * each.events)
        ),
        of_sqlite=middle_stored(lambda each, stored: stored.rate / sqlite[each.round]),
    )


def _floors(
    sizes: Iterable[Size], measured: Measured, options: Options, interval_seconds: float
) -> Iterable[Floor]:
    ours = [each.stored for each in measured.samples if each.design.startswith("gateway")]
    lost = sum(stored.lost for stored in ours if stored is not None)
    yield Floor("events answered with 202 and not stored", lost, 0, at_most=True)
    for size in sizes:
        gateway = next(each for each in size.designs if each.design == "gateway")
        assert gateway.of_sqlite is not None
        assert gateway.left_seconds is not None
        if size.events == 1:
            yield Floor("1 a request: requests of the bare route", gateway.of_bare, 0.65)
        if size.events == 10:
            yield Floor("10 a request: requests of the bare route", gateway.of_bare, 0.50)
            name = "10 a request: left at the end, in seconds"
            yield Floor(name, gateway.left_seconds, interval_seconds, at_most=True)
        if size.events == 200:
            yield Floor("200 a request: durable of SQLite alone", gateway.of_sqlite, 0.35)
            yield Floor("200 a request: p99 in ms", gateway.p99_ms, 25.0, at_most=True)
    for each in measured.memory:
        if each.buffered >= 1_000_000:
            name = f"{each.events} a request: peak MB, 1,000,000 buffered"
            yield Floor(name, each.peak / MEGABYTE, 400.0, at_most=True)
