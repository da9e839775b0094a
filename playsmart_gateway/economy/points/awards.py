"""The step: a program, the state of one user and an event in; the award and the next state out.

Time never runs backwards here. A state keeps the local day of the last reward and of the last
period counted; an event from before that day, because the clock was set back, counts as one of
that day. So a window that has passed never opens again and nothing is paid twice; a streak is
neither reset nor advanced by it. A clock that ran ahead withholds what it has paid for days that
had not come, until they come.
"""

from collections.abc import Mapping
from datetime import date
from decimal import MAX_EMAX, MIN_EMIN, ROUND_DOWN, Context
from typing import Literal, cast

import msgspec

from playsmart_gateway.economy.points.definitions import (
    MAX_POINTS,
    EventDefinition,
    StreakDefinition,
)
from playsmart_gateway.economy.points.metadata import (
    Metadata,
    Number,
    number,
    usergroups,
)
from playsmart_gateway.economy.points.periods import (
    Calendar,
    Period,
)
from playsmart_gateway.economy.points.program import Program

# Takes any exponent without complaint and cuts what is too long, which is exact enough: see _units.
_ARITHMETIC = Context(prec=100, rounding=ROUND_DOWN, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[])


class Completions(msgspec.Struct, frozen=True):
    """How often an event was rewarded in the window that ``day``, the last such day, is in."""

    count: int
    day: date


class Streak(msgspec.Struct, frozen=True):
    """A streak; ``day`` and ``updated_at_ms`` are those of the last event that changed it."""

    count: int
    longest: int
    day: date
    updated_at_ms: int


class State(msgspec.Struct, frozen=True):
    """What is kept of one user: the balance, completions by event id, streaks by streak id.

    The default is a user of whom nothing was ever heard. The step reads and replaces only the
    entries of the event and of the streaks that it feeds; only limited events have completions.
    """

    points: int = 0
    completions: Mapping[str, Completions] = {}
    streaks: Mapping[str, Streak] = {}


class StreakAward(msgspec.Struct, frozen=True):
    """Where a streak stands after the event, and what the event made it pay."""

    streak_id: str
    current_count: int
    updated_at_ms: int
    milestone_reached: bool
    points: int


class HistoryEntry(msgspec.Struct, frozen=True):
    """A line of the user's history (contract section 9); ``source_id`` is an event or a streak.

    Each event has an ``event`` entry, with its points or 0, and a ``streak_milestone`` entry for
    each milestone that it reached, so the points of all entries add up to the balance.
    ``streak_points``, points of a streak without a milestone, do not occur in these rules.
    """

    type: Literal["event", "streak_milestone"]
    source_id: str
    title: str
    description: str
    points: int
    timestamp_ms: int


class Award(msgspec.Struct, frozen=True):
    """What one event brought; ``points`` are without those of streaks (contract section 11).

    The first entry of the ``history`` is that of the event. An award ``is_repeated`` to who sent
    the event again: it was paid the first time.
    """

    points: int
    streaks: tuple[StreakAward, ...]
    history: tuple[HistoryEntry, ...]
    is_repeated: bool = False

    @property
    def paid(self) -> int:
        """The points that were paid now, with those of streaks."""
        return 0 if self.is_repeated else sum(entry.points for entry in self.history)


def apply(
    program: Program, state: State, event_id: str, metadata: Metadata, received_at_ms: int
) -> tuple[Award, State]:
    """Reward one event of one user; ``event_id`` has to be one of the program's.

    A reward of 0 is none: it is not a completion. Metadata that a rule has no use for is ignored.
    """
    definition = program.events[event_id]
    today = program.calendar.day(received_at_ms)
    points = _reward(definition, program.default_group, metadata)
    completions = state.completions
    if points and definition.max_completions is not None:
        known = completions.get(event_id)
        done = _count_completion(program.calendar, definition, known, today)
        if done is None:
            points = 0
        else:
            completions = {**completions, event_id: done}
    streaks = dict(state.streaks)
    awards = []
    history = [_entry("event", definition, points, received_at_ms)]
    for rule in program.streaks_of[event_id]:
        before = streaks.get(rule.id)
        streak = _advance(program.calendar, rule, before, today, received_at_ms)
        streaks[rule.id] = streak
        bonus = None if streak is before else _milestone(rule, streak.count)
        if bonus is not None:
            history.append(_entry("streak_milestone", rule, bonus, received_at_ms))
        awards.append(
            StreakAward(rule.id, streak.count, streak.updated_at_ms, bonus is not None, bonus or 0)
        )
    balance = state.points + sum(entry.points for entry in history)
    award = Award(points, tuple(awards), tuple(history))
    return award, State(balance, completions, streaks)


def _reward(definition: EventDefinition, default_group: str, metadata: Metadata) -> int:
    match definition.kind:
        case "conditional":
            value = number(metadata, definition.condition_field or "amount")
            if value is None or value < cast(Number, definition.condition_minimum):
                return 0
        case "transactional":
            value = number(metadata, cast(str, definition.reward_value_field))
            if value is None or value <= 0:
                return 0
            rate = _of_group(definition, definition.points_per_unit, default_group, metadata)
            most = definition.max_points or MAX_POINTS
            return _units(value, rate, definition.unit or 1, most)
    return _of_group(definition, definition.points, default_group, metadata)


def _of_group(
    definition: EventDefinition, base: int | None, default_group: str, metadata: Metadata
) -> int:
    overrides = definition.group_points
    if overrides:
        for group in (*usergroups(metadata), default_group):
            if group in overrides:
                return overrides[group]
    return cast(int, base)


def _units(value: Number, rate: int, unit: Number, most: int) -> int:
    """Return ``value / unit * rate`` rounded half up, at most ``most``; ``value`` is above 0.

    Cutting ``value`` to 100 digits changes nothing: it is only compared with numbers of far fewer
    digits, the ties between two whole points, and a cut never passes one of those.
    """
    earned = _ARITHMETIC.multiply(value, rate)
    if earned >= _ARITHMETIC.multiply(most, unit):
        return most
    twice = _ARITHMETIC.add(_ARITHMETIC.multiply(earned, 2), unit)
    return int(_ARITHMETIC.divide_int(twice, _ARITHMETIC.multiply(unit, 2)))


def _count_completion(
    calendar: Calendar, definition: EventDefinition, known: Completions | None, today: date
) -> Completions | None:
    """Return the completions with one more; None when the window has no room for it."""
    if known is None:
        return Completions(1, today)
    day = max(today, known.day)
    window = cast(Period, definition.completion_window or "total")
    count = known.count
    if calendar.first_day(window, day) != calendar.first_day(window, known.day):
        count = 0
    if count >= cast(int, definition.max_completions):
        return None
    return Completions(count + 1, day)


def _advance(
    calendar: Calendar, rule: StreakDefinition, known: Streak | None, today: date, now_ms: int
) -> Streak:
    """Return the streak after an event; ``known`` itself when its period was counted already."""
    if known is None:
        return Streak(1, 1, today, now_ms)
    period = cast(Period, rule.period)
    if calendar.first_day(period, today) <= calendar.first_day(period, known.day):
        return known
    count = known.count + 1 if calendar.follows(period, today, known.day) else 1
    return Streak(count, max(count, known.longest), today, now_ms)


def _milestone(rule: StreakDefinition, count: int) -> int | None:
    return next((each.points for each in rule.milestones if each.count == count), None)


def _entry(
    kind: Literal["event", "streak_milestone"],
    definition: EventDefinition | StreakDefinition,
    points: int,
    at_ms: int,
) -> HistoryEntry:
    title = definition.title or definition.id
    return HistoryEntry(kind, definition.id, title, definition.description, points, at_ms)
