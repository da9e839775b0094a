"""``conformance``: does a client keep every event, and send each once?"""

import shlex
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click
import msgspec

from playsmart_gateway.cli.arguments import Seconds
from playsmart_gateway.cli.printing import harmless, print_json, progress_bar, say
from playsmart_gateway.cli.tables import folded
from playsmart_gateway.clients import CLIENTS
from playsmart_gateway.clients.adapters import ToolMissing
from playsmart_gateway.clients.conformance import CASES, Result, run

_ERROR_LINES = 5
_COLOURS = {"passed": "green", "failed": "red", "skipped": "yellow"}


@click.command("conformance")
@click.option("--adapter", help="Command that starts the client, './my-client' say.")
@click.option("--client", type=click.Choice(list(CLIENTS)), help="A client of ours instead.")
@click.option(
    "--case", "names", multiple=True, metavar="NAME", help="This case alone; again for more."
)
@click.option("--json", "as_json", is_flag=True, help="Print the scorecard as JSON.")
@click.option(
    "--timeout",
    type=Seconds(1, 600),
    default=60.0,
    show_default=True,
    help="Seconds for one answer of the adapter, and for events on their way.",
)
@click.option(
    "--jobs", type=click.IntRange(1, 16), default=4, show_default=True, help="Cases played at once."
)
@click.pass_context
def conformance_command(
    context: click.Context,
    adapter: str | None,
    client: str | None,
    names: tuple[str, ...],
    as_json: bool,
    timeout: float,
    jobs: int,
) -> None:
    """Hold a client that sends events to the rules, case by case, and print its scorecard.

    The adapter is started again and again, with a folder to keep its files in and a gateway on
    127.0.0.1 that misbehaves; the manual has its commands: `manual clients#prove-a-client`. Exit
    code 1: a case failed.
    """
    if (adapter is None) == (client is None):
        raise click.UsageError("say which client: --adapter COMMAND, or --client NAME")
    chosen = _chosen(names)
    with _ours(client) if client else nullcontext(_command(adapter or "")) as command:
        results = _play(command, chosen, timeout, jobs)
    if as_json:
        print_json([msgspec.to_builtins(each) for each in results])
    else:
        _show(results)
    context.exit(1 if any(each.verdict == "failed" for each in results) else 0)


@contextmanager
def _ours(name: str) -> Iterator[list[str]]:
    try:
        with CLIENTS[name].ready() as command:
            yield command
    except ToolMissing as error:
        raise click.ClickException(str(error)) from None
    except subprocess.CalledProcessError as error:
        raise click.ClickException(f"{name} cannot be built:\n{error.output}") from None


def _command(adapter: str) -> list[str]:
    try:
        command = shlex.split(adapter)
    except ValueError as error:
        raise click.UsageError(f"--adapter: {error}") from None
    name = command[0] if command else ""
    if shutil.which(name) is None:
        raise click.UsageError(f"--adapter: {_why_not(name)}")
    return command


def _why_not(program: str) -> str:
    """Say why it cannot be started."""
    if "/" in program and Path(program).is_dir():
        return f"{program!r} is a folder"
    if "/" in program and Path(program).exists():
        return f"{program!r} is not executable: chmod +x it, or begin with the program that runs it"
    return f"there is no program {program!r} to start"


def _chosen(names: tuple[str, ...]) -> list[str]:
    unknown = [each for each in names if each not in CASES]
    if unknown:
        raise click.UsageError(f"--case: no case {unknown[0]!r}; there are {', '.join(CASES)}")
    return list(dict.fromkeys(names)) or list(CASES)


def _play(command: list[str], names: list[str], timeout: float, jobs: int) -> list[Result]:
    with progress_bar() as bar:
        task = bar.add_task("playing", total=len(names))

        def show(result: Result) -> None:
            bar.update(task, advance=1, description=result.name)

        return run(command, names, seconds=timeout, jobs=jobs, on_result=show)


def _show(results: list[Result]) -> None:
    width = max(len(each.name) for each in results)
    told = ""
    for each in results:
        verdict = click.style(f"{each.verdict:<8}", fg=_COLOURS[each.verdict])
        click.echo(verdict, nl=False)
        lines = folded(harmless(each.detail or each.about), 10 + width)
        click.echo(f"{each.name:<{width}}  {lines}")
        if each.stderr != told:  # once is enough
            told = each.stderr
            for line in each.stderr.splitlines()[-_ERROR_LINES:]:
                say(f"{'':<8}{'':<{width}}  stderr: {line}")
    counts = Counter(str(each.verdict) for each in results)
    say(", ".join(f"{counts[verdict]} {verdict}" for verdict in _COLOURS))
