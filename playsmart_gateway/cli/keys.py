"""``token``: mint a bearer token from the configured secret."""

import json
import time
from pathlib import Path
from typing import Any

import click

from playsmart_gateway.auth.tokens import mint
from playsmart_gateway.cli.common import (
    config_option,
    read_config,
    with_development_secret,
)
from playsmart_gateway.cli.times import Duration
from playsmart_gateway.config.verifier import signing_key
from playsmart_gateway.dialects.lynes.access import lynes_auth


def _claim(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    claims = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not key or not equals:
            raise click.BadParameter("needs the form KEY=VALUE")
        try:
            claims[key] = json.loads(text)
        except ValueError:
            claims[key] = text
    return claims


@click.command("token")
@config_option
@click.option("--sub", required=True, help="The player: the user_id that the token may send for.")
@click.option("--ttl", type=Duration(), default="1h", show_default=True, help="How long it lives.")
@click.option(
    "--claim",
    "claims",
    multiple=True,
    callback=_claim,
    metavar="KEY=VALUE",
    help="A further claim, its value as JSON or else as text. May be repeated.",
)
@click.option("--lynes", is_flag=True, help="For a server that calls Lynes, see [lynes.auth].")
def token_command(
    config_path: Path | None, sub: str, ttl: int, claims: dict[str, Any], lynes: bool
) -> None:
    """Print a signed token, for trying things out.

    Signs with the configured secret, or with the one that development mode has made.
    """
    config = read_config(config_path)
    if not (lynes_auth(config) if lynes else config.auth).has_keys:
        config, _ = with_development_secret(config, create=False)
    auth = lynes_auth(config) if lynes else config.auth
    secret, kid = signing_key(auth)
    added = {"iss": auth.issuer, "aud": auth.audience}
    standard = {key: value for key, value in added.items() if value is not None}
    click.echo(
        mint(
            sub,
            secret=secret,
            kid=kid,
            algorithm=next(iter(auth.algorithms), "HS256"),
            ttl_seconds=ttl,
            now=time.time(),
            claims={**standard, **claims},
        )
    )
