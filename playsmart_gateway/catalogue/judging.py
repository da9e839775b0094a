"""Holds batches to the definitions of their game, before they are stored.

The whole of a request is judged, as PlaySmart takes it: all or nothing. What does not fit is kept
as a dead letter with the reason, and can be replayed once the definitions say otherwise.

Each event is decoded by a type made of its definition, in C: a microsecond or less.
"""

import re
from collections.abc import Callable, Collection, Mapping
from functools import reduce
from operator import or_
from typing import Any

import msgspec

from playsmart_gateway.catalogue.definitions import ANY, Definition, Definitions, Wanted
from playsmart_gateway.events.batch import PLAYSMART, Batch

PREFIX = "not as defined: "
"""Led by it a dead letter is one of these."""

MAX_REASON_LENGTH = 160
MAX_LABEL_LENGTH = 60

_PYTHON: dict[str, Any] = {
    "boolean": bool, "integer": int, "list": list[msgspec.Raw], "null": type(None), "number": float,
    "object": dict[str, msgspec.Raw], "text": str, ANY: msgspec.Raw,
}  # fmt: skip
_WORDS = {
    "int": "integer", "float": "number", "str": "text", "bool": "boolean", "array": "list",
}  # fmt: skip
_types = re.compile(r"\b(?:int|float|str|bool|array)\b").sub


class _Row(msgspec.Struct, array_like=True, gc=False):
    type: str
    name: str | None
    occurred_at: msgspec.Raw
    customdata: msgspec.Raw


_decode_rows = msgspec.json.Decoder(list[_Row]).decode
_decode_data = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode
_cannot_be_a_field = re.compile(r'["\\\x00-\x1f]').search
_Check = Callable[[msgspec.Raw], object]


class Standard:
    """What the batches of ``games`` are held to."""

    def __init__(self, definitions: Definitions, games: Collection[str]) -> None:
        self._checks: dict[str, dict[tuple[str, str | None], _Check]] = {game: {} for game in games}
        for key, definition in definitions.items():
            if key.game_id in self._checks:
                self._checks[key.game_id][key.type, key.name or None] = _check_of(definition)

    def misfit(self, batch: Batch) -> str | None:
        """Return why a batch is not as defined; None if it is, or nothing is defined for it."""
        checks = self._checks.get(batch.game_id)
        if checks is None or batch.source != PLAYSMART:
            return None
        try:
            rows = _decode_rows(batch.rows)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return None  # the store says better what is wrong with it
        for row in rows:
            check = checks.get((row.type, row.name))
            if check is None:
                return _reason(row, "is not defined")
            try:
                check(row.customdata)
            except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
                return _reason(row, str(error))
        return None


def _check_of(definition: Definition) -> _Check:
    properties: Mapping[str, Wanted] = definition.properties
    if any(map(_cannot_be_a_field, properties)):
        return _check_one_by_one(definition)
    fields: list[Any] = []
    names = {}
    for place, (name, wanted) in enumerate(properties.items()):
        field = f"p{place}"
        names[field] = name
        kind = _kind_of(wanted)
        fields.append((field, kind) if wanted.required else (field, kind, msgspec.UNSET))
    made = msgspec.defstruct(
        "Data", fields, rename=names, forbid_unknown_fields=not definition.more,
        kw_only=True, gc=False,
    )  # fmt: skip
    may_be_empty = not any(wanted.required for wanted in properties.values())
    kind = made | None if may_be_empty else made
    return msgspec.json.Decoder(kind).decode


def _kind_of(wanted: Wanted) -> Any:
    return reduce(or_, (_PYTHON[each] for each in wanted.types))


def _check_one_by_one(definition: Definition) -> _Check:
    """Check property by property: a client may have sent names that no type can be made of."""
    decoders = {
        name: msgspec.json.Decoder(_kind_of(wanted)).decode
        for name, wanted in definition.properties.items()
    }
    required = [name for name, wanted in definition.properties.items() if wanted.required]

    def check(customdata: msgspec.Raw) -> None:
        data = _decode_data(customdata)
        for name in required:
            if data is None or name not in data:
                raise msgspec.ValidationError(f"Object missing required field `{name}`")
        for name, value in (data or {}).items():
            decode = decoders.get(name)
            if decode is not None:
                try:
                    decode(value)
                except msgspec.ValidationError as error:
                    raise msgspec.ValidationError(f"{error} - at `$.{name}`") from None
            elif not definition.more:
                raise msgspec.ValidationError(f"Object contains unknown field `{name}`")

    return check


def _reason(row: _Row, problem: str) -> str:
    """Say what msgspec says, in the words of the file; it names properties, and no value."""
    if problem.startswith("Expected "):
        rule, at, place = problem.partition(" - at ")
        rule = _types(lambda found: _WORDS[found[0]], rule).replace("`", "")
        problem = f"{rule}{at}{place}"
    problem = problem[:1].lower() + problem[1:]
    reason = f"{PREFIX}{(row.name or row.type)[:MAX_LABEL_LENGTH]}: {problem}"[:MAX_REASON_LENGTH]
    if reason.isprintable():
        return reason
    # A name is a stranger's: no store must refuse it, as PostgreSQL does a NUL.
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in reason)
    return "".join(shown)[:MAX_REASON_LENGTH]
