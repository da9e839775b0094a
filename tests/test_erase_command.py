"""``erase``: refuses beside a gateway, and nothing comes back from the journal."""

import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.cli import commands
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.journal import Journal
from tests.conftest import StartGateway, make_upload
from tests.doubles import make_batch


def erase(folder: Path, *arguments: str) -> Result:
    environment = {
        "PLAYSMART_STORAGE__URL": f"sqlite:///{folder}/data/playsmart.db",
        "PLAYSMART_JOURNAL__PATH": f"{folder}/data/journal",
    }
    return CliRunner().invoke(commands, ("erase", *arguments), env=environment)


def test_a_store_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    for option in ("--yes", "--dry-run"):
        assert isinstance(erase(tmp_path, "ada", option).exception, SinkUnavailable)
    assert not list(tmp_path.iterdir())


def test_what_waits_in_the_journal_goes_too(start_gateway: StartGateway, tmp_path: Path) -> None:
    running = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.05")
    for user in ("ada", "eve"):
        running.post(make_upload(user), sub=user)
    running.settle()

    refused = erase(tmp_path, "ada", "--yes")
    assert refused.exit_code == 1
    assert "stop the gateway first" in refused.output
    assert erase(tmp_path, "ada").exit_code == 2, "nobody is there to ask"
    counted = json.loads(erase(tmp_path, "ada", "--dry-run", "--json").stdout)
    assert counted["rows"]["event_rows"] == 1

    assert running.stop() == 0
    journal = Journal(tmp_path / "data" / "journal")
    journal.open()
    journal.write([make_batch(1, 2, "ada"), make_batch(2, 3, "eve")])
    journal.close()
    (tmp_path / "data" / "journal" / "0000000000000009.bad").write_bytes(b"..ada..")
    result = erase(tmp_path, "ada", "--yes")
    assert result.exit_code == 0, result.output
    assert "erased: " in result.stdout
    assert "0000000000000009.bad holds broken records" in result.stderr
    assert not list((tmp_path / "data" / "journal").glob("*.journal"))

    again = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.05")
    again.settle()
    assert [row["user_id"] for row in again.events_after(0)] == ["eve"] * 4
    assert again.stop() == 0
    assert "nothing" in erase(tmp_path, "ada", "--yes").stdout


def test_nothing_is_erased_while_the_journal_cannot_be_stored(
    start_gateway: StartGateway, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = start_gateway()
    running.post(make_upload("ada"), sub="ada")
    assert running.stop() == 0
    journal = Journal(tmp_path / "data" / "journal")
    journal.open()
    journal.write([make_batch(1, 2, "ada")])
    journal.close()
    database = sqlite3.connect(tmp_path / "data" / "playsmart.db")
    database.execute(
        "CREATE TRIGGER full BEFORE INSERT ON batches BEGIN SELECT json_extract('{', '$'); END"
    )
    database.execute("DROP TABLE dead_letters")
    database.commit()
    database.close()
    result = erase(tmp_path, "ada", "--yes")
    assert result.exit_code == 1
    assert "nothing was erased: 2 events that wait" in result.output
    assert list((tmp_path / "data" / "journal").glob("*.journal"))
