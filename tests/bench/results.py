"""What the measurements amount to: medians, ratios within a round, floors."""

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any

import msgspec

from playsmart_gateway.config import masked
from playsmart_gateway.dialects import load_config
from tests.bench.ceiling import Ceiling
from tests.bench.machine import Machine
from tests.bench.measure import Sample, Stored
from tests.bench.options import GATEWAY, WITH_COINS, Options, Subject
from tests.bench.plan import Measured
from tests.bench.processes import variables
from tests.bench.sustained import EVENTS, Sustained

MEGABYTE = 1_000_000
_OF_BARE = {1: 1.2, 10: 0.85}
"""Requests of the bare route that the gateway answers at least, by events a request."""


class First(msgspec.Struct, frozen=True):
    """Medians of each player's first request, of one event, with a token that is not known yet."""

    requests: float
    of_bare: float
    cpu_us: float


class Design(msgspec.Struct, frozen=True):
    """Medians of one design at one size. Rates are per second; what is stored, if anything is.

    ``of_bare`` is the rate of accepted requests over that of the bare route in the same round,
    ``of_sqlite`` the durable rate over that of SQLite alone. ``cpu_us`` is the target's processor
    time for each answered request in microseconds, writing to the store included; it says more than
    the rates do when others use the machine. ``of_fewest`` is the rate of requests over that of the
    same gateway with the fewest players.
    """

    design: str
    players: int
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
    of_fewest: float | None = None
    first: First | None = None


class SustainedDesign(msgspec.Struct, frozen=True):
    """Medians of what is sent more than it can store; ``full`` is the share of the buffer."""

    design: str
    players: int
    requests: float
    refused: float
    stored_events: float
    of_sqlite: float
    p50_ms: float
    p99_ms: float
    full: float


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
    sustained: list[SustainedDesign]
    floors: list[Floor]
    kept: bool
    measured: Measured


def conclude(machine: Machine, generator: str, options: Options, measured: Measured) -> Results:
    config = load_config(None, variables(options.settings))
    sizes = [_size(events, options, measured) for events in options.sizes]
    sustained = [_sustained(each, measured) for each in options.sustained]
    interval_seconds = config.buffer.flush_interval_seconds
    floors = [
        _lost(measured),
        *_of_sizes(sizes, interval_seconds),
        *_of_sustained(sustained),
        *_of_memory(measured),
    ]
    return Results(
        machine=machine,
        generator=generator,
        options=options,
        gateway=masked(config),
        sizes=sizes,
        sustained=sustained,
        floors=floors,
        kept=all(floor.kept for floor in floors),
        measured=measured,
    )


def _size(events: int, options: Options, measured: Measured) -> Size:
    alone = _alone(events, measured)
    samples = [each for each in measured.samples if each.events == events]
    bare = {each.round: each.request_rate for each in samples if each.design == "bare"}
    sqlite = {turn: each.sqlite for turn, each in alone.items()}
    return Size(
        events=events,
        sqlite=median(sqlite.values()),
        executemany=median(each.executemany for each in alone.values()),
        designs=[
            _design([e for e in samples if _is_of(each, e)], samples, bare, sqlite)
            for each in options.subjects
        ],
    )


def _alone(events: int, measured: Measured) -> dict[int, Ceiling]:
    """Return what SQLite alone does with so many events a request, by the round."""
    return {each.round: each.ceiling for each in measured.ceilings if each.events == events}


def _is_of(subject: Subject, found: Sample | Sustained) -> bool:
    return (found.design, found.players) == (subject.name, subject.players)


def _design(
    samples: Sequence[Sample],
    beside: Sequence[Sample],
    bare: dict[int, float],
    sqlite: dict[int, float],
) -> Design:
    name, players = samples[0].design, samples[0].players
    same = [each for each in beside if each.design == name]
    fewest = min(each.players for each in same)
    rates = {each.round: each.request_rate for each in same if each.players == fewest}

    def middle(value: Callable[[Sample], float]) -> float:
        return median(map(value, samples))

    def middle_stored(value: Callable[[Sample, Stored], float]) -> float | None:
        found = [value(each, each.stored) for each in samples if each.stored is not None]
        return median(found) if found else None

    return Design(
        design=name,
        players=players,
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
        of_fewest=middle(lambda each: each.request_rate / rates[each.round]),
        first=_first([each for each in samples if each.events == 1], bare),
    )


def _first(samples: Sequence[Sample], bare: dict[int, float]) -> First | None:
    found = [(each.first, each) for each in samples if each.first is not None]
    if not found:
        return None
    return First(
        requests=median(first.accepted / first.seconds for first, _ in found),
        of_bare=median(first.accepted / first.seconds / bare[each.round] for first, each in found),
        cpu_us=median(each.first_cpu_seconds / first.answered * 1e6 for first, each in found),
    )


def _sustained(subject: Subject, measured: Measured) -> SustainedDesign:
    found = [each for each in measured.sustained if _is_of(subject, each)]
    alone = _alone(EVENTS, measured)
    return SustainedDesign(
        design=subject.name,
        players=subject.players,
        requests=median(each.load.accepted / each.load.seconds for each in found),
        refused=median(each.load.refused / each.load.answered for each in found),
        stored_events=median(each.rate for each in found),
        of_sqlite=median(each.rate / alone[each.round].sqlite for each in found),
        p50_ms=median(each.load.p50_ms for each in found),
        p99_ms=median(each.load.p99_ms for each in found),
        full=median(each.full for each in found),
    )


def _lost(measured: Measured) -> Floor:
    ours = [each.stored for each in measured.samples if each.design.startswith(GATEWAY)]
    lost = sum(stored.lost for stored in ours if stored is not None)
    return Floor("events answered with 202 and not stored", lost, 0, at_most=True)


def _of_sizes(sizes: Iterable[Size], interval_seconds: float) -> Iterable[Floor]:
    for size in sizes:
        bare = next(each for each in size.designs if each.design == "bare")
        gateways = [each for each in size.designs if each.design == GATEWAY]
        paying = next(each for each in size.designs if each.design == WITH_COINS)
        fewest, most = gateways[0], gateways[-1]
        assert most.of_sqlite is not None
        assert most.left_seconds is not None
        assert paying.of_sqlite is not None
        at = f"{size.events} a request"
        if size.events in _OF_BARE:
            name = f"{at}: requests of the bare route, with the fewest players"
            yield Floor(name, fewest.of_bare, _OF_BARE[size.events])
            if most.of_fewest is not None and most is not fewest:
                name = f"{at}: requests with the most players of those"
                yield Floor(name, most.of_fewest, 0.85)
        if size.events == 1:
            cpu = fewest.cpu_us / bare.cpu_us
            yield Floor(f"{at}: processor time of the bare route's", cpu, 1.0, at_most=True)
        if size.events == 10:
            name = f"{at}: left at the end, in seconds"
            yield Floor(name, most.left_seconds, interval_seconds, at_most=True)
        if size.events == EVENTS:
            yield Floor(f"{at}: durable of SQLite alone", most.of_sqlite, 0.35)
            paid = paying.of_sqlite / most.of_sqlite
            yield Floor(f"{at}: durable with coins of without", paid, 0.8)


def _of_sustained(sustained: Sequence[SustainedDesign]) -> Iterable[Floor]:
    if sustained:
        plain, paying = sustained
        yield Floor("buffer full: stored of SQLite alone", plain.of_sqlite, 0.55)
        ratio = paying.p99_ms / plain.p99_ms
        yield Floor("buffer full: p99 with coins of without", ratio, 2.0, at_most=True)


def _of_memory(measured: Measured) -> Iterable[Floor]:
    for each in measured.memory:
        if each.buffered >= 1_000_000:
            name = f"{each.events} a request: peak MB, 1,000,000 buffered"
            yield Floor(name, each.peak / MEGABYTE, 400.0, at_most=True)
