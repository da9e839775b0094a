"""The customdata of many events, by which names are in it: a game has few such shapes.

What is of one shape is taken apart a name at a time, and not an event at a time: that is where
writing the lake spends its time. Shapes that few events have are one together.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import msgspec

FEW = 64
"""Events of a shape that is not worth the trouble."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_decode_all = msgspec.json.Decoder(list[dict[str, Any]]).decode
_ERRORS = (msgspec.MsgspecError, UnicodeError, RecursionError)


class Shape:
    """Events, by their ``places`` among all: their customdata, as texts and as what is ``said``.

    ``names`` are in each of them, and no others; None if their names differ.
    """

    def __init__(
        self,
        places: Sequence[int],
        texts: Sequence[str | None],
        said: Sequence[Mapping[str, Any]],
        names: Sequence[str] | None,
    ) -> None:
        self.places = places
        self.texts = texts
        self.said = said
        self.names = names
        self._kinds: dict[str, Counter[type]] = {}
        self._values: dict[str, Sequence[Any]] = {}

    def times(self) -> Mapping[str, int]:
        """Return how many of them have each name."""
        if self.names is None:
            return Counter(chain.from_iterable(self.said))
        return dict.fromkeys(self.names, len(self.said))

    def values(self, name: str) -> Sequence[Any] | None:
        """Return what each says of it, None where it says nothing; None if none does."""
        if self.names is None:
            return [each.get(name) for each in self.said]
        if name not in self._values and name in self.names:
            self._values[name] = list(map(itemgetter(name), self.said))
        return self._values.get(name)

    def kinds(self, name: str) -> Counter[type]:
        """Return how many of its values are of which type."""
        if name not in self._kinds:
            self._kinds[name] = Counter(map(type, self.values(name) or ()))
        return self._kinds[name]


def shapes_of(customdata: Sequence[str | None]) -> list[Shape]:
    """Return events by their shapes, each event in one."""
    said = _taken_apart(customdata)
    places: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, each in enumerate(said):
        places[tuple(each)].append(place)
    found: list[tuple[list[int], Sequence[str] | None]] = []
    rare: list[int] = []
    for names, those in places.items():
        if names and len(those) > FEW:
            found.append((those, names))
        else:
            rare += those
    if rare:
        found.append((rare, None))
    return [
        Shape(those, [customdata[each] for each in those], [said[each] for each in those], names)
        for those, names in found
    ]


def _taken_apart(customdata: Sequence[str | None]) -> Sequence[Mapping[str, Any]]:
    """Return what is in them; nothing of what cannot be taken apart and put together again."""
    try:
        said = _decode_all(f"[{','.join(each or '{}' for each in customdata)}]")
    except _ERRORS:
        return [_properties(each) for each in customdata]
    return said if len(said) == len(customdata) else [_properties(each) for each in customdata]


def _properties(customdata: str | None) -> Mapping[str, Any]:
    if customdata is None:
        return {}
    try:
        return _decode(customdata)
    except _ERRORS:
        return {}
