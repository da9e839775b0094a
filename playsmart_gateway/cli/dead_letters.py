"""``dead-letters``: what the store refused, and storing it once what was in the way is gone."""

import asyncio
import functools
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from playsmart_gateway.build import rules_for
from playsmart_gateway.catalogue.configured import standard_for
from playsmart_gateway.catalogue.judging import PREFIX, Standard
from playsmart_gateway.cli.common import config_option, read_config, run_async
from playsmart_gateway.cli.grouping import Group
from playsmart_gateway.cli.printing import print_json, say
from playsmart_gateway.cli.tables import Column, Row, numbers, print_table
from playsmart_gateway.cli.times import Instant, require_order
from playsmart_gateway.config import Config
from playsmart_gateway.dialects import ALL
from playsmart_gateway.dialects.lynes.access import program_for
from playsmart_gateway.errors import SinkRejected, SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.row import decode
from playsmart_gateway.stores.contract import Upkeep
from playsmart_gateway.stores.models import DeadLetter, Written
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stores.readers import DeadLetterReader

TRIES = 10
"""To replay one: a gateway that is busy may hold the lock of the one writer for a while."""

PAUSE_SECONDS = 0.2

_UNKNOWN_GAME = (
    "its game enforces definitions, and the configuration does not name it: "
    "give --config that of the gateway"
)


class Wanted(msgspec.Struct, frozen=True):
    """Which dead letters are meant: those for which all that is given holds."""

    names: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    game: str | None = None
    player: str | None = None
    reason: str | None = None
    source: str | None = None
    name: str | None = None

    def fits(self, letter: DeadLetter) -> bool:
        """Whether ``letter`` is meant, as far as can be told without its rows."""
        return (
            (not self.names or letter.name in self.names)
            and (self.since is None or self.since <= _instant(letter.buried_at))
            and (self.until is None or _instant(letter.buried_at) < self.until)
            and self.game in (None, letter.game_id)
            and (self.player in (None, letter.user_id) or not letter.user_id)
            and (self.reason is None or self.reason.casefold() in letter.reason.casefold())
            and self.source in (None, letter.source)
        )


_SOURCES = [*(dialect.name for dialect in ALL), "nats"]
_OPTIONS = (
    click.option(
        "--since",
        type=Instant(),
        help="Only those buried then or later: 24h or 7d (ago), today, 2026-04-22 (UTC).",
    ),
    click.option("--until", type=Instant(), help="Only those buried before then, said likewise."),
    click.option("--game", help="Only those of this game (or app)."),
    click.option("--player", help="Only those with events of this player."),
    click.option("--name", help="Only those with custom events of this name."),
    click.option("--reason", help="Only those whose reason has this text in it."),
    click.option("--source", type=click.Choice(_SOURCES), help="Only those that came by this."),
)


def _wanted_options(command: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(command)
    def with_wanted(*arguments: Any, **named: Any) -> Any:
        given = {name: named.pop(name) for name in ("since", "until", "game", "player")}
        given |= {name: named.pop(name) for name in ("reason", "source", "name")}
        require_order(given["since"], given["until"])
        wanted = Wanted(named.pop("names", ()), **given)
        return command(*arguments, wanted=wanted, **named)

    for option in reversed(_OPTIONS):
        with_wanted = option(with_wanted)
    return with_wanted


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")


@click.group("dead-letters", cls=Group)
def dead_letters_command() -> None:
    """List, show and replay batches that the store refused; beside a running gateway, too."""


@dead_letters_command.command("list")
@_wanted_options
@config_option
@json_option
def list_command(wanted: Wanted, config_path: Path | None, as_json: bool) -> None:
    """Print every dead letter, in the order in which they were received: never what is in it."""
    letters = run_async(_find(read_config(config_path), wanted))
    if as_json:
        print_json({"dead_letters": [_as_json(each) for each in letters]})
        return
    if letters:
        _print(letters)
    say(_sum(letters))


@dead_letters_command.command("show")
@click.argument("name")
@config_option
@json_option
def show_command(name: str, config_path: Path | None, as_json: bool) -> None:
    """Print one dead letter with its rows, which hold what a player sent."""
    letter, batch = run_async(_load(read_config(config_path), name))
    if letter is None or batch is None:
        raise click.ClickException("there is no such dead letter; see dead-letters list")
    rows = _rows(batch)
    if as_json:
        text = batch.rows.decode("utf-8", "replace")
        content = {"rows": rows} if rows is not None else {"rows": None, "text": text}
        print_json({**_as_json(letter), **content})
        return
    _print([letter])
    for row in rows if rows is not None else [batch.rows.decode("utf-8", "backslashreplace")]:
        say(json.dumps(row, ensure_ascii=False))


@dead_letters_command.command("replay")
@click.argument("names", nargs=-1)
@_wanted_options
@click.option("--dry-run", is_flag=True, help="Only say what would be replayed.")
@config_option
@json_option
@click.pass_context
def replay_command(
    context: click.Context,
    wanted: Wanted,
    dry_run: bool,
    config_path: Path | None,
    as_json: bool,
) -> None:
    """Store dead letters, the named ones or all that the options leave, exactly once each.

    What is not as defined yet, where a game enforces its definitions, is refused, too. A game that
    the configuration does not name is paid as it was last.

    Each is stored, paid and removed from the dead letters in one transaction. So this may be killed
    and run again, and run beside a gateway that still has the batch in its journal. What the store
    still refuses stays. Exit code 1: some of it does.
    """
    config = read_config(config_path)
    letters = run_async(_find(config, wanted))
    if unknown := set(wanted.names) - {letter.name for letter in letters}:
        say(f"note: not among the dead letters: {', '.join(sorted(unknown))}", err=True)
    if dry_run:
        if as_json:
            print_json({"dry_run": True, "dead_letters": list(map(_as_json, letters))})
        else:
            if letters:
                _print(letters)
            say(f"would be replayed: {_sum(letters)}")
        return
    outcomes = run_async(_replay(config, letters))
    stored = sum(each.stored for each in outcomes.values() if isinstance(each, Written))
    known = sum(each.duplicate for each in outcomes.values() if isinstance(each, Written))
    refused = {name: text for name, text in outcomes.items() if isinstance(text, str)}
    replayed = sum(isinstance(each, Written) for each in outcomes.values())
    if as_json:
        counts = {"replayed": replayed, "stored": stored, "duplicate": known, "refused": refused}
        print_json({"dry_run": False, **counts})
    else:
        for name, text in refused.items():
            say(f"refused: {name}: {text}", err=True)
        say(
            f"replayed {replayed:,} dead letters: {stored:,} events stored, {known:,} there "
            f"already; {len(refused):,} refused"
        )
    context.exit(1 if refused else 0)


async def _find(config: Config, wanted: Wanted) -> list[DeadLetter]:
    async with open_store(config.storage.database_url).reader() as reader:
        letters = [each for each in await reader.buried() if wanted.fits(each)]
        if wanted.player is None and wanted.name is None:
            return letters
        return [each for each in letters if await _has(reader, each, wanted)]


async def _has(reader: DeadLetterReader, letter: DeadLetter, wanted: Wanted) -> bool:
    """Whether an event of a letter that ``fits`` is of the player and has the name."""
    if letter.user_id and wanted.name is None:
        return True
    batch = await reader.buried_batch(letter.journal, letter.sequence)
    if batch is None:
        return False
    try:
        return any(
            wanted.player in (None, letter.user_id or row.user_id)
            and wanted.name in (None, row.custom_event_name)
            for row in decode(batch.rows)
        )
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False  # what cannot be read is nobody's, and has no name


async def _load(config: Config, name: str) -> tuple[DeadLetter | None, Batch | None]:
    async with open_store(config.storage.database_url).reader() as reader:
        for letter in await reader.buried():
            if letter.name == name:
                return letter, await reader.buried_batch(letter.journal, letter.sequence)
    return None, None


async def _replay(config: Config, letters: Sequence[DeadLetter]) -> dict[str, Written | str | None]:
    """Return what became of each: written, gone meanwhile (None), or why it is refused."""
    outcomes: dict[str, Written | str | None] = {}
    if not letters:
        return outcomes
    url = config.storage.database_url
    rules, standard = rules_for(config), standard_for(config)
    named = {rule.game_id for rule in rules}
    async with open_store(url).reader() as reader:
        rules += [each for each in await reader.rules_in_force() if each.game_id not in named]
    async with (
        open_store(url, rules, program_for(config), migrates=False) as store,
        store.reader() as reader,
    ):
        for letter in letters:
            if letter.reason.startswith(PREFIX) and letter.game_id not in named:
                outcomes[letter.name] = _UNKNOWN_GAME
            elif reason := await _misfit(standard, reader, letter):
                outcomes[letter.name] = reason
            else:
                try:
                    outcomes[letter.name] = await _patiently(store, letter)
                except SinkRejected as error:
                    outcomes[letter.name] = str(error)
    return outcomes


async def _misfit(
    standard: Standard | None, reader: DeadLetterReader, letter: DeadLetter
) -> str | None:
    """Return why a letter that was quarantined still would be; None if it would not."""
    if standard is None or not letter.reason.startswith(PREFIX):
        return None
    batch = await reader.buried_batch(letter.journal, letter.sequence)
    return None if batch is None else standard.misfit(batch)


async def _patiently(store: Upkeep, letter: DeadLetter) -> Written | None:
    for _ in range(TRIES - 1):
        try:
            return await store.replay(letter.journal, letter.sequence)
        except SinkUnavailable:
            await asyncio.sleep(PAUSE_SECONDS)
    return await store.replay(letter.journal, letter.sequence)


def _rows(batch: Batch) -> list[Any] | None:
    try:
        rows = json.loads(batch.rows)
    except (ValueError, RecursionError):
        return None
    return rows if isinstance(rows, list) else None


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _as_json(letter: DeadLetter) -> dict[str, Any]:
    return {"id": letter.name, **msgspec.structs.asdict(letter)}


def _print(letters: Sequence[DeadLetter]) -> None:
    columns = [
        Column("id", whole=True), Column("buried", rank=3), Column("source", rank=5),
        Column("game", rank=4),
        Column("player", rank=6), *numbers("events", rank=2), *numbers("bytes", rank=7),
        Column("reason"),
    ]  # fmt: skip
    rows = [
        Row(
            [
                letter.name, f"{letter.buried_at[:19]}Z", letter.source or "-",
                letter.game_id or "-", letter.user_id or "-", f"{letter.event_count}",
                f"{letter.size}", letter.reason,
            ]
        )
        for letter in letters
    ]  # fmt: skip
    print_table(columns, rows)


def _sum(letters: Sequence[DeadLetter]) -> str:
    events = sum(letter.event_count for letter in letters)
    return f"{len(letters):,} dead letters with {events:,} events"
