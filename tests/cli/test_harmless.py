"""What players wrote drives neither a terminal nor a spreadsheet, whatever command shows it."""

import asyncio
import csv
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.cli import commands
from playsmart_gateway.cli.harmless import (
    harmless,
    harmless_cell,
    harmless_json,
)
from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.open import open_store
from tests.support.app_batches import (
    analytics,
    named,
    spin,
)
from tests.support.loyalty import PROGRAM
from tests.support.loyalty import event as lynes_event

CONTROLS = "\x1b]0;owned\x07\x1b[2J\r\n\t\x08\x7f\x9b31m\u202e\u2066\u061c\u200f\u2028"
EVIL = f"=cmd|' /C calc'!A0{CONTROLS}"
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
FORMULAS = ("=1+1", "+cmd|x", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＠A1")  # noqa: RUF001
NUMBERS = ("-5", "+5", "-1.5", "1e9", "-1E-3", "0")

Invoke = Callable[..., Result]


def plain_batch(sequence: int, user: str, name: str, data: Any) -> Batch:
    rows = [
        ["LevelCompleted", name, "2026-04-22T14:30:00.000000Z", data],
        ["Custom", name, "2026-04-22T14:30:01.000000Z", data],
    ]
    return named(
        Batch("playsmart", f"g{EVIL}", user, len(rows), msgspec.json.encode(rows)), sequence
    )


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with a player who wrote evil wherever players may write."""
    url = f"sqlite:///{tmp_path_factory.mktemp('evil')}/events.db"

    async def play() -> None:
        rule = Rule(f"g{EVIL}", 5, 5, 1_000_000)
        async with open_store(url, [rule], PROGRAM) as sink:
            await sink.write([plain_batch(1, EVIL, EVIL, {EVIL: EVIL, "n": 2**70})])
            await sink.write([analytics(2, spin(EVIL, action=EVIL), country="US")])
            await sink.commit([lynes_event(3, user=EVIL, metadata={EVIL: EVIL})])
            for place, text in enumerate((*FORMULAS, *NUMBERS), 4):
                await sink.write([plain_batch(place, text, text, None)])

    asyncio.run(play())
    return url


@pytest.fixture
def invoke(url: str) -> Invoke:
    def invoke_command(*arguments: str) -> Result:
        environment = {"PLAYSMART_STORAGE__URL": url, "PLAYSMART_LYNES__PROJECT": "p"}
        result = CliRunner().invoke(commands, arguments, env=environment)
        assert result.exit_code in (0, 1), result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return invoke_command


@pytest.mark.parametrize(
    "arguments",
    [
        ("stats",),
        ("stats", "--json"),
        ("stats", "--app", "app"),
        ("stats", "--app", "app", "--json"),
        ("stats", "--app", EVIL),
        ("stats", "--event", "login"),
        ("stats", "--event", "login", "--json"),
        ("stats", "--event", EVIL),
        ("export", "--format", "csv"),
        ("export", "--format", "ndjson"),
        ("coins", "show", EVIL),
        ("coins", "show", EVIL, "--json"),
        ("coins", "adjust", EVIL, "--amount", "5", "--reason", EVIL),
        ("coins", "adjust", EVIL, "--amount", "5", "--reason", EVIL, "--json"),
        ("audit",),
        ("audit", "--json"),
        ("doctor",),
        ("doctor", "--json"),
        ("exclude", EVIL, "--app", "app"),
        ("include", EVIL, "--app", "app"),
        ("erase", EVIL, "--dry-run"),
        ("erase", EVIL, "--dry-run", "--json"),
    ],
    ids=lambda arguments: " ".join(each for each in arguments if each.isprintable()),
)
def test_no_command_prints_what_a_terminal_would_obey(
    invoke: Invoke, arguments: tuple[str, ...]
) -> None:
    result = invoke(*arguments)
    lines = result.output.replace("\r\n", "\n") if "csv" in arguments else result.output
    assert not UNSAFE.search(lines), repr(result.output)
    if "--json" in arguments:
        json.loads(result.stdout)


def exported(invoke: Invoke, tmp_path: Path, *arguments: str) -> list[dict[str, str]]:
    path = tmp_path / "events.csv"
    assert invoke("export", "--output", str(path), *arguments).exit_code == 0
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))


def test_no_cell_of_a_csv_is_a_formula_and_numbers_stay_numbers(
    invoke: Invoke, tmp_path: Path
) -> None:
    rows = exported(invoke, tmp_path)
    for row in rows:
        for cell in row.values():
            assert cell[:1] not in tuple("=@\t\r\n＝＠")  # noqa: RUF001
            assert not cell.startswith(("+", "-")) or cell in NUMBERS
    users = [row["user_id"] for row in rows]
    assert {"'=1+1", "'+cmd|x", "'-2+3", "'@SUM(A1)", "\\u0009=1", *NUMBERS} <= {*users}
    assert all(row["event_id"].isdecimal() for row in rows)


def test_customdata_in_a_csv_keeps_its_meaning(invoke: Invoke, tmp_path: Path) -> None:
    row = exported(invoke, tmp_path)[0]
    assert json.loads(row["customdata"]) == {EVIL: EVIL, "n": 2**70}


def test_raw_exports_are_what_is_stored(invoke: Invoke, tmp_path: Path) -> None:
    rows = exported(invoke, tmp_path, "--raw")
    assert rows[0]["user_id"] == rows[0]["custom_event_name"] == EVIL
    assert [row["user_id"] for row in rows if row["user_id"] in FORMULAS][::2] == [*FORMULAS]
    raw = invoke("export", "--format", "ndjson", "--raw").stdout
    shown = invoke("export", "--format", "ndjson").stdout
    assert "\x9b" in raw
    assert "\x9b" not in shown
    assert events_in(raw) == events_in(shown)


def events_in(lines: str) -> list[Any]:
    return [json.loads(line) for line in lines.split("\n") if line.startswith('{"event_id"')]


def test_raw_tables_show_what_is_stored(invoke: Invoke) -> None:
    assert "\x9b31m" in invoke("coins", "show", EVIL, "--raw").stdout
    assert "\x9b31m" in invoke("stats", "--raw").stdout
    assert "\x9b31m" in invoke("stats", "--event", "login", "--json", "--raw").stdout


# --- one text ------------------------------------------------------------------------------------


@given(st.text())
def test_every_text_becomes_one_that_prints(text: str) -> None:
    shown = harmless(text)
    assert not UNSAFE.search(shown)
    assert "\n" not in shown
    shown.encode()
    if text.isprintable():
        assert shown == text


@given(st.recursive(st.none() | st.text() | st.integers(), st.lists))
def test_json_keeps_its_meaning(value: Any) -> None:
    try:
        content = msgspec.json.encode(value)
    except UnicodeEncodeError:
        return
    shown = harmless_json(content)
    assert json.loads(shown) == value
    assert not UNSAFE.search(shown.decode())


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_text(text: str) -> None:
    shown = harmless_cell(text)
    assert shown
    assert shown[0] in "'\\"
    assert text.lstrip("\t\r\n") in shown


@pytest.mark.parametrize("text", [*NUMBERS, "", None, "a=1", "'=1", "é", "日本", "[x]"])
def test_what_is_no_formula_is_left_alone(text: str | None) -> None:
    assert harmless_cell(text) == text


def test_every_unsafe_character_is_known() -> None:
    """What Unicode calls a control, a mark of direction, or a separator of lines or paragraphs."""
    import unicodedata

    for code in range(sys.maxunicode + 1):
        character = chr(code)
        kind = unicodedata.category(character)
        turns = unicodedata.bidirectional(character) in (
            *("LRE", "LRO", "RLE", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"),
        )
        if kind in ("Cc", "Zl", "Zp", "Cs") or turns:
            assert harmless(character) == f"\\u{code:04x}"
