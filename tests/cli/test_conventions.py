"""What goes for all commands: where options stand, what help shows, how a mistake is told."""

import asyncio
import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest

from playsmart_gateway.catalogue.follower import Follower
from playsmart_gateway.cli import commands
from playsmart_gateway.cli.examples import EXAMPLES
from playsmart_gateway.cli.times import Day, Duration, Instant, Zone
from playsmart_gateway.metrics import Stats
from playsmart_gateway.stores.open import open_store
from tests.support.command_tree import leaves, nodes
from tests.support.commands import RunHere, invoke
from tests.support.event_batches import make_batches

NODES = dict(nodes(commands))
COMMANDS = {
    name: command
    for name, command in NODES.items()
    if not isinstance(command, click.Group) or command.invoke_without_command
}
ALL = pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
EVERY_HELP = pytest.mark.parametrize("name", NODES, ids=" ".join)
NO_CONFIGURATION = {("client",), ("completion",), ("conformance",), ("deploy",), ("manual",)}
ASKING = {
    ("audit",): [],
    ("catalogue",): [],
    ("client",): [],
    ("coins", "show"): ["ada"],
    ("dead-letters", "list"): [],
    ("deploy",): [],
    ("doctor",): [],
    ("manual",): [],
    ("report",): [],
    ("retention",): ["--older-than", "90d", "--dry-run"],
    ("stats",): [],
    ("trace",): [f"{'3' * 32}-1"],
    ("erase",): ["ada", "--dry-run"],
}
"""Commands that print tables or lists of what there is, with what they need to."""


@pytest.fixture
def store(tmp_path: Path) -> str:
    """The URL of a store with some events, of which a catalogue was learned."""
    url = f"sqlite:///{tmp_path}/events.db"

    async def fill() -> None:
        async with open_store(url) as sink:
            await sink.write(make_batches())
            assert sink.learned is not None
            async with sink.learned as learned:
                await Follower(learned, Stats()).step()

    asyncio.run(fill())
    return url


# --- help ----------------------------------------------------------------------------------------


@EVERY_HELP
@pytest.mark.parametrize("width", [60, 80])
def test_help_is_whole_and_ends_with_examples(
    name: tuple[str, ...], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", f"{width}")
    context = commands.make_context("playsmart-gateway", [*name[:1]], resilient_parsing=True)
    for each in name:
        assert isinstance(context.command, click.Group)
        inner = context.command.get_command(context, each)
        assert inner is not None
        context = inner.context_class(inner, info_name=each, parent=context)
    text = context.get_help()
    help_of_it, _, examples = text.partition("Examples:\n")
    assert "..." not in help_of_it.replace("[ARGS]...", "").replace("[NAMES]...", "")
    assert all(len(line) <= width for line in help_of_it.splitlines() if "[" not in line), text
    given = re.findall(r"^ +playsmart-gateway (\S.*)$", examples, re.MULTILINE)
    assert given
    assert all(each.startswith(" ".join(name)) for each in given)


def test_there_are_examples_of_every_command_and_no_other() -> None:
    assert {tuple(each.split()) for each in EXAMPLES} == {name for name, _ in leaves(commands)} | {
        name for name, each in COMMANDS.items() if isinstance(each, click.Group)
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [(name, text) for name, given in EXAMPLES.items() for text in given.values()],
)
def test_an_example_is_what_the_command_takes_and_is_no_longer_than_a_line(
    name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.log").touch()
    assert len(f"    playsmart-gateway {text}") <= 100
    words = shlex.split(text)
    cut = next((place for place, each in enumerate(words) if each in "|><>>"), len(words))
    words = words[:cut]
    command = COMMANDS[tuple(name.split())]
    command.make_context(name, words[len(name.split()) :]).close()


# --- where options stand -------------------------------------------------------------------------


def option_of(command: click.Command) -> list[str]:
    """An option that does nothing by itself, and what it takes."""
    names = {each for parameter in command.params for each in parameter.opts}
    chosen = next(each for each in ("--config", "--json", "--help") if each in names | {"--help"})
    return [chosen, "none.toml"] if chosen == "--config" else [chosen]


@ALL
def test_options_stand_before_the_command_and_behind_its_arguments(
    name: tuple[str, ...], run_here: RunHere
) -> None:
    option = option_of(COMMANDS[name])
    arguments = [
        "bash" if isinstance(each.type, click.Choice) and "bash" in each.type.choices else "x"
        for each in COMMANDS[name].params
        if isinstance(each, click.Argument) and each.required
    ]
    required = [
        text
        for each in COMMANDS[name].params
        if isinstance(each, click.Option) and each.required
        for text in (each.opts[0], _value_of(each))
    ]
    if name == ("opt",):
        arguments = ["ada", "in"]
    behind = run_here(*name, *arguments, *required, *option)
    before = run_here(*option, *name, *arguments, *required)
    assert (before.returncode, before.stdout, before.stderr) == (
        behind.returncode, behind.stdout, behind.stderr
    )  # fmt: skip
    if option[0] == "--config" and name != ("doctor",):
        assert before.returncode == 2
        assert before.stderr.startswith("error: none.toml: cannot be read"), before.stderr


def _value_of(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return str(option.type.choices[0])
    return {"duration": "1d", "integer range": "1"}.get(option.type.name, "x")


def test_options_before_a_command_are_of_whichever_takes_them(
    run_here: RunHere, store: str
) -> None:
    settings = {"STORAGE__URL": store}
    plain = json.loads(run_here("stats", "--game", "stack", "--json", **settings).stdout)
    assert plain["events"] > 0
    for arguments in (
        ["--game", "stack", "--json", "stats"],
        ["--json", "stats", "--game=stack"],
        ["--game", "stack", "stats", "--json"],
    ):
        assert json.loads(run_here(*arguments, **settings).stdout) == plain
    shown = run_here("coins", "ada", "--json", **settings)
    assert json.loads(shown.stdout)["player"]["user_id"] == "ada"
    for arguments in (["coins", "--json", "ada"], ["--json", "coins", "show", "ada"]):
        assert run_here(*arguments, **settings).stdout == shown.stdout
    mistaken = run_here("--gmae", "stack", "stats", **settings)
    assert mistaken.returncode == 2
    assert "Did you mean --game" in mistaken.stderr
    assert run_here("--version").returncode == 0


# --- mistakes ------------------------------------------------------------------------------------


@ALL
def test_a_choice_that_there_is_not_lists_those_that_there_are(name: tuple[str, ...]) -> None:
    for parameter in COMMANDS[name].params:
        if not isinstance(parameter.type, click.Choice):
            continue
        choices = [str(each) for each in parameter.type.choices]
        with pytest.raises(click.BadParameter) as raised:
            parameter.type.convert(f"{choices[0]}x", parameter, None)
        assert f"Did you mean {choices[0]}" in raised.value.message
        assert all(each in raised.value.message for each in choices)


@EVERY_HELP
def test_an_option_that_there_is_not_lists_those_that_there_are(
    name: tuple[str, ...], run_here: RunHere
) -> None:
    told = run_here(*name, "--jsonn")
    assert told.returncode == 2
    (line,) = told.stderr.splitlines()
    assert line.startswith("error: No such option '--jsonn'.")
    assert line.endswith(" --help")
    if any("--json" in each.opts for each in NODES[name].params):
        assert "Did you mean --json" in line


def test_a_command_that_there_is_not_lists_those_that_there_are(run_here: RunHere) -> None:
    for arguments, meant in ((["stat"], "stats"), (["dead-letters", "lits"], "list")):
        told = run_here(*arguments)
        (line,) = told.stderr.splitlines()
        assert (told.returncode, told.stdout) == (2, "")
        assert f"Did you mean {meant}" in line
        assert f"{meant}, " in line


def test_a_game_a_type_and_a_name_that_are_not_known_are_told_with_those_that_are(
    run_here: RunHere, store: str, tmp_path: Path
) -> None:
    for arguments in (["stats"], ["export", "--output", "e.csv"], ["report"], ["catalogue"]):
        told = run_here(*arguments, "--game", "stakc", STORAGE__URL=store)
        assert told.returncode == 0
        assert "no event of the game 'stakc' is known. Did you mean stack?" in told.stderr
    told = run_here("stats", "--type", "AppOpne", STORAGE__URL=store)
    assert "Did you mean AppOpen? There are: AppOpen, Custom." in told.stderr
    (known, *_) = _custom_names(store)
    told = run_here("stats", "--name", f"{known}x", STORAGE__URL=store)
    assert f"Did you mean {known}?" in told.stderr
    assert "note:" not in run_here("stats", "--game", "stack", STORAGE__URL=store).stderr


def _custom_names(url: str) -> list[str]:
    counts = json.loads(invoke("stats", "--json", STORAGE__URL=url).output)["counts"]
    return [each["custom_event_name"] for each in counts if each["custom_event_name"]]


# --- what machines read --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ASKING, ids=" ".join)
def test_what_prints_a_table_prints_json(
    name: tuple[str, ...], run_here: RunHere, store: str
) -> None:
    told = run_here(*name, *ASKING[name], "--json", STORAGE__URL=store)
    assert told.returncode in (0, 1)
    json.loads(told.stdout)


@pytest.mark.parametrize("name", ASKING, ids=" ".join)
def test_no_colour_is_printed_to_what_is_no_terminal(
    name: tuple[str, ...], run_here: RunHere, store: str
) -> None:
    told = run_here(*name, *ASKING[name], STORAGE__URL=store)
    assert "\x1b" not in told.stdout + told.stderr


# --- times ---------------------------------------------------------------------------------------

NOW = datetime(2026, 4, 22, 14, 30, tzinfo=UTC)
WITH_TIMES = {
    ("catalogue",), ("coins", "show"), ("dead-letters", "list"), ("dead-letters", "replay"),
    ("export",), ("report",), ("stats",), ("tail",),
}  # fmt: skip


def test_whatever_looks_back_takes_since_and_until() -> None:
    for option in ("--since", "--until"):
        having = {
            name
            for name, command in COMMANDS.items()
            if any(option in each.opts for each in command.params)
        }
        assert having >= WITH_TIMES
        for name in having:
            (kind,) = (each.type for each in COMMANDS[name].params if option in each.opts)
            assert isinstance(kind, Instant)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("30m", NOW - timedelta(minutes=30)),
        ("24h", NOW - timedelta(hours=24)),
        ("7d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(weeks=2)),
        ("now", NOW),
        ("Today", datetime(2026, 4, 22, tzinfo=UTC)),
        ("yesterday", datetime(2026, 4, 21, tzinfo=UTC)),
        ("2026-04-01", datetime(2026, 4, 1, tzinfo=UTC)),
        ("2026-04-01T12:00", datetime(2026, 4, 1, 12, tzinfo=UTC)),
        ("2026-04-01 12:00:30+02:00", datetime(2026, 4, 1, 10, 0, 30, tzinfo=UTC)),
    ],
)
def test_a_time_is_said_as_people_say_it(text: str, instant: datetime) -> None:
    assert Instant(clock=NOW.timestamp).convert(text, None, None) == instant


def test_what_is_yet_to_come_is_said_so_too() -> None:
    kind = Instant(ahead=True, clock=NOW.timestamp)
    assert kind.convert("30d", None, None) == NOW + timedelta(days=30)


@pytest.mark.parametrize("text", ["24", "24 h", "h", "-1d", "1y", "2026-13-01", "soon", "", "٣d"])
def test_what_is_no_time_is_told_what_is_one(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"24h or 7d .*, today, yesterday, 2026-04-22"):
        Instant(clock=NOW.timestamp).convert(text, None, None)
    with pytest.raises(click.BadParameter, match="such as 90s"):
        Duration().convert(text, None, None)


@pytest.mark.parametrize("text", ["999999999d", "999999999w"])
def test_beyond_all_years_there_is_no_time(text: str) -> None:
    for kind in (Instant(clock=NOW.timestamp), Day(clock=NOW.timestamp)):
        with pytest.raises(click.BadParameter, match="beyond the years"):
            kind.convert(text, None, None)


def test_a_span_without_any_time_in_it_is_a_mistake(run_here: RunHere) -> None:
    for name in ("stats", "tail", "export", "report", "catalogue"):
        told = run_here(name, "--since", "2026-04-02", "--until", "2026-04-01")
        assert told.returncode == 2
        assert "there is no time from --since 2026-04-02" in told.stderr


def test_since_leaves_what_came_before(run_here: RunHere, store: str) -> None:
    def events(*arguments: str) -> int:
        printed = run_here("stats", "--json", *arguments, STORAGE__URL=store).stdout
        return int(json.loads(printed)["events"])

    assert events() == events("--since", "2026-04-22") + events("--until", "2026-04-22") > 0
    assert events("--since", "24h") == 0


def test_a_zone_that_is_none_is_told_what_is_meant() -> None:
    assert Zone().convert("Asia/Tokyo", None, None) == "Asia/Tokyo"
    with pytest.raises(click.BadParameter, match="Did you mean Asia/Tokyo"):
        Zone().convert("Asia/Tokio", None, None)
