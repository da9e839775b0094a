"""``load``: send believable load to a gateway, measure it, and count that nothing was lost."""

import sys
import time
from pathlib import Path

import click
import msgspec
from click.core import ParameterSource

from playsmart_gateway.cli.arguments import Seconds
from playsmart_gateway.cli.common import named_configuration
from playsmart_gateway.cli.load_clean import clean
from playsmart_gateway.cli.load_show import Outputs, count_stored, send_as_told
from playsmart_gateway.cli.load_tokens import minter
from playsmart_gateway.cli.load_tokens import subject as token_subject
from playsmart_gateway.cli.printing import say
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.load import (
    GAME_ID,
    MAX_PROCESSES,
    Baseline,
    Job,
    LoadOptions,
    Played,
    Profile,
    Recorded,
    Replay,
    allow_open_files,
    always,
    player_names,
)

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
    callback=named_configuration,
    help="TOML file of the gateway: its secret signs a token for every player, its store is what "
    "--clean empties. Without it: that of PLAYSMART_CONFIG. Without --token and that: "
    "PLAYSMART_AUTH__SECRET, or the secret of development mode.",
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
@click.option(
    "--profile",
    type=click.Choice([each.value for each in Profile]),
    help="soak: --rate for an hour. spike: --rate, ten times that in the middle fifth, and --rate "
    "again, a minute in all. ramp: from --rate (50) on twice as many every 15 s, until the gateway "
    "breaks, three minutes at most. --duration says otherwise.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, MAX_PROCESSES),
    default=1,
    show_default=True,
    help="So many processes send together, and share the connections: to outrun the gateway.",
)
@click.option(
    "--beside-bare",
    is_flag=True,
    help="First send the same to a bare route for three seconds: what this machine can do at all, "
    "with the ratio to it and the usual one.",
)
@click.option(
    "--json",
    "json_file",
    is_flag=False,
    flag_value="-",
    metavar="[FILE]",
    help="Write the report as JSON, or print it, if no FILE is named, in place of the table.",
)
@click.option(
    "--html",
    "html_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report with plots, as one file for any browser.",
)
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
    profile: str | None,
    processes: int,
    beside_bare: bool,
    json_file: str | None,
    html_file: Path | None,
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
        _only(context, "cleans", "config_path", "counts_only", "is_sure", "json_file")
        clean(config_path, dry_run=counts_only, yes=is_sure, as_json=json_file is not None)
        return
    if counts_only or is_sure:
        raise click.UsageError("--dry-run and --yes go with --clean; load removes nothing else.")
    if connections < processes:
        raise click.UsageError("--connections: each of --processes needs one.")
    _exclude(context, "duration", "requests")
    _exclude(context, "token", "config_path")
    _exclude(context, "token", "players")
    _exclude(context, "file", "events", "players", "game", "seed", "retries")
    _exclude(context, "profile", "requests")
    if profile is not None:
        rate, duration = _profiled(Profile(profile), rate, duration)
    outputs = Outputs.at(json_file, html_file)
    subject = None if token is None else token_subject(token)
    what: Played | Recorded
    if file is None:
        users = player_names(seed, players) if subject is None else [subject]
        what = Played(users, events, seed, time.time_ns() // 1000, game, retries)
        workload = what.workload()
    else:
        what = Recorded(file)
        workload = _replay(file, subject, processes)
    if requests is None and duration is None:
        requests, duration = workload.length, 10.0 if workload.length is None else None
    options = LoadOptions(
        url=url,
        connections=connections,
        duration_seconds=duration,
        requests=requests,
        rate=rate,
        timeout_seconds=timeout,
        profile=None if profile is None else Profile(profile),
        ca=ca,
        insecure=insecure,
    )
    options.check()
    if beside_bare and rate is not None and profile != Profile.RAMP:
        text = "it is about what can be answered at most"
        raise click.UsageError(f"--beside-bare goes without --rate, or with a ramp: {text}.")
    options.tls()  # a file that is none is told before anything else is asked of anybody
    token_for = minter(config_path) if token is None else always(token)
    baseline = Baseline.take(database) if database is not None else None
    allow_open_files(connections)

    job = Job(options, what, token_for)
    run = send_as_told(job, workload, processes, beside_bare=beside_bare)
    report = run.report
    if baseline is not None and not report.lost_processes:
        try:
            found = count_stored(baseline, workload, run, verify_timeout)
        except KeyboardInterrupt:
            outputs.write(report)
            click.echo("The verification was interrupted.", err=True)
            raise click.Abort from None
        report = msgspec.structs.replace(report, verify=found)
    outputs.write(report)
    if report.lost_processes and baseline is not None:
        say("error: not verified: what a lost process sent nobody knows", err=True)
    if report.lost_processes or (report.verify is not None and not report.verify.exactly_once):
        sys.exit(1)


_DURATIONS = {Profile.SOAK: 3_600.0, Profile.SPIKE: 60.0, Profile.RAMP: 180.0}
_FIRST_RATE = 50.0


def _profiled(profile: Profile, rate: float | None, duration: float | None) -> tuple[float, float]:
    """Return rate and duration of a profile, where they are not given."""
    if rate is None and profile is not Profile.RAMP:
        raise click.UsageError(
            f"--profile {profile} needs --rate: the requests a second that are usual; "
            "--profile ramp finds out how many can be."
        )
    return rate or _FIRST_RATE, duration or _DURATIONS[profile]


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


def _replay(file: Path, subject: str | None, processes: int) -> Replay:
    replay = Replay.read(file)
    strangers = [user for user in replay.users if user != subject]
    if subject is not None and strangers:
        raise ConfigError(
            [
                f"--token is for {subject!r}, but {file} has bodies of {len(strangers)} other "
                f"users, such as {strangers[0]!r}; use --secret-from-config instead of --token"
            ]
        )
    if processes > len(replay.users):
        told = f"at most {len(replay.users)}: so many users are in {file}, and each is sent by one"
        raise ConfigError([f"--processes: {told}"])
    return replay
