"""The body of ``POST /event`` read once more, slowly, by the standard library and plain rules."""

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.dialects.model import well_formed

TOO_LONG = object()
"""A number of more digits than may be."""


def read(body: bytes) -> tuple[set[str], dict[str, Any]]:
    """Return the paths of what is wrong, and the members of the body as they were sent."""
    try:
        members = json.loads(
            well_formed(body.decode().lstrip("\ufeff")),
            parse_int=lambda text: int(text) if len(text) < 4_000 else TOO_LONG,
            parse_float=read_decimal,
            parse_constant=lambda _: 1 / 0,
        )
    except (ValueError, ZeroDivisionError):
        return {""}, {}
    if not isinstance(members, dict):
        return {""}, {}
    wrong = {name for name in ("eventId", "userId") if not is_text(members.get(name), 1, 256)}
    metadata = members.get("metadata", {})
    has_fields = isinstance(metadata, dict) and len(metadata) <= 10
    if not has_fields or not all(is_text(name, 1, 128) for name in metadata):
        wrong.add("metadata")
    else:
        wrong |= {f"metadata.{name}" for name, value in metadata.items() if not is_value(value)}
    return wrong, members


def read_decimal(text: str) -> Any:
    """Return the digits as they are, if it is possible to write them down."""
    exponent = int(text.lower().partition("e")[2] or "0")
    return Decimal(text) if abs(exponent) < 10**6 else TOO_LONG


def is_text(value: Any, least: int, most: int) -> bool:
    """Whether the value is a string of a length, without NUL."""
    return isinstance(value, str) and least <= len(value) <= most and "\0" not in value


def is_value(value: Any) -> bool:
    """Whether metadata may hold the value."""
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, list):
        return len(value) <= 100 and all(is_text(each, 0, 1_024) for each in value)
    if isinstance(value, Decimal):
        whole, _, places = f"{value:f}".lstrip("-").partition(".")
        return len(whole) <= 309 and len(places) <= 400
    if isinstance(value, int):
        return Fraction(abs(value)) < 10**309
    return is_text(value, 0, 1_024)
