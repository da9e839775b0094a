"""Days, weeks and months of a time zone: whatever its clocks do, an instant is in the right one."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from playsmart_gateway.questions.asked import PeriodName, Report, place
from tests.support.examples import examples

ZONES = (
    "UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "America/Havana",
    "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca",
)  # fmt: skip
PERIODS: tuple[PeriodName, ...] = ("day", "week", "month")
SECONDS_OF_A_WEEK = 7 * 86_400


def begin(day: date, period: PeriodName) -> date:
    """By the calendar's own words, not by arithmetic."""
    if period == "week":
        year, week, _ = day.isocalendar()
        return date.fromisocalendar(year, week, 1)
    return date(day.year, day.month, 1) if period == "month" else day


def stored(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


@examples(600)
@given(
    zone=st.sampled_from(ZONES),
    period=st.sampled_from(PERIODS),
    when=st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    before=st.integers(0, 30),
    after=st.integers(0, 30),
)
# Midnight that is skipped, an hour that comes twice behind midnight, a day that never was.
@example("America/Sao_Paulo", "day", datetime(2017, 10, 15, 3, tzinfo=UTC), 1, 1)
@example("America/Havana", "day", datetime(2025, 11, 2, 4, 30, tzinfo=UTC), 1, 1)
@example("America/Havana", "week", datetime(2025, 11, 2, 5, 30, tzinfo=UTC), 0, 0)
@example("Pacific/Apia", "day", datetime(2011, 12, 30, 9, 59, 59, tzinfo=UTC), 2, 2)
@example("Pacific/Apia", "day", datetime(2011, 12, 30, 10, tzinfo=UTC), 2, 2)
@example("Europe/Berlin", "month", datetime(2026, 3, 31, 22, tzinfo=UTC), 9, 0)
def test_an_instant_is_in_the_period_of_its_local_day(
    zone: str, period: PeriodName, when: datetime, before: int, after: int
) -> None:
    local = when.astimezone(ZoneInfo(zone)).date()
    span = Report(
        first=local - timedelta(days=before), last=local + timedelta(days=after), period=period,
        zone=zone,
    )  # fmt: skip
    n = place(span.moments, stored(when))
    assert n is not None
    assert span.days[n] == begin(local, period)
    day = place(span.day_moments, stored(when))
    assert day is not None
    assert span.days[0] + timedelta(days=day) == local
    assert span.period_of[day] == n


@examples(300)
@given(
    zone=st.sampled_from(ZONES),
    period=st.sampled_from(PERIODS),
    first=st.dates(date(2010, 1, 1), date(2030, 1, 1)),
    length=st.integers(0, 100),
)
def test_periods_are_whole_and_nothing_is_between_them(
    zone: str, period: PeriodName, first: date, length: int
) -> None:
    last = first + timedelta(days=length)
    span = Report(first=first, last=last, period=period, zone=zone)
    assert span.days[0] == begin(first, period)
    assert begin(last, period) == span.days[-2]
    assert all(begin(day, period) == day for day in span.days)
    assert all(begin(b - timedelta(days=1), period) == a for a, b in pairwise(span.days))
    assert span.moments == sorted(span.moments)
    begins = [datetime.fromisoformat(each) for each in span.moments]
    if period == "week":
        for a, b in pairwise(begins):
            # A clock is moved by an hour, or half of one; one island left out a day.
            off = abs((b - a).total_seconds() - SECONDS_OF_A_WEEK)
            assert off <= 3600 or zone == "Pacific/Apia"
    before = span.before
    assert before.days[-1] == span.days[0]
    assert len(before.days) == len(span.days)
