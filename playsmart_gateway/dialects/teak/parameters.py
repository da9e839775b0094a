"""The rules that the parameters of all Teak endpoints share, and an examiner that collects errors.

Null counts as absent, and so does a text of nothing but white space: forms cannot leave a value
out. An id may be a JSON number and is then what a form would carry; 7, 7.0 and "7" are one player.
Booleans are no ids: libraries put them into forms in several ways.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

import msgspec

from playsmart_gateway.dialects.teak.deep_links import MAX_LINK_LENGTH
from playsmart_gateway.dialects.teak.geo import (
    COUNTRIES,
    TIME_ZONES,
    is_country_code,
)
from playsmart_gateway.errors import Detail, Malformed

NULL = msgspec.Raw(b"null")
"""What an absent parameter is read as."""

UNREADABLE = (msgspec.MsgspecError, RecursionError)
"""What msgspec raises; how deep it can nest depends on who calls it."""

MAX_TEXT_LENGTH = 256
"""Characters of an id or any other short text, and digits of a number; the contract sets none."""

MAX_EMAIL_LENGTH = 512
"""Characters of an email; none that is in use has more than 254 (RFC 5321 section 4.5.3.1.3)."""

MAX_COUNT = 2**63 - 1
"""Largest ``event_count``; databases count in signed 64 bits."""

ShortText = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_LENGTH)]
Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT_LENGTH)]
Errors = dict[str, list[str]]

# What an examiner reads, as those see it who read the schema.
_BLANK = r"\t-\r\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_TEXT = {"type": ["string", "null"], "maxLength": MAX_TEXT_LENGTH, "pattern": r"^[^\u0000]*$"}
_NAME = {**_TEXT, "type": ["string", "number", "null"]}
BLANK_TEXT = {"type": "string", "pattern": rf"^[{_BLANK}]*$"}
PRESENT = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_TEXT_LENGTH,
    "pattern": rf"^[^\u0000]*[^\u0000{_BLANK}][^\u0000]*$",
}
PRESENT_NAME = {**PRESENT, "type": ["string", "number"]}
_EMAIL = {
    "anyOf": [
        {"type": "string", "maxLength": MAX_EMAIL_LENGTH, "pattern": r"^[^\u0000]*@[^\u0000]*$"},
        BLANK_TEXT,
        {"type": "null"},
    ]
}
_NUMBER = {
    "anyOf": [
        {"type": "number"},
        {"type": "string", "pattern": "^-?(0|[1-9][0-9]{0,99})([.][0-9]{1,100})?$"},
        BLANK_TEXT,
        {"type": "null"},
    ]
}
_COUNT = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": MAX_COUNT},
        {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"},
        BLANK_TEXT,
        {"type": "null"},
    ]
}
Text = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema=_TEXT)]
LongText = Annotated[
    msgspec.Raw, msgspec.Meta(extra_json_schema={**_TEXT, "maxLength": MAX_LINK_LENGTH})
]
Email = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema=_EMAIL)]
Name = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema=_NAME)]
PresentName = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema=PRESENT_NAME)]
Number = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema=_NUMBER)]
Count = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema=_COUNT)]
COUNTRY = {"enum": [None, "", *sorted(COUNTRIES)]}
TimeZone = Annotated[
    msgspec.Raw, msgspec.Meta(extra_json_schema={"enum": [None, "", *sorted(TIME_ZONES)]})
]

_is_number = re.compile(rb"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?").fullmatch
_is_plain_count = re.compile(rb"[1-9][0-9]{0,17}").fullmatch
_NULL_TEXT = bytes(NULL)
_QUOTE = ord('"')
_decode_text = msgspec.json.Decoder(str).decode


def read_number(raw: msgspec.Raw) -> msgspec.Raw | None:
    """Return a JSON number, or a JSON string that holds one, as the number, digit for digit.

    None when it is neither, longer than ``MAX_TEXT_LENGTH``, or has an exponent of more than four
    digits: PostgreSQL's numbers end between there and five. ``raw`` is one JSON value.
    """
    text = bytes(raw)
    if text.isdigit() and len(text) <= MAX_TEXT_LENGTH:  # most are, and JSON saw to the rest
        return raw
    if text[0] == _QUOTE:
        text = _decode_text(text).encode()
        raw = msgspec.Raw(text)
    return raw if len(text) <= MAX_TEXT_LENGTH and _is_number(text) else None


def read_count(number: msgspec.Raw) -> msgspec.Raw | None:
    """Return a number as digits alone (1.0 and 1e0 are 1), None unless it is 1 to ``MAX_COUNT``."""
    text = bytes(number)
    if _is_plain_count(text):
        return number
    count = Decimal(text.decode())
    if not 1 <= count <= MAX_COUNT or count != count.to_integral_value():
        return None
    return msgspec.Raw(b"%d" % int(count))


def is_blank(raw: msgspec.Raw) -> bool:
    """Whether a JSON value is a text of nothing but white space."""
    return bytes(raw)[0] == _QUOTE and not _decode_text(raw).strip()


def read_name(raw: msgspec.Raw) -> str | None:
    """Return a JSON string, or a JSON number as digits: 7.0 as 7, 7.5 as it is; else None.

    ``raw`` is one JSON value.
    """
    text = bytes(raw)
    if text[0] == _QUOTE:
        return _decode_text(raw)
    if _is_number(text) is None:
        return None
    number = Decimal(text.decode())
    is_whole = number.adjusted() <= MAX_TEXT_LENGTH and number == number.to_integral_value()
    return str(int(number)) if is_whole else text.decode()


def grouped(details: Sequence[Detail]) -> Errors:
    """Return messages by parameter, as the contract shows them."""
    errors: Errors = {}
    for detail in details:
        errors.setdefault(detail.path, []).append(detail.message)
    return errors


class Examiner:
    """Reads parameters one by one and collects what is wrong with them in ``problems``."""

    def __init__(self) -> None:
        self.problems: list[Detail] = []

    def refuse(self, name: str, message: str) -> None:
        """Note that a parameter is wrong."""
        self.problems.append(Detail(name, message))

    def text(
        self,
        name: str,
        raw: msgspec.Raw,
        *,
        max_length: int = MAX_TEXT_LENGTH,
    ) -> str:
        """Return a text; empty when it is absent, blank or wrong."""
        if bytes(raw) == _NULL_TEXT:
            return ""
        try:
            return self._checked(name, _decode_text(raw), max_length)
        except msgspec.MsgspecError:
            self.refuse(name, "must be a string")
            return ""

    def name(self, name: str, raw: msgspec.Raw, *, required: bool = False) -> str:
        """Return an id, see ``read_name``; empty when it is absent, blank or wrong."""
        problems = len(self.problems)
        text = "" if bytes(raw) == _NULL_TEXT else read_name(raw)
        if text is None:
            self.refuse(name, "must be a string")
            return ""
        text = self._checked(name, text, MAX_TEXT_LENGTH)
        if required and not text and len(self.problems) == problems:
            self.refuse(name, "must be present")
        return text

    def _checked(self, name: str, text: str, max_length: int) -> str:
        if not text or text.isspace():
            return ""
        if len(text) > max_length:
            self.refuse(name, f"must be at most {max_length} characters")
            return ""
        if "\0" in text:  # databases end a text there
            self.refuse(name, "must not contain NUL")
            return ""
        return text

    def number(self, name: str, raw: msgspec.Raw, default: msgspec.Raw) -> msgspec.Raw:
        """Return a number as it was written, ``default`` when it is absent, blank or wrong."""
        if bytes(raw) == _NULL_TEXT or is_blank(raw):
            return default
        number = read_number(raw)
        if number is None:
            self.refuse(name, "must be a number")
        return number or default

    def count(self, name: str, raw: msgspec.Raw, default: msgspec.Raw) -> msgspec.Raw:
        """Return an integer of 1 or more, ``default`` when it is absent or wrong."""
        problems = len(self.problems)
        number = self.number(name, raw, default)
        count = read_count(number)
        if count is None and len(self.problems) == problems:
            self.refuse(name, f"must be an integer from 1 to {MAX_COUNT}")
        return count or default

    def place(self, client_ip: msgspec.Raw, country_code: msgspec.Raw) -> tuple[str, str]:
        """Return ``client_ip`` and ``country_code``, the latter as it was written; empty if absent.

        A code beside an address is not used, and not even looked at.
        """
        address = self.text("client_ip", client_ip)
        code = "" if address else self.text("country_code", country_code)
        if code and not is_country_code(code):
            self.refuse("country_code", "is not a recognized ISO country code")
        return address, code

    def finish(self) -> None:
        """Raise ``Malformed`` with all that was noted, if anything was."""
        if self.problems:
            names = dict.fromkeys(each.path for each in self.problems)  # a text may quote a value
            raise Malformed(details=self.problems, told=f"wrong are {', '.join(names)}")
