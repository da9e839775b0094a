"""The definitions of one project, checked, and looked up the way the step needs them."""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from playsmart_gateway.economy.points.definitions import (
    MAX_ID_LENGTH,
    MAX_NAME_LENGTH,
    MAX_POINTS,
    EventDefinition,
    StreakDefinition,
)
from playsmart_gateway.economy.points.metadata import (
    Metadata,
    usergroups,
)
from playsmart_gateway.economy.points.periods import Calendar
from playsmart_gateway.errors import ConfigError

_REQUIRED: dict[str, tuple[str, ...]] = {
    "fix": ("points",),
    "conditional": ("points", "condition_minimum"),
    "transactional": ("reward_value_field", "points_per_unit"),
}
_OPTIONAL: dict[str, tuple[str, ...]] = {
    "fix": (),
    "conditional": ("condition_field",),
    "transactional": ("unit", "max_points"),
}
_KEYS_OF_SOME_KIND = tuple(
    dict.fromkeys(
        key for table in (_REQUIRED, _OPTIONAL) for keys in table.values() for key in keys
    )
)
_PERIODS = ("daily", "weekly", "monthly")
_WINDOWS = (*_PERIODS, "total")
_GROUP_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")  # contract section 6
MAX_STREAKS = 100
"""Streaks that one event can feed: each answer lists them, each milestone is a history entry."""

_GROUP_RULE = "must be 1 to 128 letters, digits, _ or -"
_UNIT_LIMIT = 10**12
_UNIT_DECIMAL_PLACES = 12


class Program:
    """What one project pays for, in which time zone, and to whom if no group is known.

    ``streaks_of`` has the streaks that an event feeds, in the order of their definition.

    Raises:
        ConfigError: with every impossible definition, by its key in the configuration.
    """

    def __init__(
        self,
        events: Sequence[EventDefinition] = (),
        streaks: Sequence[StreakDefinition] = (),
        *,
        time_zone: str = "UTC",
        default_group: str = "default",
    ) -> None:
        zone = _zone(time_zone)
        problems = [*_problems_of_events(events), *_problems_of_streaks(streaks, events)]
        if zone is None:
            problems.append("lynes.time_zone: is not a known IANA time zone")
        if not _GROUP_ID.fullmatch(default_group):
            problems.append(f"lynes.default_group: {_GROUP_RULE}")
        if problems or zone is None:
            raise ConfigError(problems)
        self.calendar = Calendar(zone)
        self.default_group = default_group
        self.events = {event.id: event for event in events}
        self.streaks = {streak.id: streak for streak in streaks}
        self.streaks_of = {
            event.id: tuple(streak for streak in streaks if event.id in streak.events)
            for event in events
        }
        self._groups = {default_group}.union(*(event.group_points for event in events))

    def active_event(self, event_id: str) -> EventDefinition | None:
        """Return the definition; None for an unknown event and for an inactive one alike."""
        event = self.events.get(event_id)
        return event if event is not None and event.active else None

    def group_of(self, metadata: Metadata) -> str:
        """Return the group to count an event under: the first one listed that a definition names.

        Others count as the default group, so that clients cannot invent segments.
        """
        listed = usergroups(metadata)
        return next((group for group in listed if group in self._groups), self.default_group)


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there, not a key, a folder or too long
        return None


def _problems_of_events(events: Sequence[EventDefinition]) -> Iterator[str]:
    for place, event in enumerate(events):
        for key, problem in (*_problems_of_kind(event), *_problems_of_values(event)):
            yield f"lynes.events.{place}.{key}: {problem}"
    yield from _problems_of_ids("events", [event.id for event in events])


def _problems_of_kind(event: EventDefinition) -> Iterator[tuple[str, str]]:
    kind = event.kind
    if kind not in _REQUIRED:
        yield "kind", f"must be one of {', '.join(_REQUIRED)}"
        return
    for key in _KEYS_OF_SOME_KIND:
        is_given = getattr(event, key) is not None
        if key in _REQUIRED[kind]:
            if not is_given:
                yield key, f"is required for a {kind} event"
        elif is_given and key not in _OPTIONAL[kind]:
            yield key, f"has no use for a {kind} event"


def _problems_of_values(event: EventDefinition) -> Iterator[tuple[str, str]]:
    yield from _outside("points", event.points, 0)
    yield from _outside("points_per_unit", event.points_per_unit, 0)
    yield from _outside("max_points", event.max_points, 1)
    for group, points in event.group_points.items():
        if not _GROUP_ID.fullmatch(group):
            yield "group_points", f"a group id {_GROUP_RULE}"
        else:
            yield from _outside(f"group_points.{group}", points, 0)
    for key in ("condition_field", "reward_value_field"):
        name = getattr(event, key)
        if name is not None and not 1 <= len(name) <= MAX_NAME_LENGTH:
            yield key, f"must be 1 to {MAX_NAME_LENGTH} characters"
    if event.condition_minimum is not None and not event.condition_minimum.is_finite():
        yield "condition_minimum", "must be a finite number"
    if event.unit is not None and not _is_unit(event.unit):
        yield "unit", "must be above 0 and below 1e12, with at most 12 decimal places"
    if event.max_completions is not None and event.max_completions < 1:
        yield "max_completions", "must be at least 1"
    if event.completion_window is not None:
        if event.completion_window not in _WINDOWS:
            yield "completion_window", f"must be one of {', '.join(_WINDOWS)}"
        if event.max_completions is None:
            yield "completion_window", "has no use without max_completions"


def _problems_of_streaks(
    streaks: Sequence[StreakDefinition], events: Sequence[EventDefinition]
) -> Iterator[str]:
    known = dict.fromkeys(event.id for event in events)
    for place, streak in enumerate(streaks):
        path = f"lynes.streaks.{place}"
        if not streak.events:
            yield f"{path}.events: must name at least one event"
        for inner, event_id in enumerate(streak.events):
            if event_id not in known:
                yield f"{path}.events.{inner}: is not the id of an event"
        if streak.period not in _PERIODS:
            yield f"{path}.period: must be one of {', '.join(_PERIODS)}"
        last = 0
        for inner, milestone in enumerate(streak.milestones):
            at = f"{path}.milestones.{inner}"
            if milestone.count < 1:
                yield f"{at}.count: must be at least 1"
            elif milestone.count <= last:
                yield f"{at}.count: must be larger than that of the milestone before"
            last = milestone.count
            for key, problem in _outside("points", milestone.points, 0):
                yield f"{at}.{key}: {problem}"
    for event_id in known:
        if sum(event_id in streak.events for streak in streaks) > MAX_STREAKS:
            yield f"lynes.streaks: more than {MAX_STREAKS} are fed by one event"
    yield from _problems_of_ids("streaks", [streak.id for streak in streaks])


def _problems_of_ids(table: str, ids: Sequence[str]) -> Iterator[str]:
    for place, text in enumerate(ids):
        if not 1 <= len(text) <= MAX_ID_LENGTH or "\0" in text:
            yield f"lynes.{table}.{place}.id: must be 1 to {MAX_ID_LENGTH} characters, none NUL"
        elif text in ids[:place]:
            yield f"lynes.{table}.{place}.id: is the id of lynes.{table}.{ids.index(text)} too"


def _outside(key: str, points: int | None, least: int) -> Iterator[tuple[str, str]]:
    if points is not None and not least <= points <= MAX_POINTS:
        yield key, f"must be {least} to {MAX_POINTS:,}"


def _is_unit(unit: Decimal) -> bool:
    exponent: Any = unit.as_tuple().exponent  # a letter if the unit is not finite
    return unit.is_finite() and 0 < unit < _UNIT_LIMIT and exponent >= -_UNIT_DECIMAL_PLACES
