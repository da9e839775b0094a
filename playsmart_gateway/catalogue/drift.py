"""What is odd about the events of late: told, never punished.

Everything follows from ``Facts`` alone, whenever somebody asks, so the page, the command and the
metrics tell the same. A finding goes by itself when it is ``TOLD_SECONDS`` old.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

import msgspec

from playsmart_gateway.catalogue.definitions import NOTHING, Expected, misfits
from playsmart_gateway.catalogue.facts import (
    MAX_VERSIONS,
    OTHER,
    Entry,
    Facts,
    Game,
    Property,
    Seen,
    game_key,
)
from playsmart_gateway.stores.learned import EventKey

Kind = Literal[
    "new_event", "vanished_event", "new_property", "vanished_property", "type_changed",
    "near_miss", "clock", "version_stopped", "undefined",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
NEWS: tuple[Kind, ...] = ("new_event", "new_property")
"""Somebody meant these; the others may be mistakes."""

TOLD_SECONDS = 7 * 86_400
MAX_FINDINGS = 500

SETTLED_EVENTS = 200
"""A game of which more events came is known: another name is news."""

SETTLED_LOOKS = 50
"""So is an event name, or a property, of which more were looked at."""

MISSED = 100.0
"""So many should have come since, had it gone on: then it is gone. Players come in bursts."""

KNOWN_PROPERTIES = ("duration_seconds", "level", "price", "currency", "reason", "score")
"""What the gateway itself looks for: see the chapter on data."""

KNOWN_EVENTS = ("AppOpen", "GameStart", "GameEnd", "LevelCompleted", "IAPPurchase", "AdImpression")


class Finding(msgspec.Struct, frozen=True):
    """Something odd: of which game and event, of which ``property`` if it is one; ``since`` when.

    ``text`` says it in words; what of it clients wrote is a text of theirs.
    """

    kind: Kind
    source: str
    game_id: str
    event: str
    property: str | None
    text: str
    since: str


def label(key: EventKey) -> str:
    """Return what people call an event: its name, or its type if it has none."""
    return key.name or key.type


def findings(facts: Facts, now: float, expected: Expected = NOTHING) -> list[Finding]:
    """Return what is odd, the latest first; ``now`` is in seconds since the epoch.

    So is what is not as ``expected``.
    """
    horizon = (datetime.fromtimestamp(now, UTC) - timedelta(seconds=TOLD_SECONDS)).isoformat()
    undefined = (
        _finding("undefined", key, name, since, text)
        for key, name, text, since in misfits(facts, expected)
    )
    found = [each for each in (*_all(facts), *undefined) if each.since >= horizon[:19]]
    found.sort(key=lambda each: each.since, reverse=True)
    return found[:MAX_FINDINGS]


def _all(facts: Facts) -> Iterator[Finding]:
    for key, game in facts.games.items():
        for version, seen in game.versions.items():
            if (missed := _missed(seen, game.looked)) is not None:
                yield _finding(
                    "version_stopped", key, None, seen.last,
                    f"nothing comes of version {version} any more, where {missed:,} events would "
                    "have come",
                )  # fmt: skip
    names, events = _spellings(facts), _spellings_of_names(facts)
    for key, entry in facts.entries.items():
        game = facts.games[game_key(key)]
        yield from _of_entry(key, entry, game)
        if key.name and (better := events[game_key(key), _normal(key.name)]) != key.name:
            text = f"is spelt {key.name}, where others spell it {better}"
            yield _finding("near_miss", key, None, entry.last, text)
        for name, known in entry.properties.items():
            yield from _of_property(key, entry, name, known)
            if (usual := names[game_key(key), _normal(name)]) != name:
                text = f"is spelt {name}, where others spell it {usual}"
                yield _finding("near_miss", key, name, known.last, text)


def _of_entry(key: EventKey, entry: Entry, game: Game) -> Iterator[Finding]:
    if entry.since >= SETTLED_EVENTS:
        yield _finding("new_event", key, None, entry.first, "is new")
    gone = Seen(looks=entry.events, since=entry.since, upto=entry.upto)
    if (missed := _missed(gone, game.events)) is not None:
        text = f"does not come any more, where {missed:,} would have come"
        yield _finding("vanished_event", key, None, entry.last, text)
    for version, due in _missing_versions(entry, game) if missed is None else ():
        text = f"does not come of version {version}, where {due:,} would have come"
        yield _finding("vanished_event", key, None, game.versions[version].first, text)
    for known in KNOWN_EVENTS:
        if key.name and key.name != known and _normal(key.name) == _normal(known):
            text = f"is a custom event; there is a type {known}, which charts and coins go by"
            yield _finding("near_miss", key, None, entry.last, text)
    told = [
        f"{count:,} of {entry.looked:,} {words}"
        for count, words in (
            (entry.past, "are dated before 2007"),
            (entry.future, "are dated more than 26 hours ahead"),
        )
        if count
    ]
    if told:
        yield _finding("clock", key, None, entry.clock_last, ", ".join(told))


def _missing_versions(entry: Entry, game: Game) -> Iterator[tuple[str, int]]:
    """Yield versions newer than an event that have none of it, and how many they should have.

    That goes by the versions that have it. Where not all are kept, nobody knows.
    """
    if len(entry.versions) >= MAX_VERSIONS:
        return
    of_all = sum(game.versions[each].looks for each in entry.versions if each in game.versions)
    share = sum(seen.looks for seen in entry.versions.values()) / max(1, of_all)
    for version, seen in game.versions.items():
        if version not in entry.versions and version != OTHER and seen.first > entry.first:
            missed = int(min(share, 1.0) * seen.looks)
            if missed >= MISSED:
                yield version, missed


def _of_property(key: EventKey, entry: Entry, name: str, known: Property) -> Iterator[Finding]:
    if known.since >= SETTLED_LOOKS:
        yield _finding("new_property", key, name, known.first, "is new")
    if (missed := _missed(known, entry.looked)) is not None:
        text = f"is missing, where {missed:,} events would have had it"
        yield _finding("vanished_property", key, name, known.last, text)
    kinds = {kind: seen for kind, seen in known.types.items() if kind != "null"}
    for kind, seen in kinds.items():
        before = [each for each in kinds if kinds[each].since < seen.since]
        if seen.since >= SETTLED_LOOKS and before and {kind, *before} != {"integer", "number"}:
            usual = max(before, key=lambda each: kinds[each].looks)
            text = f"was {usual}, and is {kind} in {seen.looks:,} of {known.looks:,}"
            yield _finding("type_changed", key, name, seen.first, text)


def _missed(seen: Seen, total: int) -> int | None:
    """Return how many should have come since the last one; None if they are no matter."""
    expected = seen.share * (total - seen.upto)
    return int(expected) if seen.looks >= SETTLED_LOOKS and expected >= MISSED else None


def _spellings(facts: Facts) -> Mapping[tuple[EventKey, str], str]:
    """Return how each property of a game is spelt, by what is the same but for case and marks."""
    counts: dict[tuple[EventKey, str], dict[str, int]] = {}
    for key, entry in facts.entries.items():
        for name, known in entry.properties.items():
            spellings = counts.setdefault((game_key(key), _normal(name)), {})
            spellings[name] = spellings.get(name, 0) + known.looks
    ours = {_normal(name): name for name in KNOWN_PROPERTIES}
    return {
        place: ours.get(place[1]) or max(spellings, key=lambda each: spellings[each])
        for place, spellings in counts.items()
    }


def _spellings_of_names(facts: Facts) -> Mapping[tuple[EventKey, str], str]:
    """Return how each custom event of a game is spelt mostly, in the same way."""
    usual: dict[tuple[EventKey, str], EventKey] = {}
    for key, entry in facts.entries.items():
        if key.name:
            known = usual.setdefault((game_key(key), _normal(key.name)), key)
            if entry.events > facts.entries[known].events:
                usual[game_key(key), _normal(key.name)] = key
    return {place: key.name for place, key in usual.items()}


def _normal(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold() or name


def _finding(kind: Kind, key: EventKey, name: str | None, since: str, text: str) -> Finding:
    return Finding(kind, key.source, key.game_id, label(key), name, text, since)
