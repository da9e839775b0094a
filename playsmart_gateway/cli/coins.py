"""``coins``: what a player has and why, and corrections; ``audit``: whether all of it is right."""

import sys
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from playsmart_gateway.cli.common import config_option, read_config, run_async
from playsmart_gateway.cli.grouping import Group
from playsmart_gateway.cli.printing import (
    Show,
    print_json,
    raw_option,
    say,
    shown,
)
from playsmart_gateway.cli.tables import Column, Row, numbers, print_table
from playsmart_gateway.cli.times import Instant, as_printed, require_order
from playsmart_gateway.economy.coins import (
    EVENT_TRIGGER,
    MILLION,
)
from playsmart_gateway.stores.models import (
    Cause,
    CoinTransaction,
    Player,
    Violation,
)
from playsmart_gateway.stores.open import open_store

PAGE = 500
EVENTS_PER_STEP = 50_000
MAX_ADJUSTMENT = 10**12

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")


class _PlayerOrCommand(Group):
    """``coins USER`` is ``coins show USER``; a player called like a command needs the long form."""

    default = "show"


@click.group("coins", cls=_PlayerOrCommand)
def coins_command() -> None:
    """Show a player's coins (coins USER), or correct them (coins adjust USER)."""


@coins_command.command("show")
@click.argument("user")
@config_option
@click.option(
    "--limit", type=click.IntRange(1, 10**9), default=100, show_default=True, help="Newest entries."
)
@click.option(
    "--since",
    type=Instant(),
    help="Only entries of then or later: 24h or 7d (ago), today, 2026-04-22 (UTC).",
)
@click.option("--until", type=Instant(), help="Only entries of before then, said likewise.")
@raw_option
@json_option
def show_command(
    user: str,
    config_path: Path | None,
    limit: int,
    since: datetime | None,
    until: datetime | None,
    raw: bool,
    as_json: bool,
) -> None:
    """Print the balance and the ledger: the event and the rule behind every coin."""
    url = read_config(config_path).storage.database_url
    require_order(since, until)
    span = as_printed(since) or "", as_printed(until) or "~"
    player, entries, causes = run_async(_look_up(url, user, limit, *span))
    if player is None:
        raise click.ClickException("no event of this player is stored")
    if as_json:
        ledger = [
            {**msgspec.structs.asdict(entry), "because": _because(entry, causes)}
            for entry in entries
        ]
        print_json({"player": msgspec.structs.asdict(player), "ledger": ledger})
    else:
        _print_ledger(player, entries, causes, shown(raw=raw))


@coins_command.command("adjust")
@click.argument("user")
@config_option
@click.option(
    "--amount",
    required=True,
    type=click.IntRange(-MAX_ADJUSTMENT, MAX_ADJUSTMENT),
    help="Coins to add; negative to take.",
)
@click.option("--reason", required=True, help="Kept in the ledger.")
@click.option("--force", is_flag=True, help="Let the balance go below zero.")
@json_option
def adjust_command(
    user: str, config_path: Path | None, amount: int, reason: str, force: bool, as_json: bool
) -> None:
    """Add or take coins, with an entry of its own in the ledger; beside a running gateway, too."""
    if amount == 0:
        raise click.BadParameter("must not be 0", param_hint="--amount")
    if not reason.strip():
        raise click.BadParameter("must say why", param_hint="--reason")
    url = read_config(config_path).storage.database_url
    entry = run_async(_adjust(url, user, amount, reason.strip(), force))
    if as_json:
        print_json(msgspec.structs.asdict(entry))
    else:
        say(f"{entry.type} {entry.amount}: {entry.balance_before} -> {entry.balance_after}")


@click.command("audit")
@config_option
@raw_option
@json_option
@click.pass_context
def audit_command(
    context: click.Context, config_path: Path | None, raw: bool, as_json: bool
) -> None:
    """Check every coin: each grant has its event, each event its grant, each chain its balance.

    Exit code 0: all is right. 1: something is not, and is listed.
    """
    url = read_config(config_path).storage.database_url
    batches, violations, capped = run_async(_audit(url, show_progress=not as_json))
    if as_json:
        found = [msgspec.structs.asdict(each) for each in violations]
        print_json({"batches": batches, "violations": found, "capped": capped})
    else:
        for each in violations:
            click.echo(f"{each.kind}: {shown(raw=raw)(each.text)}")
        verdict = f"{len(violations):,} violations" if violations else "every coin is right"
        if capped:
            say(f"{capped:,} awards were cut by max_coins_per_day")
        say(f"audited {batches:,} batches: {verdict}")
    context.exit(1 if violations else 0)


async def _look_up(
    url: str, user: str, limit: int, since: str, until: str
) -> tuple[Player | None, list[CoinTransaction], dict[int, Cause]]:
    async with open_store(url, migrates=False).reader() as reader:
        player = await reader.player(user)
        entries: list[CoinTransaction] = []
        causes: dict[int, Cause] = {}
        before = None
        while len(entries) < limit:
            page = await reader.coin_transactions(user, before=before, limit=PAGE)
            wanted = [each for each in page if since <= each.created_at < until]
            entries += wanted[: limit - len(entries)]
            if not page or page[-1].created_at < since:
                break
            before = page[-1].id
        for place in range(0, len(entries), PAGE):
            causes |= await reader.causes([each.id for each in entries[place : place + PAGE]])
        return player, entries, causes


async def _adjust(url: str, user: str, amount: int, reason: str, force: bool) -> CoinTransaction:
    store = open_store(url, migrates=False)
    async with store.reader() as reader:
        await reader.player(user)  # a store that is not there must not be made by this
    async with store as sink:
        return await sink.adjust(user, amount, reason, force=force)


async def _audit(url: str, *, show_progress: bool) -> tuple[int, Sequence[Violation], int]:
    violations: list[Violation] = []
    capped = 0
    columns = (TextColumn("audit"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shown = show_progress and sys.stderr.isatty()
    progress = Progress(*columns, console=Console(stderr=True), transient=True, disable=not shown)
    with progress:
        bar = progress.add_task("audit", total=None)
        async with open_store(url, migrates=False).reader() as reader:
            while True:
                audited = await reader.audit(EVENTS_PER_STEP)
                violations += audited.violations
                capped += audited.capped
                progress.update(bar, total=audited.end, completed=audited.position)
                if audited.position == audited.end:
                    return audited.end, violations, capped


def _because(entry: CoinTransaction, causes: dict[int, Cause]) -> str:
    """Say in words why there is this entry."""
    cause = causes.get(entry.id)
    if cause is None:
        return entry.reason or "its event was deleted by retention"
    rule = cause.rule
    base = str(rule.base_amount(cause.draw))
    if rule.min_amount < rule.max_amount:
        base = f"{base} (drawn from {rule.min_amount} to {rule.max_amount})"
    if entry.trigger == EVENT_TRIGGER:
        how = f"each {rule.trigger_threshold} custom events: "
        millionths = rule.trigger_millionths
    else:
        how, millionths = "level completed: ", rule.level_millionths
    award = rule.base_amount(cause.draw) * millionths // MILLION
    cut = f", up to the day's cap of {rule.max_per_day}" if entry.amount < award else ""
    return f"{how}{base} x {Decimal(millionths) / MILLION}{cut}"


def _print_ledger(
    player: Player, entries: Sequence[CoinTransaction], causes: dict[int, Cause], show: Show
) -> None:
    # What players and operators wrote is text, never markup.
    click.echo(show(f"{player.user_id}: {player.coins_balance:,} coins"))
    columns = [
        *numbers("id", rank=3), Column("when"), *numbers("coins", "balance"), Column("because"),
        Column("game", rank=2), Column("event", rank=1),
    ]  # fmt: skip
    rows = []
    for entry in entries:
        cause = causes.get(entry.id)
        sign = "+" if entry.type == "earn" else "-"
        cells = [
            f"{entry.id}",
            f"{entry.created_at[:19].replace('T', ' ')}Z",
            f"{sign}{entry.amount:,}",
            f"{entry.balance_after:,}",
            _because(entry, causes),
            entry.game_id or "",
            f"{cause.name or cause.type} {cause.occurred_at}" if cause else "",
        ]
        rows.append(Row(cells))
    print_table(columns, rows, show)
