"""The commands: they parse arguments, call one function each, and turn errors into exit codes.

0 is success, 1 a run that failed (say, events were lost), 2 a mistake in arguments or
configuration, 130 Ctrl-C.
"""

import contextlib
import gc
import logging
import os
import signal
import sys
import warnings
from importlib import import_module
from typing import Any, NamedTuple

import click
from typing_extensions import override

from playsmart_gateway import __version__
from playsmart_gateway.cli.grouping import CONFIGURATION, Context, Group, explained_in_a_line
from playsmart_gateway.cli.printing import say
from playsmart_gateway.errors import ConfigError, GatewayError, SinkError, explained, told, where
from playsmart_gateway.output import (
    discard_what_nobody_takes,
    open_standard_descriptors,
    take_any_text,
)

INTERRUPTED = 128 + signal.SIGINT

GC_THRESHOLD = 20_000
"""Far above Python's: what is imported stays, and to look through it as it grows finds nothing."""


class _Command(NamedTuple):
    """The module that has a command as a function, and what is said of it beside the others."""

    module: str
    summary: str


COMMANDS = {
    "accounts": _Command("accounts", "Revoke what accounts of players were given"),
    "audit": _Command("coins", "Check that every coin paid has its event, and no more"),
    "backup": _Command("backup", "Copy the SQLite database as it is at one moment"),
    "catalogue": _Command("catalogue", "Print what events are like, and what is odd about them"),
    "check-config": _Command("serve", "Print the effective configuration, or its mistakes"),
    "client": _Command("client", "Print a client to drop into a game, or list them"),
    "coins": _Command("coins", "Show a player's coins, or correct them"),
    "completion": _Command("completion", "Print what has a shell complete commands"),
    "conformance": _Command("conformance", "Hold a client that sends events to the rules"),
    "dead-letters": _Command("dead_letters", "List, show and replay what the store refused"),
    "deploy": _Command("deploy", "Print files for containers, systemd, nginx and alerts"),
    "doctor": _Command("doctor", "Look for what would go wrong on this machine"),
    "erase": _Command("erase", "Remove a player from every table and file"),
    "exclude": _Command("apps", "Forget how to contact a player, and record no contact"),
    "export": _Command("export", "Write stored events to a file"),
    "include": _Command("apps", "End an exclusion"),
    "lake": _Command("lake", "Write stored events to the lake"),
    "load": _Command("load", "Load a running gateway and say how it did"),
    "manual": _Command("manual", "Print the manual, a chapter or a section of it"),
    "mcp": _Command("mcp", "Let an assistant ask the store, by tools that only read"),
    "opt": _Command("apps", "Set whether a player wants to be contacted on a channel"),
    "query": _Command("query", "Ask the lake, and what is not in it yet, in SQL"),
    "report": _Command("report", "Print what players did by day, week or month"),
    "retention": _Command("retention", "Delete events that were received long ago"),
    "serve": _Command("serve", "Take events until SIGTERM or Ctrl-C, then store the rest"),
    "stats": _Command("statistics", "Count events by game, type and day, or sum up the store"),
    "tail": _Command("tail", "Print the last stored events, then new ones as they come"),
    "token": _Command("keys", "Print a signed token, for trying things out"),
    "trace": _Command("trace", "Tell where the events of a request are"),
    "worker": _Command("worker", "Store what gateways publish to NATS"),
}
"""The module of each: it has the command as a function, ``dead_letters_command`` for instance."""


class _Commands(Group):
    """Imports a command when it is asked for: each needs other things, and all a good second."""

    context_class = Context

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        from playsmart_gateway.cli.arguments import prepared

        module = import_module(f"playsmart_gateway.cli.{COMMANDS[cmd_name].module}")
        return prepared(getattr(module, f"{cmd_name.replace('-', '_')}_command"), cmd_name)

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.summary) for name, each in COMMANDS.items()])

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ConfigError, SinkError) as error:
            note, path = ctx.meta.get(CONFIGURATION, ("", ""))
            is_told = bool(path) or isinstance(error, SinkError)
            if note and is_told and not (path and path in str(error)):
                error.add_note(note)
            raise


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="playsmart-gateway")
def commands() -> None:
    """Self-hosted ingest for mobile game events: batches in, exactly-once SQL rows out."""


def main() -> None:
    """Run the command line; whatever happens ends in a line and an exit code, never a traceback."""
    open_standard_descriptors()
    take_any_text()
    gc.set_threshold(GC_THRESHOLD)
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


def _with_notes(lines: list[str], error: Exception) -> list[str]:
    """Return what is told with what was noted: on the same line, if there is but one."""
    notes = "; ".join(getattr(error, "__notes__", ()))
    if not notes:
        return lines
    return [f"{lines[0]} ({notes})"] if len(lines) == 1 else [*lines, f"note: {notes}"]


def _run() -> int:
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        plain = False if os.environ.get("NO_COLOR") else None
        code: int | None = commands.main(standalone_mode=False, color=plain)
        sys.stdout.flush()
    except GatewayError as error:
        lines, code = explained(error)
        lines = _with_notes(lines, error)
    except click.exceptions.NoArgsIsHelpError as error:
        lines, code = error.format_message().splitlines(), error.exit_code
    except click.ClickException as error:
        lines, code = [f"error: {explained_in_a_line(error)}"], error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        # Of coroutines and tasks that it came before.
        warnings.simplefilter("ignore", RuntimeWarning)
        logging.getLogger("asyncio").disabled = True
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
