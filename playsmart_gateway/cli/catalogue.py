"""``catalogue``: what events are like, as far as it was learned, and what is odd about them."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from playsmart_gateway.catalogue.configured import expected_of
from playsmart_gateway.catalogue.definitions import written
from playsmart_gateway.catalogue.facts import Facts
from playsmart_gateway.catalogue.telling import told
from playsmart_gateway.cli.common import config_option, read_config, run_async
from playsmart_gateway.cli.grouping import Group
from playsmart_gateway.cli.known import tell_unknown
from playsmart_gateway.cli.printing import (
    Show,
    print_json,
    raw_option,
    say,
    shown,
)
from playsmart_gateway.cli.tables import Column, Row, numbers, print_table
from playsmart_gateway.cli.times import Instant, as_printed, require_order
from playsmart_gateway.config import Config
from playsmart_gateway.stores.learned import Kept
from playsmart_gateway.stores.open import open_store

TYPES_SHOWN = 3


@click.group("catalogue", cls=Group, invoke_without_command=True)
@config_option
@click.option("--game", help="Only of this game (or app).")
@click.option("--event", "--name", help="Show the properties of the events of this name, or type.")
@click.option(
    "--since",
    type=Instant(),
    help="Only events that came then or later, too: 24h or 7d (ago), today, 2026-04-22 (UTC).",
)
@click.option(
    "--until", type=Instant(), help="Only events that came before then, too, said likewise."
)
@raw_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
@click.pass_context
def catalogue_command(
    context: click.Context,
    config_path: Path | None,
    game: str | None,
    event: str | None,
    since: datetime | None,
    until: datetime | None,
    raw: bool,
    as_json: bool,
) -> None:
    """Print what events are like: names, properties, types, versions, and what is odd of late.

    It is learned from what is stored while a gateway runs, and holds nothing of players.
    """
    if context.invoked_subcommand is not None:
        return
    require_order(since, until)
    config = read_config(config_path)
    kept = run_async(read_learned(config))
    content = told(Facts(kept.learned), time.time(), expected_of(config))
    for part in ("games", "findings", "events"):
        content[part] = [each for each in content[part] if game in (None, each["game_id"])]
    if event is not None:
        content["events"] = [
            each for each in content["events"] if event in (each["label"], each["type"])
        ]
        content["findings"] = [each for each in content["findings"] if each["event"] == event]
    begins, ends = as_printed(since) or "", as_printed(until) or "~"
    content["events"] = [
        each
        for each in content["events"]
        if begins <= each["last_seen"] and each["first_seen"] < ends
    ]
    content["findings"] = [each for each in content["findings"] if begins <= each["since"] < ends]
    if as_json:
        print_json({"followed": {"position": kept.position, "end": kept.end}, **content})
        return
    if content["events"]:
        _print(content, shown(raw=raw), with_properties=event is not None)
    elif kept.learned:
        say("no such events are known", err=True)
    else:
        say("nothing is learned yet: no events are stored, or no gateway has run since", err=True)
    if not content["events"]:
        tell_unknown(config, game=game, label=event)
    if kept.position < kept.end:
        say(f"{kept.end - kept.position:,} batches are not learned from yet", err=True)


@catalogue_command.command("export")
@config_option
@click.option("--game", help="Only the events of this game.")
def export_command(config_path: Path | None, game: str | None) -> None:
    """Print definitions that fit what was learned, to be edited: catalogue.definitions_file.

    A property that every event had that was looked at must be there; types are all that it had.
    """
    config = read_config(config_path)
    facts = Facts(run_async(read_learned(config)).learned)
    for line in written(facts, game):
        click.echo(f"{line}\n".encode(), nl=False)  # TOML is UTF-8, whatever the locale is
    if not facts.entries:
        say("nothing is learned yet: no events are stored, or no gateway has run since", err=True)
    else:
        tell_unknown(config, game=game)


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
    if content["findings"]:
        columns = [
            Column("odd of late"), Column("game", rank=1), Column("event"), Column("property"),
            Column("what"), Column("since", rank=2),
        ]  # fmt: skip
        found = [
            Row(
                [
                    each["kind"].replace("_", " "), each["game_id"], each["event"],
                    each["property"] or "", each["text"], _minute(each["since"]),
                ]
            )
            for each in content["findings"]
        ]  # fmt: skip
        print_table(columns, found, show)
        click.echo()
    rows = [
        Row(
            [
                each["game_id"], each["label"], f"{each['events']:,}",
                f"{len(each['properties'])}",
                ", ".join(version["version"] for version in each["versions"][:TYPES_SHOWN]),
                _minute(each["first_seen"]), _minute(each["last_seen"]),
            ]
        )
        for each in content["events"]
    ]  # fmt: skip
    columns = [
        Column("game"), Column("event"), *numbers("events"), *numbers("properties", rank=2),
        Column("versions", rank=2), Column("first seen", rank=3), Column("last seen"),
    ]  # fmt: skip
    print_table(columns, rows, show)
    for each in content["events"] if with_properties else ():
        click.echo()
        _print_properties(each, show)


def _print_properties(event: dict[str, Any], show: Show) -> None:
    columns = [
        Column("property"), *numbers("in"), Column("types"), Column("values"),
        Column("last seen", rank=2),
    ]  # fmt: skip
    rows = [
        Row(
            [
                one["name"], f"{100 * one['share']:.1f} %",
                ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in one["types"].items()),
                values_of(one), _minute(one["last_seen"]),
            ]
        )
        for one in event["properties"]
    ]  # fmt: skip
    title = f"{event['label']} of {event['game_id']}, {event['looked_at']:,} looked at"
    print_table(columns, rows, show, title=title)


def values_of(told_property: dict[str, Any]) -> str:
    """Return in a few words what the values of a property are like."""
    parts = []
    if told_property["least"] is not None:
        parts.append(f"{told_property['least']:g} .. {told_property['most']:g}")
    parts += told_property["examples"]
    return ", ".join(parts)


def _minute(instant: str) -> str:
    return instant[:16].replace("T", " ")
