"""``worker``: from the stream into the store."""

from pathlib import Path

import click

from playsmart_gateway.build import jetstream_for, rules_for, worker_for
from playsmart_gateway.cli.common import read_config, server_config_option
from playsmart_gateway.dialects.lynes.access import program_for
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.logs import set_up_logging
from playsmart_gateway.output import never_wait_for_readers
from playsmart_gateway.serve.worker_process import work
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stream import open_consumer
from playsmart_gateway.stream.options import is_nats


@click.command("worker")
@server_config_option
@click.option("--from", "source", help="URL of NATS to take from, instead of storage.url.")
@click.option("--to", "target", help="Database to write to, instead of storage.reads_url.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    help="Serve /metrics, /healthz and /readyz on this port of 127.0.0.1.",
)
@click.pass_context
def worker_command(
    context: click.Context,
    config_path: Path | None,
    source: str | None,
    target: str | None,
    port: int | None,
) -> None:
    """Store what gateways publish to NATS, until SIGTERM or Ctrl-C; run as many as you like.

    The configuration is that of the gateways: [storage] and [nats] say where, [[games]] what is
    paid, [buffer] how large a transaction may be. A URL with a password belongs there, as
    arguments can be seen by every user of the machine.

    Exit code 0: everything that was taken is stored. 1: something is not, and will be delivered
    again. 2: the configuration cannot be used.
    """
    config = read_config(config_path)
    to = target or config.storage.reads_url
    if to is None or is_nats(to):
        raise ConfigError(["storage.reads_url: must name the database to write to (or give --to)"])
    consumer = open_consumer(source or config.storage.url, jetstream_for(config))
    store = open_store(to, rules_for(config), program_for(config))
    worker = worker_for(config, consumer, store)
    never_wait_for_readers()
    set_up_logging(config.log.format, config.log.level)
    context.exit(work(worker, port))
