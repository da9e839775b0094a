"""``python -m tests.campaigns.crash``: the campaign by hand; exit 1 on any event lost or doubled.

200 rounds of kills and 100 of ``hands`` take some twenty minutes. A failure names the seed and the
round and keeps the data.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.campaigns.command_line import new_parser, new_progress
from tests.campaigns.crash.hands import (
    Counts,
    play,
)
from tests.campaigns.crash.kills import (
    Campaign,
    make_plan,
)
from tests.campaigns.crash.slow import (
    measure,
    p99,
)
from tests.support.count import Verdict
from tests.support.players import Ledger
from tests.support.target import Target


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = new_parser(
        "crash", "Kill -9 rounds, then slow clients.", seed="what the rounds are drawn from"
    )
    parser.add_argument("--rounds", type=int, default=200, help="kill -9 rounds")
    parser.add_argument("--hands", type=int, default=100, help="rounds of moved files and so on")
    parser.add_argument("--max-interval", type=float, default=30.0, help="longest wait for a kill")
    parser.add_argument("--minutes", type=float, help="begin no round after so many minutes")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the port")
    return parser.parse_args()


async def kill_rounds(options: argparse.Namespace, target: Target) -> tuple[Campaign, Verdict]:
    """Play the rounds; ``AssertionError`` at the first one that breaks a promise."""
    target.life_seconds = 600 + int(options.max_interval)
    await target.up()
    campaign = Campaign(target, options.seed, options.max_interval)
    started = time.monotonic()
    with new_progress() as progress:
        task = progress.add_task("kill -9", total=options.rounds)
        for number in range(1, options.rounds + 1):
            if options.minutes and time.monotonic() - started > options.minutes * 60:
                break
            plan = make_plan(options.seed, number, options.max_interval)
            progress.update(task, description=f"kill -9, {plan.kind:6} {plan.interval:5.2f} s")
            try:
                verdict = await campaign.round(number)
                assert verdict.good, verdict
            except AssertionError:
                print(f"--seed {options.seed} --rounds {number}: {plan}", file=sys.stderr)
                print(f"data and log are kept in {target.data}", file=sys.stderr)
                raise
            progress.advance(task)
    return campaign, await campaign.finish()


async def hands_rounds(options: argparse.Namespace, folder: Path) -> Counts:
    """Play the rounds of ``hands``; ``AssertionError`` at the first one that breaks a promise."""
    counts = Counts()
    with new_progress() as progress:
        task = progress.add_task("hands", total=options.hands)
        for number in range(1, options.hands + 1):
            data = folder / f"hands-{number}"
            try:
                kind = await play(data, options.seed, number, counts, workers=options.workers)
                assert counts.good, counts
            except AssertionError:
                print(f"--seed {options.seed} --hands {number}: kept in {data}", file=sys.stderr)
                raise
            shutil.rmtree(data)
            progress.update(task, advance=1, description=f"hands: {kind}")
    return counts


async def run(options: argparse.Namespace) -> dict[str, object]:
    """Run everything and return the figures by name."""
    folder = Path(tempfile.mkdtemp(prefix="crash-"))
    with Target(folder / "kills", server__workers=options.workers) as target:
        campaign, verdict = await kill_rounds(options, target)
    counts = await hands_rounds(options, folder)
    with Target(folder / "slow") as target:
        await target.up()
        latencies = await measure(target, Ledger())
    shutil.rmtree(folder)  # not if anything went wrong
    lists = ("lost", "duplicated", "torn", "never_accepted", "disordered")
    return {
        **asdict(campaign.total),
        "seed": options.seed,
        "accepted_events": verdict.accepted_events,
        "unknown_events": verdict.unknown_events,
        "unknown_stored_events": verdict.unknown_stored_events,
        "lost_events": verdict.lost_events,
        **{f"{name}_batches": len(getattr(verdict, name)) for name in lists},
        "integrity_check": verdict.integrity,
        "p99_alone_ms": round(p99(latencies.alone) * 1_000, 2),
        "p99_beside_32_slow_ms": round(p99(latencies.beside_slow) * 1_000, 2),
        "p99_ratio": round(latencies.ratio, 2),
        **{f"hands_{name}": value for name, value in asdict(counts).items()},
        "good": verdict.good and campaign.total.corrupt_records == 0 and counts.good,
    }


def main() -> int:
    """Run the campaign, print what was found."""
    options = arguments()
    figures = asyncio.run(run(options))
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        table = Table("figure", "value", title="crash campaign")
        table.columns[1].justify = "right"
        for name, value in figures.items():
            table.add_row(
                name.replace("_", " "), f"{value:,}" if type(value) is int else str(value)
            )
        Console().print(table)
    return 0 if figures["good"] else 1


if __name__ == "__main__":
    sys.exit(main())
