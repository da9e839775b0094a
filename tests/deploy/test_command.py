"""``playsmart-gateway deploy``."""

from pathlib import Path

import pytest

from playsmart_gateway import __version__, deploy
from playsmart_gateway.deploy import FILES, read_file
from playsmart_gateway.manual import read
from tests.support.commands import invoke

FOLDER = Path(deploy.__file__).parent


def test_without_a_name_the_files_are_listed_with_a_line_each() -> None:
    told = invoke("deploy").output
    assert [line.split()[0] for line in told.splitlines()] == list(FILES)
    assert all(file.about in told for file in FILES.values())


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_printed_as_it_lies_there(name: str) -> None:
    ended = invoke("deploy", name)
    assert (ended.exit_code, ended.stdout) == (0, read_file(name))


def test_every_file_has_a_name() -> None:
    lying = {each.name for each in FOLDER.iterdir() if each.is_file() and each.suffix != ".py"}
    assert {file.name for file in FILES.values()} == lying


def test_the_help_names_every_file() -> None:
    told = invoke("deploy", "--help").output
    assert all(name in told for name in FILES)


def test_an_unknown_name_is_a_mistake_that_tells_those_there_are() -> None:
    ended = invoke("deploy", "helm")
    assert ended.exit_code == 2
    assert all(name in ended.output for name in FILES)


@pytest.mark.parametrize("name", [name for name in FILES if "grafana" not in name])
def test_a_file_says_at_its_head_what_it_is_and_what_to_change(name: str) -> None:
    head = read_file(name).partition("\n\n")[0]
    assert head.startswith("# ")
    assert "Change" in head or name == "container"


def test_the_image_is_of_this_version() -> None:
    assert f"/playsmart-gateway:{__version__}\n" in read_file("kubernetes")
    assert f"--tag playsmart-gateway:{__version__} " in read_file("container")


def test_the_manual_has_the_command_of_each_and_no_copy() -> None:
    chapter = read("deploy")
    for name in FILES:
        assert f"playsmart-gateway deploy {name}" in chapter
        lines = {line for line in read_file(name).splitlines() if len(line) > 30}
        assert not lines & set(chapter.splitlines())
