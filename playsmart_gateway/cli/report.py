"""``report``: what players did, period by period."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
from rich.table import Table
from rich.text import Text

from playsmart_gateway.cli.common import config_option, read_config
from playsmart_gateway.cli.printing import console_for_tables, print_json, raw_option, say, shown
from playsmart_gateway.questions.answers import ReportAnswer
from playsmart_gateway.questions.asked import PeriodName, Report
from playsmart_gateway.questions.process import Question, answer

DAY = click.DateTime(["%Y-%m-%d"])
WEEKS_SHOWN = 4
HEADINGS = ("from", "players", "new", "sessions", "ads", "purchases", "payers", "revenue")


@click.command("report")
@config_option
@click.option("--game", help="Only of this game (or app).")
@click.option(
    "--period", type=click.Choice(get_args(PeriodName)), default="day", show_default=True,
    help="How long each row is.",
)  # fmt: skip
@click.option("--from", "first", type=DAY, help="The first day, YYYY-MM-DD; else 4 weeks ago.")
@click.option("--to", "last", type=DAY, help="The last day; else today.")
@click.option("--zone", default="UTC", show_default=True, help="Whose days are meant.")
@click.option("--happened", is_flag=True, help="By when things happened, not when they came.")
@raw_option
@click.option("--json", "as_json", is_flag=True, help="Print all of the report as JSON.")
def report_command(
    config_path: Path | None,
    game: str | None,
    period: PeriodName,
    first: datetime | None,
    last: datetime | None,
    zone: str,
    happened: bool,
    raw: bool,
    as_json: bool,
) -> None:
    """Print what players did by day, week or month: players, sessions, ads, purchases, revenue.

    Days of UTC, by when things came, are read from sums, which a gateway keeps; those of another
    zone, or by when things happened, are counted event by event. --json has retention, levels,
    versions and all else that the page has, and the same of as long a time before.
    """
    end = last or datetime.now(UTC)
    asked = Report(
        first=(first or end - timedelta(weeks=WEEKS_SHOWN) + timedelta(days=1)).date(),
        last=end.date(), period=period, zone=zone, game=game,
        by="happened" if happened else "received",
    )  # fmt: skip
    question = Question(read_config(config_path).storage.database_url, asked)
    found = asyncio.run(answer(question))
    assert isinstance(found, ReportAnswer)
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    show = shown(raw=raw)
    table = Table(box=None, padding=(0, 1, 0, 0))
    for place, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if place else "left", no_wrap=True)
    for each in [*found.periods, found.total]:
        counts = (each.players, each.new_players, each.sessions, each.ads, each.purchases)
        amounts = ", ".join(f"{amount:,.2f} {name}" for name, amount in each.revenue.items())
        cells: list[Any] = [getattr(each, "start", "all"), *counts, each.payers]
        texts = [f"{cell:,}" if isinstance(cell, int) else cell for cell in cells]
        table.add_row(*map(Text, (*texts, show(amounts))))
    console_for_tables(120).print(table)
    rest = "" if found.complete else "; there is more, and time ended first"
    say(f"counted up to {found.counted_up_to or 'nothing yet'}{rest}", err=True)
