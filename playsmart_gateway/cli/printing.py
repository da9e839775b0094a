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
    from rich.console import Console
    from rich.progress import Progress

__all__ = [
    "Show",
    "console_for_tables",
    "harmless",
    "print_csv",
    "print_json",
    "print_table",
    "progress_bar",
    "raw_option",
    "say",
    "shown",
]

CELL_WIDTH = 60
TABLE_WIDTH = 200
Show = Callable[[str], str]
"""Makes a text of a player what is shown of it."""

raw_option = click.option(
    "--raw",
    is_flag=True,
    help="Write texts of players as they are; a terminal or a spreadsheet may obey them.",
)


def progress_bar() -> "Progress":
    """Return a progress bar that shows nothing unless somebody looks."""
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
        disable=not sys.stderr.isatty(),
    )


def console_for_tables(width: int) -> "Console":
    """Return where tables are printed: so many columns wide if no terminal says how many."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = width
    return console


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
        writer.writerow([show(_text(each)) for each in row])


def print_table(names: Sequence[str], rows: Iterable[Sequence[Any]], *, raw: bool) -> None:
    """Print rows as a table; numbers are on the right."""
    from rich.table import Table
    from rich.text import Text

    show, listed = shown(raw=raw), list(rows)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for place, name in enumerate(names):
        is_number = bool(listed) and all(isinstance(row[place], int | float) for row in listed)
        table.add_column(
            Text(show(name)), overflow="ellipsis", max_width=CELL_WIDTH, no_wrap=True,
            justify="right" if is_number else "left",
        )  # fmt: skip
    for row in listed:
        table.add_row(*(Text(show(_text(each))[: CELL_WIDTH + 1]) for each in row))
    console_for_tables(TABLE_WIDTH).print(table)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
