"""Arguments of commands: text is UTF-8, a number is one, or it is a mistake from the start."""

import math
from typing import Any

import click
from click.types import StringParamType

from playsmart_gateway.config.environment import as_utf_8


class Text(StringParamType):
    """What ``click`` takes as text, unless it is not UTF-8: no store could be asked for it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See ``click.ParamType``."""
        try:
            return as_utf_8(super().convert(value, param, ctx))
        except UnicodeError:
            self.fail("is not UTF-8", param, ctx)


class Seconds(click.FloatRange):
    """What ``click`` takes as a number from one to another, without ``nan``, which it lets pass."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See ``click.ParamType``."""
        seconds = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return seconds


def in_utf_8(command: click.Command) -> click.Command:
    """Return ``command``, and those in it, with texts that are UTF-8. Paths may be any bytes."""
    for parameter in command.params:
        if parameter.type is click.STRING:
            parameter.type = Text()
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        in_utf_8(inner)
    return command
