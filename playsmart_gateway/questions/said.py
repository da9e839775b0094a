"""What an event says of itself in its customdata: as the views and the sums read it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from playsmart_gateway.stores.rollups import Property
from playsmart_gateway.stores.sql.rollup import MAX_LEVEL_LENGTH

MAX_PRICE = 1e9
MAX_PRICE_LENGTH = 12
MAX_AMOUNT = 1e18
MAX_TEXT = 40
MAX_VALUE = 100
"""Characters of a value by which it is known."""

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_LARGEST, _LEAST = 1.7e308, 1e-300


class Names(dict[str, str]):
    """How a game names the properties of its events: by themselves, if it does not say."""

    def __init__(self, properties: Iterable[Property] = ()) -> None:
        super().__init__()
        self._games: dict[str, Names] = {}
        for each in properties:
            self._games.setdefault(each.game_id, Names())[each.meaning] = each.name

    def of(self, game_id: str) -> "Names":
        """Return those of a game."""
        return self._games.get(game_id, self)

    def all(self) -> set[str]:
        """Return every name that some game has given."""
        return {name for names in self._games.values() for name in names.values()}

    def __missing__(self, meaning: str) -> str:
        """Return the usual name."""
        return meaning


def said(data: Mapping[str, Any], names: Mapping[str, str], meaning: str) -> str | None:
    """Return what is said of country, platform or version; None if nothing is."""
    value = data.get(names[meaning])
    if not isinstance(value, str):
        return None
    if meaning == "country" and len(value) == 2 and value.isascii() and value.isalpha():
        return value.upper()
    return value.strip(" ")[:MAX_TEXT] or None


def price_of(value: object) -> float | None:
    """Return a price: a number, or the text of one; that of a refund is below zero."""
    if isinstance(value, str):
        is_one = len(value) <= MAX_PRICE_LENGTH and _NUMBER.fullmatch(value)
        return float(value) if is_one else None
    number = number_of(value)
    return number if number is not None and abs(number) <= MAX_PRICE else None


def currency_of(value: object) -> str:
    """Return a currency of three letters, or that it is unknown."""
    is_one = isinstance(value, str) and len(value) == 3 and value.isascii() and value.isalpha()
    return str(value).upper() if is_one else "unknown"


def number_of(value: object) -> float | None:
    """Return a number that is one, and no truth value."""
    if type(value) is float:
        return value
    return float(value) if type(value) is int and abs(value) < 2**1023 else None


def level_of(level: object) -> str | None:
    """Return what a level is called, None if it is none; see ``stores.sql.rollup``."""
    if isinstance(level, str):
        return level if 1 <= len(level) <= MAX_LEVEL_LENGTH and "\0" not in level else None
    if type(level) is int and -(2**63) <= level < 2**63:
        return str(level)
    number = number_of(level)
    if number is None or abs(number) > _LARGEST:
        return None
    if abs(number) < _LEAST:
        return "0"
    is_whole = abs(number) < 9.2e18 and number.is_integer()
    return str(int(number)) if is_whole else f"{number:.15g}"


def text_of(value: object) -> str | None:
    """Return how a value is told apart from others; None if nothing is said.

    A number is written as that of a level; of lists and objects only that they are there.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return value[:MAX_VALUE]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return level_of(value) or str(value)[:MAX_VALUE]
    return "{...}" if isinstance(value, Mapping) else "[...]"


def amount_of(value: object) -> float | None:
    """Return the number that a value is, or whose text it is; None if it is none."""
    if isinstance(value, str):
        is_one = len(value) <= MAX_TEXT and _NUMBER.fullmatch(value)
        return float(value) if is_one else None
    number = number_of(value)
    return number if number is not None and abs(number) <= MAX_AMOUNT else None
