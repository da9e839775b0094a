"""Periods of the calendar in one time zone: days, ISO weeks from Monday, months.

Everything is reckoned in local dates, so neither the length of a day nor the hour at which it
begins matters. Two days are consecutive when the zone has no date between them: Apia went from
29 to 31 December 2011, and nobody there could play on the 30th.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Period = Literal["daily", "weekly", "monthly", "total"]

_DAY = timedelta(days=1)
_WEEK = timedelta(weeks=1)
_NOON = time(12)


class Calendar:
    """The local dates of a zone; a period is known by its first day."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    def day(self, at_ms: int) -> date:
        """Return the local date at ``at_ms``, milliseconds since the epoch (years 2 to 9998)."""
        return datetime.fromtimestamp(at_ms // 1_000, self._zone).date()

    def first_day(self, period: Period, day: date) -> date:
        """Return the first day of the period that ``day`` is in; ``total`` has but one period."""
        match period:
            case "daily":
                return day
            case "weekly":
                return day - day.weekday() * _DAY
            case "monthly":
                return day.replace(day=1)
        return date.min  # total

    def start_ms(self, day: date) -> int:
        """Return when a local day begins, in milliseconds since the epoch."""
        return int(datetime.combine(day, time.min, self._zone).timestamp() * 1_000)

    def previous(self, period: Period, day: date) -> date:
        """Return the first day of the period right before the one that ``day`` is in.

        A streak whose last day is earlier than that is broken. Before ``total`` there is nothing.
        """
        first = self.first_day(period, day)
        match period:
            case "daily":
                return self._day_before(first)
            case "weekly":
                return first - _WEEK
            case "monthly":
                return self.first_day(period, first - _DAY)
        return first  # total

    def follows(self, period: Period, day: date, earlier: date) -> bool:
        """Whether ``day`` is in the period right after the one that ``earlier`` is in."""
        before = self.first_day(period, earlier)
        return period != "total" and self.previous(period, day) == before

    def _day_before(self, day: date) -> date:
        day -= _DAY
        while not self._has(day):
            day -= _DAY
        return day

    def _has(self, day: date) -> bool:
        """Whether the zone has the date: gaps that reach noon are those that swallow a day."""
        noon = datetime.combine(day, _NOON, self._zone)
        return noon.astimezone(UTC).astimezone(self._zone).date() == day
