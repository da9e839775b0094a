"""``python -m tests.cluster``: every fault, for as long as it takes; exit 1 at any event lost.

A round plays all faults in turn on one system under load; it takes some two minutes, half a minute
of which the network is cut. A failure names fault and round and keeps the data.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.cluster.faults import FAULTS, cut_the_network
from tests.cluster.harness import System
from tests.crash.clients import load


@dataclass
class Figures:
    """What the campaign saw."""

    rounds: int = 0
    faults: int = 0
    accepted_events: int = 0
    unknown_events: int = 0
    unknown_stored_events: int = 0
    lost_events: int = 0
    duplicated_batches: int = 0
    buried_batches: int = 0
    answers: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="how often to play every fault")
    parser.add_argument("--seed", type=int, default=1, help="what the clients send")
    parser.add_argument("--cut", type=float, default=30.0, help="seconds without a network")
    parser.add_argument("--down", type=float, default=5.0, help="seconds of every other fault")
    parser.add_argument("--json", action="store_true", help="print one JSON object, no table")
    return parser.parse_args()


async def run(options: argparse.Namespace, folder: Path) -> Figures:
    """Play the rounds; ``AssertionError`` at the first fault that breaks a promise."""
    figures = Figures()
    async with System(folder, seed=options.seed) as system:
        for number in range(1, options.rounds + 1):
            for fault in FAULTS:
                name = fault.__name__
                began = time.monotonic()
                print(f"round {number}: {name}", file=sys.stderr)
                try:
                    async with load(system.clients):
                        await system.accepted(200)
                        is_cut = fault is cut_the_network
                        await fault(system, options.cut if is_cut else options.down)
                        await system.accepted(1)
                    verdict = await system.verdict()
                except AssertionError:
                    print(f"--seed {options.seed}: round {number}, {name}", file=sys.stderr)
                    print(f"data and logs are kept in {folder}", file=sys.stderr)
                    raise
                figures.faults += 1
                figures.seconds[name] = round(time.monotonic() - began, 1)
            figures.rounds = number
        await system.stop()
        figures.accepted_events = verdict.accepted_events
        figures.unknown_events = verdict.unknown_events
        figures.unknown_stored_events = verdict.unknown_stored_events
        figures.lost_events = verdict.lost_events
        figures.duplicated_batches = len(verdict.duplicated)
        figures.buried_batches = verdict.buried
        figures.answers = {str(k): v for k, v in Counter(system.ledger.statuses).items()}
    return figures


def main() -> int:
    """Run the campaign, print what was found."""
    options = arguments()
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    figures = asyncio.run(run(options, folder))
    shutil.rmtree(folder)  # not if anything went wrong
    if options.json:
        print(json.dumps(vars(figures), indent=2))
    else:
        table = Table("figure", "value", title="cluster campaign")
        for name, value in vars(figures).items():
            table.add_row(name.replace("_", " "), str(value))
        Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
