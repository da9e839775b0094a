"""The parameters of a query: numbers, days, instants. A wrong one is refused by its name.

Of a parameter that is given twice the last counts, as in a form and in JSON; only a list takes all.
"""

import re
from datetime import UTC, date, datetime, timedelta

from starlette.requests import Request

from playsmart_gateway.dialects.iso8601 import read_date_time
from playsmart_gateway.dialects.lynes.reply import WRONG_QUERY
from playsmart_gateway.economy.points.periods import Calendar
from playsmart_gateway.errors import Detail, Malformed

MAX_MS = 253_402_300_799_999
"""The end of the year 9999."""

MIN_NUMBER, MAX_NUMBER = -(2**63), 2**63 - 1
"""What clients can call milliseconds; what is beyond the years is cut to them."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_SPACED_OFFSET = re.compile(r" (?=\d\d(:?\d\d)?$)", re.ASCII)
_is_number = re.compile(r"-?\d{1,19}", re.ASCII).fullmatch


def wrong(name: str, rule: str) -> Malformed:
    """Return the refusal of a parameter that breaks ``rule``."""
    problem = Detail(name, rule)
    return Malformed(WRONG_QUERY, details=[problem], cause="query", told=problem.text)


def number(request: Request, name: str, default: int, least: int, most: int) -> int:
    """Return a number of at most nine digits."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= 9 and least <= int(text) <= most:
        return int(text)
    raise wrong(name, f"must be a number, {least:,} to {most:,}")


def day(request: Request, name: str, default: date) -> date:
    """Return a day."""
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        return _day(text)
    except ValueError:
        raise wrong(name, "must be a day, YYYY-MM-DD") from None


def listed(request: Request, name: str, default: str) -> list[str]:
    """Return a list, written with commas or by giving the parameter several times."""
    return ",".join(request.query_params.getlist(name) or [default]).split(",")


def instant(request: Request, name: str, default: int, calendar: Calendar) -> int:
    """Return an instant in milliseconds since the epoch.

    A local day stands for its first one, or for its last one if the parameter is ``to``. What is
    before 1970 or behind the year 9999 is the nearest instant that is not: clients say "since
    ever" and "for ever" by the first and last date that they know.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        return min(max(_instant(text, calendar, is_end=name == "to"), 0), MAX_MS)
    except ValueError:
        rule = "must be milliseconds since 1970, YYYY-MM-DD, or ISO 8601 with an offset"
        raise wrong(name, rule) from None


def _instant(text: str, calendar: Calendar, *, is_end: bool) -> int:
    if _is_number(text):
        if not MIN_NUMBER <= int(text) <= MAX_NUMBER:
            raise ValueError
        return int(text)
    if len(text) == len("2026-04-22"):
        first = _day(text)
        if first == date.max and is_end:
            return MAX_MS
        return calendar.start_ms(first + timedelta(days=is_end)) - is_end
    text = _SPACED_OFFSET.sub("+", text)  # a plus in a query is a space
    try:
        return (read_date_time(text) - _EPOCH) // _MILLISECOND
    except OverflowError:  # the first or last date that a client knows, in its own time zone
        return MAX_MS if text.startswith("9") else 0


def _day(text: str) -> date:
    """Read ``YYYY-MM-DD``; Python alone reads week dates and dates without dashes too."""
    if len(text) != len("2026-04-22"):
        raise ValueError
    return date.fromisoformat(text)
