"""What is known of the events of each game, and how it grows with each look at what was stored.

Of each event name there are counts, exact ones, and what the customdata of those events was like
that were looked at: its properties, their types and how often they were there. Everything is
bounded. Beyond the bounds the rarest names go, and properties and versions are only counted.

Odd things are told by counts, not by clocks: ``since`` and ``upto`` say how many others had come
when something was seen first and last. What is missing among the next hundred is missing, be it
night or noon.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from playsmart_gateway.catalogue.discretion import Values, is_of_the_game
from playsmart_gateway.stores.learned import Counted, EventKey, Looked

MAX_ENTRIES = 1_000
"""Events of all games together: some 20 MB, if each of them had all properties that it may have."""

MAX_ENTRIES_OF_GAME = 200
MAX_REPLACED = 5
"""Of them in one look: to find the rarest takes a millisecond, for which requests wait."""

MAX_PROPERTIES = 48
MAX_PROPERTY_LENGTH = 64
MAX_VERSIONS = 24
VERSION_KEYS = ("app_version", "appVersion", "version")
"""Where an event says of which version it is, if its run and its game's own property do not."""

MAX_VERSION_LENGTH = 32
OTHER = "other"
"""Versions beyond so many."""

TYPES = ("boolean", "integer", "list", "null", "number", "object", "text")
"""Of a property; a ``number`` has a fraction."""


class Seen(msgspec.Struct, omit_defaults=True):
    """How often something was there, of those looked at; first behind ``since``, last at ``upto``.

    These are counts of what it could have been in.
    """

    looks: int = 0
    since: int = 0
    upto: int = 0
    first: str = ""
    last: str = ""

    def note(self, place: int, when: str) -> None:
        """Take note that it was there in the one of this place, counted from 1."""
        if not self.looks:
            self.since, self.first = place - 1, when
        self.looks += 1
        self.upto, self.last = place, max(self.last, when)

    @property
    def share(self) -> float:
        """Of those since it was seen first, up to the last."""
        return self.looks / max(1, self.upto - self.since)


class Property(Seen, omit_defaults=True):
    """One property of an event; ``types`` count its values: they are places among its ``looks``."""

    types: dict[str, Seen] = {}
    values: Values = msgspec.field(default_factory=Values)


class Entry(msgspec.Struct, omit_defaults=True):
    """One event name of a game.

    ``events`` are all that came, ``looked`` those that were looked at. ``since`` and ``upto`` are
    counts of the game's events. ``past`` and ``future`` are those of ``looked`` whose clocks are
    out of the question, the last of them received at ``clock_last``. ``unnamed`` counts
    properties beyond those that are kept.
    """

    events: int = 0
    looked: int = 0
    since: int = 0
    upto: int = 0
    first: str = ""
    last: str = ""
    past: int = 0
    future: int = 0
    clock_last: str = ""
    unnamed: int = 0
    versions: dict[str, Seen] = {}
    properties: dict[str, Property] = {}


class Game(msgspec.Struct, omit_defaults=True):
    """One game as a whole; ``dropped`` are events of names that are not kept."""

    events: int = 0
    looked: int = 0
    first: str = ""
    last: str = ""
    dropped: int = 0
    versions: dict[str, Seen] = {}


_decode_entry = msgspec.json.Decoder(Entry).decode
_decode_game = msgspec.json.Decoder(Game).decode
_decode_data = msgspec.json.Decoder(dict[str, Any]).decode
_KINDS: dict[type, str] = {
    bool: "boolean", int: "integer", float: "number", str: "text", list: "list", dict: "object",
    type(None): "null",
}  # fmt: skip


def game_key(key: EventKey) -> EventKey:
    """Return by what the game as a whole is known."""
    return EventKey(key.source, key.game_id, "", "")


class Facts:
    """All that is known; ``changed`` and ``forgotten`` are the keys since they were kept last.

    ``version_keys`` are, by id of game, the properties that say of which version an event is.
    """

    def __init__(
        self,
        learned: Mapping[EventKey, str] | None = None,
        version_keys: Mapping[str, str] | None = None,
    ) -> None:
        self._version_keys = version_keys or {}
        self.games: dict[EventKey, Game] = {}
        self.entries: dict[EventKey, Entry] = {}
        self.changed: set[EventKey] = set()
        self.forgotten: set[EventKey] = set()
        self._may_replace = 0
        for key, text in (learned or {}).items():
            try:
                if key.type:
                    self.entries[key] = _decode_entry(text)
                else:
                    self.games[key] = _decode_game(text)
            except msgspec.MsgspecError:  # somebody damaged it: it is learned anew
                continue
        for key in self.entries:
            self.games.setdefault(game_key(key), Game())

    def by_game(self) -> "list[Facts]":
        """Return what is known of each game by itself."""
        found: dict[EventKey, Facts] = {}
        for key, game in self.games.items():
            found[key] = Facts()
            found[key].games[key] = game
        for key, entry in self.entries.items():
            found[game_key(key)].entries[key] = entry
        return list(found.values())

    def texts(self) -> list[tuple[EventKey, str]]:
        """Return what has changed, as it is kept."""
        found: list[tuple[EventKey, str]] = []
        for key in self.changed:
            known = self.entries.get(key) or self.games.get(key)
            if known is not None:
                found.append((key, msgspec.json.encode(known).decode()))
        return found

    def kept(self) -> None:
        """Take note that what has changed is kept."""
        self.changed.clear()
        self.forgotten.clear()

    # ---- Counting --------------------------------------------------------------------------

    def count(self, counted: Sequence[Counted]) -> None:
        """Count what came; the most frequent first, as there may be no room for the last ones.

        It came at once: which of it was there before the other nobody knows.
        """
        totals = Counter[EventKey]()
        self._may_replace = MAX_REPLACED
        for key, events, _, _ in counted:
            totals[game_key(key)] += events
        for key, events, first, last in counted:
            game = self._game(game_key(key), first, last)
            if game is None:
                continue
            entry = self.entries.get(key) or self._new(key, game, events)
            if entry is None:
                game.dropped += events
            else:
                entry.first = min(entry.first or first, first)
                entry.last = max(entry.last, last)
                entry.events += events
                entry.upto = game.events + totals[game_key(key)]
                self.changed.add(key)
        for key, events in totals.items():
            if (game := self.games.get(key)) is not None:
                game.events += events

    def _game(self, key: EventKey, first: str, last: str) -> Game | None:
        game = self.games.get(key)
        if game is None:
            if len(self.games) >= MAX_ENTRIES:
                return None
            game = self.games[key] = Game(first=first)
        game.last = max(game.last, last)
        self.changed.add(key)
        return game

    def _new(self, key: EventKey, game: Game, events: int) -> Entry | None:
        """Return a new entry, in the place of a rarer one if there is no other; None without."""
        whole = game_key(key)
        own = [each for each in self.entries if game_key(each) == whole]
        crowd = own if len(own) >= MAX_ENTRIES_OF_GAME else []
        if not crowd and len(self.entries) >= MAX_ENTRIES:
            crowd = list(self.entries)
        if crowd:
            if not self._may_replace:
                return None
            self._may_replace -= 1
            rarest = min(crowd, key=lambda each: self.entries[each].events)
            gone = self.entries[rarest].events
            if gone >= events:
                return None
            del self.entries[rarest]
            self.games[game_key(rarest)].dropped += gone
            self.changed.discard(rarest)
            self.forgotten.add(rarest)
        self.forgotten.discard(key)
        entry = self.entries[key] = Entry(since=game.events)
        return entry

    # ---- Looking ---------------------------------------------------------------------------

    def look(self, looked: Sequence[Looked]) -> None:
        """Learn from some events, after they were counted."""
        texts: defaultdict[tuple[EventKey, str, str], set[str]] = defaultdict(set)
        read = [(each, data) for each in looked if (data := _data(each.customdata)) is not None]
        names = _names_of_one(read)
        for each, data in read:
            entry, game = self.entries.get(each.key), self.games.get(game_key(each.key))
            if entry is None or game is None:
                continue
            game.looked += 1
            entry.looked += 1
            when = each.received_at
            if each.clock is not None:
                entry.past += each.clock == "past"
                entry.future += each.clock == "future"
                entry.clock_last = max(entry.clock_last, when)
            version = _version(each.app_version, data, self._version_keys.get(each.key.game_id))
            _note_version(entry.versions, version, entry.looked, when)
            _note_version(game.versions, version, game.looked, when)
            for name, value in data.items():
                known = entry.properties.get(name)
                if known is None and name not in names:
                    known = _property(entry, name)
                if known is None:
                    entry.unnamed += 1
                    continue
                known.note(entry.looked, when)
                kind = _KINDS[type(value)]
                seen = known.types.get(kind)
                if seen is None:
                    seen = known.types[kind] = Seen()
                seen.note(known.looks, when)
                if kind in ("integer", "number"):
                    known.values.take_number(name, value)
                elif kind == "text" and known.values.may_take(name, value):
                    texts[each.key, name, value].add(each.user_id)
        for (key, name, value), players in texts.items():
            if len(players) > 1:  # what two players send is nobody's own
                self.entries[key].properties[name].values.take_text(value)


def _names_of_one(read: Sequence[tuple[Looked, Mapping[str, Any]]]) -> set[str]:
    """Return the names of properties that one player alone sent, and may have written."""
    players: defaultdict[str, set[str]] = defaultdict(set)
    for each, data in read:
        for name in data:
            if not is_of_the_game(name):
                players[name].add(each.user_id)
    return {name for name, some in players.items() if len(some) == 1}


def _data(text: str | None) -> dict[str, Any] | None:
    """Return the customdata of an event; None if it is ``TOO_LONG``, or somebody damaged it."""
    if text is None:
        return {}
    try:
        return _decode_data(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _version(told: str | None, data: Mapping[str, Any], own: str | None) -> str:
    keys = VERSION_KEYS if own is None else (own, *VERSION_KEYS)
    for version in (told, *map(data.get, keys)):
        if isinstance(version, str) and version:
            return version[:MAX_VERSION_LENGTH]
    return ""


def _note_version(versions: dict[str, Seen], version: str, place: int, when: str) -> None:
    if not version:
        return
    if version not in versions and len(versions) >= MAX_VERSIONS:
        oldest = min(versions, key=lambda each: versions[each].last)
        if versions[oldest].looks > 1 and versions[oldest].share > 0.01:
            version = OTHER
        else:
            del versions[oldest]
    versions.setdefault(version, Seen()).note(place, when)


def _property(entry: Entry, name: str) -> Property | None:
    """Return a new property, None if there is no room for it."""
    if len(name) > MAX_PROPERTY_LENGTH or len(entry.properties) >= MAX_PROPERTIES:
        return None
    known = entry.properties[name] = Property()
    return known
