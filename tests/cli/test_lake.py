"""``lake``, ``query``, and what ``erase`` and ``retention`` do to a lake, as commands."""

import csv
import json
from pathlib import Path

import pyarrow.parquet
import pytest

from tests.support.figures import wait_for_figures
from tests.support.forked import Ended, Forks
from tests.support.process import SECRET, StartGateway
from tests.support.uploads import make_event, make_upload

pytestmark = pytest.mark.process

SETTINGS = {"STORAGE__URL": "sqlite:///data/playsmart.db", "LAKE__URL": "data/lake"}


@pytest.fixture
def stored(start_gateway: StartGateway, tmp_path: Path) -> Path:
    """A folder in which a gateway without a lake has stored events of two players."""
    running = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.01")
    for user, level in (("ada", 1), ("bob", 2), ("ada", 3)):
        event = make_event("LevelCompleted", customdata={"level": level, "why": "=1+1\x1b[31m"})
        running.post(make_upload(user, event), sub=user)
        running.settle()
    wait_for_figures(running)
    assert running.stop() == 0
    return tmp_path


def run(folder: Path, *arguments: str, **settings: str) -> Ended:
    return Forks(folder).run(arguments, {**SETTINGS, **settings})


def counted(folder: Path, where: str = "true") -> int:
    ended = run(folder, "query", "--json", f"SELECT count(*) FROM events WHERE {where}")
    assert ended.code == 0, ended.errors
    ((number,),) = json.loads(ended.output)["rows"]
    return int(number)


def test_what_is_stored_is_written_and_asked_in_every_form(stored: Path) -> None:
    assert counted(stored) == 3  # nothing is in the lake yet
    ended = run(stored, "lake", "--once", "--json")
    assert (ended.code, json.loads(ended.output)["written"]) == (0, 3)
    assert "written: 0 events" in run(stored, "lake", "--once").output
    columns = "p_level AS level, p_why AS why, sum(p_level) AS total"
    sql = f"SELECT {columns} FROM events GROUP BY ALL ORDER BY 1"
    ended = run(stored, "query", sql)
    assert ended.output.split()[:3] == ["level", "why", "total"]
    assert "\x1b" not in ended.output
    assert "counted up to event" in ended.errors
    told = json.loads(run(stored, "query", "--json", sql).output)
    assert told["columns"] == ["level", "why", "total"]
    assert [row[0] for row in told["rows"]] == [1, 2, 3]
    rows = list(csv.reader(run(stored, "query", "--csv", sql).output.splitlines()))
    assert rows[1] == ["1", "'=1+1\\u001b[31m", "1"]
    assert run(stored, "query", sql, "--parquet", "answer.parquet").code == 0
    assert pyarrow.parquet.read_table(stored / "answer.parquet")["level"].to_pylist() == [1, 2, 3]


def test_a_question_that_is_wrong_or_goes_too_far_is_a_line_and_exit_code_1(stored: Path) -> None:
    for arguments in (
        ["SELEC 1"],
        ["DROP VIEW events"],
        ["SELECT count(*) FROM range(1000000000) a, range(1000000000)", "--timeout", "1"],
        ["SELECT repeat('x', 1000000000) FROM range(100)", "--timeout", "1", "--memory", "64"],
    ):
        ended = run(stored, "query", *arguments)
        assert ended.code == 1
        assert ended.errors.startswith("error: ")
        assert ended.errors.count("\n") == 1
    ended = run(stored, "query", "FROM range(100)", "--limit", "3")
    assert (ended.code, len(ended.output.split())) == (0, 4)
    assert "these are the first 3 rows" in ended.errors
    assert run(stored, "query", "SELECT 1", "--csv", "--parquet", "x").code == 2


def test_a_player_is_erased_from_the_lake_too(stored: Path) -> None:
    run(stored, "lake", "--once")
    told = json.loads(run(stored, "erase", "ada", "--dry-run", "--json").output)
    assert told["rows"]["lake"] == 2
    told = json.loads(run(stored, "erase", "ada", "--yes", "--json").output)
    assert told["rows"]["lake"] == 2
    assert (counted(stored), counted(stored, "user_id = 'ada'")) == (1, 0)
    for file in (stored / "data" / "lake").rglob("*"):
        assert not file.is_file() or b"ada" not in file.read_bytes()
    assert run(stored, "erase", "ada", "--yes").code == 1  # nobody goes by that id


def test_who_is_left_in_the_lake_alone_is_erased_there(stored: Path) -> None:
    run(stored, "lake", "--once")
    without = Forks(stored).run(
        ["erase", "bob", "--yes"], {"STORAGE__URL": SETTINGS["STORAGE__URL"]}
    )
    assert without.code == 0
    assert counted(stored, "user_id = 'bob'") == 1
    assert run(stored, "erase", "bob", "--yes").code == 0
    assert counted(stored, "user_id = 'bob'") == 0


def test_nothing_is_erased_while_the_lake_cannot_be_reached(stored: Path) -> None:
    run(stored, "lake", "--once")
    (stored / "data" / "lake" / "manifest.json").write_text("broken")
    ended = run(stored, "erase", "ada", "--yes")
    assert (ended.code, ended.errors.startswith("error: nothing was erased: ")) == (1, True)


def test_events_stay_in_the_store_until_they_are_in_the_lake_and_stay_there(stored: Path) -> None:
    ended = run(stored, "retention", "--older-than", "0s")
    assert "deleted: 0 events" in ended.output
    assert (
        "stopped before batch 1, as the dashboard has not counted it, or it is not in the lake"
        in (ended.errors)
    )
    run(stored, "lake", "--once")
    assert "deleted: 3 events" in run(stored, "retention", "--older-than", "0s").output
    assert counted(stored) == 3
    assert (
        "would be deleted: 3"
        in run(stored, "retention", "--lake", "--older-than", "0s", "--dry-run").output
    )
    assert "deleted: 0" in run(stored, "retention", "--lake", "--older-than", "1d").output
    assert "deleted: 3" in run(stored, "retention", "--lake", "--older-than", "0s").output
    assert counted(stored) == 0


@pytest.mark.parametrize("command", [["lake", "--once"], ["query", "SELECT 1"]])
@pytest.mark.parametrize(
    ("url", "told"),
    [
        (None, "lake.url: is not set"),
        ("s3://bucket", "lake.url: must be s3://BUCKET/PREFIX"),
        ("s3://key:secret@bucket/prefix", "lake.url: must be s3://BUCKET/PREFIX"),
        ("ftp://host/lake", "lake.url: must be a folder"),
    ],
)
def test_a_place_that_can_be_none_is_exit_code_2(
    command: list[str], url: str | None, told: str, stored: Path
) -> None:
    settings = {"STORAGE__URL": SETTINGS["STORAGE__URL"]} | ({"LAKE__URL": url} if url else {})
    ended = Forks(stored).run(command, settings)
    assert ended.code == 2
    assert ended.errors.startswith(f"error: {told}")
    assert "secret" not in ended.errors


def test_a_store_that_is_not_there_makes_no_lake(tmp_path: Path) -> None:
    ended = run(tmp_path, "lake", "--once")
    assert ended.code == 1
    assert not list(tmp_path.iterdir())


def test_doctor_tells_how_the_lake_is(stored: Path) -> None:
    def told() -> list[str]:
        found = json.loads(run(stored, "doctor", "--json", AUTH__SECRET=SECRET).output)
        return [f"{each['level']} {each['text']}" for each in found if each["subject"] == "lake"]

    assert told() == ["note data/lake is not there yet"]
    run(stored, "lake", "--once")
    assert told() == ["ok has 3 events in 1 files, 0 batches behind"]
    (stored / "data" / "lake" / "manifest.json").write_text("broken")
    assert told() == ["problem manifest.json of the lake is damaged"]
