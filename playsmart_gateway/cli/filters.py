"""The options that say which events a command is about."""

import functools
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from playsmart_gateway.cli.times import Instant, as_printed, require_order
from playsmart_gateway.dialects import ALL
from playsmart_gateway.stores.models import EventFilter

_OPTIONS = (
    click.option("--game", help="Only events of this game (or app)."),
    click.option("--player", help="Only events of this player."),
    click.option("--type", "event_type", help="Only events of this type."),
    click.option("--name", help="Only custom events of this name."),
    click.option(
        "--source",
        type=click.Choice([dialect.name for dialect in ALL]),
        help="Only events of this source.",
    ),
    click.option(
        "--since",
        type=Instant(),
        help="Only what occurred then or later: 24h or 7d (ago), today, yesterday, 2026-04-22, "
        "2026-04-22T14:30Z (UTC).",
    ),
    click.option("--until", type=Instant(), help="Only what occurred before then, said likewise."),
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
        require_order(since, until)
        times = as_printed(since), as_printed(until)
        wanted = EventFilter(game, player, event_type, source, *times, name)
        return command(*arguments, wanted=wanted, **named)

    for option in reversed(_OPTIONS):
        with_filter = option(with_filter)
    return with_filter
