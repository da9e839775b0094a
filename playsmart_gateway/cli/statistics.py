"""``stats``: what the stored events add up to."""

import math
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from playsmart_gateway.cli.common import config_option, read_config, run_async
from playsmart_gateway.cli.event_stats import print_event_stats, read_event_stats
from playsmart_gateway.cli.filters import filter_options
from playsmart_gateway.cli.known import NO_RUNS, tell_unknown
from playsmart_gateway.cli.losses import losses_as_json, print_losses, read_losses
from playsmart_gateway.cli.printing import (
    Show,
    print_json,
    raw_option,
    say,
    shown,
)
from playsmart_gateway.cli.tables import Column, Row, numbers, print_table
from playsmart_gateway.cli.times import Day, days_between
from playsmart_gateway.cli.totals import count_all, print_totals, totals_as_json
from playsmart_gateway.dialects.lynes.section import Lynes
from playsmart_gateway.stores.models import (
    EVERYTHING,
    ActionStatistics,
    EventFilter,
    Statistics,
)
from playsmart_gateway.stores.open import open_store


@click.command("stats")
@config_option
@click.option("--app", help="Sum up the analytics events of this Teak App ID.")
@click.option("--event", help="Show the metadata of this Lynes event.")
@click.option(
    "--from",
    "first",
    type=Day(),
    help="With --event: the first day: 2026-04-22, today, yesterday, 7d (ago).",
)
@click.option("--to", "last", type=Day(), help="With --event: the last day, said likewise.")
@click.option("--group", help="With --event: only users of this group.")
@click.option("--loss", is_flag=True, help="Show how many events of each version never arrived.")
@filter_options
@raw_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def stats_command(
    config_path: Path | None,
    app: str | None,
    event: str | None,
    first: date | None,
    last: date | None,
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
    if wanted != EVERYTHING and app is not None:
        raise click.UsageError("--app sums up everything of the app; no filters")
    if wanted != EventFilter(since=wanted.since, until=wanted.until) and event is not None:
        raise click.UsageError("--event sums up everything of the event; of filters only times")
    if loss:
        if wanted != EventFilter(wanted.game_id, since=wanted.since, until=wanted.until):
            raise click.UsageError("--loss is known by game and day: it goes with no other filter")
        losses = run_async(read_losses(config.storage.database_url, wanted))
        if as_json:
            print_json(losses_as_json(losses))
        elif losses:
            print_losses(losses, shown(raw=raw))
        else:
            say(NO_RUNS, err=True)
            tell_unknown(config, game=wanted.game_id)
        return
    if event is not None:
        lynes = config.of(Lynes)
        zone = ZoneInfo(lynes.time_zone)
        span = (
            datetime.fromisoformat(each) if each else None for each in (wanted.since, wanted.until)
        )
        begins, ends = days_between(zone, first, last, *span)
        days = begins or date.min, ends or date.max
        reading = read_event_stats(config.storage.database_url, lynes.project, event, *days, group)
        print_event_stats(run_async(reading), as_json=as_json, raw=raw)
        return
    if app is None:
        counts = run_async(count_all(config.storage.database_url, wanted))
        if as_json:
            print_json(totals_as_json(counts))
        elif counts:
            print_totals(counts, shown(raw=raw))
        else:
            say("no such events are stored", err=True)
            tell_unknown(
                config, game=wanted.game_id, kind=wanted.type, name=wanted.custom_event_name
            )
        return
    found = run_async(_read(config.storage.database_url, app))
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
    columns = [
        Column("action"), Column("country"), *numbers("events"), *numbers("count", rank=3),
        *numbers("value"), *numbers("mean"), *numbers("variance", "deviation", rank=2),
    ]  # fmt: skip
    rows = []
    for action, countries in groupby(found, key=attrgetter("action_type")):
        parts = list(countries)
        total = Statistics()
        for each in parts:
            sums = each.statistics
            total.add(sums.occurrences, sums.value, sums.squares, sums.events)
        rows.append(Row(_cells(action, "all", total), total.events, bold=True))
        for each in parts:
            cells = _cells("", each.country_code or "unknown", each.statistics)
            rows.append(Row(cells, each.statistics.events))
    print_table(columns, rows, show, title=f"analytics events of {app}")


def _cells(action: str, country: str, sums: Statistics) -> list[str]:
    return [
        action,
        country,
        f"{sums.events:,}",
        f"{sums.occurrences:,}",
        _short(sums.value),
        f"{sums.mean:,.6g}",
        _known(sums.variance),
        _known(sums.deviation),
    ]


def _known(number: float) -> str:
    return "unknown" if math.isnan(number) else f"{number:,.6g}"


def _short(number: Decimal) -> str:
    text = f"{number:,f}" if abs(number.adjusted()) < 30 else f"{number:.6g}"
    return text if len(text) < 30 else f"{number:.6g}"
