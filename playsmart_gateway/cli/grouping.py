"""What all commands have in common: where options stand, what help shows, how mistakes are told.

Options may stand before a command or behind it: ``--config FILE stats`` is ``stats --config FILE``.
Click reads what stands before as options of the group, which has none, so here they are moved
behind the command that takes them. It knows no command by name. Start reading at ``Group``.
"""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import click
from typing_extensions import override

MOST_LIKE = 3
"""Near misses that are named."""

MOST_LISTED = 50

CONFIGURATION = "playsmart_gateway.configuration"
"""In the ``meta`` of a context: what to say of the configuration beside a failure, and its path."""


class Group(click.Group):
    """Commands whose options may stand before them, too; ``default`` is the one without a name."""

    default: str | None = None

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self._in_order(ctx, args))

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing:
            problem = f"No such command {name!r}.{near(name, self.list_commands(ctx))}"
            raise click.UsageError(problem, ctx)
        return super().resolve_command(ctx, args)

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each command with all of its first sentence, which Click would cut."""
        named = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, summary_of(each)) for name, each in named if each is not None]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def _in_order(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Return the arguments with the name of the command before its options."""
        names = self.list_commands(ctx)
        if not args or not args[0].startswith("-"):
            known = not args or args[0] in names or self.default is None
            return args if known else [str(self.default), *args]
        end = args.index("--") if "--" in args else len(args)
        places = [place for place, text in enumerate(args[:end]) if text in names]
        for place in places:
            command = self.get_command(ctx, args[place])
            if command is not None and _takes(ctx, command, args[:place]):
                return _with_first(args, place)
        if _reads(ctx, self, args[: places[0] if places else len(args)]):
            return args
        if places:  # whose mistake it is: it says which options it has
            return _with_first(args, places[0])
        return args if self.default is None else [self.default, *args]


def _with_first(args: list[str], place: int) -> list[str]:
    return [args[place], *args[:place], *args[place + 1 :]]


def _takes(ctx: click.Context, command: click.Command, texts: Sequence[str]) -> bool:
    """Whether all of ``texts`` are options of a command, or of one in it."""
    if _reads(ctx, command, texts):
        return True
    if not isinstance(command, click.Group):
        return False
    inner = (command.get_command(ctx, name) for name in command.list_commands(ctx))
    return any(each is not None and _takes(ctx, each, texts) for each in inner)


def _reads(ctx: click.Context, command: click.Command, texts: Sequence[str]) -> bool:
    """Whether all of ``texts`` are options of this command itself."""
    context = click.Context(command, help_option_names=ctx.help_option_names)
    try:
        _, rest, _ = command.make_parser(context).parse_args([*texts])
    except click.UsageError:
        return False
    return not rest


def summary_of(command: click.Command) -> str:
    """Return the first sentence of a command's help, on one line."""
    text = " ".join((command.help or "").split("\n\n")[0].split())
    return text.removesuffix(".")


def near(text: str, choices: Iterable[str], *, listed: bool = True) -> str:
    """Return what to say beside a mistake: what is almost the same, and, ``listed``, what there is.

    Of very many the first are listed.
    """
    names = [*choices]
    if not names:
        return ""
    folded = {each.casefold(): each for each in reversed(names)}
    alike = difflib.get_close_matches(text.casefold(), folded, n=MOST_LIKE)
    alike += [each for each in folded if each.startswith(text.casefold() or "\n")]
    close = [*dict.fromkeys(folded[each] for each in alike)][:MOST_LIKE]
    meant = f" Did you mean {' or '.join(close)}?" if close else ""
    more = f" and {len(names) - MOST_LISTED:,} more" if len(names) > MOST_LISTED else ""
    there = f" There are: {', '.join(names[:MOST_LISTED])}{more}." if listed else ""
    return f"{meant}{there}"


class _Formatter(click.HelpFormatter):
    """Leaves two thirds of a line to what is said of an option: words stay whole at 60 columns."""

    @override
    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        super().write_dl(rows, min(col_max, self.width // 3), col_spacing)


class Context(click.Context):
    """The context of each command: its help is as wide as the terminal, up to 80 columns."""

    formatter_class = _Formatter


class Choice(click.Choice[str]):
    """What Click takes as one of several, and a mistake names them and what is almost the same."""

    @override
    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        return f"{value!r} is none of them.{near(str(value), map(str, self.choices))}"


def explained_in_a_line(error: click.ClickException) -> str:
    """Return a mistake, or a failure, on one line, with what to do next."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    text = error.format_message()
    if isinstance(error, click.NoSuchOption) and context is not None:
        names = (
            each for parameter in context.command.get_params(context) for each in parameter.opts
        )
        options = [each for each in names if each.startswith("--")]
        text = f"No such option {error.option_name!r}.{near(error.option_name, options)}"
    elif isinstance(error, click.BadParameter) and isinstance(error.param, click.Argument):
        name = error.param.human_readable_name
        if not isinstance(error, click.MissingParameter) and error.param_hint is None:
            text = f"Invalid value for {name}: {error.message}"
    text = " ".join(text.split())
    if context is None:
        return text
    return f"{text}{'' if text.endswith(('.', '?')) else '.'} See {context.command_path} --help"
