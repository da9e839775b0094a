"""``completion``: what has a shell complete commands, options and what they take.

The shell runs the program at each press of the key and shows what it prints. Games, apps and events
are those of the configuration: nothing else is opened for it.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

if TYPE_CHECKING:
    from playsmart_gateway.config import Config

PROGRAM = "playsmart-gateway"
VARIABLE = "_PLAYSMART_GATEWAY_COMPLETE"

SHELLS: dict[str, type[ShellComplete]] = {
    "bash": BashComplete,
    "zsh": ZshComplete,
    "fish": FishComplete,
}

Names = Callable[["Config"], Iterable[str]]


@click.command("completion")
@click.argument("shell", type=click.Choice(list(SHELLS)))
def completion_command(shell: str) -> None:
    """Print what has a SHELL complete commands, options and what they take.

    Games, apps and events are completed from the configuration.
    """
    kind = SHELLS[shell]
    # Not its ``source``, which starts a bash to ask for its version.
    made = kind(click.get_current_context().find_root().command, {}, PROGRAM, VARIABLE)
    click.echo(kind.source_template % made.source_vars(), nl=False)


def _completed(names: Names) -> Callable[[click.Context, str], list[str]]:
    def complete(context: click.Context, incomplete: str) -> list[str]:
        from playsmart_gateway.dialects import load_config
        from playsmart_gateway.errors import GatewayError

        path = context.params.get("config_path")
        with contextlib.suppress(GatewayError):
            config = load_config(path if isinstance(path, Path) else None, os.environ)
            return sorted({each for each in names(config) if each.startswith(incomplete)})
        return []

    return complete


def _games(config: "Config") -> Iterator[str]:
    from playsmart_gateway.dialects.lynes.section import Lynes

    yield from (each.id for each in config.games)
    yield from _apps(config)
    if _events(config):
        yield config.of(Lynes).project


def _apps(config: "Config") -> list[str]:
    from playsmart_gateway.dialects.teak.section import Teak

    return [each.id for each in config.of(Teak).apps]


def _events(config: "Config") -> list[str]:
    from playsmart_gateway.dialects.lynes.section import Lynes

    return [each.id for each in config.of(Lynes).events]


def _types(config: "Config") -> Iterator[str]:
    from playsmart_gateway.dialects.playsmart.upload import Event

    yield from (each.type for each in get_args(Event))
    yield from _events(config)


def _chapters(_: click.Context, incomplete: str) -> list[str]:
    from playsmart_gateway.manual import CHAPTERS

    return [each for each in CHAPTERS if each.startswith(incomplete)]


COMPLETED: dict[str | None, Callable[[click.Context, str], list[str]]] = {
    "game": _completed(_games),
    "app": _completed(_apps),
    "event": _completed(_events),
    "event_type": _completed(_types),
    "chapter": _chapters,
}
"""What completes a text, by the name of its parameter."""
