"""Every command, in every trouble: it ends in a line and an exit code, never in a traceback."""

import asyncio
import os
import signal
import stat
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from playsmart_gateway.cli import commands
from playsmart_gateway.cli.common import run_async
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.open import open_store
from tests.support.app_batches import named
from tests.support.command_tree import leaves
from tests.support.forked import Ended, Forks
from tests.support.process import SECRET

pytestmark = pytest.mark.process

SERVERS = ("serve", "worker", "lake")  # they end when they are told to, and print by way of a queue
JAPANESE = "日本語🎮"
NOT_UTF_8 = "\udcff\udcfe"


COMMANDS = dict(leaves(commands))
ALL = pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
ENDING = pytest.mark.parametrize(
    "name", [name for name in COMMANDS if name[0] not in SERVERS], ids=" ".join
)


CONFIGURED = [
    name
    for name, command in COMMANDS.items()
    if "config_path" in {each.name for each in command.params}
]


def test_every_command_but_those_that_print_texts_is_told_where_the_configuration_is() -> None:
    printing = {(each,) for each in ("client", "completion", "conformance", "manual", "deploy")}
    assert set(COMMANDS) - set(CONFIGURED) == printing


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "NaN"])
def test_an_option_that_takes_a_number_from_one_to_another_takes_only_numbers(number: str) -> None:
    ranges: list[click.ParamType[Any]] = [
        option.type
        for command in COMMANDS.values()
        for option in command.params
        if isinstance(option.type, click.FloatRange)
    ]
    assert len(ranges) >= 3
    for each in ranges:
        assert each.convert("1.5", None, None) == 1.5
        with pytest.raises(click.BadParameter):
            each.convert(number, None, None)


def a_value_for(parameter: click.Parameter) -> str:
    kind = parameter.type
    if isinstance(kind, click.Choice):
        return str(kind.choices[0])
    if isinstance(kind, click.IntRange):
        return "1"
    if isinstance(kind, click.Path):
        return "some.file"
    if parameter.name == "asked":
        return f"{'33' * 16}-1"
    return {"duration": "1d", "time": "2026-04-22"}.get(kind.name, JAPANESE)


NOWHERE = "http://127.0.0.1:9"
"""Somebody may well have a gateway at the address that is the default."""


def arguments_for(name: tuple[str, ...], /, **values: str) -> list[str]:
    """Arguments with which a command does something that can be undone, and ``values`` of ours."""
    arguments = [*name]
    for parameter in COMMANDS[name].params:
        flag = max(parameter.opts, key=len)
        given = values.get(parameter.name or "")
        if parameter.name in ("dry_run", "yes"):
            arguments.append(flag)
        elif parameter.name == "url" and given is None:
            arguments += [flag, NOWHERE]
        elif given is not None or parameter.required:
            value = a_value_for(parameter) if given is None else given
            arguments += [value] if isinstance(parameter, click.Argument) else [flag, value]
    return arguments


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A store with a player from Japan, and a gateway that is not there to be loaded."""
    url = f"sqlite:///{tmp_path_factory.mktemp('store')}/events.db"

    async def play() -> None:
        async with open_store(url) as sink:
            rows = [["Custom", JAPANESE, "2026-04-22T14:30:00.000000Z", {JAPANESE: JAPANESE}]] * 50
            content = msgspec.json.encode(rows)
            await sink.write([named(Batch("playsmart", JAPANESE, JAPANESE, 50, content), 1)])

    asyncio.run(play())
    lake = str(tmp_path_factory.mktemp("lake"))
    return {"STORAGE__URL": url, "AUTH__SECRET": SECRET, "LAKE__URL": lake}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Forks:
    return Forks(tmp_path_factory.mktemp("here"))


def checked(ended: Ended) -> Ended:
    """Check that it ended as a command should."""
    assert ended.code in (0, 1, 2, 130, -signal.SIGINT), ended
    for complaint in ("Traceback", "Exception ignored", "Task exception", "this is a bug"):
        assert complaint not in ended.errors, ended.errors
    if not ended.errors.startswith("Usage: "):
        assert len(ended.errors.splitlines()) <= 3, ended.errors
    return ended


def quick(name: tuple[str, ...], /, **values: str) -> list[str]:
    """Arguments with which ``load`` gives up soon as well."""
    if name == ("load",):
        values = {"url": "http://127.0.0.1:9", "requests": "1", "timeout": "1", **values}
    return arguments_for(name, **values)


# --- what it prints to ---------------------------------------------------------------------------


@ENDING
@pytest.mark.parametrize("output", ["full", "unread"])
def test_an_output_that_takes_nothing(
    run: Forks, settings: dict[str, str], name: tuple[str, ...], output: str
) -> None:
    ended = checked(run.run(quick(name), settings, output=output))
    if ended.code == 1 and output == "full" and name != ("load",):
        assert "error: " in ended.errors.lower()


def test_an_output_and_a_place_for_errors_that_take_nothing(
    run: Forks, settings: dict[str, str]
) -> None:
    assert run.run(["stats"], settings, output="everything full").code == 1
    ended = checked(run.run(["stats"], settings, output="closed"))
    assert (ended.code, ended.errors) == (1, "error: bad file descriptor\n")


@pytest.mark.parametrize("name", [("serve",), ("export",), ("coins", "show")], ids=" ".join)
@pytest.mark.parametrize("output", ["full", "unread", "closed"])
def test_help_that_nobody_takes(run: Forks, name: tuple[str, ...], output: str) -> None:
    ended = run.run([*name, "--help"], output=output)
    told = {"full": "error: no space left on device\n", "closed": "error: bad file descriptor\n"}
    assert (ended.code, ended.errors) == (1, told.get(output, ""))


@ENDING
@pytest.mark.parametrize("encoding", ["ascii"])
def test_an_output_that_has_no_such_characters(
    run: Forks, settings: dict[str, str], name: tuple[str, ...], encoding: str
) -> None:
    if name == ("tail",):
        pytest.skip("it goes on")
    checked(run.run(quick(name), settings, encoding=encoding))


# --- what it is given ----------------------------------------------------------------------------


def texts(name: tuple[str, ...]) -> list[str]:
    """The names of parameters that are text or a path."""
    return [
        parameter.name or ""
        for parameter in COMMANDS[name].params
        if parameter.type.name in ("text", "path", "file", "time", "duration")
    ]


GIVEN = [(name, parameter) for name in COMMANDS for parameter in texts(name)]


@pytest.mark.parametrize(("name", "parameter"), GIVEN, ids=lambda each: str(each))
def test_bytes_that_are_not_utf_8(
    run: Forks, settings: dict[str, str], name: tuple[str, ...], parameter: str
) -> None:
    (kind,) = {each.type.name for each in COMMANDS[name].params if each.name == parameter}
    ended = checked(run.run(arguments_for(name, **{parameter: NOT_UTF_8}), settings))
    if kind == "text":
        assert ended.code == 2
        assert "is not UTF-8" in ended.errors


def test_a_variable_that_is_not_utf_8(run: Forks) -> None:
    ended = checked(run.run(["check-config"], {"AUTH__SECRET": NOT_UTF_8}))
    assert (ended.code, ended.errors) == (2, "error: PLAYSMART_AUTH__SECRET: is not UTF-8\n")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        *((name, what) for name in CONFIGURED for what in ("none", "folder")),
        *((("stats",), what) for what in ("binary", "below a file", "too long")),
    ],
)
def test_a_configuration_that_cannot_be_read(
    run: Forks, tmp_path: Path, name: tuple[str, ...], what: str
) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\x00\xfe")
    paths = {"folder": tmp_path, "binary": binary, "below a file": binary / "x"}
    path = str(paths.get(what, tmp_path / ("x" * 5_000 if what == "too long" else "none")))
    ended = checked(run.run(quick(name, config_path=path)))
    if name == ("doctor",):
        assert (ended.code, "problem  configuration: " in ended.output) == (1, True)
    else:
        assert ended.code == 2
        assert ended.errors.startswith("error: ")


@ENDING
@pytest.mark.parametrize("what", ["none", "folder", "not a database", "below a file", "mysql://x"])
def test_a_store_that_cannot_be_used(
    run: Forks, tmp_path: Path, name: tuple[str, ...], what: str
) -> None:
    file = tmp_path / "file"
    file.write_text("this is no database, and it is long enough to be seen as none" * 40)
    paths = {"folder": tmp_path, "not a database": file, "below a file": file / "x.db"}
    path = paths.get(what, tmp_path / "none" / "none.db")
    url = what if "://" in what else f"sqlite:///{path}"
    ended = checked(run.run(quick(name), {"STORAGE__URL": url, "AUTH__SECRET": SECRET}))
    if name[0] in ("stats", "export", "tail", "coins", "audit", "retention", "exclude", "include"):
        assert ended.code in (1, 2)
        assert ended.errors.startswith("error: ")


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
@ALL
def test_files_of_others(run: Forks, tmp_path: Path, name: tuple[str, ...]) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    (locked / "events.db").touch()
    locked.chmod(0)
    try:
        url = f"sqlite:///{locked}/events.db"
        checked(run.run(quick(name), {"STORAGE__URL": url, "AUTH__SECRET": SECRET}))
        checked(run.run(quick(name, config_path=str(locked / "x.toml"))))
    finally:
        locked.chmod(stat.S_IRWXU)


NUMBERS: list[tuple[tuple[str, ...], str]] = [
    (name, parameter.name or "")
    for name, command in COMMANDS.items()
    for parameter in command.params
    if parameter.type.name.startswith(("integer", "float", "duration"))
]


@pytest.mark.parametrize(("name", "parameter"), NUMBERS, ids=lambda each: str(each))
@pytest.mark.parametrize("number", ["99999999999999999999999999", "-99999999999999999999999999"])
def test_numbers_without_bounds(
    run: Forks, settings: dict[str, str], name: tuple[str, ...], parameter: str, number: str
) -> None:
    ended = checked(run.run(arguments_for(name, **{parameter: number}), settings))
    assert ended.code in (1, 2)


# --- Ctrl-C --------------------------------------------------------------------------------------


@ENDING
@pytest.mark.parametrize("after", [0.000_001, 0.02])
def test_ctrl_c_at_some_moment(
    run: Forks, settings: dict[str, str], name: tuple[str, ...], after: float
) -> None:
    checked(run.run(quick(name), settings, interrupted_after=after))


def test_ctrl_c_while_a_loop_begins_ends_what_it_was_to_do_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it came, the task was there and nobody heeded the signal: all was closed under it."""
    done: list[str] = []
    create_task = asyncio.BaseEventLoop.create_task

    def create(loop: asyncio.BaseEventLoop, *arguments: Any, **named: Any) -> Any:
        monkeypatch.undo()
        signal.raise_signal(signal.SIGINT)
        return create_task(loop, *arguments, **named)

    async def work() -> None:
        try:
            done.append("begun")
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            done.append("ended")

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_task", create)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # as the program does
    with pytest.raises(KeyboardInterrupt):
        run_async(work())
    signal.signal(signal.SIGINT, before)
    assert done == ["begun", "ended"]


WITHOUT_A_STORE = (
    ("token",),
    ("check-config",),
    ("load",),
    ("manual",),
    ("deploy",),
    ("client",),
    ("completion",),
    ("conformance",),
)
WITH_WORDS_OF_ITS_OWN: dict[tuple[str, ...], tuple[int, str]] = {
    ("tail",): (0, ""),  # Ctrl-C is how it ends
    ("export",): (1, "interrupted after 0 events; to go on, --after 0"),
}


@pytest.mark.parametrize(
    "name",
    [name for name in COMMANDS if name[0] not in SERVERS and name not in WITHOUT_A_STORE],
    ids=" ".join,
)
def test_ctrl_c_when_a_command_has_begun_its_work_is_exit_code_130(
    tmp_path: Path, settings: dict[str, str], name: tuple[str, ...]
) -> None:
    ended = Forks(tmp_path).run(quick(name), settings, interrupted_at="sqlite3.connect")
    wanted = WITH_WORDS_OF_ITS_OWN.get(name, (130, "aborted"))
    assert (ended.code, ended.errors.strip()) == wanted
