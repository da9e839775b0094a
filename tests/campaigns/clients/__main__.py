"""``python -m tests.campaigns.clients``: our clients by hand; exit 1 if one fails or loses events.

A client takes a minute or two for its cases, and as long for each of the two times 300 lives. What
fails is told on standard error. A client whose language is not installed is left out.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from playsmart_gateway.clients import CLIENTS
from playsmart_gateway.clients.adapters import ToolMissing
from playsmart_gateway.clients.conformance import CASES, run
from tests.campaigns.command_line import new_parser, new_progress
from tests.campaigns.phones.judge import Verdict
from tests.campaigns.phones.lives import Campaign, Plan
from tests.campaigns.phones.old_gateway import BEFORE_RUNS, unpack
from tests.campaigns.phones.scene import scene

ANSWER_SECONDS = 60.0
RUNTIMES = {"godot": "godot3-server", "unity": "mono"}
"""What runs a client, where its command begins with something else."""
HEADINGS = (
    *("client", "under", "cases passed", "failed", "skipped"),
    *("lives", "events lost", "doubled", "lost with an earlier gateway"),
)


@dataclass(frozen=True)
class Row:
    """What became of a client; ``lives`` is how many it had with each gateway."""

    client: str
    under: str
    passed: int
    failed: int
    skipped: int
    lives: int
    lost: int
    doubled: int
    lost_earlier: int
    is_good: bool


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = new_parser("clients", __doc__, seed="what lives and fates are drawn from")
    add = parser.add_argument
    add("--client", action="append", choices=CLIENTS, help="all that can be started by default")
    add("--lives", type=int, default=300, help="of its phones with each gateway; 0: cases alone")
    add("--phones", type=int, default=8, help="at the same time")
    add("--jobs", type=int, default=4, help="cases played at once")
    return parser.parse_args()


def row_of(name: str, command: Sequence[str], options: argparse.Namespace) -> Row:
    """Play all with one client."""
    counts = _cases(name, command, options.jobs)
    now = earlier = Verdict()
    if options.lives:
        plan = Plan({name: command}, options.seed, options.phones, options.lives)
        now = _lived(name, plan, is_earlier=False)
        earlier = _lived(f"{name}, {BEFORE_RUNS}", plan, is_earlier=True)
    return Row(
        client=name,
        under=_version(RUNTIMES.get(name, command[0])),
        passed=counts["passed"],
        failed=counts["failed"],
        skipped=counts["skipped"],
        lives=options.lives,
        lost=now.lost_events,
        doubled=now.doubled_events,
        lost_earlier=earlier.lost_events,
        is_good=now.good and earlier.good and not counts["failed"],
    )


def _cases(name: str, command: Sequence[str], jobs: int) -> Counter[str]:
    with new_progress() as progress:
        task = progress.add_task(f"{name}: cases", total=len(CASES))
        results = run(
            *(command, list(CASES)),
            seconds=ANSWER_SECONDS,
            jobs=jobs,
            on_result=lambda _: progress.advance(task),
        )
    for each in results:
        if each.verdict != "passed":
            _tell(f"{name}: {each.verdict} {each.name}: {each.detail} {each.stderr}")
    return Counter(each.verdict for each in results)


def _lived(title: str, plan: Plan, *, is_earlier: bool) -> Verdict:
    async def play(folder: Path) -> Verdict:
        code = folder / "code" if is_earlier else None
        if code is not None:
            unpack(BEFORE_RUNS, code)
        async with scene("sqlite", folder, code=code) as system:
            return (await Campaign(system, folder, plan).play()).verdict

    with tempfile.TemporaryDirectory(prefix="clients-") as folder:
        verdict = asyncio.run(play(Path(folder)))
    _tell(f"{title}: {verdict}")
    return verdict


def _version(program: str) -> str:
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", told.stdout + told.stderr)
    return f"{Path(program).name} {found[0] if found else ''}"


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Play all with each client, and print the table."""
    options = arguments()
    rows = []
    for name in options.client or CLIENTS:
        try:
            with CLIENTS[name].ready() as command:
                rows.append(row_of(name, command, options))
        except ToolMissing as why:
            _tell(f"{name} is left out: {why}")
    if options.json:
        print(json.dumps([asdict(each) for each in rows], indent=2))
    else:
        for cells in (HEADINGS, ["---"] * len(HEADINGS), *(_cells(each) for each in rows)):
            print(f"| {' | '.join(cells)} |")
    return 0 if all(each.is_good for each in rows) else 1


def _cells(row: Row) -> list[str]:
    name, under, *counts, _ = asdict(row).values()
    return [f"`{name}`", under, *(f"{each:,}" for each in counts)]


if __name__ == "__main__":
    sys.exit(main())
