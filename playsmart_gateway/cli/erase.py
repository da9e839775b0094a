"""``erase``: everything of a player, gone."""

import asyncio
import contextlib
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from playsmart_gateway.build import jetstream_for, rules_for
from playsmart_gateway.catalogue.configured import standard_for
from playsmart_gateway.cli.arguments import Seconds
from playsmart_gateway.cli.common import config_option, database_file, read_config
from playsmart_gateway.cli.printing import print_json, say
from playsmart_gateway.config import Config
from playsmart_gateway.dialects.lynes.access import program_for
from playsmart_gateway.errors import ConfigError, LakeError, SinkUnavailable
from playsmart_gateway.lake.job import job_for
from playsmart_gateway.pipeline.errands import (
    Unanswered,
    ask_to_settle,
)
from playsmart_gateway.pipeline.journal import Journal
from playsmart_gateway.pipeline.journal_folders import (
    adopt,
    cut_set_aside,
    held_folders,
    journal_folders,
)
from playsmart_gateway.pipeline.wiring import Outlet, Wiring
from playsmart_gateway.stores.contract import EventSink
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stream import open_consumer
from playsmart_gateway.stream.options import is_nats

PATIENCE_SECONDS = 60.0
"""For a gateway to store what it has accepted, and for workers to store what is in the stream."""


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
        _require_room(config)
    job = _Erasure(config, user, patience)
    erased = asyncio.run(job.count() if dry_run else job.erase(rewrite=rewrite))
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


class _Erasure:
    """One run of the command; ``set_aside`` are the files of broken records with the player."""

    def __init__(self, config: Config, user: str, patience_seconds: float) -> None:
        self._config = config
        self._user = user
        self._path = Path(config.journal.path)
        self._patience_seconds = patience_seconds
        self.set_aside: list[str] = []

    async def count(self) -> dict[str, int]:
        """Return how many rows would go, by table."""
        await _require_store(self._config)
        async with open_store(self._config.storage.database_url, migrates=False) as store:
            self._cut(await store.names(self._user), dry_run=True)
            counted = await store.erase(self._user, dry_run=True)
        return counted | await self._lake(dry_run=True)

    async def erase(self, *, rewrite: bool) -> dict[str, int]:
        """Erase, with the gateway if one runs; return how many rows went, by table."""
        config = self._config
        await _require_store(config)
        _require_lake(config)
        url, rules, program = config.storage.database_url, rules_for(config), program_for(config)
        async with contextlib.AsyncExitStack() as stack:
            running = self._running()
            sink = open_store(url, rules, program)
            waiting = None
            if config.journal.enabled and not running:
                waiting = stack.enter_context(self._waiting(sink))
            store = await stack.enter_async_context(sink)
            if waiting is not None:
                await _store_what_waits(*waiting)
            await self._settle(running, "nothing was erased")
            await self._let_stream_run_dry()
            names = await store.names(self._user)
            erased = await store.erase(self._user)
            # What came in the meantime is not to stay in the journal either.
            await self._settle(running, "the rows are gone, but not from the journal")
            self._cut(names, dry_run=False)
            try:
                await store.scrub(rewrite=rewrite)
            except SinkUnavailable as error:
                text = f"the rows are gone, but the files still have copies: {error}"
                raise click.ClickException(f"{text}. {error.hint} Run this again.") from error
            return erased | await self._lake(dry_run=False)

    async def _lake(self, *, dry_run: bool) -> dict[str, int]:
        """Erase, or count, in the lake: what is written to it now is from a store without them."""
        if (job := job_for(self._config)) is None:
            return {}
        from playsmart_gateway.lake import errands

        try:
            return {"lake": await errands.erase(job, self._user, dry_run=dry_run)}
        except (LakeError, SinkUnavailable) as error:
            if dry_run:
                raise
            text = f"the rows are gone, but the lake still has them: {error}"
            raise click.ClickException(f"{text}. Run this again.") from error

    def _running(self) -> list[Path]:
        try:
            return held_folders(self._path) if self._config.journal.enabled else []
        except OSError as error:
            problem = f"journal.path: {self._path} cannot be looked at: {error.strerror}"
            raise ConfigError([problem]) from error

    @contextlib.contextmanager
    def _waiting(self, sink: EventSink) -> Iterator[tuple[Journal, Outlet]]:
        """Hold the journal of a gateway that does not run, with what empties it."""
        wiring = Wiring(self._config, standard=standard_for(self._config))
        journal, outlet = wiring.journal_outlet(sink, self._path)
        journal.open()
        with contextlib.closing(journal):
            adopt(self._path, journal_folders(self._path)[1:])
            yield journal, outlet

    async def _settle(self, running: list[Path], outcome: str) -> None:
        try:
            await ask_to_settle(running, self._user, self._patience_seconds)
        except Unanswered as error:
            text = f"the gateway with the journal {error.folder} does not answer"
            hint = "Is its store away? See /readyz; or stop it, or give more time with --wait"
            raise click.ClickException(
                f"{outcome}: {text} in {self._patience_seconds:g} s. {hint}"
            ) from None

    async def _let_stream_run_dry(self) -> None:
        """Wait until no message waits for workers: they would bring the player back."""
        if not is_nats(self._config.storage.url):
            return
        deadline = time.monotonic() + self._patience_seconds
        async with open_consumer(self._config.storage.url, jetstream_for(self._config)) as stream:
            while (state := await stream.state()).lag + state.ack_pending:
                if time.monotonic() > deadline:
                    waiting = state.lag + state.ack_pending
                    raise click.ClickException(
                        f"nothing was erased: {waiting:,} messages in the stream wait for the "
                        "workers; let them store these first"
                    )
                await asyncio.sleep(0.1)

    def _cut(self, names: set[str], *, dry_run: bool) -> None:
        self.set_aside = cut_set_aside(self._path, names, dry_run=dry_run)


async def _require_store(config: Config) -> None:
    async with open_store(config.storage.database_url).reader() as reader:
        await reader.newest_event_id()  # a store that is not there must not be made by this


def _require_lake(config: Config) -> None:
    """Refuse while the lake is away, rather than leave it with what is gone elsewhere."""
    if (job := job_for(config)) is not None:
        from playsmart_gateway.lake import errands

        try:
            errands.require_reachable(job)
        except LakeError as error:
            raise click.ClickException(f"nothing was erased: {error}") from error


def _require_room(config: Config) -> None:
    """Refuse where a file could not be written anew: once beside itself, once in its log."""
    file = database_file(config)
    if file is None or not file.exists():
        return
    needed, free = 2 * file.stat().st_size, shutil.disk_usage(file.parent).free
    if free < needed:
        raise click.ClickException(
            f"nothing was erased: to write {file} anew takes {needed / 2**20:,.0f} MiB, and "
            f"{free / 2**20:,.0f} MiB are free. Free some, or give --no-rewrite"
        )


async def _store_what_waits(journal: Journal, outlet: Outlet) -> None:
    """Do what a start and a stop of the gateway would do to the journal: leave it empty."""
    for batch in journal.replay():
        outlet.buffer.put(batch)
    try:
        while len(outlet.buffer):
            await outlet.flusher.flush()
    except SinkUnavailable as error:
        waiting = f"{outlet.buffer.events:,} events that wait in the journal could not be stored"
        raise click.ClickException(f"nothing was erased: {waiting}: {error}") from error
    outlet.flusher.stop()
    await outlet.flusher.run()  # the buffer is empty; the journal is next
    if journal.size:
        raise click.ClickException("nothing was erased: the journal could not be emptied")
