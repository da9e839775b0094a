"""The contract of ``POST /ingest/events`` once more, in plain Python and without the package.

It reads a body as slowly and plainly as possible. Where the contract is silent it follows the
decisions of the dialect: of two members of one name the last counts, ids have 256 characters at
most, no name holds a NUL, half a surrogate pair is no text, customdata nests 500 deep at most.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

TYPES = ("AppOpen", "LevelCompleted", "GameEnd", "AdImpression", "IAPPurchase", "Custom")
MAX_DEPTH = 500

_TIMESTAMP = re.compile(
    r"""
    (?: (?P<calendar> \d{4}-\d\d-\d\d | \d{8} ) | (?P<week> \d{4}-W\d\d-\d | \d{4}W\d{3} ) )
    [Tt ]
    (?P<hour> \d\d )
    (?: (?P<colon> : )? (?P<minute> \d\d )
        (?: (?(colon) : ) (?P<second> \d\d ) (?: [.,] (?P<fraction> \d+ ) )? )? )?
    (?P<offset> [Zz] | (?P<sign> [+-] ) (?P<hours> \d\d ) (?: :? (?P<minutes> \d\d ) )? )
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
    value = json.loads(text, parse_constant=_refuse, parse_int=Number, parse_float=Number)
    _find_surrogates(value, json.loads(text, object_pairs_hook=list, parse_int=Number))
    return value


def read(body: bytes) -> Reading:
    """Say what the contract says about ``body``."""
    try:
        upload = parse(body.decode("utf-8"))
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
    if max(parts["hour"], parts["hours"]) > 23:
        return None
    if max(parts["minute"], parts["second"], parts["minutes"]) > 59:
        return None
    try:
        day = _day(match["calendar"], match["week"])
    except ValueError:
        return None
    offset = (parts["hours"] * 60 + parts["minutes"]) * (-1 if match["sign"] == "-" else 1)
    seconds = ((day - date(1, 1, 1)) // _DAY) * 86_400
    seconds += parts["hour"] * 3600 + (parts["minute"] - offset) * 60 + parts["second"]
    fraction = match["fraction"] or "0"
    instant = seconds + Fraction(int(fraction), 10 ** len(fraction))
    return instant if _FIRST_INSTANT <= instant < _END_OF_TIME else None


_NUMBERS = ("hour", "minute", "second", "hours", "minutes")


def _day(calendar: str | None, week: str | None) -> date:
    if calendar is not None:
        digits = calendar.replace("-", "")
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    assert week is not None
    digits = week.replace("-", "").replace("W", "")
    return date.fromisocalendar(int(digits[:4]), int(digits[4:6]), int(digits[6:]))


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


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _find_surrogates(*values: object) -> None:
    """Raise ``ValueError`` when a text in ``values`` holds half a surrogate pair."""
    rest = list(values)
    while rest:
        each = rest.pop()
        if isinstance(each, str):
            each.encode("utf-8")
        elif isinstance(each, list | tuple):
            rest += each
        elif isinstance(each, dict):
            rest += [*each.keys(), *each.values()]
