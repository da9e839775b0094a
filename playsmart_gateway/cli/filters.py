"""The options that say which events a command is about."""

import functools
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from playsmart_gateway.cli.apps import Instant
from playsmart_gateway.dialects import ALL
from playsmart_gateway.stores.models import EventFilter

_SOURCES = ", ".join(dialect.name for dialect in ALL)
_OPTIONS = (
    click.option("--game", help="Only events of this game (or app)."),
    click.option("--player", help="Only events of this player."),
    click.option("--type", "event_type", help="Only events of this type."),
    click.option("--name", help="Only custom events of this name."),
    click.option("--source", help=f"Only events of this source: {_SOURCES}."),
    click.option("--since", type=Instant(), help="Only what occurred then or later (UTC)."),
    click.option("--until", type=Instant(), help="Only what occurred before then (UTC)."),
)


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give ``command`` the options, and what they say as its argument ``wanted``."""

    @functools.wraps(command)
    def with_filter(
        *arguments: Any,
        game: str | None,
        player: str | None,
        event_type: str | None,
        name: str | None,
        source: str | None,
        since: datetime | None,
        until: datetime | None,
        **named: Any,
    ) -> Any:
        times = _printed(since), _printed(until)
        wanted = EventFilter(game, player, event_type, source, *times, name)
        return command(*arguments, wanted=wanted, **named)

    for option in reversed(_OPTIONS):
        with_filter = option(with_filter)
    return with_filter


def _printed(when: datetime | None) -> str | None:
    return None if when is None else f"{when.isoformat(timespec='microseconds')[:26]}Z"
