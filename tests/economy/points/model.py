"""The loyalty rules once more, in plain Python over the whole list of events.

Nothing is kept from one event to the next: each is judged by looking at all that came before it.
Money is in fractions; which dates a zone has is found by walking through it in steps of an hour.
"""

import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from playsmart_gateway.economy.points import (
    EventDefinition,
    Metadata,
    StreakDefinition,
)

WALK = timedelta(days=200)


@dataclass
class Heard:
    """An event of the one user of this history, and what the model says it brought."""

    event_id: str
    metadata: Metadata
    at_ms: int
    points: int = 0
    window_day: date = date.min
    streaks: list[tuple[str, int, int, bool, int]] = field(default_factory=list)


def judge(
    history: list[Heard],
    events: list[EventDefinition],
    streaks: list[StreakDefinition],
    zone: str,
) -> None:
    """Fill in what each event of ``history`` brought."""
    definitions = {event.id: event for event in events}
    for place, heard in enumerate(history):
        earlier = history[:place]
        definition = definitions[heard.event_id]
        heard.points = reward(definition, heard.metadata)
        paid = [each for each in earlier if each.points and each.event_id == heard.event_id]
        if heard.points and definition.max_completions is not None:
            days = [local(each.at_ms, zone) for each in [*paid, heard]]
            heard.window_day = max(days)
            window = definition.completion_window or "total"
            done = [each for each in paid if key(window, each.window_day) == key(window, max(days))]
            if len(done) >= definition.max_completions:
                heard.points = 0
        heard.streaks = [
            standing([*earlier, heard], streak, zone)
            for streak in streaks
            if heard.event_id in streak.events
        ]


def reward(definition: EventDefinition, metadata: Metadata) -> int:
    """Return the points for an event if no limit stood in the way."""
    named: Any = metadata.get("usergroup")
    groups = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    base = definition.points if definition.points is not None else definition.points_per_unit
    assert base is not None
    for group in reversed([*groups, "default"]):
        base = definition.group_points.get(group, base)
    if definition.kind == "fix":
        return base
    is_conditional = definition.kind == "conditional"
    name = (definition.condition_field or "amount") if is_conditional else None
    value: Any = metadata.get(name or definition.reward_value_field or "")
    if value is None or isinstance(value, bool | str | list):
        return 0
    if is_conditional:
        assert definition.condition_minimum is not None
        return base if Fraction(value) >= Fraction(definition.condition_minimum) else 0
    units = Fraction(value) / Fraction(definition.unit if definition.unit is not None else 1)
    most = definition.max_points if definition.max_points is not None else 10**9
    return min(most, max(0, math.floor(units * base + Fraction(1, 2))))


def standing(
    history: list[Heard], streak: StreakDefinition, zone: str
) -> tuple[str, int, int, bool, int]:
    """Return id, count, time of the last change, whether a milestone was reached, its points."""
    calendar = periods(streak.period, zone, history[0].at_ms)
    counted: list[tuple[int, int]] = []
    changed = False
    for heard in history:
        if heard.event_id in streak.events:
            period = calendar[key(streak.period, local(heard.at_ms, zone))]
            changed = not counted or period > counted[-1][0]
            if changed:
                counted.append((period, heard.at_ms))
    last = counted[-1][0]
    count = next(
        length
        for length in range(1, len(counted) + 2)
        if last - length not in [period for period, _ in counted]
    )
    prizes = [each.points for each in streak.milestones if changed and each.count == count]
    return streak.id, count, counted[-1][1], bool(prizes), sum(prizes)


def local(at_ms: int, zone: str) -> date:
    """Return the local date."""
    since_epoch = timedelta(milliseconds=at_ms)
    return (datetime(1970, 1, 1, tzinfo=UTC) + since_epoch).astimezone(ZoneInfo(zone)).date()


def key(period: str, day: date) -> tuple[int, ...]:
    """Return what all days of a period share."""
    year, week, _ = day.isocalendar()
    return {
        "daily": (day.year, day.month, day.day),
        "weekly": (year, week),
        "monthly": (day.year, day.month),
        "total": (),
    }[period]


def periods(period: str, zone: str, around_ms: int) -> dict[tuple[int, ...], int]:
    """Number the periods that a zone has around an instant."""
    day_ms = 86_400_000
    days = local_dates(zone, around_ms // day_ms * day_ms)
    return {each: n for n, each in enumerate(dict.fromkeys(key(period, day) for day in days))}


@lru_cache
def local_dates(zone: str, around_ms: int) -> list[date]:
    """Return every local date around an instant, in order."""
    there = ZoneInfo(zone)
    around = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=around_ms)
    steps = range(-WALK // timedelta(hours=1), WALK // timedelta(hours=1))
    dates = [(around + timedelta(hours=step)).astimezone(there).date() for step in steps]
    return list(dict.fromkeys(dates))
