"""``erase``: everything of a player, gone."""

import sys
from pathlib import Path
from typing import NamedTuple

import click

from playsmart_gateway.cli.arguments import Seconds
from playsmart_gateway.cli.common import config_option, read_config, run_async
from playsmart_gateway.cli.erasing import PATIENCE_SECONDS, Erasure, require_room
from playsmart_gateway.cli.printing import print_json, say
from playsmart_gateway.lake.job import Job
from playsmart_gateway.stores.contract import Store


class _Player(NamedTuple):
    """See ``Target``."""

    name: str

    async def names(self, store: Store) -> set[str]:
        return await store.names(self.name)

    async def remove(self, store: Store, *, dry_run: bool) -> dict[str, int]:
        return await store.erase(self.name, dry_run=dry_run)

    async def remove_from_lake(self, job: Job, *, dry_run: bool) -> int:
        from playsmart_gateway.lake import errands

        return await errands.erase(job, self.name, dry_run=dry_run)


@click.command("erase")
@click.argument("user")
@config_option
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
@click.option(
    "--wait",
    "patience",
    type=Seconds(1, 3_600),
    default=PATIENCE_SECONDS,
    show_default=True,
    help="Seconds that a running gateway has to store what it accepted.",
)
@click.option(
    "--no-rewrite",
    is_flag=True,
    help="Leave the free space of a SQLite file as it is: copies of what was erased may be there.",
)
def erase_command(
    user: str,
    config_path: Path | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    patience: float,
    no_rewrite: bool,
) -> None:
    """Remove every row of a player from every table and game, beside a running gateway, too.

    What was accepted so far is stored first and leaves the journal, or it would come back: by the
    gateway that runs, which goes on taking events, or by this command if none does. Run it on each
    machine that has a gateway of the database. Then rows go in short transactions, texts of the
    player in statistics go with them, and a SQLite file is written anew, for which it is locked
    some ten seconds a gigabyte and needs twice its room on the disk; events wait in the gateway.
    PostgreSQL frees what was deleted in its own time, with VACUUM.

    So do the events of the player in the files of a lake, which are written anew.

    Left are backups and exports, logs, other players' events that name this one, and the headers of
    the player's batches, without the name. Exit code 1: nothing is known of the player, or not all
    of it could be done, which is told.
    """
    if not user:  # as the header of a batch of many players has
        raise click.UsageError("USER is empty")
    config = read_config(config_path)
    if not dry_run and not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("this cannot be undone; give --yes, or --dry-run")
        click.confirm(f"Erase everything of {user!r}? This cannot be undone", abort=True)
    rewrite = not no_rewrite and not dry_run
    if rewrite:
        require_room(config)
    job = Erasure(config, _Player(user), patience)
    erased = run_async(job.count() if dry_run else job.erase(rewrite=rewrite))
    left = job.set_aside if dry_run else []
    if as_json:
        report = {"user": user, "dry_run": dry_run, "rows": erased, "left": left}
        print_json({**report, "write_ahead_log_left": False})
    else:
        for table, rows in erased.items():
            say(f"{table:<22} {rows:>10,}")
        what = "would be erased" if dry_run else "erased"
        say(f"{what}: {sum(erased.values()):,} rows")
        for name in job.set_aside:
            verb = "holds" if dry_run else "held"
            say(f"note: {name} {verb} broken records that name the player", err=True)
    if not (any(erased.values()) or job.set_aside):
        raise click.ClickException(f"no player goes by that id: nothing of {user!r} is known")
    if not dry_run and not config.journal.enabled:
        text = "the journal is off: a gateway that runs may store later what it had in memory"
        say(f"note: {text}; run this again then", err=True)
