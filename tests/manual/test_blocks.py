"""Every block of the README and the manual is run, parsed or compared; a new kind fails."""

import re
import shlex
import sqlite3
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from playsmart_gateway.clients.python.playsmart_client import Client
from playsmart_gateway.dialects import load_config
from tests import ROOT
from tests.manual.blocks import ALL, Block, block, blocks
from tests.manual.sandbox import CURL, MAKE, PLAYER, Sandbox, body, same
from tests.support.polling import PATIENCE_SECONDS

pytestmark = pytest.mark.process

ELSEWHERE = {
    (
        "lynes",
        "TOKEN=$(.venv/bin/playsmart-gateway token --sub my-app)\ncurl http://127.0.0.1:8000/e",
    ): "tests/manual/test_pasted.py",
    ("clients", "$ playsmart-gateway conformance"): "tests/cli/test_conformance.py",
    ("clients", '> {"do": "init"'): "tests/cli/test_conformance.py",
    ("assistants", "{"): "tests/mcp/test_clients.py",
    ("client-godot", "extends Node"): "tests/clients/test_godot.py",
    ("client-godot", "config_version"): "tests/clients/test_godot.py",
    ("client-godot", "[gd_scene"): "tests/clients/test_godot.py",
    ("client-godot", "TOKEN="): "tests/clients/test_godot.py",
    ("client-java", "import"): "tests/clients/test_java.py",
    ("client-java", "playsmart-gateway client java --out playsmart"): "tests/clients/test_java.py",
    ("client-java", "dependencies"): "tests/clients/test_java.py",
    ("client-typescript", "<script"): "tests/http/test_cross_origin_browser.py",
    ("client-typescript", "import"): "tests/clients/test_typescript.py",
    ("client-typescript", "mergeInto"): "tests/clients/test_typescript.py",
    ("client-unity", "using System"): "tests/clients/test_unity.py",
    ("client-unity", "mcs"): "tests/clients/test_unity.py",
    ("operations", "mkdir -m 700 data/before"): "tests/cli/test_backup.py",
    ("operations", "playsmart-gateway trace"): "tests/cli/test_trace.py",
}
"""Blocks that another test has run, by how they begin."""

RUN_HERE = ("sh", "python", "sql", "toml", "json", "http", "text", "ndjson")


def elsewhere(each: Block) -> str | None:
    for (chapter, begins), test in ELSEWHERE.items():
        if each.chapter == chapter and each.text.startswith(begins):
            return test
    return None


HERE = [each for each in ALL if elsewhere(each) is None]


def here(*languages: str) -> pytest.MarkDecorator:
    wanted = [each for each in HERE if each.language in languages]
    return pytest.mark.parametrize("each", wanted, ids=str)


# --- none is left out ----------------------------------------------------------------------------


@pytest.mark.parametrize("each", HERE, ids=str)
def test_every_block_is_of_a_kind_that_is_tried(each: Block) -> None:
    assert each.language in RUN_HERE, "say of which language it is, or have a test run it"


@pytest.mark.parametrize(("begins", "test"), ELSEWHERE.items())
def test_what_is_run_elsewhere_is_there(begins: tuple[str, str], test: str) -> None:
    assert [each for each in ALL if each.chapter == begins[0] and each.text.startswith(begins[1])]
    assert (ROOT / test).is_file()


@here("text")
def test_what_is_only_shown_is_a_picture(each: Block) -> None:
    assert re.search(r"[►◄]", each.text)
    assert max(map(len, each.text.splitlines())) <= 110


def test_the_two_pictures_of_the_path_are_the_same() -> None:
    assert block("README", "text") == block("decisions", "text")


# --- shell ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    found = Sandbox(tmp_path_factory.mktemp("sandbox"))
    try:
        yield found
    finally:
        found.gateway.close()


def needs_a_shell(line: str) -> bool:
    return bool(re.search(r"[|&;<>$`*(]|\\$", line.partition(" #")[0]))


def settings_and_words(line: str) -> tuple[dict[str, str], list[str]]:
    """What a line without anything for a shell sets, and its words."""
    words = shlex.split(line, comments=True)
    settings = {}
    while words and re.match(r"[A-Z_]+=", words[0]):
        name, _, value = words.pop(0).partition("=")
        settings[name] = value
    return settings, words


def check_make(words: list[str]) -> None:
    """A line of ``make``: the target is there, and its program has the options."""
    told = subprocess.run(
        [MAKE, "-n", "-C", ROOT, *words], capture_output=True, text=True, check=True
    )
    if given := next((word for word in words if word.startswith("ARGS=")), None):
        (program,) = re.findall(r"bin/(?:python -m (\S+)|playsmart-gateway \w+)", told.stdout)[-1:]
        assert program, "say here how to find the options of this target"
        source = "".join(
            file.read_text("utf-8") for file in (ROOT / program.replace(".", "/")).glob("*.py")
        )
        for option in re.findall(r"--[a-z-]+", given):
            assert f'"{option}"' in source, option


def check_pip(words: list[str]) -> None:
    """A line of ``pip install``: it is of the checkout, and its extras are there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (wanted,) = (word for word in words[2:] if not word.startswith("-"))
    match = re.fullmatch(r"\.(?:\[([a-z,]+)\])?", wanted)
    assert match, wanted
    assert set((match[1] or "").split(",")) - {""} <= set(project["optional-dependencies"])


@here("sh")
def test_a_block_of_commands_runs(each: Block, sandbox: Sandbox) -> None:
    if "curl" in each.text and CURL is None:
        pytest.skip("there is no curl")
    sandbox.play()
    lines = [line for line in each.text.splitlines() if line and not line.startswith("#")]
    if any(map(needs_a_shell, lines)):
        printed = sandbox.shell(each.text)
        following = ALL[ALL.index(each) + 1 :][:1]
        if following and following[0].language in ("http", "json"):
            assert same(body(following[0].text), body(printed))
        return
    for settings, words in map(settings_and_words, lines):
        name = Path(words[0]).name if words else ""
        if name == "playsmart-gateway":
            sandbox.command(words[1:], settings)
        elif name == "make":
            check_make(words[1:])
        elif name == "pip":
            check_pip(words)
        else:
            sandbox.shell(shlex.join(words))


@here("http", "json")
def test_an_answer_stands_behind_what_gets_it(each: Block) -> None:
    before = ALL[ALL.index(each) - 1]
    assert (before.chapter, before.language) == (each.chapter, "sh")
    assert body(each.text)["success"] is True
    if each.language == "http":
        assert re.match(r"HTTP/1\.1 \d{3} [A-Z]", each.text)


# --- Python, SQL, TOML ---------------------------------------------------------------------------


@here("python")
def test_a_program_sends_what_it_says(each: Block, sandbox: Sandbox) -> None:
    sandbox.play()
    before = sandbox.gateway.newest_event_id()
    ended = subprocess.run(
        [sys.executable, "-c", sandbox.adapt(each.text)], cwd=sandbox.folder,
        env={
            **sandbox.environment,
            "TOKEN": sandbox.gateway.token(PLAYER),
            "SECRET": sandbox.gateway.secret,
        },
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    if "playsmart_client" not in each.text:
        assert ended.stdout.startswith("202 {'success': True")
    sandbox.gateway.settle()
    assert sandbox.gateway.events_after(before)
    assert not [*sandbox.folder.glob("events/*")]


@here("ndjson")
def test_a_file_of_the_protocol_is_sent(each: Block, sandbox: Sandbox) -> None:
    sandbox.play()
    queue = sandbox.folder / "queue"
    queue.mkdir()
    (queue / f"{uuid.uuid4()}-00000000.ndjson").write_text(each.text)
    url, token = sandbox.gateway.url, sandbox.gateway.token(PLAYER)
    client = Client(url, queue, "somebody-else", "g", lambda user_id: token, threaded=False)
    assert client.flush() == (len(each.text.splitlines()) - 1, 202)
    assert not [*queue.iterdir()]


@here("sql")
def test_a_question_has_an_answer(each: Block, sandbox: Sandbox) -> None:
    sandbox.play()
    rest, asked = "", 0
    with closing(sqlite3.connect(sandbox.folder / "data" / "playsmart.db")) as database:
        for line in each.text.splitlines(keepends=True):
            rest += line
            if sqlite3.complete_statement(rest):
                assert database.execute(rest).fetchall(), rest
                rest, asked = "", asked + 1
    assert rest == ""
    assert asked


@here("toml")
def test_a_configuration_can_be_used(each: Block, tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(each.text, "utf-8")
    load_config(path, {})


def test_blocks_are_found_in_every_language_that_is_tried() -> None:
    assert {each.language for each in blocks(*RUN_HERE)} == set(RUN_HERE)
