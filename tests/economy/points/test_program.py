"""Every impossible definition is named by its key, all of them at once."""

import tomllib
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from playsmart_gateway.economy.points import (
    EventDefinition,
    Milestone,
    Program,
    StreakDefinition,
)
from playsmart_gateway.economy.points.definitions import MAX_POINTS
from playsmart_gateway.economy.points.program import MAX_STREAKS
from playsmart_gateway.errors import ConfigError

Keys = dict[str, Any]
FIX: Keys = {"id": "e", "kind": "fix", "points": 1}
CONDITIONAL: Keys = {**FIX, "kind": "conditional", "condition_minimum": Decimal(5)}
TRANSACTIONAL: Keys = {
    "id": "e",
    "kind": "transactional",
    "reward_value_field": "v",
    "points_per_unit": 1,
}


def problems(*events: Keys, streaks: Any = (), **keys: Any) -> list[str]:
    definitions = [EventDefinition(**event) for event in events]
    with pytest.raises(ConfigError) as caught:
        Program(definitions, [StreakDefinition(**streak) for streak in streaks], **keys)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ({**FIX, "kind": "fixed"}, "kind: must be one of fix, conditional, transactional"),
        ({"id": "e", "kind": "fix"}, "points: is required for a fix event"),
        ({**CONDITIONAL, "points": None}, "points: is required for a conditional event"),
        (
            {**CONDITIONAL, "condition_minimum": None},
            "condition_minimum: is required for a conditional event",
        ),
        (
            {**TRANSACTIONAL, "reward_value_field": None},
            "reward_value_field: is required for a transactional event",
        ),
        (
            {**TRANSACTIONAL, "points_per_unit": None},
            "points_per_unit: is required for a transactional event",
        ),
        ({**TRANSACTIONAL, "points": 1}, "points: has no use for a transactional event"),
        ({**FIX, "max_points": 1}, "max_points: has no use for a fix event"),
        ({**FIX, "condition_field": "a"}, "condition_field: has no use for a fix event"),
        ({**CONDITIONAL, "unit": Decimal(1)}, "unit: has no use for a conditional event"),
        ({**FIX, "points": -1}, "points: must be 0 to 1,000,000,000"),
        ({**FIX, "points": MAX_POINTS + 1}, "points: must be 0 to 1,000,000,000"),
        (
            {**TRANSACTIONAL, "points_per_unit": -1},
            "points_per_unit: must be 0 to 1,000,000,000",
        ),
        ({**TRANSACTIONAL, "max_points": 0}, "max_points: must be 1 to 1,000,000,000"),
        ({**FIX, "max_completions": 0}, "max_completions: must be at least 1"),
        (
            {**FIX, "completion_window": "daily"},
            "completion_window: has no use without max_completions",
        ),
        (
            {**FIX, "max_completions": 1, "completion_window": "yearly"},
            "completion_window: must be one of daily, weekly, monthly, total",
        ),
        (
            {**FIX, "group_points": {"a b": 1}},
            "group_points: a group id must be 1 to 128 letters, digits, _ or -",
        ),
        ({**FIX, "group_points": {"vip": -1}}, "group_points.vip: must be 0 to 1,000,000,000"),
        (
            {**CONDITIONAL, "condition_minimum": Decimal("nan")},
            "condition_minimum: must be a finite number",
        ),
        ({**CONDITIONAL, "condition_field": ""}, "condition_field: must be 1 to 128 characters"),
        (
            {**TRANSACTIONAL, "reward_value_field": "x" * 129},
            "reward_value_field: must be 1 to 128 characters",
        ),
        ({**FIX, "id": ""}, "id: must be 1 to 256 characters, none NUL"),
        ({**FIX, "id": "x" * 257}, "id: must be 1 to 256 characters, none NUL"),
        ({**FIX, "id": "x\0"}, "id: must be 1 to 256 characters, none NUL"),
    ],
)
def test_an_impossible_event_is_named_by_its_key(event: Keys, problem: str) -> None:
    assert problems(event) == [f"lynes.events.0.{problem}"]


@pytest.mark.parametrize(
    "unit", ["0", "-1", "1e12", "1e-13", "0.0000000000001", "nan", "inf", "-inf", "snan"]
)
def test_a_unit_is_a_number_that_exact_arithmetic_can_divide_by(unit: str) -> None:
    rule = "must be above 0 and below 1e12, with at most 12 decimal places"
    assert problems({**TRANSACTIONAL, "unit": Decimal(unit)}) == [f"lynes.events.0.unit: {rule}"]


@pytest.mark.parametrize(
    ("streak", "problem"),
    [
        ({"id": "", "events": ("e",)}, "id: must be 1 to 256 characters, none NUL"),
        ({"events": ()}, "events: must name at least one event"),
        ({"events": ("e", "f")}, "events.1: is not the id of an event"),
        ({"period": "total"}, "period: must be one of daily, weekly, monthly"),
        (
            {"milestones": (Milestone(count=0, points=1),)},
            "milestones.0.count: must be at least 1",
        ),
        (
            {"milestones": (Milestone(count=3, points=1), Milestone(count=3, points=1))},
            "milestones.1.count: must be larger than that of the milestone before",
        ),
        (
            {"milestones": (Milestone(count=3, points=1), Milestone(count=2, points=1))},
            "milestones.1.count: must be larger than that of the milestone before",
        ),
        (
            {"milestones": (Milestone(count=1, points=-1),)},
            "milestones.0.points: must be 0 to 1,000,000,000",
        ),
    ],
)
def test_an_impossible_streak_is_named_by_its_key(streak: Keys, problem: str) -> None:
    told = problems(FIX, streaks=[{"id": "s", "events": ("e",), **streak}])
    assert told == [f"lynes.streaks.0.{problem}"]


def test_an_id_is_used_once_in_each_table() -> None:
    streak = {"id": "e", "events": ("e",)}
    assert problems(FIX, {**FIX, "id": "f"}, FIX, streaks=[streak, streak]) == [
        "lynes.events.2.id: is the id of lynes.events.0 too",
        "lynes.streaks.1.id: is the id of lynes.streaks.0 too",
    ]


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "../etc/passwd", "/etc/passwd", "Europe", "\0", "x" * 5_000]
)
def test_the_time_zone_has_to_be_known(name: str) -> None:
    assert problems(time_zone=name) == ["lynes.time_zone: is not a known IANA time zone"]


def test_the_default_group_is_a_group_id() -> None:
    rule = "must be 1 to 128 letters, digits, _ or -"
    assert problems(default_group="") == [f"lynes.default_group: {rule}"]


def test_all_problems_are_told_at_once() -> None:
    told = problems(
        {"id": "", "kind": "fix", "max_completions": 0},
        {**CONDITIONAL, "condition_minimum": None, "points": -5},
        streaks=[{"id": "s", "events": ("?",), "period": "hourly"}],
        time_zone="?",
    )
    assert [each.partition(":")[0] for each in told] == [
        "lynes.events.0.points",
        "lynes.events.0.max_completions",
        "lynes.events.1.condition_minimum",
        "lynes.events.1.points",
        "lynes.events.0.id",
        "lynes.streaks.0.events.0",
        "lynes.streaks.0.period",
        "lynes.time_zone",
    ]


def test_definitions_come_from_toml_with_numbers_as_they_are_written() -> None:
    tables = tomllib.loads("""
        [[events]]
        id = "purchase"
        kind = "transactional"
        reward_value_field = "amount"
        points_per_unit = 2
        unit = 0.1
        group_points = {vip = 3}
        [[streaks]]
        id = "weekly_buyer"
        events = ["purchase"]
        period = "weekly"
        milestones = [{count = 4, points = 100}]
    """)
    events = msgspec.convert(tables["events"], tuple[EventDefinition, ...])
    streaks = msgspec.convert(tables["streaks"], tuple[StreakDefinition, ...])
    program = Program(events, streaks)
    assert program.events["purchase"].unit == Decimal("0.1")
    assert program.streaks_of["purchase"] == streaks


def test_an_unknown_key_of_a_definition_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `point`"):
        msgspec.convert({**FIX, "point": 1}, EventDefinition)


def test_unknown_and_inactive_events_are_both_not_there() -> None:
    program = Program([EventDefinition(**FIX), EventDefinition(**{**FIX, "id": "f"}, active=False)])
    assert program.active_event("e") is program.events["e"]
    assert program.active_event("f") is None
    assert program.active_event("g") is None


def test_an_event_is_counted_under_the_first_group_that_a_definition_names() -> None:
    events = [
        EventDefinition(**FIX, group_points={"vip": 1}),
        EventDefinition(**{**FIX, "id": "f"}, group_points={"beta": 1}),
    ]
    program = Program(events, default_group="all")
    assert program.group_of({"usergroup": "beta"}) == "beta"
    assert program.group_of({"usergroup": ["x", "vip", "beta"]}) == "vip"
    others: list[Any] = ["x", "default", "all", [], 5, None]
    for usergroup in others:
        assert program.group_of({"usergroup": usergroup}) == "all"
    assert program.group_of({}) == "all"


def test_an_event_feeds_no_more_streaks_than_an_answer_lists() -> None:
    event = EventDefinition(id="e", kind="fix", points=1)
    streaks = [StreakDefinition(id=f"s{n}", events=("e",)) for n in range(MAX_STREAKS + 1)]
    assert len(Program([event], streaks[1:]).streaks_of["e"]) == MAX_STREAKS
    with pytest.raises(ConfigError) as caught:
        Program([event], streaks)
    assert caught.value.problems == ("lynes.streaks: more than 100 are fed by one event",)
