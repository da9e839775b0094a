"""``accounts``: have a player log in again everywhere."""

import time
from pathlib import Path

import click

from playsmart_gateway.cli.common import config_option, read_config, run_async
from playsmart_gateway.cli.grouping import Group
from playsmart_gateway.cli.printing import say
from playsmart_gateway.stores.background import REVOCATIONS_IDLE_SECONDS
from playsmart_gateway.stores.open import open_store


@click.group("accounts", cls=Group)
def accounts_command() -> None:
    """Accounts that players made with this gateway."""


@accounts_command.command("revoke")
@click.argument("user")
@config_option
def revoke_command(user: str, config_path: Path | None) -> None:
    """Believe no token that a player was given until now; beside a running gateway, too.

    USER is the player's id, as in events. The password stays as it is. Exit code 1: the player has
    no account.
    """
    url = read_config(config_path).storage.database_url
    if not run_async(_revoke(url, user)):
        raise click.ClickException("no account goes by that id")
    say(f"revoked; gateways know within {REVOCATIONS_IDLE_SECONDS:g} seconds")


async def _revoke(url: str, user: str) -> bool:
    store = open_store(url, migrates=False)
    async with store.reader() as reader:
        await reader.newest_event_id()  # a store that is not there must not be made by this
    async with store:
        # Tokens say whole seconds: those of this one are revoked, too.
        return await store.accounts.revoke(user, int(time.time()) + 1)
