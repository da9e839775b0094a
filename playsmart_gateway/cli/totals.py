"""``stats`` without an app: how many events of each type and name every game had, by day."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from playsmart_gateway.cli.printing import Show, console_for_tables, harmless, progress_bar
from playsmart_gateway.stores.models import (
    EventCount,
    EventFilter,
)
from playsmart_gateway.stores.open import open_store

EVENTS_PER_READ = 200_000
BAR_WIDTH = 30
_Key = tuple[str, str, str, str | None, str]


async def count_all(url: str, wanted: EventFilter) -> list[EventCount]:
    """Return the counts of everything stored now, ordered by game, type, name and day."""
    counts: Counter[_Key] = Counter()
    with progress_bar() as bar:
        task = bar.add_task("counting", total=None)
        async with open_store(url).reader() as reader:
            position, end = 0, await reader.newest_event_id()
            while position < end:
                page = await reader.count_events(
                    wanted, after=position, upto=end, limit=EVENTS_PER_READ
                )
                for source, game_id, kind, name, day, events in page.counts:
                    counts[source, game_id, kind, name, day] += events
                position = page.position
                bar.update(task, completed=position, total=end)
    return [EventCount(*key, counts[key]) for key in sorted(counts, key=_place)]


def _place(key: _Key) -> tuple[str, ...]:
    _, game_id, kind, name, day = key
    return game_id, kind, name or "", day


def totals_as_json(found: Sequence[EventCount]) -> dict[str, Any]:
    """Return the counts for machines."""
    return {
        "events": sum(each.events for each in found),
        "counts": [each._asdict() for each in found],
    }


def print_totals(found: Sequence[EventCount], show: Show = harmless) -> None:
    """Print a table for the types and names of each game, and one for the days."""
    if not found:
        click.echo("no such events are stored", err=True)
        return
    console = console_for_tables(160)
    types: Counter[tuple[str, ...]] = Counter()
    days: Counter[tuple[str, ...]] = Counter()
    for each in found:
        types[each.source, each.game_id, each.type, each.custom_event_name or ""] += each.events
        days[(each.day,)] += each.events
    console.print(_table(("source", "game", "type", "name"), types, types.most_common(), show))
    console.print()
    console.print(_table(("day",), days, sorted(days.items()), show))
    console.print(f"\n{sum(days.values()):,} events", markup=False)


def _table(
    headings: tuple[str, ...],
    counts: Counter[tuple[str, ...]],
    rows: Sequence[tuple[tuple[str, ...], int]],
    show: Show,
) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    table.add_column("events", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    most = max(counts.values())
    for key, events in rows:
        bar = "█" * max(1, round(BAR_WIDTH * events / most))
        cells = (*map(show, key), f"{events:,}", bar)
        table.add_row(*map(Text, cells))
    return table
