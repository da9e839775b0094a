"""``load``: send believable load to a gateway, measure it, and count that nothing was lost."""

import asyncio
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import msgspec
from click.core import ParameterSource
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from playsmart_gateway.cli.arguments import Seconds
from playsmart_gateway.cli.harmless import harmless_json
from playsmart_gateway.cli.load_clean import clean
from playsmart_gateway.cli.load_tokens import minter
from playsmart_gateway.cli.load_tokens import subject as token_subject
from playsmart_gateway.cli.printing import say
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.load import (
    GAME_ID,
    Baseline,
    Counts,
    LoadOptions,
    Progress,
    Repeated,
    Replay,
    Report,
    Run,
    Sessions,
    Verification,
    Workload,
    player_names,
    run_load,
    table,
    verify,
)

_SPARE_FILES = 256
MAX_PLAYERS = 10_000_000


@click.command("load")
@click.option(
    "--url",
    default="http://127.0.0.1:8000",
    show_default=True,
    help="The gateway, or what is before it; https:// too.",
)
@click.option(
    "--ca",
    type=click.Path(path_type=Path),
    help="PEM file of whom to trust, if a certificate is signed by nobody who is trusted here.",
)
@click.option("--insecure", is_flag=True, help="Take any certificate of the server's.")
@click.option("--token", help="Bearer token for every request; its subject is the only player.")
@click.option(
    "--secret-from-config",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="TOML file of the gateway: its secret signs a token for every player, its store is what "
    "--clean empties. Without it and --token: PLAYSMART_AUTH__SECRET, or the secret of "
    "development mode.",
)
@click.option("--events", type=int, default=20, show_default=True, help="In a request, 1 to 200.")
@click.option("--connections", type=int, default=16, show_default=True, help="At most 10,000.")
@click.option("--duration", type=float, help="Seconds to send for.  [default: 10]")
@click.option("--requests", type=int, help="Requests to send, instead of --duration.")
@click.option(
    "--rate",
    type=float,
    help="Requests a second, whether or not the gateway keeps up; latency counts from when each "
    "was due. Without it every connection sends as soon as it has its answer.",
)
@click.option(
    "--players",
    type=click.IntRange(max=MAX_PLAYERS),
    default=1000,
    show_default=True,
    help="They send in turn.",
)
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path),
    help="Request bodies to replay, one a line, plain or gzip: once, or over and over for "
    "--duration or --requests.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Decides the games played.")
@click.option("--game", default=GAME_ID, show_default=True, help="Game id of synthetic events.")
@click.option(
    "--timeout", type=float, default=10.0, show_default=True, help="Seconds to wait for an answer."
)
@click.option(
    "--retries",
    type=float,
    metavar="SHARE",
    help="Send this share of requests (0 to 1) twice, as a phone does that lost the answer. All "
    "have run and seq then; --verify wants each stored and paid once, and counted as a repeat.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option(
    "--verify",
    "database",
    help="The gateway's SQLite file, or the postgresql:// URL of its database: count at the end "
    "that every acknowledged event is stored exactly once, and exit 1 if not.",
)
@click.option(
    "--verify-timeout",
    type=Seconds(0, 86_400),
    default=60.0,
    show_default=True,
    help="Seconds to wait until everything is stored.",
)
@click.option(
    "--clean",
    "cleans",
    is_flag=True,
    help="Send nothing: remove all that load has ever left in the store, and in the lake.",
)
@click.option("--dry-run", "counts_only", is_flag=True, help="With --clean: only count.")
@click.option("--yes", "is_sure", is_flag=True, help="With --clean: do not ask.")
@click.pass_context
def load_command(
    context: click.Context,
    url: str,
    ca: Path | None,
    insecure: bool,
    token: str | None,
    config_path: Path | None,
    events: int,
    connections: int,
    duration: float | None,
    requests: int | None,
    rate: float | None,
    players: int,
    file: Path | None,
    seed: int,
    game: str,
    timeout: float,
    retries: float | None,
    as_json: bool,
    database: str | None,
    verify_timeout: float,
    cleans: bool,
    counts_only: bool,
    is_sure: bool,
) -> None:
    """Load a running gateway over HTTP and report how it did.

    Ctrl-C ends the run early, with the figures so far.

    What it sends is of a game of its own, load.playsmart, and of players whose ids begin with that;
    --clean removes the game and these players, beside a running gateway, too, and nothing else.
    """
    if cleans:
        _only(context, "cleans", "config_path", "counts_only", "is_sure", "as_json")
        clean(config_path, dry_run=counts_only, yes=is_sure, as_json=as_json)
        return
    if counts_only or is_sure:
        raise click.UsageError("--dry-run and --yes go with --clean; load removes nothing else.")
    _exclude(context, "duration", "requests")
    _exclude(context, "token", "config_path")
    _exclude(context, "token", "players")
    _exclude(context, "file", "events", "players", "game", "seed", "retries")
    subject = None if token is None else token_subject(token)
    if file is None:
        users = player_names(seed, players) if subject is None else [subject]
        began = time.time_ns() // 1000
        sessions = Sessions(
            users,
            events=events,
            seed=seed,
            run=began,
            game_id=game,
            numbered=retries is not None,
        )
        workload: Workload = sessions if retries is None else Repeated(sessions, retries)
    else:
        workload = _replay(file, subject)
    if requests is None and duration is None:
        requests, duration = workload.length, 10.0 if workload.length is None else None
    options = LoadOptions(
        url=url,
        connections=connections,
        duration_seconds=duration,
        requests=requests,
        rate=rate,
        timeout_seconds=timeout,
        ca=ca,
        insecure=insecure,
    )
    options.check()
    options.tls()  # a file that is none is told before anything else is asked of anybody
    token_for = minter(config_path) if token is None else (lambda _: token)
    baseline = Baseline.take(database) if database is not None else None
    _allow_open_files(connections)

    run = _send(options, workload, token_for)
    report = run.report
    if baseline is not None:
        try:
            found = _count(baseline, workload, run, verify_timeout)
        except KeyboardInterrupt:
            _show(report, as_json=as_json)
            click.echo("The verification was interrupted.", err=True)
            raise click.Abort from None
        report = msgspec.structs.replace(report, verify=found)
    _show(report, as_json=as_json)
    if report.verify is not None and not report.verify.exactly_once:
        sys.exit(1)


def _only(context: click.Context, one: str, *others: str) -> None:
    """Refuse everything but ``one`` and ``others`` on a command line that has ``one``."""
    (name,) = _given(context, one)
    if surplus := [each for each in _given(context) if each not in _given(context, one, *others)]:
        raise click.UsageError(f"{name} sends nothing; leave out {' and '.join(surplus)}.")


def _given(context: click.Context, *names: str) -> list[str]:
    """Return the options on the command line, of these parameters if any are named."""
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if (not names or parameter.name in names)
        and context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
    ]


def _exclude(context: click.Context, one: str, *others: str) -> None:
    """Refuse ``others`` on a command line that has ``one``."""
    given = _given(context, one, *others)
    if context.get_parameter_source(one) is ParameterSource.COMMANDLINE and len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} exclude each other; give one of them.")


def _replay(file: Path, subject: str | None) -> Replay:
    replay = Replay.read(file)
    strangers = [user for user in replay.users if user != subject]
    if subject is not None and strangers:
        raise ConfigError(
            [
                f"--token is for {subject!r}, but {file} has bodies of {len(strangers)} other "
                f"users, such as {strangers[0]!r}; use --secret-from-config instead of --token"
            ]
        )
    return replay


def _allow_open_files(connections: int) -> None:
    """Raise this process's limit as far as it may, when it is below what the run needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, reachable), hard))


def _send(options: LoadOptions, workload: Workload, token_for: Callable[[str], str]) -> Run:
    """Run the load on a loop of its own. The first Ctrl-C ends it early, the second at once."""

    async def send() -> Run:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()

        def interrupt() -> None:
            loop.remove_signal_handler(signal.SIGINT)
            stop.set()

        loop.add_signal_handler(signal.SIGINT, interrupt)
        try:
            with _bar("{task.fields[rate]:,.0f} req/s  p99 {task.fields[p99]:,.1f} ms") as bar:
                task = bar.add_task("sending", total=1.0, rate=0.0, p99=0.0)

                def show(at: Progress) -> None:
                    rate, p99 = at.requests_per_second, at.p99_seconds * 1e3
                    bar.update(task, completed=at.done, rate=rate, p99=p99, refresh=True)

                return await run_load(options, workload, token_for, stop=stop, on_progress=show)
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(send())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def _count(baseline: Baseline, workload: Workload, run: Run, timeout: float) -> Verification:
    with _bar("{task.completed:,} of {task.total:,} events stored") as bar:
        task = bar.add_task("verifying", total=run.report.events_acknowledged)

        def show(counts: Counts) -> None:
            bar.update(task, completed=counts.stored, total=counts.acknowledged, refresh=True)

        return verify(
            baseline, lambda: workload.tally(run.lanes), timeout_seconds=timeout, on_progress=show
        )


def _bar(figures: str) -> Bar:
    """Return a progress bar on standard error, which shows nothing unless that is a terminal.

    It is drawn only when told to: a thread that draws would take the interpreter away from the
    loop at any moment, and be measured as the gateway's latency.
    """
    console = Console(stderr=True)
    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn(figures),
        console=console,
        auto_refresh=False,
        disable=not console.is_terminal,
    )


def _show(report: Report, *, as_json: bool) -> None:
    if as_json:
        click.echo(harmless_json(msgspec.json.format(msgspec.json.encode(report), indent=2)))
    else:
        Console(highlight=False).print(table(report))
    if report.requests_sent and not report.responses_2xx:
        click.echo("Nothing was accepted; the answers above say why.", err=True)
    if report.verify is not None and report.verify.problem:
        say(f"error: {report.verify.problem}", err=True)
