"""What a game sends to ``POST /event``, and the batch that is kept of it.

A body is decoded by one typed decode in C and a look at each metadata value; what those refuse
is mended (see ``loose``) and goes through ``_examine``, field by field, which names every wrong
field. Numbers with a fraction or an exponent become decimals of the same digits, never floats. The
contract sets no limits but the 10 fields; the others are there because metadata is stored, summed
and counted.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, cast

import msgspec

from playsmart_gateway.dialects.loose import NO_NUL, at_most, decode_loosely, mended
from playsmart_gateway.economy.points.definitions import (
    MAX_ID_LENGTH,
    MAX_NAME_LENGTH,
)
from playsmart_gateway.economy.points.metadata import Value
from playsmart_gateway.errors import Detail, Malformed
from playsmart_gateway.events.batch import LYNES, Batch
from playsmart_gateway.events.row import NO_DATA, PlainRow, encode

MAX_FIELDS = 10
"""Metadata fields of one event, by distinct name; nothing is cut (contract section 6)."""

MAX_STRING_LENGTH = 1_024
"""Characters of a string in metadata, alone or in an array."""

MAX_STRINGS = 100
"""Strings in an array in metadata."""

NUMBER_LIMIT = 10**309
"""Numbers are nearer to 0 than this: every double, and no sum that fills the memory."""

MAX_NUMBER_LENGTH = 1_024
"""Characters of a number; longer ones have digits that count for nothing."""

MAX_DECIMAL_PLACES = 400
"""Digits of a number behind the point; a double as it is usually printed has up to 342."""

_TEXT = {"type": "string", "maxLength": MAX_STRING_LENGTH, **NO_NUL}
_VALUE = {
    "description": f"Numbers are below 1e309, with at most {MAX_DECIMAL_PLACES} decimal places.",
    "anyOf": [
        {"type": ["number", "boolean", "null"]},
        _TEXT,
        {"type": "array", "maxItems": MAX_STRINGS, "items": _TEXT},
    ],
}

Identifier = Annotated[
    str, msgspec.Meta(min_length=1, max_length=MAX_ID_LENGTH, extra_json_schema=NO_NUL)
]
FieldName = Annotated[
    str, msgspec.Meta(min_length=1, max_length=MAX_NAME_LENGTH, extra_json_schema=NO_NUL)
]
FieldValue = Annotated[Any, msgspec.Meta(extra_json_schema=_VALUE)]


class Request(msgspec.Struct, gc=False, rename="camel"):
    """The body of a request; unknown keys are ignored (contract section 11)."""

    event_id: Identifier
    user_id: Identifier
    metadata: Annotated[dict[FieldName, FieldValue], msgspec.Meta(max_length=MAX_FIELDS)] = {}


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = b"-0123456789"
_decode_strings = at_most(MAX_STRINGS, Annotated[str, msgspec.Meta(max_length=MAX_STRING_LENGTH)])
_decode_value = msgspec.json.Decoder(float_hook=Decimal).decode
_encode_data = msgspec.json.Encoder(decimal_format="number").encode


def decode(body: bytes) -> Request:
    """Read a request body; of two members of one name the last counts.

    Raises:
        Malformed: the body breaks the contract; ``details`` has an entry for each wrong field.
    """
    try:
        return _read(body)
    except Malformed:
        well_formed = mended(body)
        if well_formed == body:
            raise
        return _read(well_formed)


def batch(request: Request, *, project: str, received_at_ms: int) -> Batch:
    """Return the one event as a batch of canonical rows; no metadata is null in the row.

    It happened when it was received, because the request does not say when.
    A number keeps its value and its digits; ``1e5`` is written ``1E+5``.
    """
    when = _EPOCH + timedelta(milliseconds=received_at_ms)
    data = msgspec.Raw(_encode_data(request.metadata)) if request.metadata else NO_DATA
    rows = encode([PlainRow(request.event_id, None, when, data)])
    return Batch(LYNES, project, request.user_id, 1, rows, received_at=received_at_ms * 1_000)


def _read_value(raw: msgspec.Raw) -> Value:
    """Return what metadata may hold, decoded; its beginning tells what it is before it costs much.

    Raises ``ValueError`` or ``ArithmeticError``, or what msgspec does, for anything else.
    """
    text = bytes(raw)
    if text.startswith(b"["):
        strings = _decode_strings(text)
        if len(strings) > MAX_STRINGS:
            raise ValueError
        return strings
    if text.startswith(b"{") or (text[0] in _DIGITS and len(text) > MAX_NUMBER_LENGTH):
        raise ValueError
    value: Value = _decode_value(text)
    match value:
        case str() if len(value) > MAX_STRING_LENGTH:
            raise ValueError
        case int() | Decimal() if not -NUMBER_LIMIT < value < NUMBER_LIMIT:
            raise ValueError
        case Decimal():
            places = -cast(int, value.as_tuple().exponent)  # what JSON can say is finite
            if places > MAX_DECIMAL_PLACES:
                raise ValueError
    return value


# ---- Field by field -------------------------------------------------------------------------


_ABSENT = msgspec.Raw(b"null")  # told by identity from a null that was sent


class _LooseRequest(msgspec.Struct, rename="camel"):
    event_id: msgspec.Raw = _ABSENT
    user_id: msgspec.Raw = _ABSENT
    metadata: msgspec.Raw = _ABSENT


_ID_RULE = f"must be a string of 1 to {MAX_ID_LENGTH} characters, none of them NUL"
_METADATA_RULE = "must be a JSON object"
_COUNT_RULE = f"must have at most {MAX_FIELDS} fields"
_NAME_RULE = f"must have field names of 1 to {MAX_NAME_LENGTH} characters, none of them NUL"
_VALUE_RULE = (
    f"must be a string of at most {MAX_STRING_LENGTH:,} characters, none of them NUL, a number "
    f"below 1e309 with at most {MAX_DECIMAL_PLACES} decimal places, a boolean, null, or an array "
    f"of at most {MAX_STRINGS} such strings"
)
_decode_loose_request = msgspec.json.Decoder(_LooseRequest).decode
_decode_string = msgspec.json.Decoder(str).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _read(body: bytes) -> Request:
    loose = decode_loosely(body, _decode_loose_request)
    problems: list[Detail] = []
    event_id = _read_id("eventId", loose.event_id, problems)
    user_id = _read_id("userId", loose.user_id, problems)
    metadata = _read_metadata(loose.metadata, problems)
    if problems:
        path, _, field = problems[0].path.partition(".")  # whose name is the client's
        raise Malformed(
            details=problems, told=f"{path}{'.*' if field else ''} {problems[0].message}"
        )
    return Request(event_id, user_id, metadata)


def _read_id(path: str, raw: msgspec.Raw, problems: list[Detail]) -> str:
    """Return an id, or note in ``problems`` what is wrong with it."""
    if raw is _ABSENT:
        problems.append(Detail(path, "is required"))
        return ""
    try:
        text = _decode_string(raw)
    except msgspec.MsgspecError:
        text = ""
    if not 1 <= len(text) <= MAX_ID_LENGTH or "\0" in text:
        problems.append(Detail(path, _ID_RULE))
    return text


def _read_metadata(raw: msgspec.Raw, problems: list[Detail]) -> dict[str, Value]:
    """Return the metadata, or note in ``problems`` what is wrong, field by field."""
    if raw is _ABSENT:
        return {}
    try:
        fields = _decode_object(raw)
    except msgspec.MsgspecError:
        problems.append(Detail("metadata", _METADATA_RULE))
        return {}
    if len(fields) > MAX_FIELDS:
        problems.append(Detail("metadata", _COUNT_RULE))
        return {}
    if not all(1 <= len(name) <= MAX_NAME_LENGTH and "\0" not in name for name in fields):
        problems.append(Detail("metadata", _NAME_RULE))
        return {}
    metadata = {}
    for name, value in fields.items():
        try:
            metadata[name] = _without_nul(_read_value(value))
        except (msgspec.MsgspecError, ValueError, RecursionError, ArithmeticError):
            problems.append(Detail(f"metadata.{name}", _VALUE_RULE))
    return metadata


def _without_nul(value: Value) -> Value:
    """Databases end a text there: SQLite's JSON functions silently, PostgreSQL with an error."""
    if isinstance(value, str | list) and any("\0" in each for each in value):
        raise ValueError
    return value
