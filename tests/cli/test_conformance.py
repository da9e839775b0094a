"""``conformance``: the scorecard for people and for machines, and the exit codes."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CalledProcessError

import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.cli.conformance import conformance_command
from playsmart_gateway.clients import CLIENTS
from playsmart_gateway.clients.adapters import tool
from playsmart_gateway.clients.conformance import CASES
from playsmart_gateway.manual import read
from tests import ROOT
from tests.manual.blocks import block

pytestmark = pytest.mark.process

PYTHON = f"env PYTHONPATH={shlex.quote(str(ROOT))} {shlex.quote(sys.executable)} -m"
CLIENT = f"{PYTHON} tests.clients.conformance.broken_clients"
RUN = re.compile("[0-9a-f-]{36}")
TWO = [*("--case", "token-in-its-log"), *("--case", "request"), "--timeout", "30"]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(conformance_command, arguments)


def test_a_good_client_has_a_scorecard_without_a_fault() -> None:
    ended = invoke("--adapter", f"{CLIENT} GoodClient", *TWO)
    assert ended.exit_code == 0
    first, second, sum_up = ended.output.splitlines()
    assert first.startswith("passed  token-in-its-log  No token is in what the client writes")
    assert second.startswith("passed  request           A batch is JSON with player, game and")
    assert sum_up == "2 passed, 0 failed, 0 skipped"


def test_a_fault_is_told_with_what_was_expected_and_what_came_and_is_exit_code_1() -> None:
    ended = invoke("--adapter", f"{CLIENT} LogsItsToken", *TWO)
    assert ended.exit_code == 1
    first, *_, last, sum_up = ended.output.splitlines()
    told = "expected no token on standard error; came the token"
    assert first == f"failed  token-in-its-log  {told}"
    assert last.startswith("passed  request")
    assert sum_up == "1 passed, 1 failed, 0 skipped"
    assert re.search(r"  stderr: \S+\.ndjson, 1 event: 202, stored", ended.output)


def test_the_same_for_machines() -> None:
    ended = invoke("--adapter", f"{CLIENT} GoodClient", "--case", "request", "--json")
    (card,) = json.loads(ended.output)
    assert (card["name"], card["verdict"], card["detail"]) == ("request", "passed", "")
    assert set(card) == {"name", "verdict", "about", "detail", "stderr"}


def test_a_client_of_ours_is_held_to_the_cases_by_its_name() -> None:
    ended = invoke("--client", "python", "--case", "request")
    assert (ended.exit_code, ended.output.splitlines()[-1]) == (0, "1 passed, 0 failed, 0 skipped")


def no_such_language(client: Path, built: Path) -> list[str]:
    del client, built
    return [tool("tacc", "t-a-c-c")]


def not_compiled(client: Path, built: Path) -> list[str]:
    del client, built
    raise CalledProcessError(1, "tacc", output="line 3: no")


@pytest.mark.parametrize(
    ("adapter", "told"),
    [
        (no_such_language, "tacc is not installed"),
        (not_compiled, "python cannot be built:\nline 3: no"),
    ],
)
def test_a_client_of_ours_that_cannot_be_started_is_told(
    monkeypatch: pytest.MonkeyPatch, adapter: Callable[[Path, Path], list[str]], told: str
) -> None:
    monkeypatch.setitem(CLIENTS, "python", CLIENTS["python"]._replace(adapter=adapter))
    ended = invoke("--client", "python", "--case", "request")
    assert ended.exit_code == 1
    assert told in ended.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--adapter", "./not-there"], "there is no program './not-there' to start"),
        (["--adapter", str(ROOT / "tests")], "tests' is a folder"),
        (["--adapter", f"{__file__} x"], "test_conformance.py' is not executable: chmod +x it, or"),
        (["--adapter", ""], "there is no program '' to start"),
        (["--adapter", "'"], "No closing quotation"),
        (["--adapter", "true", "--case", "x"], "no case 'x'; there are request, numbers, "),
        ([], "say which client: --adapter COMMAND, or --client NAME"),
        (["--adapter", "true", "--client", "python"], "say which client"),
    ],
)
def test_a_mistake_in_the_arguments_is_exit_code_2(arguments: list[str], told: str) -> None:
    ended = invoke(*arguments)
    assert ended.exit_code == 2
    assert told in ended.output


# --- the manual


def pasted(begins: str) -> list[str]:
    """The lines of a session in the chapter."""
    return block("clients", "console", begins).splitlines()


def test_the_manual_names_every_case_and_says_what_it_is_about() -> None:
    rows = re.findall(r"^\| `([^`]*)` \| (.*) \|$", read("clients#the-cases"), re.MULTILINE)
    assert dict(rows) == {each.name: each.about for each in CASES.values()}
    assert len(CASES) == int(re.findall(r"in (\d+) cases", read("changes"))[0])


def test_the_scorecard_in_the_manual_is_what_is_printed() -> None:
    command, *card = pasted("$ playsmart-gateway conformance")
    _, _, name, _, adapter, *arguments = shlex.split(command)
    assert (name, adapter) == ("conformance", "./my-client")
    ended = invoke("--adapter", f"{CLIENT} DeletesOn401", *arguments)
    assert [RUN.sub("", each) for each in ended.output.splitlines()] == [
        RUN.sub("", each) for each in card
    ]


def test_the_dialogue_in_the_manual_is_what_is_said(tmp_path: Path) -> None:
    lines = pasted('> {"do": "init"')
    told = "".join(f"{each[2:]}\n" for each in lines if each.startswith("> "))
    ended = subprocess.run(
        shlex.split(f"{CLIENT} GoodClient"),
        input=told,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert ended.stdout.splitlines() == [each[2:] for each in lines if each.startswith("< ")]
