"""Tables on terminals of any width: lines stay lines, and what is missing is told."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len

from playsmart_gateway.cli.tables import (
    Column,
    Row,
    folded,
    numbers,
    print_bars,
    print_rows,
    print_table,
    print_terms,
)
from tests.support.process import clean_environment

COLUMNS = [
    Column("id", whole=True), Column("game"), Column("version", rank=2), Column("player", rank=1),
    *numbers("events"), *numbers("bytes", rank=3),
]  # fmt: skip
ROWS = [
    Row(["0123456789abcdef", "com.example.tower.defence", "1.20.3", "device-1", "1,234", "9"], 9),
    Row(["fedcba9876543210", "com.例え.タワー", "1.9", "device-22", "7", "123,456,789"], 1),
]


def printed(width: int | None, encoding: str = "utf-8") -> Result:
    @click.command()
    def show() -> None:
        print_table(COLUMNS, ROWS)

    columns = None if width is None else f"{width}"
    return CliRunner(charset=encoding).invoke(show, env={"COLUMNS": columns})


def test_where_nobody_looks_all_is_there_in_full() -> None:
    told = printed(None)
    assert told.stderr == ""
    for row in ROWS:
        assert all(cell in told.stdout for cell in row.cells)
    assert "█" * 30 in told.stdout


@pytest.mark.parametrize("width", [200, 120, 100, 90, 80, 70, 60, 50, 45])
def test_no_line_is_wider_than_the_terminal_and_what_is_missing_is_told(width: int) -> None:
    told = printed(width)
    lines = told.stdout.splitlines()
    assert len(lines) == 1 + len(ROWS)
    assert max(map(cell_len, lines)) <= width
    for heading in (each.heading for each in COLUMNS):
        assert heading in lines[0].split() or heading in told.stderr
    for row, line in zip(ROWS, lines[1:], strict=True):
        assert row.cells[0] in line
        assert row.cells[4] in line
        for column, cell in zip(COLUMNS, row.cells, strict=True):
            assert cell in line or "…" in line or column.heading in told.stderr


def test_columns_go_by_their_rank_before_a_text_is_cut() -> None:
    missing = [printed(width).stderr.partition("for: ")[2] for width in (200, 75, 65)]
    assert missing[0] == ""
    assert missing[1].startswith("bytes;")
    assert missing[2].startswith("version, bytes;")
    assert "…" not in printed(65).stdout


def test_an_output_that_has_no_blocks_gets_signs_that_it_has() -> None:
    told = printed(50, "ascii")
    assert "\\u" not in told.stdout.replace("\\u4f8b", "").replace("\\u3048", "")[:80]
    assert "#" * 5 in printed(None, "ascii").stdout


def test_rows_of_any_kind_have_their_numbers_on_the_right() -> None:
    @click.command()
    def show() -> None:
        print_rows(["name", "n"], [["a\x1b[31m", 1], [None, 22.5], [{"x": 1}, 3]], raw=False)

    lines = CliRunner().invoke(show).stdout.splitlines()
    assert "\x1b" not in "".join(lines)
    assert [line.rstrip()[-4:].strip() for line in lines] == ["n", "1", "22.5", "3"]
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize("width", [40, 60, 200])
def test_bars_fit_beside_their_numbers(width: int) -> None:
    @click.command()
    def show() -> None:
        print_bars([("a", 1), ("what players said " * 5, 1_000), ("none", 0)], str)

    told = CliRunner().invoke(show, env={"COLUMNS": f"{width}"})
    assert max(map(cell_len, told.stdout.splitlines())) <= width


def test_what_is_said_is_folded_between_words_and_stays_whole() -> None:
    text = "what somebody says of a name, and that is a long story which nobody wants to be cut"

    @click.command()
    def show() -> None:
        print_terms({"short": text, "much-longer": "x"})
        click.echo(folded(text, 4))

    told = CliRunner().invoke(show, env={"COLUMNS": "40"})
    assert all(len(line) <= 40 for line in told.stdout.splitlines())
    assert " ".join(told.stdout.split()).count(text) == 2


def test_a_terminal_is_asked_how_wide_it_is_and_is_shown_no_colour_that_it_does_not_want(
    tmp_path: Path,
) -> None:
    def on_terminal(**environment: str) -> str:
        leader, follower = pty.openpty()
        command = [sys.executable, "-m", "playsmart_gateway", "manual"]
        settings = clean_environment(TERM="xterm", **environment)
        settings.pop("COLUMNS", None)
        try:
            import termios

            termios.tcsetwinsize(follower, (24, 50))
            subprocess.run(
                command, stdout=follower, stderr=follower, env=settings, cwd=tmp_path, check=True
            )
            os.close(follower)
            shown = b""
            while piece := _read(leader):
                shown += piece
        finally:
            os.close(leader)
        return shown.decode()

    coloured, plain = on_terminal(), on_terminal(NO_COLOR="1")
    assert "\x1b[1m" in coloured
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
    assert max(len(line) for line in plain.splitlines()) <= 50


def _read(leader: int) -> bytes:
    try:
        return os.read(leader, 65_536)
    except OSError:  # so says Linux that the other end is closed
        return b""
