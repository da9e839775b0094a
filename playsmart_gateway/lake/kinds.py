"""Of which kind the column of a property is, and whether it is one: what the game's catalogue says.

Definitions come first, then what was learned of the stored events. The lake looks at values itself
only of a game of which neither says anything, or while the catalogue is behind the lake.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import reduce
from typing import NamedTuple

from playsmart_gateway.catalogue.definitions import Definitions
from playsmart_gateway.catalogue.facts import Facts
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.events.batch import MAX_EVENTS_PER_BATCH
from playsmart_gateway.lake.manifest import Kind, Properties
from playsmart_gateway.stores.learned import Kept
from playsmart_gateway.stores.readers import LearnedReader

BEHIND_BATCHES = 5_000
"""A catalogue that is further behind the store does not know yet what a lake is to write."""

_KINDS: dict[str, Kind] = {"boolean": "bool", "integer": "int", "number": "float", "text": "text"}
"""By the types of the catalogue; what is of another one is no column."""

_NUMBERS = {"int", "float"}


class Catalogued(NamedTuple):
    """What the catalogue says of a game: which properties are columns, the first ones first.

    Those that are ``defined`` stay of their kind, be their values as they may. ``is_known`` says
    that there are no others.
    """

    defined: Properties
    learned: Properties
    is_known: bool


NOTHING = Catalogued({}, {}, is_known=False)


class Catalogue(NamedTuple):
    """What is known of all games, by their ids; ``is_behind`` if of some that is not all yet."""

    defined: Mapping[str, Properties]
    learned: Mapping[str, Properties]
    is_behind: bool

    def of(self, game_id: str) -> Catalogued:
        """Return what is known of a game."""
        is_learned = game_id in self.learned and not self.is_behind
        return Catalogued(
            self.defined.get(game_id, {}),
            self.learned.get(game_id, {}),
            is_known=is_learned or game_id in self.defined,
        )


async def read_catalogue(
    reader: LearnedReader, defined: Mapping[str, Properties], position: int
) -> Catalogue:
    """Return what is known when the lake goes on behind the event ``position``."""
    try:
        kept = await reader.all_learned()
    except SinkUnavailable:  # only the catalogue's own tables: the events are still to be read
        kept = Kept(0, 0, {})
    is_behind = (
        kept.position < position // MAX_EVENTS_PER_BATCH
        or kept.end - kept.position > BEHIND_BATCHES
    )
    return Catalogue(defined, learned_kinds(kept), is_behind)


def defined_kinds(definitions: Definitions) -> dict[str, Properties]:
    """Return the properties of each game that are defined as scalars."""
    games: dict[str, Properties] = {}
    for key, definition in definitions.items():
        properties = games.setdefault(key.game_id, {})
        for name, wanted in definition.properties.items():
            kinds = [_KINDS[each] for each in sorted(wanted.types & _KINDS.keys())]
            if kinds:
                properties[name] = reduce(wider, kinds, properties.get(name, kinds[0]))
    return games


def learned_kinds(kept: Kept) -> dict[str, Properties]:
    """Return the properties of each game that were scalars, the most frequent first."""
    games: dict[str, defaultdict[str, Counter[Kind]]] = {}
    for key, entry in Facts(kept.learned).entries.items():
        if not entry.looked:
            continue
        properties = games.setdefault(key.game_id, defaultdict(Counter))
        for name, known in entry.properties.items():
            for each, seen in known.types.items():
                if each in _KINDS:
                    properties[name][_KINDS[each]] += seen.looks
    return {game_id: by_frequency(properties) for game_id, properties in games.items()}


def by_frequency(seen: Mapping[str, Counter[Kind]]) -> Properties:
    """Return of which kinds properties are, the most frequent first, without those never seen."""
    ordered = sorted(seen, key=lambda name: (-seen[name].total(), name))
    return {name: kind_of(seen[name]) for name in ordered if seen[name].total()}


def kind_of(seen: Counter[Kind]) -> Kind:
    """Return of which kind a column is, of values of which so many are of each."""
    return taking(max(_KINDS.values(), key=seen.__getitem__), seen)


def taking(kind: Kind, seen: Counter[Kind]) -> Kind:
    """Return of which kind a column must be that takes most of these values."""
    if kind == "text":
        return kind
    if kind == "int" and seen["float"]:
        kind = "float"
    fitting = seen["bool"] if kind == "bool" else seen["int"] + seen["float"]
    return kind if 2 * fitting >= seen.total() else "text"


def wider(one: Kind, other: Kind) -> Kind:
    """Return the kind that takes the values of both."""
    if one == other:
        return one
    return "float" if {one, other} == _NUMBERS else "text"
