"""What ``stats --event`` prints: an event's metadata, field by field, with bars."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import click
import msgspec

from playsmart_gateway.cli.harmless import harmless_json
from playsmart_gateway.cli.printing import Show, say, shown
from playsmart_gateway.cli.tables import print_bars
from playsmart_gateway.economy.points import (
    MetadataSummary,
    summarize,
)
from playsmart_gateway.economy.points.summary import (
    Bucket,
    FieldSummary,
)
from playsmart_gateway.stores.open import open_store

MAX_DAYS_SHOWN = 31
_encode = msgspec.json.Encoder(decimal_format="number").encode


class EventStats(msgspec.Struct, frozen=True):
    """The figures of one event in a range of days, of one user group or of all."""

    event: str
    group: str | None
    days: dict[date, int]
    summary: MetadataSummary


async def read_event_stats(
    url: str, project: str, event: str, first: date, last: date, group: str | None
) -> EventStats:
    """Read them from the store at ``url``."""
    async with open_store(url).reader() as reader:
        loyalty = reader.points
        days = await loyalty.event_days(project, event, first=first, last=last, group=group)
        stats = await loyalty.event_stats(project, event, first=first, last=last, group=group)
    return EventStats(event, group, days, summarize(stats))


def print_event_stats(found: EventStats, *, as_json: bool, raw: bool = False) -> None:
    """Print them for people, or as JSON."""
    if as_json:
        content = _encode(found)
        click.echo(content if raw else harmless_json(content))
    elif not found.summary.events:
        say(f"no events {found.event} are stored", err=True)
    else:
        _print(found, shown(raw=raw))


def _print(found: EventStats, show: Show) -> None:
    group = f" of {found.group}" if found.group is not None else ""
    click.echo(show(f"{found.event}{group}: {found.summary.events:,} events"))
    days = list(found.days.items())[-MAX_DAYS_SHOWN:]
    print_bars([(f"{day}", events) for day, events in days], show)
    if len(found.days) > len(days):
        click.echo(f"and {len(found.days) - len(days):,} days before")
    for name, field in found.summary.fields.items():
        click.echo()
        click.secho(show(f"{name}: in {field.events:,} events"), bold=True)
        for line, rows in _parts(field):
            if line:
                click.echo(show(line))
            print_bars(rows, show)
    if found.summary.unnamed:
        click.echo(f"\nand {found.summary.unnamed:,} values of further fields")


def _parts(field: FieldSummary) -> list[tuple[str, list[tuple[str, int]]]]:
    """Return what there is to say of a field: a line, and rows of a bar chart."""
    parts: list[tuple[str, list[tuple[str, int]]]] = []
    if numbers := field.numbers:
        figures = {"min": numbers.min, "mean": numbers.mean, "max": numbers.max}
        told = ", ".join(f"{name} {_short(value)}" for name, value in figures.items())
        rows = [(_range(bucket), bucket.count) for bucket in numbers.distribution]
        parts.append((f"numbers: {numbers.count:,}, {told}", rows))
    if strings := field.strings:
        rows = [(each.value, each.count) for each in strings.most_common]
        if strings.other:
            rows.append(("(other)", strings.other))
        parts.append((f"strings: {strings.count:,}", rows))
    flags: Mapping[str, int] = {"true": field.true, "false": field.false, "null": field.null}
    if any(flags.values()):
        parts.append(("", [(name, count) for name, count in flags.items() if count]))
    return parts


def _range(bucket: Bucket) -> str:
    low = "" if bucket.low is None else _short(bucket.low)
    high = "" if bucket.high is None else _short(bucket.high)
    return f"{low} .. {high}".strip()


def _short(number: Decimal) -> Any:
    return (
        f"{number:,f}" if -6 < number.adjusted() < 15 and len(str(number)) < 20 else f"{number:.6g}"
    )
