"""The contract of ``POST /ingest/events`` once more, in plain Python and without the package.

It reads a body as slowly and plainly as possible. Where the contract is silent it follows the
decisions of the dialect: of two members of one name the last counts, ids have 256 characters at
most, no name holds a NUL, half a surrogate pair is U+FFFD, customdata nests 500 deep at most.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, NoReturn

TYPES = ("AppOpen", "LevelCompleted", "GameEnd", "AdImpression", "IAPPurchase", "Custom")
MAX_DEPTH = 500

_TIMESTAMP = re.compile(
    r"""
    (?: (?P<calendar> \d{4}-\d\d-\d\d | \d{8} ) | (?P<week> \d{4}-W\d\d-\d | \d{4}W\d{3} )
      | (?P<ordinal> \d{4}-?\d{3} ) )
    [Tt ]
    (?P<hour> \d\d )
    (?: (?P<colon> : )? (?P<minute> \d\d )
        (?: (?(colon) : ) (?P<second> \d\d ) (?: [.,] (?P<fraction> \d+ ) )? )? )?
    (?P<offset> [Zz] | (?P<sign> [+\u2212-] ) (?P<hours> \d\d ) (?: :? (?P<minutes> \d\d ) )? )
    """,
    re.ASCII | re.VERBOSE,
)
_DAY = timedelta(days=1)
_FIRST_INSTANT = Fraction(0)
_END_OF_TIME = Fraction((date(9999, 12, 31) - date(1, 1, 1)) // _DAY + 1) * 86_400


@dataclass(frozen=True)
class Number:
    """A number, as it was written: ``1.0``, ``1`` and ``1e0`` are three."""

    text: str


@dataclass
class Row:
    """What must be kept of an event; ``instant`` is in seconds since the year 1 began, in UTC."""

    type: str
    name: str | None
    instant: Fraction
    customdata: Any


@dataclass
class Reading:
    """What the contract says about a body: where it is ``wrong``, or else what it holds."""

    wrong: set[str] = field(default_factory=set)
    user_id: str = ""
    game_id: str = ""
    rows: list[Row] = field(default_factory=list)

    @property
    def is_valid(self) -> bool:
        return not self.wrong


def parse(text: str) -> Any:
    """Read JSON (RFC 8259), numbers as they are written. Raises ``ValueError``."""
    text = well_formed(text)
    return json.loads(text, parse_constant=_refuse, parse_int=Number, parse_float=Number)


def well_formed(text: str) -> str:
    """Write each string of a JSON text anew, with U+FFFD for what UTF-16 cannot say."""

    def mend(literal: re.Match[str]) -> str:
        try:
            units = json.loads(literal[0]).encode("utf-16-le", "surrogatepass")
        except ValueError:
            return literal[0]
        return json.dumps(units.decode("utf-16-le", "replace"))

    return re.sub(r'"(?:[^"\\]|\\.)*"', mend, text)


def read(body: bytes) -> Reading:
    """Say what the contract says about ``body``."""
    try:
        upload = parse(body.decode("utf-8").lstrip("\ufeff"))
    except ValueError:
        return Reading({""})
    if not isinstance(upload, dict):
        return Reading({""})
    reading = Reading()
    for name in ("user_id", "game_id"):
        value = upload.get(name)
        if not (isinstance(value, str) and 1 <= len(value) <= 256 and "\0" not in value):
            reading.wrong.add(name)
    events = upload.get("events")
    if isinstance(events, list) and 1 <= len(events) <= 200:
        for place, event in enumerate(events):
            _read_event(f"events.{place}", event, reading)
    else:
        reading.wrong.add("events")
    if reading.is_valid:
        reading.user_id, reading.game_id = upload["user_id"], upload["game_id"]
    return reading


def read_timestamp(text: object) -> Fraction | None:
    """Return the instant that an ISO 8601 date-time with an offset names, in seconds."""
    if not isinstance(text, str) or not (match := _TIMESTAMP.fullmatch(text)):
        return None
    parts = {name: int(value or 0) for name, value in match.groupdict().items() if name in _NUMBERS}
    fraction = Fraction(int(match["fraction"] or "0"), 10 ** len(match["fraction"] or ""))
    minutes = parts["hour"] * 60 + parts["minute"]
    if parts["hour"] > 23 and (minutes, parts["second"], fraction) != (24 * 60, 0, Fraction(0)):
        return None
    if max(parts["minute"], parts["minutes"]) > 59 or parts["second"] > 60 or parts["hours"] > 23:
        return None
    try:
        day = _day(match["calendar"], match["week"], match["ordinal"])
    except ValueError:
        return None
    offset = (parts["hours"] * 60 + parts["minutes"]) * (1 if match["sign"] == "+" else -1)
    seconds = ((day - date(1, 1, 1)) // _DAY) * 86_400
    seconds += parts["hour"] * 3600 + (parts["minute"] - offset) * 60 + parts["second"]
    if parts["second"] == 60 and seconds % 86_400:
        return None
    instant = seconds + Fraction(fraction * 1_000_000 // 1, 1_000_000)
    return instant if _FIRST_INSTANT <= instant < _END_OF_TIME else None


_NUMBERS = ("hour", "minute", "second", "hours", "minutes")


def _day(calendar: str | None, week: str | None, ordinal: str | None) -> date:
    if ordinal is not None:
        year, number = int(ordinal[:4]), int(ordinal[-3:])
        days = [date(year, 1, 1) + _DAY * place for place in range(365)]
        if is_leap_year(year):
            days.append(date(year, 12, 31))
        return dict(enumerate(days, 1)).get(number) or _refuse(ordinal)
    if calendar is not None:
        digits = calendar.replace("-", "")
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    assert week is not None
    digits = week.replace("-", "").replace("W", "")
    return date.fromisocalendar(int(digits[:4]), int(digits[4:6]), int(digits[6:]))


def is_leap_year(year: int) -> bool:
    """Whether the year has 366 days."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _read_event(path: str, event: object, reading: Reading) -> None:
    if not isinstance(event, dict):
        reading.wrong.add(path)
        return
    wrong = set()
    if event.get("type") not in TYPES:
        wrong.add("type")
    instant = read_timestamp(event.get("timestamp"))
    if instant is None:
        wrong.add("timestamp")
    name = event.get("customEventName") if event.get("type") == "Custom" else None
    if event.get("type") == "Custom" and not (isinstance(name, str) and name and "\0" not in name):
        wrong.add("customEventName")
    customdata = event.get("customdata", {})
    if not isinstance(customdata, dict) or depth(customdata) > MAX_DEPTH:
        wrong.add("customdata")
    reading.wrong |= {f"{path}.{each}" for each in wrong}
    if instant is not None and not wrong:
        reading.rows.append(Row(event["type"], name, instant, event.get("customdata")))


def depth(value: object) -> int:
    """How many objects and arrays are around the innermost value."""
    deepest, rest = 0, [(value, 1)]
    while rest:
        each, level = rest.pop()
        if isinstance(each, dict | list):
            deepest = max(deepest, level)
            rest += [
                (inner, level + 1) for inner in (each.values() if isinstance(each, dict) else each)
            ]
    return deepest


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)
