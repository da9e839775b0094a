"""``serve`` and ``check-config``."""

import json
import logging
from functools import partial
from pathlib import Path

import click
import msgspec

from playsmart_gateway.app import create_app
from playsmart_gateway.build import (
    allowance_for,
    check,
    printed_secrets,
)
from playsmart_gateway.cli.common import (
    config_option,
    read_config,
    server_config_option,
    with_development_secret,
    with_examples,
)
from playsmart_gateway.cli.welcome import announce, example_token
from playsmart_gateway.config import masked
from playsmart_gateway.console.access import is_loopback
from playsmart_gateway.dialects import ALL
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.logs import set_up_logging
from playsmart_gateway.output import never_wait_for_readers
from playsmart_gateway.serve.server import OnListening, nobody_told, serve

logger = logging.getLogger(__name__)


@click.command("serve")
@server_config_option
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
        token = partial(example_token, config)
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
    on_listening: OnListening = nobody_told
    if developing:
        on_listening = partial(announce, config, made=made, is_at_home=at_home)
    if app is not None:
        context.exit(serve(app, config, on_listening))
    from playsmart_gateway.serve.supervisor import supervise  # not needed by a single process

    context.exit(supervise(config, make_app, on_listening))


@click.command("check-config")
@config_option
def check_config_command(config_path: Path | None) -> None:
    """Print the effective configuration, secrets masked, or every mistake in it."""
    config = read_config(config_path)
    check(config)
    click.echo(json.dumps(masked(config), indent=2))
    if not config.auth.has_keys:
        click.echo("note: no keys are configured; serve will need --dev", err=True)
