"""``doctor``: is everything as it should be, and if not, what to do."""

import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import click

from playsmart_gateway.build import (
    allowance_for,
    check,
    doubtful_secrets,
    holds_secrets,
    printed_secrets,
    rules_for,
)
from playsmart_gateway.cli.common import (
    config_option,
    database_file,
    development_secret_file,
    read_config,
    run_async,
)
from playsmart_gateway.cli.printing import print_json
from playsmart_gateway.cli.tables import say_folded
from playsmart_gateway.config import Config
from playsmart_gateway.console.promise import promise, terms_of
from playsmart_gateway.dialects import ALL
from playsmart_gateway.errors import ConfigError, LakeError, SinkError
from playsmart_gateway.lake.job import job_for
from playsmart_gateway.pipeline.journal_folders import inspect_all
from playsmart_gateway.stores.models import StoreHealth
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stream.options import is_nats

LARGE_LOG_BYTES = 67_108_864
"""Of a write-ahead log; it is cut to a quarter of that when nobody holds it."""

_RESTORE = "Restore a backup, or save what .recover of the sqlite3 shell, or pg_dump, can read."


AWARDS_A_DAY = 300
"""What is recommended as a cap: more than one every five minutes, day and night."""


class Finding(NamedTuple):
    """One thing that was looked at, and what to do about it."""

    level: Literal["ok", "note", "problem"]
    subject: str
    text: str
    advice: str = ""


@click.command("doctor")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
@click.pass_context
def doctor_command(context: click.Context, config_path: Path | None, as_json: bool) -> None:
    """Look at configuration, secrets, folders, disk, clock, database and journal.

    It changes nothing and may run beside a gateway; the whole database is read once. Exit code 1:
    there is a problem, and what to do is printed.
    """
    findings = list(examine(config_path))
    if as_json:
        print_json([finding._asdict() for finding in findings])
    else:
        for finding in findings:
            say_folded(f"{finding.level:<8} ", f"{finding.subject}: {finding.text}")
            if finding.advice:
                say_folded(" " * 9, finding.advice)
    context.exit(1 if any(finding.level == "problem" for finding in findings) else 0)


def examine(config_path: Path | None) -> Iterator[Finding]:
    """Yield what is found; nothing behind a configuration that cannot be used."""
    wall, steady = time.time(), time.monotonic()
    try:
        config = read_config(config_path)
        check(config)
    except ConfigError as error:
        for problem in error.problems:
            yield Finding("problem", "configuration", problem, "Mend it; check-config tells more.")
        return
    yield Finding("ok", "configuration", "can be used")
    yield from _promise(config)
    yield from _secrets(config, config_path)
    yield from _limits(config)
    yield from _caps(config)
    yield from _folders(config)
    yield from _database(config)
    yield from _lake(config)
    if config.journal.enabled:
        yield from _journal(Path(config.journal.path))
    drift = abs((time.time() - wall) - (time.monotonic() - steady))
    if drift > 1:
        advice = "Let a time service slew it; tokens and times of receipt depend on it."
        yield Finding("problem", "clock", f"it was set by {drift:.1f} s meanwhile", advice)
    else:
        yield Finding("ok", "clock", "runs evenly")


def _promise(config: Config) -> Iterator[Finding]:
    """Tell what a 202 means, as the console does; of note is what is in memory alone."""
    terms = terms_of(config, publishes=is_nats(config.storage.url))
    told = promise(terms)
    is_kept = terms.journal and terms.database != "memory"
    level: Literal["ok", "note"] = "ok" if is_kept else "note"
    yield Finding(level, "a 202", told.headline)
    for fate in told.fates:
        if fate.name in ("killed", "power_cut"):  # which the settings decide
            yield Finding(level, f"{fate.fault[0].lower()}{fate.fault[1:]}", fate.words)


def _secrets(config: Config, config_path: Path | None) -> Iterator[Finding]:
    development = development_secret_file(config)
    if not config.auth.has_keys:
        kept = "the one of development mode" if development.exists() else "none"
        advice = "Set auth.secret, or another key, before anybody else uses this gateway."
        yield Finding("note", "keys", f"no key is configured; there is {kept}", advice)
    for dialect in ALL:
        for doubt in dialect.doubts(config):
            yield Finding("problem", dialect.name, doubt.text, doubt.advice)
    for key in printed_secrets(config):
        advice = "Everybody can read it: put another one first, and remove it when nobody uses it."
        yield Finding("problem", "secrets", f"{key} is the one of the manual", advice)
    for text in doubtful_secrets(config):
        yield Finding("note", "secrets", text, "32 random ones are good: openssl rand -hex 16.")
    holders = [development] if development.exists() else []
    if config_path is not None and holds_secrets(config):
        holders.append(config_path)
    for path in holders:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            text = f"{path} (mode {mode:04o}) can be read by others"
            yield Finding("problem", "secrets", text, f"chmod 600 {path}")
        else:
            yield Finding("ok", "secrets", f"{path} is its owner's alone")


def _limits(config: Config) -> Iterator[Finding]:
    if config.auth.has_keys and allowance_for(config) is None:
        advice = (
            "Set ingest.player_events_per_second = 50 and ingest.player_bytes_per_second = 50_000, "
            "unless a load test sends with one token."
        )
        yield Finding("note", "ingest", "one player may send without limit", advice)
    if config.accounts.enabled and config.accounts.address_header is None:
        text = "who logs in is limited by the address of the connection"
        advice = "Behind a proxy all players have its own: set accounts.address_header there."
        yield Finding("note", "accounts", text, advice)


def _caps(config: Config) -> Iterator[Finding]:
    for rule in rules_for(config):
        award = max(rule.level_award(rule.max_amount), rule.trigger_award(rule.max_amount, 0))
        if rule.pays and not rule.max_per_day:
            advice = (
                f"Set max_coins_per_day = {AWARDS_A_DAY * max(award, 1)} there: {AWARDS_A_DAY} of "
                "its largest awards, or what the most eager player can earn in a day."
            )
            text = f"{rule.game_id} pays one player without limit"
            yield Finding("note", "coins", text, advice)


def _folders(config: Config) -> Iterator[Finding]:
    file = database_file(config)
    folders = {} if file is None else {"data folder": file.parent}
    if config.journal.enabled:
        folders["journal folder"] = Path(config.journal.path)
    needed = 2 * config.buffer.max_bytes  # the buffer once in the journal, once in the store
    for subject, folder in folders.items():
        if not folder.is_dir():
            yield Finding("note", subject, f"{folder} is not there yet", "serve will make it.")
            continue
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            advice = "Give it to the user who runs the gateway."
            yield Finding("problem", subject, f"{folder} cannot be written", advice)
            continue
        free = shutil.disk_usage(folder).free
        text = f"{folder} has {free / 2**20:,.0f} MiB free"
        if free < needed:
            advice = f"Free {needed / 2**20:,.0f} MiB, or lower buffer.max_bytes."
            yield Finding("problem", subject, text, advice)
        else:
            yield Finding("ok", subject, text)


def _database(config: Config) -> Iterator[Finding]:
    if config.storage.database_url == "memory:":
        yield Finding("note", "database", "none: events are lost when the process ends")
        return
    file = database_file(config)
    if file is not None and not file.exists():
        yield Finding("note", "database", f"{file} is not there yet", "serve will make it.")
        return
    if file is not None:
        yield from _beside(file)
    try:
        health = run_async(_look(config.storage.database_url))
    except SinkError as error:
        yield Finding("problem", "database", str(error), error.hint)
        return
    for problem in health.problems:
        yield Finding("problem", "database", problem, _RESTORE)
    if health.schema_version > health.known_version:
        text = f"schema version {health.schema_version} is newer than this program"
        yield Finding("problem", "database", text, "Upgrade playsmart-gateway.")
    elif health.problems:
        pass  # a version says little about it
    elif health.schema_version < health.known_version:
        text = f"schema version {health.schema_version} of {health.known_version}"
        yield Finding("note", "database", text, "The next start brings it up to date.")
    else:
        yield Finding("ok", "database", f"is whole, schema version {health.schema_version}")
    if health.ahead:
        text = f"{health.ahead:,} batches from id {health.first_ahead} on say a time yet to come"
        advice = "The clock was, or is, wrong: set it; retention goes by the batches behind them."
        yield Finding("problem", "clock", text, advice)


def _lake(config: Config) -> Iterator[Finding]:
    """Look at the lake, if there is to be one; a store that cannot be read is told already."""
    if (job := job_for(config)) is None:
        return
    from playsmart_gateway.lake import errands  # what it needs is there

    try:
        state = run_async(errands.look(job))
    except LakeError as error:
        advice = "Mend that: until then it falls behind, and the store keeps its events."
        yield Finding("problem", "lake", str(error), advice)
    except SinkError:
        pass
    else:
        if state is None:
            advice = "serve will make it, or playsmart-gateway lake."
            yield Finding("note", "lake", f"{config.lake.url} is not there yet", advice)
            return
        text = f"has {state.events:,} events in {state.files:,} files, {state.lag:,} batches behind"
        yield Finding("ok", "lake", text)


def _beside(file: Path) -> Iterator[Finding]:
    """Look at what lies around a SQLite file."""
    log = file.with_name(f"{file.name}-wal")
    if log.exists() and (size := log.stat().st_size) > LARGE_LOG_BYTES:
        text = f"its write-ahead log has {size / 2**20:,.0f} MiB: somebody reads and does not end"
        yield Finding("problem", "database", text, f"See who it is (fuser -v {file}), and end it.")
    aside = sorted(each.name for each in file.parent.glob(f"{file.name}-wal.stale-*"))
    if aside:
        advice = "They belonged to files that were overwritten or are gone; remove them."
        yield Finding("note", "database", f"logs were set aside: {', '.join(aside)}", advice)
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        text = f"{file} (mode {mode:04o}) can be read by others"
        yield Finding("note", "database", text, f"chmod 600 {file}, if they should not.")


async def _look(url: str) -> StoreHealth:
    async with open_store(url).reader() as reader:
        return await reader.examine()


def _journal(folder: Path) -> Iterator[Finding]:
    try:
        state = inspect_all(folder)
    except OSError as error:
        advice = "Make its files readable for the user who runs the gateway."
        yield Finding("problem", "journal", f"{folder}: {error.strerror}", advice)
        return
    if state.held:
        yield Finding("ok", "journal", "is held by a running gateway")
    elif state.events:
        text = f"{state.events:,} events in {state.batches:,} batches wait"
        yield Finding("note", "journal", text, "The next start stores them.")
    else:
        yield Finding("ok", "journal", "nothing waits")
    if state.broken:
        text = f"{state.broken} broken records, torn tails among them"
        advice = "The next start sets them aside and stores the others; look at the disk."
        yield Finding("problem", "journal", text, advice)
    if state.set_aside:
        advice = "Nothing reads them any more; look at the disk, then remove them."
        yield Finding("note", "journal", f"set aside: {', '.join(state.set_aside)}", advice)
