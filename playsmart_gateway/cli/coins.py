"""``coins``: what a player has and why, and corrections; ``audit``: whether all of it is right."""

import asyncio
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from playsmart_gateway.cli.common import config_option, read_config
from playsmart_gateway.cli.printing import (
    Show,
    console_for_tables,
    print_json,
    raw_option,
    say,
    shown,
)
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


class _PlayerOrCommand(click.Group):
    """``coins USER`` is ``coins show USER``; a player called like a command needs the long form."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See ``click.Group``."""
        if args and args[0] not in self.commands:
            args = ["show", *args]
        return super().resolve_command(ctx, args)


@click.group("coins", cls=_PlayerOrCommand)
def coins_command() -> None:
    """Show a player's coins (coins USER), or correct them (coins adjust USER)."""


@coins_command.command("show")
@click.argument("user")
@config_option
@click.option(
    "--limit", type=click.IntRange(1, 10**9), default=100, show_default=True, help="Newest entries."
)
@raw_option
@json_option
def show_command(user: str, config_path: Path | None, limit: int, raw: bool, as_json: bool) -> None:
    """Print the balance and the ledger: the event and the rule behind every coin."""
    url = read_config(config_path).storage.database_url
    player, entries, causes = asyncio.run(_look_up(url, user, limit))
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
    entry = asyncio.run(_adjust(url, user, amount, reason.strip(), force))
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
    batches, violations, capped = asyncio.run(_audit(url, show_progress=not as_json))
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
    url: str, user: str, limit: int
) -> tuple[Player | None, list[CoinTransaction], dict[int, Cause]]:
    async with open_store(url, migrates=False).reader() as reader:
        player = await reader.player(user)
        entries: list[CoinTransaction] = []
        causes: dict[int, Cause] = {}
        while len(entries) < limit:
            before = entries[-1].id if entries else None
            page = await reader.coin_transactions(
                user, before=before, limit=min(PAGE, limit - len(entries))
            )
            if not page:
                break
            entries += page
            causes |= await reader.causes([each.id for each in page])
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
    console = console_for_tables(200)
    # What players and operators wrote is text, never markup.
    console.print(show(f"{player.user_id}: {player.coins_balance:,} coins"), markup=False)
    table = Table("id", "when", "coins", "balance", "because", "game", "event", box=None)
    for place in (0, 2, 3):
        table.columns[place].justify = "right"
    for entry in entries:
        cause = causes.get(entry.id)
        sign = "+" if entry.type == "earn" else "-"
        row: list[Any] = [
            entry.id,
            f"{entry.created_at[:19].replace('T', ' ')}Z",
            f"{sign}{entry.amount:,}",
            f"{entry.balance_after:,}",
            _because(entry, causes),
            entry.game_id or "",
            f"{cause.name or cause.type} {cause.occurred_at}" if cause else "",
        ]
        table.add_row(*(Text(show(str(each)), overflow="fold") for each in row))
    console.print(table)
