"""The parameters of a query: numbers, days, instants. A wrong one is refused by its name."""

from datetime import date, datetime, timedelta

from starlette.requests import Request

from playsmart_gateway.errors import Detail, Malformed
from playsmart_gateway.loyalty.periods import Calendar

WRONG_QUERY = "Invalid query"

MAX_MS = 253_402_300_799_999
"""The end of the year 9999."""


def wrong(name: str, rule: str) -> Malformed:
    """Return the refusal of a parameter that breaks ``rule``."""
    return Malformed(WRONG_QUERY, details=[Detail(name, rule)])


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


def instant(request: Request, name: str, default: int, calendar: Calendar) -> int:
    """Return an instant in milliseconds since the epoch.

    A local day stands for its first one, or for its last one if the parameter is ``to``.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        return _instant(text, calendar, is_end=name == "to")
    except (ValueError, OverflowError):
        rule = "must be milliseconds since 1970, YYYY-MM-DD, or ISO 8601 with an offset"
        raise wrong(name, rule) from None


def _instant(text: str, calendar: Calendar, *, is_end: bool) -> int:
    if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_MS)):
        when = int(text)
    elif len(text) == len("2026-04-22"):
        first = _day(text)
        when = calendar.start_ms(first + timedelta(days=is_end)) - is_end
    else:
        moment = datetime.fromisoformat(text.replace(" ", "+"))  # a plus in a query is a space
        if moment.tzinfo is None:
            raise ValueError
        when = int(moment.timestamp() * 1_000)
    if when > MAX_MS:
        raise ValueError
    return when


def _day(text: str) -> date:
    """Read ``YYYY-MM-DD``; Python alone reads week dates and dates without dashes too."""
    if len(text) != len("2026-04-22"):
        raise ValueError
    return date.fromisoformat(text)
