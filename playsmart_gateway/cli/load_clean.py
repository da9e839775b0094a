"""``load --clean``: what it has left in a gateway, removed."""

import sys
from pathlib import Path

import click

from playsmart_gateway.cli.common import read_config, run_async
from playsmart_gateway.cli.erasing import PATIENCE_SECONDS, Erasure
from playsmart_gateway.cli.printing import print_json, say
from playsmart_gateway.lake.job import Job
from playsmart_gateway.load import GAME_ID, PLAYER_PREFIX
from playsmart_gateway.stores.clearing import Traces
from playsmart_gateway.stores.contract import Store

KEPT = "kept_coin_entries"


class _Load:
    """See ``Target``: the game of load, and its players in whatever game."""

    name = GAME_ID
    traces = Traces(GAME_ID, PLAYER_PREFIX)

    async def names(self, store: Store) -> set[str]:
        return {PLAYER_PREFIX}

    async def remove(self, store: Store, *, dry_run: bool) -> dict[str, int]:
        return await store.clear(self.traces, dry_run=dry_run)

    async def remove_from_lake(self, job: Job, *, dry_run: bool) -> int:
        from playsmart_gateway.lake import errands

        return await errands.clear(job, self.traces, dry_run=dry_run)


def clean(config_path: Path | None, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Remove all that load has ever left, or count it, and say what that was."""
    config = read_config(config_path)
    if not dry_run and not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("this cannot be undone; give --yes, or --dry-run")
        question = f"Remove the game {GAME_ID} and all players {PLAYER_PREFIX}...?"
        click.confirm(f"{question} This cannot be undone", abort=True)
    job = Erasure(config, _Load(), PATIENCE_SECONDS)
    cleared = run_async(job.count() if dry_run else job.erase(rewrite=False))
    kept = cleared.pop(KEPT, 0)
    if as_json:
        print_json({"game": GAME_ID, "dry_run": dry_run, "rows": cleared, KEPT: kept})
        return
    for table, rows in cleared.items():
        if rows:
            say(f"{table:<22} {rows:>10,}")
    say(f"{'would be removed' if dry_run else 'removed'}: {sum(cleared.values()):,} rows")
    if kept:
        text = f"{kept:,} entries of the ledger stay, of players who play other games, too"
        say(f"note: {text}; take what they earned back with coins adjust", err=True)
    if not dry_run and not config.journal.enabled:
        text = "the journal is off: a gateway that runs may store later what it had in memory"
        say(f"note: {text}; run this again then", err=True)
