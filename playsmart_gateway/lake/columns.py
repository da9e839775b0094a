"""Tables of events: what all events have, and their properties as columns of their own types.

Of each game so many properties are columns as the catalogue knows, or were seen (see ``kinds``), by
first come, and of those that come together the most frequent: a text of a stranger must not push
out the rest. What is a column is taken out of customdata, and a null is left out; all else stays
there, to the letter: what is no scalar, has no plain name, is too large for its column or of
another type. Once more values of a property do not fit its column than do, and it is not defined,
the column is one of texts, which takes every scalar; whole numbers and fractions are both numbers.
"""

import contextlib
import heapq
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import repeat
from typing import Any, NamedTuple

import msgspec
import pyarrow
from pyarrow import compute

from playsmart_gateway.events.batch import MAX_EVENTS_PER_BATCH, RUN_BYTES
from playsmart_gateway.lake.kinds import NOTHING, Catalogued, by_frequency, taking, wider
from playsmart_gateway.lake.manifest import Kind, Properties
from playsmart_gateway.lake.shapes import Shape, shapes_of
from playsmart_gateway.stores.models import StoredEvent
from playsmart_gateway.stores.readers import BatchName

MAX_PROPERTIES = 64
"""Of one game."""

MAX_CANDIDATES = 2 * MAX_PROPERTIES
"""Names whose values are looked at for it, in each of the events that come together."""

PREFIX = "p_"
"""Of the column of a property: no other column has it."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")
_KINDS: dict[type, Kind] = {bool: "bool", int: "int", float: "float", str: "text"}
_FITTING = {kind: {type(None), each} for each, kind in _KINDS.items()}
_FITTING["float"].add(int)
_EXACT = 2**53
"""Whole numbers up to here are the same as a fraction."""

TIME = pyarrow.timestamp("us", tz="UTC")
TYPES: dict[Kind, pyarrow.DataType] = {
    "bool": pyarrow.bool_(),
    "int": pyarrow.int64(),
    "float": pyarrow.float64(),
    "text": pyarrow.string(),
}
COMMON = {
    "event_id": pyarrow.int64(),
    "source": pyarrow.string(),
    "game_id": pyarrow.string(),
    "user_id": pyarrow.string(),
    "type": pyarrow.string(),
    "custom_event_name": pyarrow.string(),
    "occurred_at": TIME,
    "received_at": TIME,
    "customdata": pyarrow.string(),
    "adjusted_at": TIME,
    "clock": pyarrow.string(),
    "journal": pyarrow.string(),
    "sequence": pyarrow.int64(),
    "run": pyarrow.string(),
    "seq": pyarrow.int64(),
}
"""What all events have; ``adjusted_at`` is null where it is ``occurred_at``."""

_decode_raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Group(NamedTuple):
    """Events of one game that were received on one day, in the order of their ids."""

    game_id: str
    day: str
    events: list[StoredEvent]


def grouped(events: Sequence[StoredEvent]) -> list[Group]:
    """Return events by game and day of receipt (UTC)."""
    if not events:
        return []
    given = _by_field(events)
    days = min(given["received_at"])[:10], max(given["received_at"])[:10]
    if len(set(given["game_id"])) == 1 and days[0] == days[1]:
        return [Group(given["game_id"][0], days[0], list(events))]
    groups: dict[tuple[str, str], Group] = {}
    for event in events:
        key = event.game_id, event.received_at[:10]
        if (group := groups.get(key)) is None:
            group = groups[key] = Group(*key, [])
        group.events.append(event)
    return list(groups.values())


def table_of(
    events: Sequence[StoredEvent],
    names: Mapping[int, BatchName],
    known: Properties,
    game: Catalogued = NOTHING,
) -> tuple[pyarrow.Table, Properties]:
    """Return events of a game as a table, in any order, and the properties of its columns.

    ``names`` are those of their batches; ``known`` are the properties that are columns already,
    and ``game`` what the catalogue says of it.
    """
    shapes = shapes_of([event.customdata for event in events])
    known = _catalogued(known, game)
    kinds = {
        name: _kinds(shapes, name)
        for name in (*known, *(() if game.is_known else _candidates(shapes, known)))
    }
    properties = _chosen(kinds, known, game)
    ordered = [events[place] for shape in shapes for place in shape.places]
    columns = dict.fromkeys(COMMON) | _common(ordered, names)
    misfits: list[dict[int, list[str]]] = [{} for _ in shapes]
    for name, kind in properties.items():
        pieces = []
        for shape, strays in zip(shapes, misfits, strict=True):
            piece, places = _column(shape, name, kind)
            pieces.append(piece)
            for place in places:
                strays.setdefault(place, []).append(name)
        columns[f"{PREFIX}{name}"] = pyarrow.chunked_array(pieces, TYPES[kind])
    left = map(_left, shapes, misfits, repeat(properties.keys()))
    columns["customdata"] = pyarrow.chunked_array(left, pyarrow.string())
    return pyarrow.table(columns), properties


def _by_field(events: Sequence[StoredEvent]) -> dict[str, Sequence[Any]]:
    return dict(zip(StoredEvent._fields, zip(*events, strict=True), strict=True))


def _kinds(shapes: Sequence[Shape], name: str) -> Counter[Kind]:
    """Return how many values of a property, which are scalars, are of which kind."""
    kinds = Counter[Kind]()
    for shape in shapes:
        for each, times in shape.kinds(name).items():
            if each in _KINDS:
                kinds[_KINDS[each]] += times
    return kinds


def _candidates(shapes: Sequence[Shape], known: Properties) -> list[str]:
    """Return names that may become columns: the most frequent, as there may be one an event."""
    if len(known) >= MAX_PROPERTIES:
        return []
    times = Counter[str]()
    for shape in shapes:
        times.update(shape.times())
    new = (name for name in times if name not in known and _PLAIN.match(name))
    return heapq.nsmallest(MAX_CANDIDATES, new, key=lambda name: (-times[name], name))


def _chosen(kinds: Mapping[str, Counter[Kind]], known: Properties, game: Catalogued) -> Properties:
    """Return which properties are columns, from here on."""
    chosen = {
        name: kind if name in game.defined else taking(kind, kinds[name])
        for name, kind in known.items()
    }
    return _with(chosen, {} if game.is_known else by_frequency(kinds))


def _with(known: Properties, more: Properties) -> Properties:
    """Return the known properties, and more of them, as far as they may be columns."""
    found = dict(known)
    taken = {name.lower() for name in found}  # SQL does not tell capitals from others
    for name, kind in more.items():
        if len(found) >= MAX_PROPERTIES:
            break
        if name.lower() not in taken and _PLAIN.match(name):
            taken.add(name.lower())
            found[name] = kind
    return found


def _catalogued(known: Properties, game: Catalogued) -> Properties:
    """Return the known properties, and those that the catalogue knows."""
    kept = {name: wider(kind, game.defined.get(name, kind)) for name, kind in known.items()}
    return _with(_with(kept, game.defined), game.learned)


def _common(
    events: Sequence[StoredEvent], names: Mapping[int, BatchName]
) -> dict[str, pyarrow.Array]:
    given = _by_field(events)
    if given["adjusted_at"] == given["occurred_at"]:  # nobody's clock was wrong
        given["adjusted_at"] = [None] * len(events)
    columns = {}
    for name, kind in COMMON.items():
        if name in given and name != "customdata":
            plain = pyarrow.string() if kind == TIME else kind
            columns[name] = pyarrow.array(given[name], plain).cast(kind)
    said, at = columns["occurred_at"], columns["adjusted_at"]
    columns["adjusted_at"] = compute.if_else(compute.equal(at, said), None, at)
    batches = compute.divide(columns["event_id"], MAX_EVENTS_PER_BATCH)
    places = compute.index_in(batches, pyarrow.array(list(names), pyarrow.int64()))
    run_names = [each.run and each.run[:RUN_BYTES].hex() for each in names.values()]
    for name, values in (
        ("journal", [each.journal for each in names.values()]),
        ("sequence", [each.sequence for each in names.values()]),
        ("run", run_names),
        ("seq", [each.seq for each in names.values()]),
    ):
        columns[name] = pyarrow.array(values, COMMON[name]).take(places)
    return columns


def _column(shape: Shape, name: str, kind: Kind) -> tuple[pyarrow.Array, Sequence[int]]:
    """Return a property as a column, and the places of what is not in it, in the shape."""
    arrow, values = TYPES[kind], shape.values(name)
    if values is None:
        return pyarrow.nulls(len(shape.places), arrow), ()
    if shape.kinds(name).keys() <= _FITTING[kind]:
        with contextlib.suppress(OverflowError, pyarrow.ArrowInvalid):
            return pyarrow.array(values, arrow), ()
    fitted = [_fitted(kind, value) for value in values]
    lost = [
        place
        for place, (value, fit) in enumerate(zip(values, fitted, strict=True))
        if fit is None and value is not None
    ]
    return pyarrow.array(fitted, arrow), lost


def _fitted(kind: Kind, value: Any) -> Any:
    """Return a value as its column has it; None if that would be another value."""
    is_a = type(value)
    if kind == "text":
        if is_a is str:
            return value
        return msgspec.json.encode(value).decode() if is_a in _KINDS else None
    if kind == "float":
        if is_a is float:
            return value
        return float(value) if is_a is int and abs(value) <= _EXACT else None
    if kind == "int":
        return value if is_a is int and -(2**63) <= value < 2**63 else None
    return value if is_a is bool else None


def _left(
    shape: Shape, misfits: Mapping[int, Sequence[str]], lifted: AbstractSet[str]
) -> pyarrow.Array:
    """Return what is no column's of customdata, to the letter; null where that is nothing."""
    if not misfits and shape.names is not None and lifted >= set(shape.names):
        return pyarrow.nulls(len(shape.places), pyarrow.string())
    left = []
    for place, (text, said) in enumerate(zip(shape.texts, shape.said, strict=True)):
        staying = (said.keys() - lifted).union(misfits.get(place, ()))
        if said:
            left.append(_only(text, staying) if staying else None)
        else:  # or what could not be taken apart
            left.append(text)
    return pyarrow.array(left, pyarrow.string())


def _only(customdata: str | None, names: AbstractSet[str]) -> str:
    assert customdata is not None
    raw = _decode_raw(customdata)
    return msgspec.json.encode({name: raw[name] for name in raw if name in names}).decode()
