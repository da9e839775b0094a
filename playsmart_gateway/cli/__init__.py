"""The commands: they parse arguments, call one function each, and turn errors into exit codes.

0 is success, 1 a run that failed (say, events were lost), 2 a mistake in arguments or
configuration.
"""

import signal
import sys

import click

from playsmart_gateway import __version__
from playsmart_gateway.cli.apps import exclude_command, include_command, opt_command
from playsmart_gateway.cli.backup import backup_command
from playsmart_gateway.cli.coins import audit_command, coins_command
from playsmart_gateway.cli.dead_letters import dead_letters_command
from playsmart_gateway.cli.doctor import doctor_command
from playsmart_gateway.cli.erase import erase_command
from playsmart_gateway.cli.export import export_command
from playsmart_gateway.cli.keys import token_command
from playsmart_gateway.cli.load import load_command
from playsmart_gateway.cli.printing import say
from playsmart_gateway.cli.retention import retention_command
from playsmart_gateway.cli.serve import check_config_command, serve_command
from playsmart_gateway.cli.statistics import stats_command
from playsmart_gateway.cli.tail import tail_command
from playsmart_gateway.cli.worker import worker_command
from playsmart_gateway.errors import GatewayError, explained
from playsmart_gateway.output import open_standard_descriptors


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="playsmart-gateway")
def commands() -> None:
    """Self-hosted ingest for mobile game events: batches in, exactly-once SQL rows out."""


for command in (
    serve_command,
    worker_command,
    token_command,
    check_config_command,
    load_command,
    backup_command,
    export_command,
    tail_command,
    erase_command,
    retention_command,
    doctor_command,
    dead_letters_command,
    coins_command,
    audit_command,
    exclude_command,
    include_command,
    opt_command,
    stats_command,
):
    commands.add_command(command)


def main() -> None:
    """Run the command line."""
    open_standard_descriptors()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        commands()
    except GatewayError as error:
        lines, code = explained(error)
        for line in lines:
            say(line, err=True)
        sys.exit(code)
