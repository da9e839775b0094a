"""``serve`` and ``check-config``."""

import json
import logging
import time
from functools import partial
from pathlib import Path

import click
import msgspec

from playsmart_gateway.app import create_app
from playsmart_gateway.auth.tokens import mint
from playsmart_gateway.build import (
    allowance_for,
    check,
    printed_secrets,
)
from playsmart_gateway.cli.common import (
    config_option,
    development_secret_file,
    read_config,
    with_development_secret,
    with_examples,
)
from playsmart_gateway.config import Config, masked, without_password
from playsmart_gateway.console.access import is_loopback
from playsmart_gateway.dialects import ALL
from playsmart_gateway.dialects.lynes.section import Lynes
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.logs import set_up_logging
from playsmart_gateway.output import never_wait_for_readers
from playsmart_gateway.serve.server import serve

logger = logging.getLogger(__name__)

EXAMPLE_TOKEN_SECONDS = 30 * 86_400


@click.command("serve")
@config_option
@click.option("--host", help="Address to listen on, instead of the configured one.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    help="Port to listen on, instead of the configured one.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Processes that share the port, instead of the configured number.",
)
@click.option(
    "--dev",
    is_flag=True,
    help="Development mode: without configured keys, make a random secret and keep it; without an"
    " operator token, the pages for operators are open to this machine.",
)
@click.option(
    "--allow-remote",
    is_flag=True,
    help="With --dev: listen where other machines reach, whose people then see these pages, too.",
)
@click.pass_context
def serve_command(
    context: click.Context,
    config_path: Path | None,
    host: str | None,
    port: int | None,
    workers: int | None,
    dev: bool,
    allow_remote: bool,
) -> None:
    """Take events until SIGTERM or Ctrl-C, then store what is buffered and exit.

    Exit code 0: everything that was accepted is stored. 1: something is not. 2: the configuration
    cannot be used.
    """
    config = read_config(config_path)
    options = {"host": host, "port": port, "workers": workers}
    changes = {key: value for key, value in options.items() if value is not None}
    server = msgspec.convert({**msgspec.to_builtins(config.server), **changes}, type(config.server))
    config = msgspec.structs.replace(config, server=server)
    at_home = is_loopback(config.server.host)
    if dev and not at_home and not allow_remote:
        raise ConfigError(
            [
                "server.host: development mode opens pages and a secret for trying out, so it "
                "listens on loopback; give --allow-remote if other machines are to reach it"
            ]
        )
    made = False
    developing = dev and not config.auth.has_keys
    if developing:
        config, made = with_development_secret(config, create=True)
    check(config)  # before the examples, of which everything is open
    token = None
    if developing and at_home:  # what everybody may use stays at home
        config = with_examples(config)
        token = partial(_example_token, config)
    make_app = partial(
        create_app,
        config,
        development=dev,
        development_token=token,
        allowance=allowance_for(config),
    )
    app = make_app() if config.server.workers == 1 else None
    never_wait_for_readers()
    set_up_logging(config.log.format, config.log.level)
    if dev and not at_home:
        logger.warning("development mode, open to every machine that reaches this one")
    for key in printed_secrets(config) if not developing else ():
        logger.warning("%s: is the one of the manual, everybody can read it", key)
    for doubt in (each for dialect in ALL for each in dialect.doubts(config)):
        logger.warning(doubt.warning)
    if developing:
        click.echo(_welcome(config, made))
    if app is not None:
        context.exit(serve(app, config))
    from playsmart_gateway.serve.supervisor import supervise  # not needed by a single process

    context.exit(supervise(config, make_app))


@click.command("check-config")
@config_option
def check_config_command(config_path: Path | None) -> None:
    """Print the effective configuration, secrets masked, or every mistake in it."""
    config = read_config(config_path)
    check(config)
    click.echo(json.dumps(masked(config), indent=2))
    if not config.auth.has_keys:
        click.echo("note: no keys are configured; serve will need --dev", err=True)


def _welcome(config: Config, made: bool) -> str:
    """Tell a developer where things are, with a request to paste into another terminal."""
    from playsmart_gateway.dialects.playsmart.openapi import PLAYER

    token = _example_token(config)
    body = (
        f'{{"user_id": "{PLAYER}", "game_id": "com.example.stackblaster", "events": ['
        '{"type": "LevelCompleted", "timestamp": "2026-04-22T14:30:00+00:00", '
        '"customdata": {"level": 5, "score": 4800}}]}'
    )
    url = f"http://{config.server.host}:{config.server.port}"
    database = without_password(config.storage.database_url).removeprefix("sqlite:///")
    return f"""
Development mode. The secret is {"new, random and" if made else "the one"} kept in
{development_secret_file(config)} (mode 0600).
Events go to {database}, relation "events".

Watch requests as they come: {url}/inspector, and what they add up to: {url}/dashboard

Paste this into another terminal:

curl -i {url}/ingest/events \\
  -H 'Authorization: Bearer {token}' \\
  -H 'Content-Type: application/json' \\
  -d '{body}'

Or try everything in a browser: {url}/docs, or play: {url}/demo
{"" if config.of(Lynes).auth else _HOW_TO_KEEP_LYNES_APART.format(url=url)}"""


_HOW_TO_KEEP_LYNES_APART = """
Lynes (POST {url}/event) is for your servers. Before players get tokens, give it keys that they
have not, in a configuration, and mint its tokens with `playsmart-gateway token --lynes`:

[lynes.auth]
secret = "..."  # what `openssl rand -hex 32` prints
"""


def _example_token(config: Config, player: str = "") -> str:
    from playsmart_gateway.dialects.playsmart.openapi import PLAYER  # it has all of the examples

    secret = config.auth.secret
    assert secret is not None
    return mint(player or PLAYER, secret=secret, ttl_seconds=EXAMPLE_TOKEN_SECONDS, now=time.time())
