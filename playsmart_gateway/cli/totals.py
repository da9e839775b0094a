"""``stats`` without an app: how many events of each type and name every game had, by day."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from playsmart_gateway.cli.printing import Show, harmless, progress_bar
from playsmart_gateway.cli.tables import Column, Row, numbers, print_table
from playsmart_gateway.stores.models import (
    EventCount,
    EventFilter,
)
from playsmart_gateway.stores.open import open_store

EVENTS_PER_READ = 200_000
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
    types: Counter[tuple[str, ...]] = Counter()
    days: Counter[tuple[str, ...]] = Counter()
    for each in found:
        types[each.source, each.game_id, each.type, each.custom_event_name or ""] += each.events
        days[(each.day,)] += each.events
    headings = [Column("source", rank=2), Column("game"), Column("type"), Column("name")]
    _print(headings, types.most_common(), show)
    click.echo()
    _print([Column("day")], sorted(days.items()), show)
    click.echo(f"\n{sum(days.values()):,} events")


def _print(
    columns: Sequence[Column], counts: Sequence[tuple[tuple[str, ...], int]], show: Show
) -> None:
    rows = [Row([*key, f"{events:,}"], events) for key, events in counts]
    print_table([*columns, *numbers("events")], rows, show)
