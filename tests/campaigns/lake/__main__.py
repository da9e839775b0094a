"""``python -m tests.campaigns.lake``: kills by the thousand; exit 1 on any event lost or doubled.

1,000 kills take some ten minutes. A failure names the seed and the round, and keeps the data. With
``--cost 600000`` it measures instead what it takes to write and ask so many events.
"""

import asyncio
import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.campaigns.command_line import new_parser, new_progress
from tests.campaigns.lake.cost import measure
from tests.campaigns.lake.kills import Campaign


async def play(folder: Path, seed: int, kills: int) -> Campaign:
    """Play all rounds; ``AssertionError`` at the first one that breaks a promise."""
    campaign = Campaign(folder, seed)
    with new_progress() as progress:
        task = progress.add_task("kill -9", total=kills)
        for number in range(1, kills + 1):
            try:
                await campaign.round(number)
            except AssertionError as error:
                raise AssertionError(
                    f"seed {seed}, round {number}, in {folder}: {error}"
                ) from error
            progress.update(task, completed=number)
    await campaign.end()
    return campaign


def main() -> int:
    """Read the command line, play and print."""
    parser = new_parser("lake", "Kill what writes the lake.", seed="what the rounds are drawn from")
    parser.add_argument("--kills", type=int, default=1_000, help="how often it is killed")
    parser.add_argument("--cost", type=int, metavar="EVENTS", help="measure that, and kill nothing")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="playsmart-lake-"))
    if options.cost:
        try:
            print(json.dumps(asdict(asyncio.run(measure(folder, options.cost))), indent=2))
        finally:
            shutil.rmtree(folder)
        return 0
    try:
        campaign = asyncio.run(play(folder, options.seed, options.kills))
    except AssertionError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    found = asdict(campaign.total)
    print(json.dumps(found) if options.json else "\n".join(f"{k:<18}{v}" for k, v in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
