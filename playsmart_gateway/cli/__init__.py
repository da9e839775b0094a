"""The commands: they parse arguments, call one function each, and turn errors into exit codes.

0 is success, 1 a run that failed (say, events were lost), 2 a mistake in arguments or
configuration, 130 Ctrl-C.
"""

import contextlib
import io
import signal
import sys
import warnings
from importlib import import_module

import click

from playsmart_gateway import __version__
from playsmart_gateway.cli.printing import say
from playsmart_gateway.errors import GatewayError, explained, told, where
from playsmart_gateway.output import (
    discard_what_nobody_takes,
    open_standard_descriptors,
    take_any_text,
)

INTERRUPTED = 128 + signal.SIGINT


COMMANDS = {
    "accounts": "accounts",
    "audit": "coins",
    "backup": "backup",
    "check-config": "serve",
    "coins": "coins",
    "dead-letters": "dead_letters",
    "deploy": "deploy",
    "doctor": "doctor",
    "erase": "erase",
    "exclude": "apps",
    "export": "export",
    "include": "apps",
    "load": "load",
    "manual": "manual",
    "opt": "apps",
    "retention": "retention",
    "serve": "serve",
    "stats": "statistics",
    "tail": "tail",
    "token": "keys",
    "trace": "trace",
    "worker": "worker",
}
"""The module of each: it has the command as a function, ``dead_letters_command`` for instance."""


class _Commands(click.Group):
    """Imports a command when it is asked for: each needs other things, and all a good second."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See ``click.Group``."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """See ``click.Group``."""
        if cmd_name not in COMMANDS:
            return None
        from playsmart_gateway.cli.arguments import in_utf_8

        module = import_module(f"playsmart_gateway.cli.{COMMANDS[cmd_name]}")
        return in_utf_8(getattr(module, f"{cmd_name.replace('-', '_')}_command"))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="playsmart-gateway")
def commands() -> None:
    """Self-hosted ingest for mobile game events: batches in, exactly-once SQL rows out."""


def main() -> None:
    """Run the command line; whatever happens ends in a line and an exit code, never a traceback."""
    open_standard_descriptors()
    take_any_text()
    thrown_away: list[Exception] = []
    sys.unraisablehook = lambda found: thrown_away.extend(
        [found.exc_value] if isinstance(found.exc_value, Exception) else ()
    )
    try:
        code = _run()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    except KeyboardInterrupt:  # once more, or when nearly all was done
        code = INTERRUPTED
    if code != INTERRUPTED:  # what Ctrl-C found half made may complain when it is thrown away
        with contextlib.suppress(OSError):
            for error in thrown_away:
                say(f"note: {where(error)}; this is a bug", err=True)
    discard_what_nobody_takes()
    sys.exit(code)


def _run() -> int:
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code: int | None = commands.main(standalone_mode=False)
        sys.stdout.flush()
    except GatewayError as error:
        lines, code = explained(error)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        lines = shown.getvalue().replace("Error: ", "error: ", 1).splitlines()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        warnings.simplefilter("ignore", RuntimeWarning)  # of coroutines that it came before
        interrupted = isinstance(error.__cause__ or error, KeyboardInterrupt)
        lines, code = ["aborted"], INTERRUPTED if interrupted else 1
    except OSError as error:  # a disk that is full, a reader that is gone, a file of the operator's
        lines, code = [f"error: {told(error)}"], 1
    except Exception as error:  # noqa: BLE001 - whoever runs a command gets a line
        lines, code = [f"error: {where(error)}; this is a bug"], 1
    else:
        return code or 0
    with contextlib.suppress(OSError):
        for line in lines:
            say(line, err=True)
    return code
