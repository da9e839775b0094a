"""``python -m tests.campaigns.phones``: phones by hand; exit 1 on anything lost, doubled or amiss.

Five scenes: SQLite, two workers on it, PostgreSQL, and either by way of JetStream and a worker.
A scene of 500 lives takes some two minutes and more on a busy machine. How far it is, and what was
found in each scene, is told on standard error as it comes. A failure keeps the data.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack, nullcontext
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from playsmart_gateway.clients import CLIENTS
from playsmart_gateway.clients.adapters import ToolMissing
from tests.campaigns.command_line import new_parser
from tests.campaigns.phones.lives import Campaign, Figures, Plan
from tests.campaigns.phones.mutants import MUTANTS, Mutant
from tests.campaigns.phones.old_gateway import BEFORE_RUNS, NoHistory, unpack
from tests.campaigns.phones.scene import SCENES, WITHOUT_STREAM, SceneName, scene
from tests.support.engines.postgres import own_server

FIRST_WRONG = 3
TELL_SECONDS = 15.0
MUTANT_LIVES = 24
MUTANT_KILLS = 8
MUTANT_FATES = 10


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = new_parser("phones", __doc__, seed="what lives and fates are drawn from")
    add = parser.add_argument
    add("--scene", action="append", choices=SCENES, help="all of them by default")
    add("--client", action="append", choices=CLIENTS, help="what phones have; python by default")
    add(
        "--gateway-revision",
        nargs="?",
        const=BEFORE_RUNS,
        help="an earlier gateway, where doubles are allowed",
    )
    add("--phones", type=int, default=8, help="at the same time")
    add("--lives", type=int, default=500, help="of all phones, at least")
    add("--events", type=int, default=0, help="that they keep, at least")
    add("--mutants", action="store_true", help="break phone and gateway, each has to fail")
    options = parser.parse_args()
    if options.gateway_revision and set(options.scene or ()) - set(WITHOUT_STREAM):
        parser.error("an earlier gateway has no worker: --scene is one without a stream")
    return options


async def play(
    name: SceneName, plan: Plan, folder: Path, mutant: Mutant, code: Path | None = None
) -> Figures:
    """Play a plan on a scene of its own, and tell how it goes."""
    with own_server() if "postgres" in name else nullcontext() as server:
        there = scene(name, folder, postgres=server, program=mutant.gateway, code=code)
        async with there as system:
            campaign = Campaign(system, folder, plan)
            telling = asyncio.create_task(_tell(folder.name, campaign))
            try:
                return await campaign.play()
            finally:
                telling.cancel()


async def _tell(title: str, campaign: Campaign) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(TELL_SECONDS)
        seconds = time.monotonic() - began
        print(f"{title}, {seconds:.0f} s: {campaign.so_far}", file=sys.stderr, flush=True)


def run_mutants(options: argparse.Namespace, folder: Path) -> int:
    """Play each mutant; exit 1 if nobody noticed one."""
    unnoticed = 0
    for name, mutant in MUTANTS.items():
        place = folder / name.replace(" ", "-")
        plan = Plan(
            *(mutant.clients, options.seed, options.phones, MUTANT_LIVES),
            kills=MUTANT_KILLS,
            fates=MUTANT_FATES,
            gateway_seconds=(0.5, 2.0),
        )
        verdict = asyncio.run(play(mutant.scene, plan, place, mutant)).verdict
        unnoticed += verdict.good
        print(f"{name:40}  {'NOT NOTICED' if verdict.good else verdict.first_wrong[0]}", flush=True)
        shutil.rmtree(place)
    return min(unnoticed, 1)


def run_scenes(options: argparse.Namespace, folder: Path) -> int:
    """Play the scenes and print what was found; exit 1 if anything is wrong."""
    with ExitStack() as stack:
        names = options.client or ["python"]
        clients = {name: stack.enter_context(CLIENTS[name].ready()) for name in names}
        plan = Plan(clients, options.seed, options.phones, options.lives, options.events)
        code = folder / "code" if options.gateway_revision else None
        if code is not None:
            unpack(options.gateway_revision, code)
        return _played(options, folder, plan, code)


def _played(options: argparse.Namespace, folder: Path, plan: Plan, code: Path | None) -> int:
    found = {}
    for name in options.scene or (SCENES if code is None else WITHOUT_STREAM):
        found[name] = figures = asyncio.run(play(name, plan, folder / name, Mutant(), code))
        if not options.json:
            Console().print(_table(name, figures))
        verdict = figures.verdict
        fine = "nothing is lost, doubled or amiss" if code is None else "nothing is lost or amiss"
        told = fine if verdict.good else verdict.first_wrong[0]
        print(f"{name}: {told}", file=sys.stderr, flush=True)
    if options.json:
        print(json.dumps({name: asdict(figures) for name, figures in found.items()}, indent=2))
    return 0 if all(figures.verdict.good for figures in found.values()) else 1


def _table(name: str, figures: Figures) -> Table:
    table = Table("figure", "value", title=name)
    table.columns[1].justify = "right"
    verdict = {key: value for key, value in asdict(figures.verdict).items() if value != []}
    played = {"lives": figures.lives, "kills": figures.kills, **verdict}
    for key, value in (played | figures.fates).items():
        text = "\n".join(value[:FIRST_WRONG]) if isinstance(value, list) else f"{value:,}"
        table.add_row(key.replace("_", " "), text)
    return table


def main() -> int:
    """Run the campaign, print what was found."""
    options = arguments()
    folder = Path(tempfile.mkdtemp(prefix="phones-"))
    print(f"data and logs are in {folder}, until all went well", file=sys.stderr)
    try:
        code = (run_mutants if options.mutants else run_scenes)(options, folder)
    except (NoHistory, ToolMissing) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not code:
        shutil.rmtree(folder)
    return code


if __name__ == "__main__":
    sys.exit(main())
