"""The step against the contract's worked examples, its corners, and a model of all events."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import accumulate
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from playsmart_gateway.economy.points import (
    Award,
    Completions,
    EventDefinition,
    HistoryEntry,
    Metadata,
    Milestone,
    Program,
    State,
    Streak,
    StreakAward,
    StreakDefinition,
    apply,
)
from playsmart_gateway.economy.points.definitions import MAX_POINTS
from tests.economy.points.model import (
    Heard,
    judge,
)
from tests.support.examples import examples

DAY_MS = 86_400_000


def at(text: str) -> int:
    """Milliseconds since the epoch of an instant in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NOON = at("2024-05-15T12:00")


def fix(**keys: Any) -> EventDefinition:
    return EventDefinition(**{"id": "e", "kind": "fix", "points": 10, **keys})


def conditional(**keys: Any) -> EventDefinition:
    given = {"id": "e", "kind": "conditional", "points": 20, "condition_minimum": Decimal(5)}
    return EventDefinition(**{**given, **keys})


def transactional(**keys: Any) -> EventDefinition:
    given = {"id": "e", "kind": "transactional", "reward_value_field": "amount"}
    return EventDefinition(**{**given, "points_per_unit": 1, **keys})


def points(definition: EventDefinition, metadata: Metadata) -> int:
    award, state = apply(Program([definition]), State(), "e", metadata, NOON)
    assert state.points == award.points
    return award.points


def awards(program: Program, *times_ms: int, metadata: Metadata | None = None) -> list[Award]:
    """Let the event ``e`` of a new user happen at each time."""
    found, state = [], State()
    for time_ms in times_ms:
        award, state = apply(program, state, "e", metadata or {}, time_ms)
        found.append(award)
    return found


# --- rewards -------------------------------------------------------------------------------------


def test_a_login_pays_its_points_and_stands_at_three_in_the_streak() -> None:
    login = EventDefinition(
        id="daily_login", kind="fix", points=10, max_completions=1, completion_window="daily"
    )
    streak = StreakDefinition(id="daily_app_use", events=("daily_login",))
    program = Program([login], [streak])
    state = State()
    for day in range(3):
        award, state = apply(program, state, "daily_login", {}, NOON + day * DAY_MS)
    last = NOON + 2 * DAY_MS
    assert award == Award(
        10,
        (StreakAward("daily_app_use", 3, last, False, 0),),
        (HistoryEntry("event", "daily_login", "daily_login", "", 10, last),),
    )
    today = datetime.fromtimestamp(last / 1000, UTC).date()
    assert state == State(
        30,
        {"daily_login": Completions(1, today)},
        {"daily_app_use": Streak(3, 3, today, last)},
    )


@pytest.mark.parametrize(
    ("amount", "paid"),
    [
        (4, 0), (5, 20), (Decimal("5.0"), 20), (Decimal("4.99999999999999999999"), 0),
        (10**400, 20), (Decimal("-1E+999999999"), 0), ("5", 0), (True, 0), (None, 0), (["5"], 0),
    ],
)  # fmt: skip
def test_a_condition_is_met_by_a_number_at_or_above_it(amount: Any, paid: int) -> None:
    assert points(conditional(), {"amount": amount}) == paid
    assert points(conditional(condition_field="other"), {"other": amount}) == paid
    assert points(conditional(condition_field="other"), {"amount": amount}) == 0
    assert points(conditional(), {}) == 0


@pytest.mark.parametrize(
    ("value", "rate", "unit", "paid"),
    [
        ("49.99", 1, "1", 50),
        ("129.99", 2, "1", 260),
        ("0.285", 100, "1", 29),  # in floats 28.499999999999996
        ("0.5", 1, "1", 1),
        ("0.4999999999999999999999999999999999999999", 1, "1", 0),
        ("2.5", 1, "1", 3),  # half up, not to even
        ("99.99", 1, "10", 10),
        ("1", 1, "3", 0),
        ("1.5", 1, "3", 1),
        ("0.1", 1, "0.2", 1),
        ("0", 5, "1", 0),
        ("-0.0", 5, "1", 0),
        ("-3", 5, "1", 0),
        ("3", 0, "1", 0),
        ("1E+999999999", 1, "1", MAX_POINTS),
        ("1E+999999999", 0, "1", 0),
        ("-1E+999999999", 1, "1", 0),
        ("1E-999999999", 1, "1", 0),
        ("1E+999999999999999999", MAX_POINTS, "0.000000000001", MAX_POINTS),
        ("1E-999999999999999999", 1, "999999999999", 0),
        ("0." + "4" + "9" * 500_000, 1, "1", 0),
        ("9" * 5_000, 1, "1", MAX_POINTS),
        ("987654320499999999999.9990123456795", 1, "999999999999.999999999999", 987_654_321),
        ("987654320499999999999.9990123456794", 1, "999999999999.999999999999", 987_654_320),
    ],
)
def test_points_per_unit_are_decimal_and_rounded_half_up(
    value: str, rate: int, unit: str, paid: int
) -> None:
    definition = transactional(points_per_unit=rate, unit=Decimal(unit))
    assert points(definition, {"amount": Decimal(value)}) == paid


@given(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=0) | st.integers(0, 10**12),
    st.integers(0, MAX_POINTS),
    st.decimals("0.000000000001", 999_999_999_999, places=12),
    st.none() | st.integers(1, MAX_POINTS),
)
@examples(200)
def test_points_per_unit_are_those_of_fractions(
    value: Any, rate: int, unit: Decimal, most: int | None
) -> None:
    definition = transactional(points_per_unit=rate, unit=unit, max_points=most)
    heard = Heard("e", {"amount": value}, NOON)
    judge([heard], [definition], [], "UTC")
    assert points(definition, heard.metadata) == heard.points


@pytest.mark.parametrize("value", ["7", True, None, ["7"]])
def test_a_value_that_is_no_number_earns_nothing(value: Any) -> None:
    assert points(transactional(), {"amount": value}) == 0
    assert points(transactional(), {}) == 0


def test_the_cap_comes_after_the_rounding() -> None:
    assert points(transactional(max_points=5), {"amount": Decimal("5.4")}) == 5
    assert points(transactional(max_points=5), {"amount": Decimal("4.5")}) == 5
    assert points(transactional(max_points=5), {"amount": Decimal("4.4")}) == 4


@pytest.mark.parametrize(
    ("usergroup", "paid"),
    [
        ("gold", 30), ("silver", 20), ("unknown", 15), (None, 15), (7, 15), (True, 15), ([], 15),
        (["gold"], 30), (["silver", "gold"], 20), (["unknown", "gold"], 30), ("", 15), ("zero", 0),
    ],
)  # fmt: skip
def test_the_first_listed_group_with_an_override_pays(usergroup: Any, paid: int) -> None:
    groups = {"gold": 30, "silver": 20, "default": 15, "zero": 0}
    assert points(fix(group_points=groups), {"usergroup": usergroup}) == paid
    definition = conditional(group_points=groups)
    assert points(definition, {"usergroup": usergroup, "amount": 5}) == paid
    assert points(definition, {"usergroup": usergroup, "amount": 4}) == 0
    definition = transactional(group_points=groups)
    assert points(definition, {"usergroup": usergroup, "amount": 2}) == 2 * paid


def test_without_an_override_for_the_default_group_the_base_reward_holds() -> None:
    assert points(fix(group_points={"gold": 30}), {"usergroup": "silver"}) == 10
    program = Program([fix(group_points={"all": 30, "default": 7})], default_group="all")
    assert awards(program, NOON)[0].points == 30


# --- completions ---------------------------------------------------------------------------------


def test_only_rewards_count_as_completions() -> None:
    program = Program([transactional(max_completions=2, max_points=5)])
    state = State()
    paid = []
    for amount in (0, Decimal("0.4"), 3, -1, 9, 4):
        award, state = apply(program, state, "e", {"amount": amount}, NOON)
        paid.append(award.points)
    assert paid == [0, 0, 3, 0, 5, 0]
    assert state.completions["e"].count == 2


def test_an_event_without_a_limit_leaves_no_completions() -> None:
    _, state = apply(Program([fix()]), State(), "e", {}, NOON)
    assert state == State(10)


@pytest.mark.parametrize(
    ("window", "within", "after"),
    [
        ("daily", "2024-12-30T23:59:59.999", "2024-12-31T00:00"),
        ("weekly", "2025-01-05T23:59:59.999", "2025-01-06T00:00"),  # over the end of the year
        ("monthly", "2024-12-31T23:59:59.999", "2025-01-01T00:00"),
    ],
)
def test_a_window_ends_with_its_calendar_period(window: str, within: str, after: str) -> None:
    program = Program([fix(max_completions=1, completion_window=window)])
    times = [at("2024-12-30T00:00"), at(within), at(after), at(after)]
    assert [award.points for award in awards(program, *times)] == [10, 0, 10, 0]


def test_a_total_limit_never_ends_and_is_the_default() -> None:
    for window in ("total", None):
        program = Program([fix(max_completions=2, completion_window=window)])
        times = [NOON + days * DAY_MS for days in (0, 1, 2, 400, 4000)]
        assert [award.points for award in awards(program, *times)] == [10, 10, 0, 0, 0]


def test_a_clock_set_back_never_pays_twice() -> None:
    program = Program([fix(max_completions=1, completion_window="daily")])
    times = [NOON, NOON + DAY_MS, NOON, NOON - DAY_MS, NOON + DAY_MS, NOON + 2 * DAY_MS]
    assert [award.points for award in awards(program, *times)] == [10, 10, 0, 0, 0, 10]


# --- streaks -------------------------------------------------------------------------------------


def streak_of(program: Program, *times_ms: int) -> list[tuple[int, bool, int]]:
    return [
        (streak.current_count, streak.milestone_reached, streak.points)
        for award in awards(program, *times_ms)
        for streak in award.streaks
    ]


STREAK = StreakDefinition(
    id="s", events=("e",), milestones=(Milestone(count=2, points=50), Milestone(count=3, points=0))
)


def test_a_streak_counts_periods_restarts_after_a_gap_and_pays_again() -> None:
    program = Program([fix()], [STREAK])
    times = [NOON + hours * 3_600_000 for hours in (0, 1, 24, 25, 48, 72, 120, 144)]
    assert streak_of(program, *times) == [
        (1, False, 0), (1, False, 0), (2, True, 50), (2, False, 0), (3, True, 0),
        (4, False, 0), (1, False, 0), (2, True, 50),
    ]  # fmt: skip


def test_the_last_update_is_the_time_of_the_event_that_changed_the_count() -> None:
    program = Program([fix()], [STREAK])
    found = awards(program, NOON, NOON + 1, NOON + DAY_MS, NOON + DAY_MS + 5)
    updates = [award.streaks[0].updated_at_ms for award in found]
    assert updates == [NOON, NOON, NOON + DAY_MS, NOON + DAY_MS]


def test_a_clock_set_back_neither_resets_nor_advances_a_streak() -> None:
    program = Program([fix()], [STREAK])
    times = [NOON, NOON + DAY_MS, NOON - 9 * DAY_MS, NOON, NOON + DAY_MS, NOON + 2 * DAY_MS]
    assert [count for count, _, _ in streak_of(program, *times)] == [1, 2, 2, 2, 2, 3]


def test_the_longest_streak_outlives_a_restart() -> None:
    state = State()
    program = Program([fix()], [STREAK])
    for days in (0, 1, 2, 9):
        _, state = apply(program, state, "e", {}, NOON + days * DAY_MS)
    assert (state.streaks["s"].count, state.streaks["s"].longest) == (1, 3)


def test_an_event_lists_all_its_streaks_in_the_order_of_their_definition() -> None:
    streaks = [StreakDefinition(id=name, events=("e", "f", "e")) for name in "zax"]
    other = StreakDefinition(id="other", events=("f",))
    (award,) = awards(Program([fix(), fix(id="f"), fix(id="g")], [*streaks, other]), NOON)
    assert [streak.streak_id for streak in award.streaks] == ["z", "a", "x"]


def test_an_event_that_earns_nothing_still_feeds_its_streak() -> None:
    program = Program([fix(points=0)], [STREAK])
    first, second = awards(program, NOON, NOON + DAY_MS)
    assert (first.points, second.points) == (0, 0)
    assert second.streaks[0].points == 50


def test_points_of_streaks_are_in_the_balance_and_in_the_history_only() -> None:
    milestones = (Milestone(count=1, points=7),)
    streak = StreakDefinition(id="s", events=("e",), title="Fire", milestones=milestones)
    event = fix(title="Login", description="once more")
    award, state = apply(Program([event], [streak]), State(), "e", {}, NOON)
    assert (award.points, state.points) == (10, 17)
    assert award.history == (
        HistoryEntry("event", "e", "Login", "once more", 10, NOON),
        HistoryEntry("streak_milestone", "s", "Fire", "", 7, NOON),
    )


# --- a state outlives its program ----------------------------------------------------------------


def test_a_state_goes_through_json_unchanged() -> None:
    program = Program([fix(max_completions=3)], [STREAK])
    _, state = apply(program, State(), "e", {}, NOON)
    assert msgspec.json.decode(msgspec.json.encode(state), type=State) == state


def test_another_window_period_or_zone_goes_on_from_the_same_state() -> None:
    before = Program([fix(max_completions=1, completion_window="daily")], [STREAK])
    _, state = apply(before, State(), "e", {}, NOON)  # a Wednesday
    weekly = fix(max_completions=1, completion_window="weekly")
    streak = StreakDefinition(id="s", events=("e",), period="weekly")
    after = Program([weekly], [streak], time_zone="Asia/Kolkata")
    award, same = apply(after, state, "e", {}, NOON + 2 * DAY_MS)
    assert (award.points, award.streaks[0].current_count) == (0, 1)
    award, _ = apply(after, same, "e", {}, NOON + 5 * DAY_MS)
    assert (award.points, award.streaks[0].current_count) == (10, 2)


def test_the_step_leaves_its_arguments_alone() -> None:
    program = Program([fix(max_completions=3)], [STREAK])
    _, first = apply(program, State(), "e", {}, NOON)
    kept = msgspec.json.encode(first)
    assert apply(program, first, "e", {}, NOON + DAY_MS) == apply(
        program, first, "e", {}, NOON + DAY_MS
    )
    assert msgspec.json.encode(first) == kept
    assert State() == State(0, {}, {})


# --- the model -----------------------------------------------------------------------------------

BORDERS = [
    ("UTC", "2024-02-29T23:59:59"),
    ("Europe/Berlin", "2024-03-30T23:30"),  # the day of 23 hours
    ("Europe/Berlin", "2026-12-31T22:59"),  # week 53
    ("America/New_York", "2024-11-03T03:59"),  # the day of 25 hours
    ("Asia/Kolkata", "2023-12-31T18:29:59"),  # week 52, then a Monday and a year begin
    ("Pacific/Apia", "2011-12-30T09:59"),  # a minute before a day that never was
    ("America/Sao_Paulo", "2018-11-04T02:59"),  # the day begins at one o'clock
    ("America/Sao_Paulo", "2018-02-18T01:59"),  # 23 o'clock comes twice
]
HOUR_MS = DAY_MS // 24
gaps = st.sampled_from(
    [
        0, 0, 1, 60_000, HOUR_MS, 7 * HOUR_MS, 23 * HOUR_MS, DAY_MS, DAY_MS, 25 * HOUR_MS,
        2 * DAY_MS, 7 * DAY_MS, 15 * DAY_MS, 31 * DAY_MS, -1, -HOUR_MS, -DAY_MS, -8 * DAY_MS,
    ]
)  # fmt: skip
numbers = st.integers(-3, 30) | st.decimals(-3, 30, places=2)
values = numbers | st.sampled_from([True, None, "5", ["5"]])
groups = st.sampled_from(["gold", "none", "default", ["none", "gold"], ["silver", "gold"], 3])
metadata = st.fixed_dictionaries({}, optional={"amount": values, "usergroup": groups})
paid = st.integers(0, 5)


@st.composite
def programs(draw: st.DrawFn) -> tuple[list[EventDefinition], list[StreakDefinition]]:
    events = []
    for event_id in "abc":
        keys: dict[str, Any] = {"id": event_id}
        keys["group_points"] = draw(
            st.dictionaries(st.sampled_from(["gold", "silver", "default"]), paid, max_size=2)
        )
        if draw(st.booleans()):
            keys["max_completions"] = draw(st.integers(1, 3))
            windows = ["daily", "weekly", "monthly", "total", None]
            keys["completion_window"] = draw(st.sampled_from(windows))
        match draw(st.integers(0, 2)):
            case 0:
                events.append(fix(points=draw(paid), **keys))
            case 1:
                minimum = Decimal(draw(numbers))
                events.append(conditional(points=draw(paid), condition_minimum=minimum, **keys))
            case _:
                unit = draw(st.none() | st.decimals("0.01", 12, places=2))
                most = draw(st.none() | st.integers(1, 40))
                events.append(
                    transactional(points_per_unit=draw(paid), unit=unit, max_points=most, **keys)
                )
    streaks = []
    for place, period in enumerate(("daily", "weekly", "monthly")):
        fed_by = draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3))
        counts = draw(st.lists(st.integers(1, 5), unique=True, max_size=3).map(sorted))
        prizes = tuple(Milestone(count=count, points=draw(paid)) for count in counts)
        streaks.append(
            StreakDefinition(id=str(place), events=tuple(fed_by), period=period, milestones=prizes)
        )
    return events, streaks


@given(
    programs(),
    st.sampled_from(BORDERS),
    st.lists(st.tuples(st.sampled_from("abc"), metadata, gaps), min_size=1, max_size=20),
)
@examples(150)
@example(
    ([fix(id="a", max_completions=1, completion_window="daily")],
     [StreakDefinition(id="0", events=("a",), milestones=(Milestone(count=2, points=5),))]),
    ("Pacific/Apia", "2011-12-30T09:59"),
    [("a", {}, 0), ("a", {}, 60_000), ("a", {}, DAY_MS)],
)  # fmt: skip
def test_the_step_and_the_model_judge_a_history_alike(
    definitions: tuple[list[EventDefinition], list[StreakDefinition]],
    border: tuple[str, str],
    happened: list[tuple[str, Metadata, int]],
) -> None:
    events, streaks = definitions
    zone, start = border
    program = Program(events, streaks, time_zone=zone)
    since_start = accumulate(gap for _, _, gap in happened)
    history = [
        Heard(name, sent, at(start) - HOUR_MS + since)
        for (name, sent, _), since in zip(happened, since_start, strict=True)
    ]
    judge(history, events, streaks, zone)
    state = State()
    balance = 0
    for heard in history:
        award, state = apply(program, state, heard.event_id, heard.metadata, heard.at_ms)
        assert award.points == heard.points
        assert [
            (
                each.streak_id,
                each.current_count,
                each.updated_at_ms,
                each.milestone_reached,
                each.points,
            )
            for each in award.streaks
        ] == heard.streaks
        brought = award.points + sum(each.points for each in award.streaks)
        assert sum(entry.points for entry in award.history) == brought
        balance += brought
        assert state.points == balance
