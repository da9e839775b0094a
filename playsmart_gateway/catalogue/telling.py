"""The catalogue as plain values, for the page and for ``--json`` alike."""

from collections.abc import Mapping
from typing import Any

import msgspec

from playsmart_gateway.catalogue.definitions import NOTHING, Expected
from playsmart_gateway.catalogue.drift import findings, label
from playsmart_gateway.catalogue.facts import Entry, Facts, Property, Seen
from playsmart_gateway.stores.learned import EventKey


def told(facts: Facts, now: float, expected: Expected = NOTHING) -> dict[str, Any]:
    """Return what is known, the most frequent first, and what is odd; ``now`` in seconds.

    Shares are of those that were looked at.
    """
    games = sorted(facts.games.items(), key=lambda each: (-each[1].events, each[0]))
    events = sorted(facts.entries.items(), key=lambda each: (-each[1].events, each[0]))
    return {
        "games": [
            {
                "source": key.source,
                "game_id": key.game_id,
                "events": game.events,
                "looked_at": game.looked,
                "first_seen": game.first,
                "last_seen": game.last,
                "events_of_other_names": game.dropped,
                "versions": _versions(game.versions, game.looked),
            }
            for key, game in games
        ],
        "findings": [msgspec.to_builtins(each) for each in findings(facts, now, expected)],
        "events": [_entry(key, entry) for key, entry in events],
    }


def _entry(key: EventKey, entry: Entry) -> dict[str, Any]:
    properties = sorted(entry.properties.items(), key=lambda each: (-each[1].looks, each[0]))
    return {
        **key._asdict(),
        "label": label(key),
        "events": entry.events,
        "looked_at": entry.looked,
        "first_seen": entry.first,
        "last_seen": entry.last,
        "clocks_of_the_past": entry.past,
        "clocks_of_the_future": entry.future,
        "values_of_other_properties": entry.unnamed,
        "versions": _versions(entry.versions, entry.looked),
        "properties": [_property(name, known, entry.looked) for name, known in properties],
    }


def _property(name: str, known: Property, looked: int) -> dict[str, Any]:
    types = sorted(known.types.items(), key=lambda each: -each[1].looks)
    return {
        "name": name,
        "share": _share(known.looks, looked),
        "types": {kind: _share(seen.looks, known.looks) for kind, seen in types},
        "least": known.values.least,
        "most": known.values.most,
        "examples": known.values.examples,
        "first_seen": known.first,
        "last_seen": known.last,
    }


def _versions(versions: Mapping[str, Seen], looked: int) -> list[dict[str, Any]]:
    ordered = sorted(versions.items(), key=lambda each: -each[1].looks)
    return [
        {
            "version": version,
            "looked_at": seen.looks,
            "share": _share(seen.looks, looked),
            "first_seen": seen.first,
            "last_seen": seen.last,
        }
        for version, seen in ordered
    ]


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
