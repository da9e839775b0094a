"""``python -m tests.campaigns.abuse``: the campaign by hand; exit 1 if an attack was felt too much.

All attacks against one process, then against ``--workers`` of them; some eight minutes.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from random import Random

from rich.console import Console
from rich.table import Table

from tests.campaigns.abuse.attacks import (
    ATTACKS,
    Scale,
)
from tests.campaigns.abuse.campaign import (
    MEGABYTE,
    Campaign,
    Limits,
    Round,
    target,
)
from tests.campaigns.command_line import new_parser, new_progress


def arguments() -> argparse.Namespace:
    """Read the command line."""
    defaults, scale = Limits(), Scale()
    parser = new_parser(
        "abuse", "Attacks on a real server, beside a player.", seed="what their order is drawn from"
    )
    parser.add_argument("--attacks", default=",".join(ATTACKS), help="which, in any order")
    parser.add_argument("--seconds", type=float, default=scale.seconds, help="of each attack")
    parser.add_argument("--workers", type=int, default=2, help="processes of the second server")
    parser.add_argument("--healthz", type=float, default=defaults.healthz_seconds, help="seconds")
    parser.add_argument("--memory", type=float, default=150, help="MB that it may grow by")
    parser.add_argument("--ratio", type=float, default=defaults.p99_ratio, help="of the p99s")
    parser.add_argument("--heal", type=float, default=defaults.heal_seconds, help="seconds")
    return parser.parse_args()


async def run(options: argparse.Namespace) -> tuple[dict[str, list[Round]], list[str]]:
    """Play everything; return the rounds by server, and what was wrong."""
    names = options.attacks.split(",")
    limits = Limits(options.healthz, int(options.memory * MEGABYTE), options.ratio, options.heal)
    folder = Path(tempfile.mkdtemp(prefix="abuse-"))
    rounds: dict[str, list[Round]] = {}
    problems: list[str] = []
    with new_progress() as progress:
        task = progress.add_task("abuse", total=len(names) * 2)
        for workers in (1, options.workers):
            where = f"{workers} process" if workers == 1 else f"{workers} workers"
            Random(options.seed).shuffle(names)
            with target(folder / str(len(rounds)), workers=workers) as server:
                server.life_seconds = 1_800
                await server.up()
                campaign = Campaign(server, Scale(seconds=options.seconds))
                rounds[where] = []
                try:
                    for name in names:
                        progress.update(task, description=f"{where}, {name}")
                        played = await campaign.round(name)
                        rounds[where].append(played)
                        problems += [f"{where}, {each}" for each in played.problems(limits)]
                        progress.advance(task)
                    verdict = await campaign.finish()
                except AssertionError as error:  # it did not heal, or ended
                    problems.append(f"{where}, {name}: {error}")
                    continue
                if not verdict.exactly_once or not verdict.accepted_events:
                    problems.append(f"{where}, what is stored: {verdict}")
    if not problems:
        shutil.rmtree(folder)
    return rounds, problems


def main() -> int:
    """Run the campaign, print what was found."""
    options = arguments()
    rounds, problems = asyncio.run(run(options))
    if options.json:
        figures = {
            where: [asdict(each) | {"p99_ratio": each.p99_ratio} for each in played]
            for where, played in rounds.items()
        }
        print(json.dumps({"seed": options.seed, "rounds": figures, "problems": problems}, indent=2))
        return 1 if problems else 0
    for where, played in rounds.items():
        table = Table("attack", "answers", "/healthz", "p99", "memory", "healed", title=where)
        for column in table.columns[2:]:
            column.justify = "right"
        for each in played:
            table.add_row(
                each.attack,
                ", ".join(f"{times:,} x {answer}" for answer, times in each.answers.items()),
                f"{each.slowest_healthz_seconds:.2f} s",
                f"{each.p99_ratio:.1f}x of {each.p99_alone_seconds * 1_000:.1f} ms",
                f"+{each.rss_growth_bytes / MEGABYTE:.0f} MB",
                f"{each.healed_after_seconds:.1f} s",
            )
        Console().print(table)
    print("\n".join(problems) or "all within the limits")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
