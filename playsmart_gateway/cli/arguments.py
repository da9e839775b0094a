"""Arguments of commands: text is UTF-8, a number is one, or it is a mistake from the start."""

import math
from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

from playsmart_gateway.cli.grouping import Choice, Context
from playsmart_gateway.config.environment import as_utf_8

Completer = Callable[[click.Context, str], list[str]]
"""What completes the beginning of a text."""


class Text(StringParamType):
    """What ``click`` takes as text, unless it is not UTF-8: no store could be asked for it."""

    def __init__(self, completer: Completer | None = None) -> None:
        self._completer = completer

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See ``click.ParamType``."""
        try:
            return as_utf_8(super().convert(value, param, ctx))
        except UnicodeError:
            self.fail("is not UTF-8", param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        """See ``click.ParamType``."""
        found = [] if self._completer is None else self._completer(ctx, incomplete)
        return [CompletionItem(each) for each in found]


class Seconds(click.FloatRange):
    """What ``click`` takes as a number from one to another, without ``nan``, which it lets pass."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See ``click.ParamType``."""
        seconds = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return seconds


WIDEST_CHOICES = 24
"""Characters of choices that stand beside their option; more would be a column for themselves."""


def _shorten(parameter: click.Parameter, choices: str) -> None:
    """Have many choices of an option in what is said of it."""
    if isinstance(parameter, click.Option) and len(choices) > WIDEST_CHOICES:
        parameter.metavar = parameter.opts[0].lstrip("-").upper()
        parameter.help = f"{parameter.help} One of {choices}."


def prepared(command: click.Command, name: str) -> click.Command:
    """Return ``command``, and those in it, with what goes for all of them.

    Texts are UTF-8, while paths may be any bytes; choices tell near misses; what a shell can
    complete is known by the name of a parameter; and help ends with examples.
    """
    from playsmart_gateway.cli.completion import COMPLETED
    from playsmart_gateway.cli.examples import shown

    for parameter in command.params:
        if parameter.type is click.STRING:
            parameter.type = Text(COMPLETED.get(parameter.name))
        elif type(parameter.type) is click.Choice:  # of those that are none of ours yet
            kind = parameter.type
            parameter.type = Choice(kind.choices, kind.case_sensitive)
            _shorten(parameter, ", ".join(kind.choices))
    command.context_class = Context
    command.epilog = shown(name)
    for each in command.commands.values() if isinstance(command, click.Group) else ():
        prepared(each, f"{name} {each.name}")
    return command
