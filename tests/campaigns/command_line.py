"""What the command lines of the campaigns have in common."""

import argparse

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def new_parser(name: str, description: str | None, *, seed: str) -> argparse.ArgumentParser:
    """Return a parser of ``--seed``, which ``seed`` explains, and ``--json``."""
    parser = argparse.ArgumentParser(
        prog=f"python -m tests.campaigns.{name}", description=description
    )
    parser.add_argument("--seed", type=int, default=1, help=seed)
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    return parser


def new_progress() -> Progress:
    """Return a bar on standard error with what is done, how much is left, and the times of both."""
    return Progress(
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
        *(TimeElapsedColumn(), TimeRemainingColumn()),
        console=Console(stderr=True),
    )
