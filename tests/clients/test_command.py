"""``playsmart-gateway client``."""

import stat
from pathlib import Path

import pytest

from playsmart_gateway import clients
from playsmart_gateway.clients import CLIENTS, read_client
from playsmart_gateway.manual import read
from tests.support.commands import invoke

EACH = pytest.mark.parametrize("name", CLIENTS)


def test_without_a_language_the_clients_are_listed_with_a_line_each() -> None:
    told = invoke("client").output
    assert [line.split()[0] for line in told.splitlines()] == list(CLIENTS)
    assert all(client.about in told for client in CLIENTS.values())


@EACH
def test_a_client_is_printed_as_it_lies_there(name: str) -> None:
    ended = invoke("client", name)
    assert (ended.exit_code, ended.stdout) == (0, read_client(name))
    lying = Path(clients.__file__).parent / CLIENTS[name].path
    assert ended.stdout_bytes == lying.read_bytes()


@EACH
def test_a_client_is_written_to_a_folder_that_may_not_be_there_yet(
    name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "game" / "lib"
    ended = invoke("client", name, "--out", str(folder))
    (written,) = folder.iterdir()
    assert (ended.exit_code, ended.stdout) == (0, f"{written}\n")
    assert written.name == CLIENTS[name].name
    assert written.read_text("utf-8") == read_client(name)


@EACH
def test_a_file_that_is_there_stays_as_it_is(name: str, tmp_path: Path) -> None:
    file = tmp_path / CLIENTS[name].name
    file.write_text("mine")
    ended = invoke("client", name, "--out", str(tmp_path))
    assert ended.exit_code == 2
    assert f"{file} is there already" in ended.output
    assert file.read_text() == "mine"


def test_where_nothing_can_be_written_the_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = invoke("client", "python", "--out", str(tmp_path / "file" / "game"))
    assert ended.exit_code == 1
    assert "Not a directory" in ended.output


def test_an_unknown_language_is_a_mistake_that_tells_those_there_are() -> None:
    ended = invoke("client", "cobol")
    assert ended.exit_code == 2
    assert all(name in ended.output for name in CLIENTS)


def test_the_help_names_every_client() -> None:
    told = invoke("client", "--help").output
    assert all(name in told for name in CLIENTS)


@EACH
def test_the_manual_tells_how_to_get_it(name: str) -> None:
    assert f"playsmart-gateway client {name}" in read(f"client-{name}")


@EACH
def test_what_is_written_is_a_file_as_any(name: str, tmp_path: Path) -> None:
    invoke("client", name, "--out", str(tmp_path))
    (written,) = tmp_path.iterdir()
    assert stat.S_IMODE(written.stat().st_mode) & 0o600 == 0o600
