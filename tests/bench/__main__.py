"""``python -m tests.bench``; ``make bench`` with ``ARGS``."""

import signal
import sys
from importlib import import_module
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from playsmart_gateway.dialects import load_config
from playsmart_gateway.errors import GatewayError
from tests.bench import table
from tests.bench.generators import BenchError, Generator, generator
from tests.bench.machine import Machine
from tests.bench.options import Options
from tests.bench.peers import read
from tests.bench.plan import Measured, plan
from tests.bench.processes import variables
from tests.bench.results import Results, conclude

_QUICK = {
    "rounds": 1,
    "seconds": 1,
    "sustained_seconds": 1,
    "players": (1, 100),
    "memory_events": 100_000,
    "memory_sizes": (200,),
}


@click.command("bench")
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True)
@click.option(
    "--seconds",
    type=click.IntRange(1, 600),
    default=4,
    show_default=True,
    help="Length of each measurement.",
)
@click.option(
    "--events",
    "sizes",
    type=click.IntRange(1, 200),
    multiple=True,
    default=(1, 10, 200),
    show_default=True,
    help="Events a request; repeat for several.",
)
@click.option(
    "--players",
    type=click.IntRange(1, 200_000),
    multiple=True,
    default=(1, 10_000, 100_000),
    show_default=True,
    help="Players who send in turn, each with a token of their own; repeat for several.",
)
@click.option(
    "--sustained",
    "sustained_seconds",
    type=click.IntRange(0, 3_600),
    default=30,
    show_default=True,
    help="How long to send more than can be stored, in seconds; 0 leaves it away.",
)
@click.option(
    "--quick",
    is_flag=True,
    help="One round of a second, 1 and 100 players, a tenth of a full buffer.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="A setting of the gateway; repeat for several.",
)
@click.option(
    "--also",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Measure a second gateway beside it, with this setting too; repeat for several.",
)
@click.option(
    "--peer",
    "commands",
    multiple=True,
    metavar="NAME=COMMAND",
    help="Measure another program beside it, which listens on {port} and may write to {folder}; "
    "repeat for several. Needs wrk.",
)
@click.option(
    "--peer-path",
    "paths",
    multiple=True,
    metavar="NAME=PATH",
    help="Where that program takes events, if not /.",
)
@click.option(
    "--peer-body",
    "bodies",
    multiple=True,
    metavar="NAME=TEMPLATE",
    help="What it is sent: {events} is an array of the events, which is the default, {lines} a "
    "line of JSON of each, {upload} the body that the gateway is sent.",
)
@click.option(
    "--memory-events",
    "memory_sizes",
    type=click.IntRange(1, 200),
    multiple=True,
    default=(200, 10),
    show_default=True,
    help="Events a request with which a buffer is filled; repeat for several. 1 takes minutes.",
)
@click.option(
    "--generator",
    "choice",
    type=click.Choice(["auto", "wrk", "own"]),
    default="auto",
    show_default=True,
    help="Who sends: wrk if installed, else playsmart_gateway.load.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the tables.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw it as PNG.")
@click.option(
    "--teak", "instead", flag_value="teak", help="Measure Teak's batches instead; needs wrk."
)
@click.option(
    "--lynes", "instead", flag_value="lynes", help="Measure events that wait instead; needs wrk."
)
@click.option(
    "--watched",
    "instead",
    flag_value="watched",
    help="Measure what open inspectors and dashboards cost instead.",
)
@click.option(
    "--growing",
    "instead",
    flag_value="growing",
    help="Measure workers, PostgreSQL and JetStream beside SQLite instead.",
)
@click.option(
    "--jetstream", "instead", flag_value="jetstream", help="Measure JetStream and a worker instead."
)
@click.option("--check", is_flag=True, help="Exit 1 if a floor was missed.")
def main(
    rounds: int,
    seconds: int,
    sizes: tuple[int, ...],
    players: tuple[int, ...],
    sustained_seconds: int,
    quick: bool,
    settings: tuple[str, ...],
    also: tuple[str, ...],
    commands: tuple[str, ...],
    paths: tuple[str, ...],
    bodies: tuple[str, ...],
    memory_sizes: tuple[int, ...],
    choice: str,
    as_json: bool,
    plot: Path | None,
    check: bool,
    instead: str | None,
) -> None:
    """Measure durable throughput beside its ceilings, all in one run."""
    signal.signal(signal.SIGTERM, _leave)
    if instead is not None:
        kept = _measure_instead(instead, 1 if quick else rounds, 1 if quick else seconds, as_json)
        sys.exit(1 if check and not kept else 0)
    try:
        options = Options(
            sizes=sizes,
            players=tuple(sorted(set(players))),
            rounds=rounds,
            seconds=seconds,
            sustained_seconds=sustained_seconds,
            settings=settings,
            also=also,
            peers=tuple(read(commands, paths, bodies)),
            memory_sizes=memory_sizes,
            generator=choice,
        )
        if quick:
            options = msgspec.structs.replace(options, **_QUICK)
        load_config(None, variables([*settings, *also]))
        results = _run(options, generator(choice))
    except (BenchError, GatewayError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(results)).decode())
    else:
        Console(width=table.width(is_terminal=sys.stdout.isatty())).print(table.render(results))
    if plot is not None:
        from tests.bench.plot import draw  # takes a second to import

        draw(results, plot)
    if check and not results.kept:
        sys.exit(1)


def _measure_instead(module: str, rounds: int, seconds: int, as_json: bool) -> bool:
    """Run another benchmark of this package, and return whether its floors were kept."""
    try:
        kept: bool = import_module(f"tests.bench.{module}").main(rounds, seconds, as_json=as_json)
    except BenchError as error:
        raise click.ClickException(str(error)) from error
    return kept


def _run(options: Options, sender: Generator) -> Results:
    machine, measured = Machine.here(), Measured()
    steps = plan(options, sender, measured)
    console = Console(stderr=True)
    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(
        *columns, console=console, disable=not console.is_terminal, refresh_per_second=2
    ) as progress:
        task = progress.add_task("", total=len(steps))
        for step in steps:
            progress.update(task, description=step.what)
            step.run()
            progress.advance(task)
    return conclude(machine, sender.name, options, measured)


def _leave(*_: object) -> None:
    sys.exit(143)  # as an exception, so that the target is reaped on the way


main(prog_name="python -m tests.bench")
