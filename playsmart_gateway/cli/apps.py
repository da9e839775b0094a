"""``exclude``, ``include`` and ``opt``: how a player of an app may be contacted."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import click

from playsmart_gateway.cli.common import config_option, read_config, run_async
from playsmart_gateway.cli.printing import say
from playsmart_gateway.cli.times import Instant
from playsmart_gateway.dialects.teak.section import Teak
from playsmart_gateway.stores.contract import AppPlayers, Store
from playsmart_gateway.stores.models import (
    AppPlayer,
    Channel,
    OptOutState,
)
from playsmart_gateway.stores.open import open_store

app_option = click.option("--app", required=True, help="Teak App ID.")


@click.command("exclude")
@click.argument("user")
@app_option
@click.option(
    "--until",
    type=Instant(ahead=True),
    help="When it ends: 30d, or 2026-12-31 (UTC); without, it lasts until include.",
)
@config_option
def exclude_command(user: str, app: str, until: datetime | None, config_path: Path | None) -> None:
    """Forget how to contact a player, and record no contact for as long as this lasts.

    The player is one of whom the store has a session or properties in this app.
    """
    expire_at = None if until is None else f"{until:%Y-%m-%dT%H:%M:%S.%fZ}"

    async def act(store: Store) -> bool:
        async with store.reader() as reader:
            known = await reader.countries(app, [user]) or await reader.app_player(app, user)
        if known != AppPlayer():
            await store.exclude(app, user, expire_at)
        return known != AppPlayer()

    if not _change(config_path, act):
        raise click.ClickException(_unknown(config_path, app))
    say(f"excluded {user} of {app} {f'until {expire_at}' if expire_at else 'for good'}")


@click.command("include")
@click.argument("user")
@app_option
@config_option
def include_command(user: str, app: str, config_path: Path | None) -> None:
    """End an exclusion; what was forgotten does not come back."""

    async def act(store: AppPlayers) -> bool:
        return await store.include(app, user)

    if not _change(config_path, act):
        raise click.ClickException("that player is not excluded")
    say(f"included {user} of {app}")


@click.command("opt")
@click.argument("user")
@click.argument("direction", type=click.Choice(["in", "out"]))
@app_option
@click.option("--channel", required=True, type=click.Choice(get_args(Channel)))
@config_option
def opt_command(
    user: str, direction: str, app: str, channel: Channel, config_path: Path | None
) -> None:
    """Set whether a player wants to be contacted on a channel: opt USER in|out."""
    state: OptOutState = "opt_in" if direction == "in" else "opt_out"

    async def act(store: AppPlayers) -> bool:
        return await store.set_opt_out(app, user, channel, state)

    if not _change(config_path, act):
        raise click.ClickException(_unknown(config_path, app))
    say(f"{user} of {app}: {channel} {state}")


def _unknown(config_path: Path | None, app: str) -> str:
    """Tell why a player is not known in an app."""
    apps = [each.id for each in read_config(config_path).of(Teak).apps]
    if app in apps:
        return "no session of that player is stored"
    return f"no app goes by that id; configured are: {', '.join(apps) or 'none'}"


def _change(config_path: Path | None, act: Callable[[Store], Awaitable[Any]]) -> Any:
    url = read_config(config_path).storage.database_url

    async def change() -> Any:
        store = open_store(url, migrates=False)
        async with store.reader() as reader:
            await reader.player("")  # a store that is not there must not be made by this
        async with store:
            return await act(store)

    return run_async(change())
