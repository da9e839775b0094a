"""``playsmart-gateway client``."""

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from playsmart_gateway.clients import CLIENTS, Client
from playsmart_gateway.clients.conformance import CASES
from playsmart_gateway.manual import read
from tests.support.commands import invoke

EACH = pytest.mark.parametrize("name", CLIENTS)
SHOWN = "clients#what-ours-have-shown"
OF_ONE_FILE = [name for name, client in CLIENTS.items() if len(client.files) == 1]
OF_SEVERAL = [name for name, client in CLIENTS.items() if len(client.files) > 1]


def test_without_a_language_the_clients_are_listed_with_a_line_each() -> None:
    told = invoke("client").output
    assert [line.split()[0] for line in told.splitlines()] == list(CLIENTS)
    assert all(client.about in told for client in CLIENTS.values())


@pytest.mark.parametrize("name", OF_ONE_FILE)
def test_a_client_of_one_file_is_printed_as_it_lies_there(name: str) -> None:
    ended = invoke("client", name)
    client = CLIENTS[name]
    assert (ended.exit_code, ended.stdout_bytes) == (0, client.read(client.files[0]))


@pytest.mark.parametrize("name", OF_SEVERAL)
def test_of_a_client_of_several_files_their_names_are_told(name: str) -> None:
    ended = invoke("client", name)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert all(each in ended.output.replace("\n", " ") for each in CLIENTS[name].files)
    assert "--out" in ended.output


@EACH
def test_a_client_is_written_to_a_folder_that_may_not_be_there_yet(
    name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "game" / "lib"
    ended = invoke("client", name, "--out", str(folder))
    client = CLIENTS[name]
    written = [folder / each for each in client.files]
    assert (ended.exit_code, ended.stdout.splitlines()) == (0, [str(each) for each in written])
    assert {each for each in folder.rglob("*") if each.is_file()} == set(written)
    assert [each.read_bytes() for each in written] == [client.read(each) for each in client.files]


@EACH
def test_a_file_that_is_there_stays_as_it_is(name: str, tmp_path: Path) -> None:
    file = tmp_path / CLIENTS[name].files[-1]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("mine")
    ended = invoke("client", name, "--out", str(tmp_path))
    assert ended.exit_code == 2
    assert f"{file} is there already" in ended.output.replace("\n", "")
    assert file.read_text() == "mine"


def test_of_several_files_none_is_written_where_one_is_there(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "lib").mkdir(parents=True)
    target.mkdir()
    for name in ("a", "lib/b"):
        (source / name).write_text(name)
    client = Client("", source, ("a", "lib/b"), lambda _, __: [])
    assert client.write(tmp_path / "other") == [tmp_path / "other/a", tmp_path / "other/lib/b"]
    assert (tmp_path / "other/lib/b").read_text() == "lib/b"
    (target / "lib").mkdir()
    (target / "lib/b").write_text("mine")
    with pytest.raises(FileExistsError):
        client.write(target)
    assert not (target / "a").exists()


def test_a_link_to_nowhere_is_there_and_stays(tmp_path: Path) -> None:
    (tmp_path / "Json.java").symlink_to(tmp_path / "elsewhere")
    ended = invoke("client", "java", "--out", str(tmp_path))
    assert ended.exit_code == 2
    assert [each.name for each in tmp_path.iterdir()] == ["Json.java"]


def test_where_the_disk_is_full_the_file_is_named_and_none_is_left(tmp_path: Path) -> None:
    """Half of them would be in the way of the next try."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, -1))"
    program = f"{limit}; from playsmart_gateway.cli import main; main()"
    command = [sys.executable, "-c", program, "client", "java", "--out", str(tmp_path / "java")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "PlaySmartClient.java: File too large" in ended.stderr.replace("\n", "")
    assert not list((tmp_path / "java").iterdir())


def test_where_nothing_can_be_written_the_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = invoke("client", "python", "--out", str(tmp_path / "file" / "game"))
    assert ended.exit_code == 1
    assert "Not a directory" in ended.output


def test_an_unknown_language_is_a_mistake_that_tells_those_there_are() -> None:
    ended = invoke("client", "cobol")
    assert ended.exit_code == 2
    assert all(name in ended.output for name in CLIENTS)


@EACH
def test_the_manual_has_a_chapter_that_tells_how_to_get_it(name: str) -> None:
    assert f"playsmart-gateway client {name}" in read(f"client-{name}")


def test_the_manual_has_what_each_client_has_shown_in_all_cases_and_in_hundreds_of_lives() -> None:
    rows = re.findall(r"^\| `(\w+)` \| \S+ [\d.]+ \|(.+)\|$", read(SHOWN), re.MULTILINE)
    assert [name for name, _ in rows] == list(CLIENTS)
    for _, counts in rows:
        passed, failed, skipped, lives, *wrong = map(int, counts.split("|"))
        assert passed + failed + skipped == len(CASES), "make conformance has the table"
        assert lives >= 300
        assert (failed, *wrong) == (0, 0, 0, 0)


@EACH
def test_what_is_written_is_a_file_as_any(name: str, tmp_path: Path) -> None:
    invoke("client", name, "--out", str(tmp_path))
    for each in CLIENTS[name].files:
        assert stat.S_IMODE((tmp_path / each).stat().st_mode) & 0o600 == 0o600
