"""The parameters of player_properties: what a game's server knows about a player."""

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Annotated, Literal, NamedTuple

import msgspec

from playsmart_gateway.dialects.teak.parameters import (
    NULL,
    UNREADABLE,
    Examiner,
    PresentName,
    is_blank,
    read_number,
)

Kind = Literal["string", "number"]
Value = str | Decimal

MAX_OF_EACH_KIND = 128
"""Properties of one kind that a game may have (contract section 7)."""

MAX_STRING_LENGTH = 16_384
MAX_NUMBER = Decimal("999999999999999999999999999.999999999")

_MAX_PROPERTIES = 2 * MAX_OF_EACH_KIND
_SMALLEST_STEP = Decimal("0.000000001")
_exact = Context(prec=64, rounding=ROUND_HALF_UP)


class PlayerProperties(NamedTuple):
    """A valid request: values by name, and the names that the game has not configured.

    Numbers are as they were written, without exponents, and rounded to nine decimals.
    """

    user_id: str
    values: dict[str, Value]
    unknown: list[str]


class PropertyParameters(msgspec.Struct):
    """A request as it may be sent."""

    user_id: PresentName = NULL
    properties: Annotated[
        msgspec.Raw,
        msgspec.Meta(extra_json_schema={"type": "object", "maxProperties": _MAX_PROPERTIES}),
    ] = NULL


_decode = msgspec.json.Decoder(PropertyParameters).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_map = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def decode_properties(fields: bytes, kinds: Mapping[str, Kind]) -> PlayerProperties:
    """Read the request in ``fields``, see ``Body.fields``; ``kinds`` are the configured ones.

    Raises:
        Malformed: ``details`` has everything that is wrong with it.
    """
    try:
        sent = _decode(fields)
    except UNREADABLE:
        sent = PropertyParameters()
    examiner = Examiner()
    user_id = examiner.name("user_id", sent.user_id, required=True)
    properties: dict[str, msgspec.Raw] | None
    try:
        properties = _decode_map(sent.properties)
    except UNREADABLE:
        properties = None
    if properties is None or len(properties) > _MAX_PROPERTIES:
        examiner.refuse("properties", f"must be a map of at most {_MAX_PROPERTIES} properties")
        properties = {}
    values: dict[str, Value] = {}
    unknown: list[str] = []
    for name, raw in properties.items():
        kind = kinds.get(name)
        if kind is None:
            unknown.append(name)
        elif kind == "number" and is_blank(raw):
            continue  # a form could not leave it out
        elif (value := _READERS[kind](raw)) is None:
            examiner.refuse("properties", f"{name} {_RULES[kind]}")
        else:
            values[name] = value
    examiner.finish()
    return PlayerProperties(user_id, values, unknown)


def _string(raw: msgspec.Raw) -> str | None:
    try:
        text = _decode_text(raw)
    except msgspec.MsgspecError:
        return None
    return text if len(text) <= MAX_STRING_LENGTH and "\0" not in text else None


def _number(raw: msgspec.Raw) -> Decimal | None:
    sent = read_number(raw)
    if sent is None:
        return None
    number = Decimal(bytes(sent).decode())
    if number.copy_abs() > MAX_NUMBER:  # abs() would round
        return None
    rounded = number.quantize(_SMALLEST_STEP, context=_exact)
    if number != rounded:
        number = rounded
    return Decimal(f"{number:f}") if number else Decimal(0)


_READERS: Mapping[Kind, Callable[[msgspec.Raw], Value | None]] = {
    "string": _string,
    "number": _number,
}
_RULES: Mapping[Kind, str] = {
    "string": f"must be a string of at most {MAX_STRING_LENGTH} characters, none of them NUL",
    "number": f"must be a number from -{MAX_NUMBER} to {MAX_NUMBER}",
}
