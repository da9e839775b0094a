"""Times and ages on the command line: 24h, today, 2026-04-22, 2026-04-22T14:30Z.

All without an offset is UTC. A number with a unit is so long ago, or from now where only what is
yet to come makes sense.
"""

import contextlib
import re
import time
import zoneinfo
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

import click
from click.shell_completion import CompletionItem
from typing_extensions import override

from playsmart_gateway.cli.grouping import near
from playsmart_gateway.dialects.iso8601 import read_date_time

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGE = re.compile(r"([0-9]{1,9})([smhdw])")
_DAYS_AGO = {"today": 0, "yesterday": 1}

Clock = Callable[[], float]


def _seconds(text: str) -> int | None:
    found = _AGE.fullmatch(text)
    return int(found[1]) * UNITS[found[2]] if found else None


class Duration(click.ParamType[int]):
    """A whole number with a unit, such as ``90s``, ``1h`` or ``30d``; converts to seconds."""

    name = "duration"

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return seconds."""
        if isinstance(value, int):
            return value
        if (seconds := _seconds(value)) is None:
            self.fail(
                f"{value!r} needs a number and a unit, such as 90s, 15m, 1h, 30d or 2w", param, ctx
            )
        return seconds


class Instant(click.ParamType[datetime]):
    """A moment, in UTC unless it has an offset; ``ahead``: an age is one from now on."""

    name = "time"

    def __init__(self, *, ahead: bool = False, clock: Clock = time.time) -> None:
        self._sign = 1 if ahead else -1
        self._clock = clock

    @override
    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return an instant in UTC."""
        if isinstance(value, datetime):
            return value
        try:
            found = self._of_words(value.strip().lower())
        except OverflowError:
            self.fail(f"{value!r} is beyond the years 1 to 9999", param, ctx)
        for text in (value, f"{value}Z", f"{value}T00:00Z") if found is None else ():
            with contextlib.suppress(ValueError, OverflowError):
                found = read_date_time(text)
        if found is None:
            span = "24h or 7d (from now)" if self._sign > 0 else "24h or 7d (ago)"
            forms = f"{span}, today, yesterday, 2026-04-22 or 2026-04-22T14:30Z"
            self.fail(f"{value!r} is no time: give {forms}, UTC without an offset", param, ctx)
        return found

    def _of_words(self, text: str) -> datetime | None:
        now = datetime.fromtimestamp(self._clock(), UTC)
        if text == "now":
            return now
        if text in _DAYS_AGO:
            midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
            return midnight - timedelta(days=_DAYS_AGO[text])
        seconds = _seconds(text)
        return None if seconds is None else now + self._sign * timedelta(seconds=seconds)


class Day(click.ParamType[date]):
    """A day: a ``date`` as it is written, or an instant, of which ``day_in`` tells the day."""

    name = "day"

    def __init__(self, *, clock: Clock = time.time) -> None:
        self._clock = clock

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Return a date, or the instant so long ago."""
        if isinstance(value, date):
            return value
        text = value.strip().lower()
        seconds = 86_400 * _DAYS_AGO[text] if text in _DAYS_AGO else _seconds(text)
        try:
            if seconds is not None:
                return datetime.fromtimestamp(self._clock(), UTC) - timedelta(seconds=seconds)
            return date.fromisoformat(value)
        except OverflowError:
            self.fail(f"{value!r} is beyond the years 1 to 9999", param, ctx)
        except ValueError:
            forms = "2026-04-22, today, yesterday or 7d (ago)"
            self.fail(f"{value!r} is no day: give {forms}", param, ctx)


class Zone(click.ParamType[str]):
    """The name of a time zone, such as ``Asia/Tokyo``."""

    name = "zone"

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, if there is such a zone."""
        try:
            return zoneinfo.ZoneInfo(value).key
        except (ValueError, KeyError, OSError):
            meant = near(value, zoneinfo.available_timezones(), listed=False)
            self.fail(f"{value!r} is no time zone that is known here.{meant}", param, ctx)

    @override
    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        zones = sorted(zoneinfo.available_timezones())
        return [CompletionItem(each) for each in zones if each.startswith(incomplete)]


def day_in(zone: tzinfo, day: date) -> date:
    """Return the day that was meant, in the days of ``zone``."""
    return day.astimezone(zone).date() if isinstance(day, datetime) else day


def days_between(
    zone: tzinfo,
    first: date | None,
    last: date | None,
    since: datetime | None,
    until: datetime | None,
) -> tuple[date | None, date | None]:
    """Return the first and the last day of ``zone`` that are meant, said by days or by instants.

    Raises:
        click.UsageError: one of them is said twice, or the last comes before the first.
    """
    if (first and since) or (last and until):
        raise click.UsageError("say --from or --since, and --to or --until")
    require_order(since, until)
    begin = first or since
    begins = day_in(zone, begin) if begin else None
    ends = until - timedelta(microseconds=1) if until else last
    ended = day_in(zone, ends) if ends else None
    if begins is not None and ended is not None and ended < begins:
        raise click.UsageError(f"there is no day from {begins} to {ended}")
    return begins, ended


def as_printed(when: datetime | None) -> str | None:
    """Return an instant as stores print it, which sorts."""
    return None if when is None else f"{when.isoformat(timespec='microseconds')[:26]}Z"


def require_order(since: datetime | date | None, until: datetime | date | None) -> None:
    """Refuse a span of time that has nothing in it.

    Raises:
        click.UsageError: it ends before it begins.
    """
    if since is not None and until is not None and since >= until:
        raise click.UsageError(f"there is no time from --since {since} until --until {until}")
