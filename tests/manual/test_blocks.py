"""Every block of the README and the manual is run, parsed or compared; a new kind fails."""

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest

from playsmart_gateway.cli import commands
from playsmart_gateway.clients import CLIENTS
from playsmart_gateway.clients.python.playsmart_client import Client
from playsmart_gateway.dialects import load_config
from tests import ROOT
from tests.manual.blocks import ALL, Block, block, blocks
from tests.support import warm
from tests.support.figures import wait_for_figures
from tests.support.polling import PATIENCE_SECONDS
from tests.support.process import RunningGateway, clean_environment
from tests.support.teak import CREDENTIALS
from tests.support.uploads import make_event, make_upload

pytestmark = pytest.mark.process

ELSEWHERE = {
    ("lynes", ".venv/bin/playsmart-gateway serve"): "tests/manual/test_blocks.py",  # below
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
SERVERS = ("serve", "worker", "tail", "mcp")
"""Commands that go on until they are stopped: their arguments are checked."""

PLAYER = "device-abc-123"
TEAK = {**CREDENTIALS, "user_id": "player_123", "country_code": "US"}
RUN = {"seq": 2, "client": {"app_version": "2.1.5", "platform": "ios"}}
AN_HOUR_AGO = "UPDATE runs SET seen_at = seen_at - 3600000001"
GAMES = '[{id="com.example.stackblaster",coins_enabled=true,reward_fixed_amount=10}]'
CHANGING = {"timestamp", "lastUpdate"}
CURL = shutil.which("curl")
MAKE = shutil.which("make") or "make"


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


class Sandbox:
    """A folder that is a checkout to the blocks, with a gateway in development mode running in it.

    Servers, ``make``, ``pip`` and ``systemctl`` are not run: what they are told is checked. System
    folders are below ``root``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "system"
        self.settings = {
            "PLAYSMART_GAMES": GAMES,
            "PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "0.1",
        }
        shutil.copy(ROOT / "config.example.toml", folder)
        (folder / "gateway.toml").write_text(block("configuration", "toml"))
        (folder / "fleet.toml").write_text(block("growing", "toml"))
        (folder / "lynes.toml").write_text(block("lynes", "toml"))
        CLIENTS["python"].write(folder)
        for name in (
            "opt",
            "etc/systemd/system",
            "etc/playsmart",
            "var/lib/playsmart",
            "etc/nginx/conf.d",
            "etc/prometheus",
        ):
            (self.root / name).mkdir(parents=True)
        self._tools()
        self.gateway = RunningGateway(folder, self.settings, "--dev")

    def _tools(self) -> None:
        program = f'exec {sys.executable} -m playsmart_gateway "$@"'
        python = f'exec {sys.executable} "$@"'
        venv = (  # a real one takes seconds
            f'[ "$2" = venv ] || {python}\n'
            'mkdir -p "$3/bin"\nfor each in pip playsmart-gateway; do '
            f'ln -s {self.folder}/bin/$each "$3/bin/"; done'
        )
        tools = {
            "bin/playsmart-gateway": program,
            ".venv/bin/playsmart-gateway": program,
            ".venv/bin/python": python,
            "bin/python3": venv,
            "bin/sudo": 'exec "$@"',
            "bin/systemctl": f'echo "$@" >> {self.root}/systemctl',
            "bin/systemd-run": f'echo "$@" >> {self.root}/systemd-run',
            "bin/docker": f'[ "$1" != build ] || cat > {self.root}/docker',
            "bin/kubectl": f'echo "$@" >> {self.root}/kubectl',
            "bin/pip": f'echo "$@" >> {self.root}/pip',
            "bin/make": f'exec {MAKE} -n -C {ROOT} "$@"',
            "bin/curl": f'exec {CURL} --silent --show-error --fail-with-body "$@"',
        }
        for name, script in tools.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o700)

    def play(self) -> None:
        """Have the players of the examples do what the commands are about."""
        secret = (self.folder / "data" / "dev-secret").read_text("utf-8").strip()
        self.gateway.secret = secret
        said = {"level": 5, "score": 4800, "price": 4.99, "currency": "EUR", "country": "DE"}
        kinds = ("AppOpen", "LevelCompleted", "GameEnd", "IAPPurchase", "Custom")
        for type_ in kinds:
            event = make_event(type_, customdata=said)
            if type_ == "Custom":
                event["customEventName"] = "boss_defeated"
            upload = make_upload(
                PLAYER, event, game_id="com.example.stackblaster", run=str(uuid.uuid4()), **RUN
            )
            assert self.gateway.post(upload, sub=PLAYER).status_code == 202
        assert self.gateway.client.post("/v2/identify", json=TEAK).status_code in (200, 201)
        headers = {"authorization": f"Bearer {self.gateway.token(PLAYER)}"}
        done = {"eventId": "daily_login", "userId": "user123"}
        assert self.gateway.client.post("/event", json=done, headers=headers).status_code == 200
        self.gateway.settle()
        wait_for_figures(self.gateway)
        with closing(sqlite3.connect(self.folder / "data" / "playsmart.db")) as database:
            database.execute(AN_HOUR_AGO)
            database.commit()

    def adapt(self, text: str) -> str:
        """Return a block for where it is run: another port, and no folders of the system."""
        text = text.replace("127.0.0.1:8000", f"127.0.0.1:{self.gateway.port}")
        return re.sub(r"(?<![\w.])/(opt|etc|var)/", rf"{self.root}/\1/", text)

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return clean_environment(**self.settings, PATH=path, PYTHONPATH=str(ROOT))

    def shell(self, text: str) -> str:
        """Run a block as it stands and return what it printed."""
        ended = subprocess.run(
            ["/bin/sh", "-e", "-c", self.adapt(text)], cwd=self.folder, env=self.environment,
            capture_output=True, text=True, timeout=PATIENCE_SECONDS * 2, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def command(self, arguments: list[str], settings: Mapping[str, str]) -> str:
        """Run a command of ours and return what it printed; only check what would go on."""
        name, *rest = arguments
        if name in SERVERS:
            command = commands.get_command(click.Context(commands), name)
            assert command
            command.make_context(name, rest).close()
            return ""
        ended = warm.run(
            arguments, folder=self.folder, environment={**self.environment, **settings},
            timeout=PATIENCE_SECONDS * 2,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return str(ended.stdout)


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


def body(text: str) -> Any:
    """The JSON of an answer, headers and all."""
    return json.loads(text[text.index("{") :])


def same(shown: Any, told: Any, name: str = "") -> bool:
    """Whether an answer is the one that is shown, but for the time."""
    if isinstance(shown, dict):
        assert isinstance(told, dict)
        return shown.keys() == told.keys() and all(same(shown[k], told[k], k) for k in shown)
    if isinstance(shown, list):
        assert isinstance(told, list)
        return len(shown) == len(told) and all(map(same, shown, told))
    return type(shown) is type(told) and (name in CHANGING or shown == told)


@pytest.mark.skipif(CURL is None, reason="there is no curl")
def test_the_gateway_of_lynes_answers_as_is_shown(tmp_path: Path, sandbox: Sandbox) -> None:
    text = block("lynes", "sh", ".venv/bin/playsmart-gateway serve")
    start, _, rest = text.partition("\n")
    words = shlex.split(start.partition("&")[0])
    assert words[1] == "serve"
    config = tmp_path / "lynes.toml"
    config.write_text(block("lynes", "toml"))
    gateway = RunningGateway(tmp_path, {}, *(word for word in words[2:]))
    try:
        rest = rest.replace("127.0.0.1:8000", f"127.0.0.1:{gateway.port}")
        rest = rest.replace(".venv/bin", str(sandbox.folder / "bin"))
        ended = subprocess.run(
            ["/bin/sh", "-e", "-c", rest], cwd=tmp_path, env=sandbox.environment,
            capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        assert same(body(block("lynes", "json")), body(ended.stdout))
    finally:
        gateway.close()


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
