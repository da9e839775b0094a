"""What stores show of events, made up."""

import json
from typing import Any

from playsmart_gateway.catalogue.facts import Facts
from playsmart_gateway.stores.learned import Counted, EventKey, Looked

GAME = "com.example.tower"
NOON = "2026-04-22T12:00:00.000000Z"
NOW = 1_776_945_600.0
"""The same instant a day later."""


def key(type_: str, name: str = "", game: str = GAME) -> EventKey:
    return EventKey("playsmart", game, type_, name)


def looked(
    event: EventKey,
    data: dict[str, Any] | None = None,
    *,
    player: str = "ada",
    clock: str | None = None,
    version: str | None = None,
    at: str = NOON,
) -> Looked:
    text = None if data is None else json.dumps(data)
    return Looked(event, player, at, text, clock, version)


def learn(facts: Facts, *seen: Looked, times: int = 1) -> None:
    """Count and look at events, all of them, a look each."""
    for each in seen * times:
        learn_at_once(facts, each)


def learn_at_once(facts: Facts, *seen: Looked) -> None:
    """Count and look at events, in one look."""
    facts.count([Counted(each.key, 1, each.received_at, each.received_at) for each in seen])
    facts.look(seen)
