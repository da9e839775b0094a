"""Date-times of ISO 8601 in text, as clients of all kinds write them.

msgspec knows RFC 3339 only, and what ``datetime.fromisoformat`` knows depends on Python's version.
"""

import re
from datetime import UTC, date, datetime, timedelta

_DATE_TIME = re.compile(
    r"""
    (?P<date> \d{4}-\d\d-\d\d | \d{8} | \d{4}-W\d\d-\d | \d{4}W\d{3} | \d{4}-\d{3} | \d{7} )
    [Tt ]
    (?P<hour> \d\d )
    (?: (?P<colon> : )? (?P<minute> \d\d )
        (?: (?(colon) : ) (?P<second> \d\d ) (?: [.,] (?P<fraction> \d+ ) )? )? )?
    (?: [Zz] | (?P<sign> [+\-\u2212] ) (?P<hours> \d\d ) (?: :? (?P<minutes> \d\d ) )? )
    """,
    re.ASCII | re.VERBOSE,
)


def read_date_time(text: str) -> datetime:
    """Return the instant, in UTC, that a date-time with an explicit offset names.

    Dates by month, week or day of the year, with dashes or without; digits behind the microsecond
    are cut off. ``24:00`` begins the next day, and so does a leap second, which no clock of ours
    can tell: ``23:59:60`` in UTC. The minus of an offset may be U+2212.

    Raises:
        ValueError: the text is none.
        OverflowError: its instant, in UTC, is not in the years 1 to 9999.
    """
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise ValueError
    hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
    microsecond = int((match["fraction"] or "")[:6].ljust(6, "0"))
    ends_day = hour == 24 and not (minute or second or (match["fraction"] or "").strip("0"))
    if (hour > 23 and not ends_day) or minute > 59 or second > 60:
        raise ValueError
    since_midnight = timedelta(hours=hour, minutes=minute, seconds=second)
    midnight = datetime.combine(_day(match["date"]), datetime.min.time(), UTC)
    when = midnight + (since_midnight - _offset(match))
    if second == 60 and (when.hour, when.minute, when.second) != (0, 0, 0):
        raise ValueError
    return when.replace(microsecond=microsecond)


def _day(text: str) -> date:
    digits = text.replace("-", "")
    year = int(digits[:4])
    if digits[4] == "W":
        return date.fromisocalendar(year, int(digits[5:7]), int(digits[7]))
    if len(digits) == len("2026112"):
        first = date(year, 1, 1)
        day_of_year = int(digits[4:])
        if not 1 <= day_of_year <= 366:
            raise ValueError
        day = date.fromordinal(first.toordinal() + day_of_year - 1)
        if day.year != year:
            raise ValueError
        return day
    return date(year, int(digits[4:6]), int(digits[6:]))


def _offset(match: re.Match[str]) -> timedelta:
    hours, minutes = int(match["hours"] or 0), int(match["minutes"] or 0)
    if hours > 23 or minutes > 59:
        raise ValueError
    offset = timedelta(hours=hours, minutes=minutes)
    return offset if match["sign"] == "+" else -offset
