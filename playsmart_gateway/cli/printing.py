"""What commands print for people and machines; texts of players are made harmless on the way."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from playsmart_gateway.cli.harmless import (
    harmless,
    harmless_cell,
    harmless_json,
)

if TYPE_CHECKING:  # most commands draw nothing
    from rich.progress import Progress

__all__ = [
    "Show",
    "as_text",
    "harmless",
    "print_csv",
    "print_json",
    "progress_bar",
    "raw_option",
    "say",
    "shown",
]

Show = Callable[[str], str]
"""Makes a text of a player what is shown of it."""

raw_option = click.option(
    "--raw",
    is_flag=True,
    help="Write texts of players as they are; a terminal or a spreadsheet may obey them.",
)


def progress_bar(*, quiet: bool = False) -> "Progress":
    """Return a progress bar that shows nothing unless somebody looks, and is not ``quiet``."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=quiet or not sys.stderr.isatty(),
    )


def shown(*, raw: bool) -> Show:
    """Return what makes texts of players harmless, or leaves them alone."""
    return str if raw else harmless


def say(text: str, *, err: bool = False) -> None:
    """Print a line, in which nothing can do anything to a terminal."""
    click.echo(harmless(text), err=err)


def print_json(value: Any, *, err: bool = False) -> None:
    """Print a value as JSON on a line, in which nothing can do anything to a terminal."""
    click.echo(harmless_json(json.dumps(value).encode()), err=err)


def print_csv(names: Sequence[str], rows: Iterable[Sequence[Any]], *, raw: bool) -> None:
    """Print rows as CSV, in which a spreadsheet calculates nothing unless they are ``raw``."""
    show = str if raw else harmless_cell
    writer = csv.writer(sys.stdout)
    writer.writerow([show(each) for each in names])
    for row in rows:
        writer.writerow([show(as_text(each)) for each in row])


def as_text(value: Any) -> str:
    """Return a value as a cell of a table has it: text as it is, all else as JSON, null as none."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
