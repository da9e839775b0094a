"""``playsmart-gateway manual``."""

import sys
from subprocess import run

import pytest
from click.testing import CliRunner

from playsmart_gateway.cli import commands
from playsmart_gateway.manual import CHAPTERS, read


def test_without_a_chapter_they_are_listed_with_a_line_each() -> None:
    told = CliRunner().invoke(commands, ["manual"]).output
    assert [line.split()[0] for line in told.splitlines()] == list(CHAPTERS)
    assert all(about in told for about in CHAPTERS.values())


@pytest.mark.parametrize("reference", [*CHAPTERS, "growing.md#postgresql"])
def test_a_chapter_is_printed_as_it_is_written(reference: str) -> None:
    ended = CliRunner().invoke(commands, ["manual", reference])
    assert (ended.exit_code, ended.output) == (0, read(reference))


def test_an_unknown_chapter_is_a_mistake_that_names_those_there_are() -> None:
    ended = CliRunner().invoke(commands, ["manual", "nonsense"])
    assert ended.exit_code == 2
    assert all(name in ended.output for name in CHAPTERS)


@pytest.mark.parametrize("written", ["growin", "growin.md#workers"])
def test_a_chapter_that_is_misspelt_is_guessed(written: str) -> None:
    ended = CliRunner().invoke(commands, ["manual", written])
    assert (ended.exit_code, "Did you mean growing?" in ended.output) == (2, True)


def test_the_manual_imports_nothing_that_only_its_pages_need() -> None:
    code = "import sys, playsmart_gateway.manual as m; m.read('data'); print(*sys.modules)"
    told = run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"starlette", "markdown_it", "rich"} & set(told.split())
