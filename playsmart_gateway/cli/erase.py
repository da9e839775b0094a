"""``erase``: everything of a player, gone."""

import asyncio
import contextlib
import sys
from pathlib import Path

import click

from playsmart_gateway.buffer import Buffer
from playsmart_gateway.cli.common import config_option, database_file, read_config
from playsmart_gateway.cli.printing import print_json, say
from playsmart_gateway.config import Config
from playsmart_gateway.errors import ConfigError, SinkUnavailable
from playsmart_gateway.flusher import Flusher
from playsmart_gateway.folders import adopt, journal_folders
from playsmart_gateway.journal import Journal, NoJournal
from playsmart_gateway.lane import Lane
from playsmart_gateway.settings import jetstream_for, rules_for
from playsmart_gateway.sinks import Sink, is_nats, open_consumer, open_sink
from playsmart_gateway.stats import Stats


@click.command("erase")
@click.argument("user")
@config_option
@click.option("--dry-run", is_flag=True, help="Only say what would go; beside a gateway, too.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def erase_command(
    user: str, config_path: Path | None, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Remove every row of a player from every table and game. The gateway must be stopped.

    What waits in the journal is stored first, as at a start, and the journal is emptied; otherwise
    the player's events in it would come back. So stop every gateway of the database, and run this
    where each of them has its journal. Deleted content is overwritten in a SQLite file; PostgreSQL
    does so in its own time, with VACUUM. Left are backups and exports, other players' events that
    name this one, and the headers of the player's batches, without the name.
    """
    config = read_config(config_path)
    if not dry_run and not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("this cannot be undone; give --yes, or --dry-run")
        click.confirm(f"Erase everything of {user!r}? This cannot be undone", abort=True)
    erased = asyncio.run(_count(config, user) if dry_run else _erase(config, user))
    left = _set_aside(config, user)
    file = database_file(config)
    still_open = not dry_run and file is not None and file.with_name(f"{file.name}-wal").exists()
    if as_json:
        report = {"user": user, "dry_run": dry_run, "rows": erased, "left": left}
        print_json({**report, "write_ahead_log_left": still_open})
        return
    for table, rows in erased.items():
        say(f"{table:<22} {rows:>10,}")
    what = "would be erased" if dry_run else "erased"
    say(f"{what}: {sum(erased.values()):,} rows" if any(erased.values()) else "nothing")
    for name in left:
        say(f"note: {name} holds broken records that name the player; remove it", err=True)
    if still_open:
        text = "another program has the database open; what was erased leaves the disk with it"
        say(f"note: {text}", err=True)


async def _count(config: Config, user: str) -> dict[str, int]:
    url = config.storage.database_url
    async with open_sink(url).reader() as reader:
        await reader.newest_event_id()  # a store that is not there must not be made by this
    async with open_sink(url) as store:
        return await store.erase(user, dry_run=True)


async def _require_empty_stream(config: Config) -> None:
    """Refuse while messages wait for workers: they would bring the player back."""
    if not is_nats(config.storage.url):
        return
    async with open_consumer(config.storage.url, jetstream_for(config)) as stream:
        state = await stream.state()
    if waiting := state.lag + state.ack_pending:
        raise click.ClickException(
            f"nothing was erased: {waiting:,} messages in the stream wait for the workers; "
            "let them store these first"
        )


async def _erase(config: Config, user: str) -> dict[str, int]:
    await _require_empty_stream(config)
    url = config.storage.database_url
    async with open_sink(url).reader() as reader:
        await reader.newest_event_id()
    path = Path(config.journal.path)
    journal = Journal(path) if config.journal.enabled else NoJournal()
    try:
        journal.open()
    except ConfigError as error:
        raise click.ClickException(f"stop the gateway first; {error}") from error
    with contextlib.closing(journal):
        if config.journal.enabled:
            adopt(path, journal_folders(path)[1:])
        async with open_sink(url, rules_for(config)) as store:
            await _store_what_waits(config, journal, store)
            return await store.erase(user)


async def _store_what_waits(config: Config, journal: Journal | NoJournal, sink: Sink) -> None:
    """Do what a start and a stop of the gateway would do to the journal: leave it empty."""
    limits = config.buffer
    buffer = Buffer(
        max_events=limits.max_events,
        max_bytes=limits.max_bytes,
        ripe_events=limits.flush_max_events,
        ripe_bytes=limits.flush_max_bytes,
    )
    for batch in journal.replay():
        buffer.put(batch)
    stats = Stats()
    flusher = Flusher(
        buffer,
        journal,
        sink,
        stats,
        lane=Lane(stats, wake=buffer.stirred.set),
        room_came=lambda: None,
        interval_seconds=limits.flush_interval_seconds,
        max_events=limits.flush_max_events,
        max_bytes=limits.flush_max_bytes,
    )
    try:
        while len(buffer):
            await flusher.flush()
    except SinkUnavailable as error:
        waiting = f"{buffer.events:,} events that wait in the journal could not be stored"
        raise click.ClickException(f"nothing was erased: {waiting}: {error}") from error
    flusher.stop()
    await flusher.run()  # the ring is empty; the journal is next
    if journal.size:
        raise click.ClickException("nothing was erased: the journal could not be emptied")


def _set_aside(config: Config, user: str) -> list[str]:
    """Name the files of broken records in which the player's id can be read."""
    folders = journal_folders(Path(config.journal.path))
    files = [file for folder in folders for file in sorted(folder.glob("*.bad"))]
    return [str(file) for file in files if user.encode() in file.read_bytes()]
