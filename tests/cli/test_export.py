"""``export``: what is read back from a file is what the relation ``events`` holds."""

import asyncio
import contextlib
import csv
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.cli import commands
from playsmart_gateway.cli.formats import (
    NdjsonWriter,
    export_events,
    whole_file,
)
from playsmart_gateway.errors import ExportError, SinkUnavailable
from playsmart_gateway.stores.models import EVERYTHING
from playsmart_gateway.stores.open import open_store
from tests.support.doubles import make_batch
from tests.support.event_batches import make_batches
from tests.support.process import RunningGateway, StartGateway, clean_environment
from tests.support.uploads import make_event, make_upload

Row = tuple[Any, ...]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A store with events that are hard to quote."""
    path = tmp_path / "store" / "events.db"

    async def fill() -> None:
        async with open_store(f"sqlite:///{path}") as sink:
            await sink.write(make_batches())

    asyncio.run(fill())
    return path


def export(database: Path, *arguments: str) -> Result:
    environment = {"PLAYSMART_STORAGE__URL": f"sqlite:///{database}"}
    return CliRunner().invoke(commands, ("export", *arguments), env=environment)


def table(database: Path) -> list[Row]:
    with contextlib.closing(sqlite3.connect(database)) as db:
        return db.execute("SELECT * FROM events ORDER BY event_id").fetchall()


def read_ndjson(path: Path) -> list[Row]:
    rows = []
    for line in path.read_bytes().splitlines():
        event = json.loads(line)
        raw = re.search(rb'"customdata":(.*),"adjusted_at":"[^"]*","clock":[^,]*\}$', line)
        assert raw
        event["customdata"] = None if raw[1] == b"null" else raw[1].decode()
        rows.append(tuple(event.values()))
    return rows


def read_csv(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file, strict=True)
    return [(int(row[0]), *(field or None for field in row[1:])) for row in rows]


def read_parquet(path: Path) -> list[Row]:
    def printed(value: Any) -> Any:
        if isinstance(value, datetime):
            assert value.tzinfo is not None
            return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        return value

    rows = pyarrow.parquet.read_table(path).to_pylist()
    return [tuple(printed(value) for value in row.values()) for row in rows]


# --- what cannot be exported ---------------------------------------------------------------------


def test_parquet_without_its_package_says_what_to_install(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    output = tmp_path / "out" / "events.parquet"
    output.parent.mkdir()
    result = export(database, "--output", str(output))
    assert isinstance(result.exception, ExportError)
    assert "checkout, pip install '.[parquet]'" in str(result.exception)
    assert not list(output.parent.iterdir())


def test_parquet_needs_a_file(database: Path) -> None:
    result = export(database, "--format", "parquet")
    assert (result.exit_code, "needs a file" in result.output) == (2, True)


def test_a_folder_that_is_not_there_is_told(database: Path, tmp_path: Path) -> None:
    result = export(database, "--output", str(tmp_path / "none" / "events.csv"))
    assert isinstance(result.exception, ExportError)
    assert "No such file" in str(result.exception)


def test_a_store_that_is_not_there_leaves_no_file(tmp_path: Path) -> None:
    result = export(tmp_path / "none.db", "--output", str(tmp_path / "events.csv"))
    assert isinstance(result.exception, SinkUnavailable)
    assert not list(tmp_path.iterdir())


def test_a_file_is_there_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("before")
    with contextlib.suppress(ZeroDivisionError), whole_file(path) as file:
        file.write(b"half of i")
        raise ZeroDivisionError
    assert [each.name for each in tmp_path.iterdir()] == ["events.csv"]
    assert path.read_text() == "before"


# --- what is exported ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "read"),
    [("e.ndjson", read_ndjson), ("e.csv", read_csv), ("e.parquet", read_parquet)],
)
def test_the_file_read_back_is_the_table(
    database: Path, tmp_path: Path, name: str, read: Callable[[Path], list[Row]]
) -> None:
    result = export(database, "--output", str(tmp_path / name))
    assert result.exit_code == 0, result.output
    rows = table(database)
    assert read(tmp_path / name) == rows
    size, end = (tmp_path / name).stat().st_size, rows[-1][0]
    told = f"{size:,} bytes, to {tmp_path / name}; to go on, --after {end}\n"
    assert result.output == f"exported {len(rows)} events, {told}"


def test_parquet_has_real_times_and_dictionaries_for_what_repeats(
    database: Path, tmp_path: Path
) -> None:
    export(database, "--output", str(tmp_path / "e.parquet"))
    file = pyarrow.parquet.ParquetFile(tmp_path / "e.parquet")
    for name in ("occurred_at", "received_at"):
        assert str(file.schema_arrow.field(name).type) == "timestamp[us, tz=UTC]"
    group = file.metadata.row_group(0)
    encodings = {
        group.column(place).path_in_schema: group.column(place).encodings
        for place in range(group.num_columns)
    }
    assert "RLE_DICTIONARY" in encodings["type"]
    assert "RLE_DICTIONARY" not in encodings["customdata"]


def test_nothing_is_a_valid_file_too(database: Path, tmp_path: Path) -> None:
    for name in ("e.ndjson", "e.csv", "e.parquet"):
        assert export(database, "--output", str(tmp_path / name), "--game", "x").exit_code == 0
    assert read_csv(tmp_path / "e.csv") == read_parquet(tmp_path / "e.parquet") == []


def test_filters_and_the_cursor_cut_the_same_way(database: Path) -> None:
    rows = table(database)
    summary = json.loads(export(database, "--json", "--type", "Custom").stderr)
    assert summary == {"events": 4, "cursor": rows[-1][0], "complete": True}
    result = export(database, "--after", str(rows[6][0]), "--player", "ada", "--format", "csv")
    assert result.stdout_bytes.count(b"\r\n") == 2
    result = export(database, "--since", "2026-04-03T02:00:00+02:00", "--until", "2026-04-03T01:00")
    assert [json.loads(line)["user_id"] for line in result.stdout.splitlines()] == ["bob"]


async def test_an_export_that_is_stopped_goes_on_at_its_cursor(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playsmart_gateway.cli.formats.EVENTS_PER_PAGE", 4)
    pages = iter([False, True])
    async with open_store(f"sqlite:///{database}").reader() as reader:
        with (tmp_path / "e.ndjson").open("wb") as file:
            first = await export_events(
                reader, NdjsonWriter(file), EVERYTHING, stopped=lambda: next(pages)
            )
            assert (first.events, first.complete) == (4, False)
            second = await export_events(reader, NdjsonWriter(file), EVERYTHING, after=first.cursor)
            assert (second.events, second.complete) == (6, True)
    assert read_ndjson(tmp_path / "e.ndjson") == table(database)


# --- as a process --------------------------------------------------------------------------------

PEAK = """
import re, sys
from playsmart_gateway.cli import main
sys.argv[0] = "playsmart-gateway"
try:
    main()
finally:
    status = open("/proc/self/status").read()  # the peak of this program, not of who started it
    print(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1], file=sys.stderr)
"""


def test_memory_does_not_grow_with_the_number_of_events(tmp_path: Path) -> None:
    """100,000 events of 1 KB are 100 MB; the process with pyarrow is there already."""

    async def fill() -> None:
        async with open_store(f"sqlite:///{tmp_path}/large.db") as sink:
            for start in range(0, 500, 100):
                await sink.write([make_batch(start + n + 1, 200, pad=1_000) for n in range(100)])

    asyncio.run(fill())
    environment = clean_environment(PLAYSMART_STORAGE__URL=f"sqlite:///{tmp_path}/large.db")
    arguments = ["export", "--output", str(tmp_path / "large.parquet")]
    finished = subprocess.run(
        [sys.executable, "-c", PEAK, *arguments],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert pyarrow.parquet.read_metadata(tmp_path / "large.parquet").num_rows == 100_000
    assert int(finished.stderr) < 250_000


def test_an_export_beside_ingest_is_a_prefix_of_what_is_stored(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.01")
    database = tmp_path / "data" / "playsmart.db"
    parts: list[Row] = []
    cursor = 0
    for turn in range(5):
        _send(running, turn)
        result = export(
            database, "--output", str(tmp_path / f"{turn}.csv"), "--after", str(cursor), "--json"
        )
        assert result.exit_code == 0
        cursor = json.loads(result.stdout)["cursor"]
        parts += read_csv(tmp_path / f"{turn}.csv")
        assert parts == table(database)[: len(parts)]
    running.settle()
    export(database, "--output", str(tmp_path / "last.csv"), "--after", str(cursor))
    assert parts + read_csv(tmp_path / "last.csv") == table(database)
    assert running.stop() == 0


def _send(running: RunningGateway, turn: int) -> None:
    for number in range(5):
        events = [make_event("Custom", customEventName=f"{turn}.{number}")] * 20
        assert running.post(make_upload("ada", *events), sub="ada").status_code == 202


def test_ctrl_c_leaves_a_whole_file_and_says_where_to_go_on(tmp_path: Path) -> None:
    """Standard output is a pipe that nobody reads, so the export cannot be done when it comes."""

    async def fill() -> None:
        async with open_store(f"sqlite:///{tmp_path}/large.db") as sink:
            await sink.write([make_batch(n + 1, 200, pad=200) for n in range(250)])

    asyncio.run(fill())
    environment = clean_environment(PLAYSMART_STORAGE__URL=f"sqlite:///{tmp_path}/large.db")
    process = subprocess.Popen(
        [sys.executable, "-m", "playsmart_gateway", "export", "--json"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    first = os.read(process.stdout.fileno(), 10)
    process.send_signal(signal.SIGINT)
    rest, told = process.communicate(timeout=30)
    assert process.returncode == 1
    summary = json.loads(told)
    lines = (first + rest).splitlines()
    assert (summary["complete"], summary["events"]) == (False, len(lines))
    assert json.loads(lines[-1])["event_id"] == summary["cursor"]
