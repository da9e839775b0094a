"""``python -m tests.campaigns.cluster``: every fault, for as long as it takes; exit 1 on any loss.

Three scenes: by way of a stream to SQLite and to PostgreSQL, and to PostgreSQL directly. A round
plays all faults of a scene in turn, under load; the first takes some two minutes, half a minute of
which the network is cut. Under every other fault, others in each round, the players number their
events and send some again. A failure names fault and round and keeps the data.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.campaigns.cluster.faults import (
    OF_POSTGRES,
    OF_POSTGRES_BEHIND_THE_STREAM,
    OF_THE_STREAM,
    AnyFleet,
    Fault,
    cut_the_network,
)
from tests.campaigns.cluster.harness import (
    Fleet,
    System,
)
from tests.campaigns.command_line import new_parser
from tests.support.engines.postgres import own_server
from tests.support.players import load

SCENES = ("jetstream-sqlite", "jetstream-postgres", "postgres")


@dataclass
class Figures:
    """What the campaign saw in one scene."""

    rounds: int = 0
    faults: int = 0
    accepted_events: int = 0
    unknown_events: int = 0
    unknown_stored_events: int = 0
    repeated_events: int = 0
    lost_events: int = 0
    duplicated_batches: int = 0
    buried_batches: int = 0
    answers: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = new_parser("cluster", __doc__, seed="what the clients send")
    parser.add_argument("--scene", action="append", choices=SCENES, help="all of them by default")
    parser.add_argument("--rounds", type=int, default=1, help="how often to play every fault")
    parser.add_argument("--cut", type=float, default=30.0, help="seconds without a network")
    parser.add_argument("--down", type=float, default=5.0, help="seconds of every other fault")
    return parser.parse_args()


async def play(
    fleet: AnyFleet, faults: Sequence[Fault[AnyFleet]], options: argparse.Namespace
) -> Figures:
    """Play the rounds; ``AssertionError`` at the first fault that breaks a promise."""
    figures = Figures()
    async with fleet:
        for number in range(1, options.rounds + 1):
            for place, fault in enumerate(faults, number):
                fleet.number_events(place)
                name = fault.__name__
                began = time.monotonic()
                print(f"  round {number}: {name}", file=sys.stderr)
                try:
                    async with load(fleet.clients):
                        await fleet.accepted(200)
                        is_cut = fault is cut_the_network
                        await fault(fleet, options.cut if is_cut else options.down)
                        await fleet.accepted(1)
                    verdict = await fleet.verdict()
                except AssertionError:
                    print(f"--seed {options.seed}: round {number}, {name}", file=sys.stderr)
                    raise
                figures.faults += 1
                figures.seconds[name] = round(time.monotonic() - began, 1)
            figures.rounds = number
        await fleet.stop()
        figures.accepted_events = verdict.accepted_events
        figures.unknown_events = verdict.unknown_events
        figures.unknown_stored_events = verdict.unknown_stored_events
        figures.repeated_events = verdict.repeated_events
        figures.lost_events = verdict.lost_events
        figures.duplicated_batches = len(verdict.duplicated)
        figures.buried_batches = verdict.buried
        figures.answers = {str(k): v for k, v in Counter(fleet.ledger.statuses).items()}
    return figures


async def play_scene(scene: str, options: argparse.Namespace, folder: Path) -> Figures:
    """Build the fleet of a scene and play its faults."""
    seed = options.seed
    if scene == "jetstream-sqlite":
        url = f"sqlite:///{folder}/store/playsmart.db"
        return await play(System(folder, url, seed=seed), OF_THE_STREAM, options)
    with own_server() as server:
        url = await server.create_database()
        if scene == "postgres":
            return await play(Fleet(folder, url, postgres=server, seed=seed), OF_POSTGRES, options)
        system = System(folder, url, postgres=server, seed=seed)
        return await play(system, OF_POSTGRES_BEHIND_THE_STREAM, options)


def main() -> int:
    """Run the campaign, print what was found."""
    options = arguments()
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    print(f"data and logs are in {folder}, until all went well", file=sys.stderr)
    scenes: dict[str, Figures] = {}
    for scene in options.scene or SCENES:
        print(scene, file=sys.stderr)
        scenes[scene] = asyncio.run(play_scene(scene, options, folder / scene))
    shutil.rmtree(folder)
    if options.json:
        print(json.dumps({scene: vars(figures) for scene, figures in scenes.items()}, indent=2))
        return 0
    for scene, figures in scenes.items():
        table = Table("figure", "value", title=scene)
        for name, value in vars(figures).items():
            table.add_row(name.replace("_", " "), str(value))
        Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
