"""``stats``: what the stored events add up to."""

import asyncio
import math
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from playsmart_gateway.cli.common import config_option, read_config
from playsmart_gateway.cli.event_stats import print_event_stats, read_event_stats
from playsmart_gateway.cli.filters import filter_options
from playsmart_gateway.cli.losses import losses_as_json, print_losses, read_losses
from playsmart_gateway.cli.printing import (
    Show,
    console_for_tables,
    print_json,
    raw_option,
    say,
    shown,
)
from playsmart_gateway.cli.totals import count_all, print_totals, totals_as_json
from playsmart_gateway.dialects.lynes.section import Lynes
from playsmart_gateway.stores.models import (
    EVERYTHING,
    ActionStatistics,
    EventFilter,
    Statistics,
)
from playsmart_gateway.stores.open import open_store

BAR_WIDTH = 10
DAY = click.DateTime(["%Y-%m-%d"])


@click.command("stats")
@config_option
@click.option("--app", help="Sum up the analytics events of this Teak App ID.")
@click.option("--event", help="Show the metadata of this Lynes event.")
@click.option("--from", "first", type=DAY, help="With --event: the first day, YYYY-MM-DD.")
@click.option("--to", "last", type=DAY, help="With --event: the last day.")
@click.option("--group", help="With --event: only users of this group.")
@click.option("--loss", is_flag=True, help="Show how many events of each version never arrived.")
@filter_options
@raw_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def stats_command(
    config_path: Path | None,
    app: str | None,
    event: str | None,
    first: datetime | None,
    last: datetime | None,
    group: str | None,
    loss: bool,
    wanted: EventFilter,
    raw: bool,
    as_json: bool,
) -> None:
    """Count the events of each game, type, name and day; or sum up an app, or a Lynes event.

    --app sums up by action type and country. With N the sum of event_count: mean = sum(value) / N,
    variance = sum(sum_of_squares) / N - mean^2, of the whole population: unknown where no values
    have such squares, as where a value came without its sum_of_squares, which is 1 then.

    --event shows, of each field: count, minimum, mean, maximum and distribution of its numbers, and
    the most common of its strings. Days are those of lynes.time_zone.

    --loss shows, of each game, app version and platform, how many events the runs of clients
    numbered and how many of them never came; of runs from which nothing has come for an hour. It
    goes with --game, --since and --until: a run counts on the day (UTC) of its last sight.
    """
    config = read_config(config_path)
    if (app is not None) + (event is not None) + loss > 1:
        raise click.UsageError("say one of --app, --event and --loss")
    if (first, last, group) != (None, None, None) and event is None:
        raise click.UsageError("--from, --to and --group go with --event")
    if wanted != EVERYTHING and (app is not None or event is not None):
        raise click.UsageError("--app and --event sum up everything of theirs; no filters")
    if loss:
        if wanted != EventFilter(wanted.game_id, since=wanted.since, until=wanted.until):
            raise click.UsageError("--loss is known by game and day: it goes with no other filter")
        losses = asyncio.run(read_losses(config.storage.database_url, wanted))
        if as_json:
            print_json(losses_as_json(losses))
        else:
            print_losses(losses, shown(raw=raw))
        return
    if event is not None:
        days = (first.date() if first else date.min, last.date() if last else date.max)
        reading = read_event_stats(
            config.storage.database_url, config.of(Lynes).project, event, *days, group
        )
        print_event_stats(asyncio.run(reading), as_json=as_json, raw=raw)
        return
    if app is None:
        counts = asyncio.run(count_all(config.storage.database_url, wanted))
        if as_json:
            print_json(totals_as_json(counts))
        else:
            print_totals(counts, shown(raw=raw))
        return
    found = asyncio.run(_read(config.storage.database_url, app))
    if as_json:
        print_json({"app": app, "actions": [_as_json(each) for each in found]})
    elif found:
        _print(app, found, shown(raw=raw))
    else:
        say(f"no events of {app} are stored", err=True)


async def _read(url: str, app: str) -> list[ActionStatistics]:
    async with open_store(url).reader() as reader:
        return await reader.action_statistics(app)


def _as_json(found: ActionStatistics) -> dict[str, Any]:
    sums = found.statistics
    return {
        "action_type": found.action_type,
        "country_code": found.country_code,
        "events": sums.events,
        "event_count": sums.occurrences,
        "value": str(sums.value),
        "sum_of_squares": str(sums.squares),
        "mean": _finite(sums.mean),
        "variance": _finite(sums.variance),
        "standard_deviation": _finite(sums.deviation),
    }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _print(app: str, found: Sequence[ActionStatistics], show: Show) -> None:
    console = console_for_tables(160)
    table = Table(
        title=Text(show(f"analytics events of {app}")),
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
    )
    headings = ("action", "country", "events", "count", "value", "mean", "variance", "deviation")
    for place, heading in enumerate((*headings, "")):
        table.add_column(heading, justify="right" if 2 <= place <= 7 else "left", no_wrap=True)
    most = max(each.statistics.events for each in found)
    for action, countries in groupby(found, key=attrgetter("action_type")):
        parts = list(countries)
        total = Statistics()
        for each in parts:
            sums = each.statistics
            total.add(sums.occurrences, sums.value, sums.squares, sums.events)
        table.add_row(*_row(show(action), "all", total, max(most, total.events)), style="bold")
        for each in parts:
            table.add_row(*_row("", show(each.country_code or "unknown"), each.statistics, most))
    console.print(table)


def _row(action: str, country: str, sums: Statistics, most: int) -> list[Text]:
    cells = (
        action,
        country,
        f"{sums.events:,}",
        f"{sums.occurrences:,}",
        _short(sums.value),
        f"{sums.mean:,.6g}",
        _known(sums.variance),
        _known(sums.deviation),
        "█" * max(1, round(BAR_WIDTH * sums.events / most)),
    )
    return [Text(cell) for cell in cells]


def _known(number: float) -> str:
    return "unknown" if math.isnan(number) else f"{number:,.6g}"


def _short(number: Decimal) -> str:
    text = f"{number:,f}" if abs(number.adjusted()) < 30 else f"{number:.6g}"
    return text if len(text) < 30 else f"{number:.6g}"
