"""Run the simulation from the command line; exit code 1 means that a promise was broken."""

import argparse
import os
import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tests.campaigns.simulation import campaign
from tests.campaigns.simulation.mutants import MUTANTS

MUTANT_SEEDS = 20_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns.simulation", description=__doc__
    )
    add = parser.add_argument
    add("--seeds", type=int, default=5_000, help="how many seeds to run")
    add("--start", type=int, default=0, help="the first of them")
    add("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    add("--seed", type=int, help="run this one only")
    add("--trace", action="store_true", help="with --seed: print every step of it")
    add("--mutant", choices=sorted(MUTANTS), metavar="NAME", help="with --seed: break this first")
    add("--mutants", action="store_true", help="break the gateway in every known way, and catch it")
    options = parser.parse_args(arguments)
    console = Console()
    if options.mutants:
        return _run_mutants(console, range(options.start, options.start + MUTANT_SEEDS))
    if options.seed is not None:
        return _run_one(console, options.seed, options.trace, options.mutant)
    return _run_many(console, options.start, options.seeds, options.jobs)


def _run_one(console: Console, seed: int, traced: bool, mutant: str | None) -> int:
    if traced:
        outcome = campaign.trace(seed, mutant)
        failures = outcome.failures
    elif mutant:
        caught = campaign.catch(mutant, range(seed, seed + 1))
        failures = caught.failures if caught else []
    else:
        failures = [text for _, text in campaign.run_chunk(range(seed, seed + 1)).failures]
    for failure in failures:
        console.print(f"FAILED {failure}", markup=False, highlight=False, soft_wrap=True)
    if not failures:
        console.print(f"seed {seed}: every promise was kept")
    return 1 if failures else 0


def _run_many(console: Console, start: int, seeds: int, jobs: int) -> int:
    began = time.perf_counter()
    tally = campaign.Tally()
    columns = (TextColumn("seeds"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("seeds", total=seeds)
        for tally in campaign.run(start, seeds, jobs):
            progress.update(bar, completed=tally.seeds)
    seconds = time.perf_counter() - began
    console.print(_table("fault", tally.faults))
    console.print(_table("excused, because it was", tally.excused))
    console.print(
        f"{tally.seeds:,} seeds, {tally.lives:,} lives, {tally.batches:,} batches,"
        f" {tally.events:,} events, {tally.steps:,} steps, {tally.seconds / 3600:,.1f} h of"
        f" virtual time in {seconds:.1f} s ({tally.seeds / seconds:,.0f} seeds/s),"
        f" {len(tally.faults)} kinds of fault, {tally.failed:,} seeds failed",
        soft_wrap=True,
    )
    for seed, failure in tally.failures:
        console.print(f"\nFAILED {failure}", markup=False, highlight=False, soft_wrap=True)
        console.print(
            f"replay: python -m tests.campaigns.simulation --seed {seed} --trace", soft_wrap=True
        )
    return 1 if tally.failed else 0


def _run_mutants(console: Console, seeds: range) -> int:
    missed = 0
    for mutant in MUTANTS:
        caught = campaign.catch(mutant, seeds)
        missed += caught is None
        verdict = f"seed {caught.seed}: {caught.failures[0]}" if caught else "NOT CAUGHT"
        console.print(f"{mutant:48}  {verdict}", markup=False, highlight=False, soft_wrap=True)
    return 1 if missed else 0


def _table(title: str, counts: Counter[str]) -> Table:
    table = Table(title, "times", box=None)
    table.columns[1].justify = "right"
    for kind, times in sorted(counts.items()):
        table.add_row(kind, f"{times:,}")
    return table


if __name__ == "__main__":
    raise SystemExit(main())
