"""Periods over the odd days of real time zones, compared with a walk through the zone."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.economy.points.periods import (
    Calendar,
    Period,
)
from tests.economy.points.model import (
    key,
    local,
    periods,
)

ZONES = st.sampled_from(
    [
        "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia",
        "America/Sao_Paulo", "America/St_Johns", "Pacific/Kwajalein", "America/Toronto",
        "Pacific/Kiritimati",
    ]
)  # fmt: skip
PERIODS = st.sampled_from(["daily", "weekly", "monthly"])


@given(ZONES, PERIODS, st.integers(0, 2_000_000_000_000), st.integers(-40, 40))
def test_a_period_follows_another_when_the_zone_has_none_between(
    zone: str, period: Period, at_ms: int, days: int
) -> None:
    calendar = Calendar(ZoneInfo(zone))
    day, other = (calendar.day(each) for each in (at_ms, at_ms + days * 86_400_000))
    assert day == local(at_ms, zone)
    numbers = periods(period, zone, at_ms)
    place, other_place = numbers[key(period, day)], numbers[key(period, other)]
    assert calendar.follows(period, other, day) == (other_place == place + 1)
    is_same = calendar.first_day(period, day) == calendar.first_day(period, other)
    assert is_same == (place == other_place)


@pytest.mark.parametrize(
    ("zone", "before", "after"),
    [
        ("Pacific/Apia", "2011-12-29", "2011-12-31"),
        ("Pacific/Kwajalein", "1993-08-20", "1993-08-22"),
        ("America/Sao_Paulo", "2018-11-03", "2018-11-04"),  # begins at one o'clock
        ("America/Toronto", "1919-03-30", "1919-03-31"),  # 23:30 to 0:30
    ],
)
def test_a_date_that_a_zone_never_had_is_not_between_two_days(
    zone: str, before: str, after: str
) -> None:
    calendar = Calendar(ZoneInfo(zone))
    first, second = date.fromisoformat(before), date.fromisoformat(after)
    assert calendar.follows("daily", second, first)
    assert not calendar.follows("daily", first, second)
    assert not calendar.follows("daily", first, first)


def test_the_total_window_has_one_period_for_all_days() -> None:
    calendar = Calendar(ZoneInfo("UTC"))
    days = [date(1970, 1, 1), date(2024, 2, 29), date(9998, 12, 31)]
    assert {calendar.first_day("total", day) for day in days} == {date.min}
    assert not any(calendar.follows("total", day, days[0]) for day in days)


def test_a_moment_before_the_epoch_has_a_day_too() -> None:
    assert Calendar(ZoneInfo("UTC")).day(-1) == date(1969, 12, 31)


@given(ZONES, PERIODS, st.integers(0, 2_000_000_000_000), st.integers(1, 70))
def test_the_previous_period_is_the_one_that_this_one_follows(
    zone: str, period: Period, at_ms: int, days: int
) -> None:
    """A streak is alive whose last day is not before it, and only then can it grow."""
    calendar = Calendar(ZoneInfo(zone))
    today, earlier = (calendar.day(each) for each in (at_ms, at_ms - days * 86_400_000))
    goes_on = calendar.first_day(period, today) == calendar.first_day(period, earlier)
    can_grow = calendar.follows(period, today, earlier)
    assert (earlier >= calendar.previous(period, today)) == (goes_on or can_grow)


def test_nothing_is_before_everything() -> None:
    calendar = Calendar(ZoneInfo("UTC"))
    assert calendar.previous("total", date(2026, 4, 22)) == date.min
    assert not calendar.follows("total", date(2026, 4, 22), date(2026, 4, 21))


@given(ZONES, st.integers(0, 2_000_000_000_000))
def test_a_day_begins_with_its_first_instant(zone: str, at_ms: int) -> None:
    calendar = Calendar(ZoneInfo(zone))
    day = calendar.day(at_ms)
    begins = calendar.start_ms(day)
    assert begins <= at_ms // 1_000 * 1_000 < begins + 25 * 3_600_000
    assert calendar.day(begins) == day
