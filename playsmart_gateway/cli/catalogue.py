"""``catalogue``: what events are like, as far as it was learned, and what is odd about them."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from playsmart_gateway.catalogue.configured import expected_of
from playsmart_gateway.catalogue.definitions import written
from playsmart_gateway.catalogue.facts import Facts
from playsmart_gateway.catalogue.telling import told
from playsmart_gateway.cli.common import config_option, read_config
from playsmart_gateway.cli.printing import (
    Show,
    console_for_tables,
    print_json,
    raw_option,
    say,
    shown,
)
from playsmart_gateway.config import Config
from playsmart_gateway.stores.learned import Kept
from playsmart_gateway.stores.open import open_store

WIDTH = 140
TYPES_SHOWN = 3


@click.group("catalogue", invoke_without_command=True)
@config_option
@click.option("--game", help="Only of this game (or app).")
@click.option("--event", help="Show the properties of the events of this name, or type.")
@raw_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
@click.pass_context
def catalogue_command(
    context: click.Context,
    config_path: Path | None,
    game: str | None,
    event: str | None,
    raw: bool,
    as_json: bool,
) -> None:
    """Print what events are like: names, properties, types, versions, and what is odd of late.

    It is learned from what is stored while a gateway runs, and holds nothing of players.
    """
    if context.invoked_subcommand is not None:
        return
    config = read_config(config_path)
    kept = asyncio.run(read_learned(config))
    content = told(Facts(kept.learned), time.time(), expected_of(config))
    for part in ("games", "findings", "events"):
        content[part] = [each for each in content[part] if game in (None, each["game_id"])]
    if event is not None:
        content["events"] = [
            each for each in content["events"] if event in (each["label"], each["type"])
        ]
        content["findings"] = [each for each in content["findings"] if each["event"] == event]
    if as_json:
        print_json({"followed": {"position": kept.position, "end": kept.end}, **content})
        return
    _print(content, shown(raw=raw), with_properties=event is not None)
    if kept.position < kept.end:
        say(f"{kept.end - kept.position:,} batches are not learned from yet", err=True)


@catalogue_command.command("export")
@config_option
@click.option("--game", help="Only the events of this game.")
def export_command(config_path: Path | None, game: str | None) -> None:
    """Print definitions that fit what was learned, to be edited: catalogue.definitions_file.

    A property that every event had that was looked at must be there; types are all that it had.
    """
    kept = asyncio.run(read_learned(read_config(config_path)))
    facts = Facts(kept.learned)
    for line in written(facts, game):
        click.echo(line)
    if not facts.entries:
        say("nothing is learned yet: no events are stored, or no gateway has run since", err=True)


async def read_learned(config: Config) -> Kept:
    """Return what the store has learned.

    Raises:
        ClickException: it keeps nothing of that kind.
    """
    learned = open_store(config.storage.database_url, migrates=False).learned
    if learned is None:
        raise click.ClickException("this store keeps no catalogue")
    async with learned:
        return await learned.kept()


def _print(content: dict[str, Any], show: Show, *, with_properties: bool) -> None:
    if not content["events"]:
        say("nothing is learned yet: no events are stored, or no gateway has run since", err=True)
        return
    console = console_for_tables(WIDTH)
    if content["findings"]:
        console.print(
            _table(
                ("odd of late", "game", "event", "property", "what", "since"),
                [
                    (
                        each["kind"].replace("_", " "), each["game_id"], each["event"],
                        each["property"] or "", each["text"], _minute(each["since"]),
                    )
                    for each in content["findings"]
                ],
                show,
            )
        )  # fmt: skip
        console.print()
    rows = [
        (
            each["game_id"], each["label"], f"{each['events']:,}", f"{len(each['properties'])}",
            ", ".join(version["version"] for version in each["versions"][:TYPES_SHOWN]),
            _minute(each["first_seen"]), _minute(each["last_seen"]),
        )
        for each in content["events"]
    ]  # fmt: skip
    headings = ("game", "event", "events", "properties", "versions", "first seen", "last seen")
    console.print(_table(headings, rows, show))
    for each in content["events"] if with_properties else ():
        console.print()
        title = f"{each['label']} of {each['game_id']}, {each['looked_at']:,} looked at"
        console.print(show(title), markup=False, style="bold")
        properties = [
            (
                one["name"], f"{100 * one['share']:.1f} %",
                ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in one["types"].items()),
                values_of(one), _minute(one["last_seen"]),
            )
            for one in each["properties"]
        ]  # fmt: skip
        columns = ("property", "in", "types", "values", "last seen")
        console.print(_table(columns, properties, show))


def values_of(told_property: dict[str, Any]) -> str:
    """Return in a few words what the values of a property are like."""
    parts = []
    if told_property["least"] is not None:
        parts.append(f"{told_property['least']:g} .. {told_property['most']:g}")
    parts += told_property["examples"]
    return ", ".join(parts)


def _minute(instant: str) -> str:
    return instant[:16].replace("T", " ")


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], show: Show) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in headings:
        right = "right" if heading in ("events", "properties", "in") else "left"
        table.add_column(heading, justify=right, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(Text(show(cell)) for cell in row))
    return table
