"""What events should be like: a file that operators edit, made of what was learned.

The file is TOML, a table for each event of a game::

    [[events]]
    game = "com.example.tower"
    type = "Custom"
    name = "boss_defeated"
    more = false                # whether it may have properties that are not listed

    [events.properties]
    boss = "text"
    seconds = "number?"         # may be missing
    reward = "integer | text"

The types are those of ``facts``, and ``any``; an ``integer`` is a ``number``, too.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from playsmart_gateway.catalogue.facts import TYPES, Entry, Facts, Property
from playsmart_gateway.config.tables import Reader, Section, read_toml, unknown
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.events.batch import PLAYSMART
from playsmart_gateway.stores.learned import EventKey

ANY = "any"
_HEAD = """\
# What the events of each game should be like, as it was learned. Edit it, and name it in
# [catalogue] definitions_file; what it is for, `events` of each of [[games]] says.
# Types: {types}; "?" behind them: may be missing; "a | b": one of them.
"""


class EventDefinition(Section, frozen=True):
    """One event of a game; ``properties`` by name are the types that each may have."""

    game: str
    type: str
    name: str = ""
    more: bool = False
    properties: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it

    @property
    def key(self) -> EventKey:
        """By which it is known in the catalogue."""
        return EventKey(PLAYSMART, self.game, self.type, self.name)


class DefinitionsFile(Section, frozen=True):
    """The whole file."""

    events: tuple[EventDefinition, ...] = ()


class Wanted(NamedTuple):
    """What a property should be: one of ``types``; if it is ``required`` it may not be missing."""

    types: frozenset[str]
    required: bool

    def __str__(self) -> str:
        """Return it as the file has it."""
        return " | ".join(sorted(self.types)) + ("" if self.required else "?")


class Definition(NamedTuple):
    """What an event should be like."""

    properties: Mapping[str, Wanted]
    more: bool


Definitions = Mapping[EventKey, Definition]


class Expected(NamedTuple):
    """What the events of these ``games`` should be like."""

    definitions: Definitions
    games: Collection[str]


NOTHING = Expected({}, ())


def read_definitions(path: Path) -> dict[EventKey, Definition]:
    """Return what a file says.

    Raises:
        ConfigError: with every mistake in it.
    """
    tables, reader = read_toml(path), Reader()
    reader.problems += [unknown(key, {"events": None}) for key in tables if key != "events"]
    events = tables.get("events", [])
    found = reader.value(tuple[EventDefinition, ...], "events", events)
    definitions: dict[EventKey, Definition] = {}
    if not reader.problems:
        for place, each in enumerate(found):
            if each.key in definitions:
                reader.problems.append(f"events.{place}: is there twice")
            properties = {}
            for name, text in each.properties.items():
                wanted = wanted_of(text)
                if wanted is None:
                    allowed = ", ".join((*TYPES, ANY))
                    problem = f"must be of {allowed}, with | between several and ? at the end"
                    reader.problems.append(f"events.{place}.properties.{name}: {problem}")
                else:
                    properties[name] = wanted
            definitions[each.key] = Definition(properties, each.more)
    if reader.problems:
        raise ConfigError([f"{path}: {problem}" for problem in reader.problems])
    return definitions


def wanted_of(text: str) -> Wanted | None:
    """Return what a text in the file wants; None if it is no such text."""
    types = frozenset(each.strip() for each in text.removesuffix("?").split("|"))
    if not types <= {*TYPES, ANY} or (ANY in types and len(types) > 1):
        return None
    return Wanted(types, required=not text.endswith("?"))


def written(facts: Facts, game_id: str | None = None) -> Iterator[str]:
    """Yield the lines of a file that fits what was learned, of one game or of all."""
    yield from _HEAD.format(types=", ".join((*TYPES, ANY))).splitlines()
    for key, entry in sorted(facts.entries.items()):
        if key.source != PLAYSMART or game_id not in (None, key.game_id):
            continue
        yield ""
        yield f"# {entry.events:,} events from {entry.first[:10]} to {entry.last[:10]}"
        yield "[[events]]"
        yield f"game = {_quoted(key.game_id)}"
        yield f"type = {_quoted(key.type)}"
        if key.name:
            yield f"name = {_quoted(key.name)}"
        yield f"more = {'true' if entry.unnamed or not entry.looked else 'false'}"
        if entry.properties:
            yield "[events.properties]"
        for name, known in sorted(entry.properties.items()):
            yield f"{_quoted(name)} = {_quoted(str(_learned(entry, known)))}"


def _learned(entry: Entry, known: Property) -> Wanted:
    types = set(known.types)
    if "number" in types:
        types.discard("integer")
    return Wanted(frozenset(types), required=known.looks >= entry.looked)


def _quoted(text: str) -> str:
    """Return a text as TOML has it; what does not print is escaped."""
    written = [
        f"\\{each}" if each in '"\\' else each if each.isprintable() else f"\\U{ord(each):08x}"
        for each in text
    ]
    return f'"{"".join(written)}"'


class Misfit(NamedTuple):
    """Why an event name, or a property of it, is not as defined; ``since`` when."""

    key: EventKey
    property: str | None
    text: str
    since: str


def misfits(facts: Facts, expected: Expected) -> Iterator[Misfit]:
    """Yield in what events are not as expected, as far as it was learned."""
    definitions, games = expected
    for key, entry in facts.entries.items():
        if key.source != PLAYSMART or key.game_id not in games:
            continue
        defined = definitions.get(key)
        if defined is None:
            yield Misfit(key, None, "is not defined", entry.last)
            continue
        for name, known in entry.properties.items():
            wanted = defined.properties.get(name)
            if wanted is None:
                if not defined.more:
                    yield Misfit(key, name, "is not defined", known.last)
                continue
            for kind, seen in known.types.items():
                if not fits(kind, wanted):
                    text = (
                        f"is {kind} in {seen.looks:,} of {known.looks:,}, and defined as {wanted}"
                    )
                    yield Misfit(key, name, text, seen.last)
        for name, wanted in defined.properties.items():
            had = entry.properties.get(name, Property()).looks
            if wanted.required and had < entry.looked:
                text = f"is missing in {entry.looked - had:,} of {entry.looked:,}"
                yield Misfit(key, name, text, entry.last)


def fits(kind: str, wanted: Wanted) -> bool:
    """Whether a value of a type is as wanted."""
    types = wanted.types
    return kind in types or ANY in types or (kind == "integer" and "number" in types)
