"""``tail``: events as they are stored."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from playsmart_gateway.cli.common import config_option, read_config, until_ctrl_c
from playsmart_gateway.cli.filters import filter_options
from playsmart_gateway.cli.formats import as_lines
from playsmart_gateway.cli.printing import Show, harmless, raw_option, shown
from playsmart_gateway.stores.models import (
    EventFilter,
    StoredEvent,
)
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stores.readers import EventReader

EVENTS_PER_READ = 5_000
POLL_SECONDS = 0.25


@click.command("tail")
@config_option
@click.option(
    "--lines", "-n", type=click.IntRange(0, 100_000), default=10, show_default=True,
    help="Begin with so many of the last events.",
)  # fmt: skip
@filter_options
@raw_option
@click.option("--json", "as_json", is_flag=True, help="Print NDJSON, as export does.")
def tail_command(
    config_path: Path | None, lines: int, wanted: EventFilter, raw: bool, as_json: bool
) -> None:
    """Print the last stored events, then new ones as they are stored, until Ctrl-C."""
    console = Console(highlight=False, soft_wrap=True)

    def show(events: list[StoredEvent]) -> None:
        if as_json and events:
            click.echo(as_lines(events, raw=raw), nl=False)
        elif events:
            console.print(Text("\n").join(line_of(event, shown(raw=raw)) for event in events))

    with asyncio.Runner() as runner:
        runner.run(_tail(read_config(config_path).storage.database_url, wanted, lines, show))


async def _tail(
    url: str, wanted: EventFilter, lines: int, show: Callable[[list[StoredEvent]], None]
) -> None:
    with until_ctrl_c() as stop:
        await _follow(url, wanted, lines, show, stop)


async def _follow(
    url: str,
    wanted: EventFilter,
    lines: int,
    show: Callable[[list[StoredEvent]], None],
    stop: asyncio.Event,
) -> None:
    async with open_store(url).reader() as reader:
        position = await reader.newest_event_id()
        show(await last_events(reader, wanted, position, lines))
        while not stop.is_set():
            newest = await reader.newest_event_id()
            while position < newest and not stop.is_set():
                page = await reader.events(
                    wanted, after=position, upto=newest, limit=EVENTS_PER_READ
                )
                show(page.events)
                position = page.position
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await stop.wait()


async def last_events(
    reader: EventReader, wanted: EventFilter, upto: int, count: int
) -> list[StoredEvent]:
    """Return the last ``count`` wanted events, oldest first."""
    found: list[StoredEvent] = []
    while upto > 0 and len(found) < count:
        page = await reader.events(wanted, upto=upto, limit=EVENTS_PER_READ, newest_first=True)
        found += page.events
        upto = page.position - 1
    return found[:count][::-1]


def line_of(event: StoredEvent, show: Show = harmless) -> Text:
    """Return an event on one line, in which what players wrote can do nothing to a terminal."""
    name = f" {event.custom_event_name}" if event.custom_event_name else ""
    return Text.assemble(
        (event.occurred_at[:23].replace("T", " "), "dim"), " ",
        (show(event.source), "dim"), " ",
        (show(event.game_id), "cyan"), " ",
        (show(event.user_id), "green"), " ",
        (show(event.type + name), "bold"), " ",
        show(event.customdata or ""),
    )  # fmt: skip
