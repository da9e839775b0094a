"""What commands print for people and machines; texts of players are made harmless on the way."""

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from playsmart_gateway.cli.harmless import (
    harmless,
    harmless_json,
)

if TYPE_CHECKING:  # most commands draw nothing
    from rich.console import Console
    from rich.progress import Progress

__all__ = [
    "Show",
    "console_for_tables",
    "harmless",
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
