"""``retention``: beside a running gateway."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.cli import commands
from playsmart_gateway.errors import SinkUnavailable
from tests.support.figures import wait_for_figures
from tests.support.process import StartGateway
from tests.support.uploads import make_event, make_upload


def invoke(folder: Path, *arguments: str) -> Result:
    environment = {"PLAYSMART_STORAGE__URL": f"sqlite:///{folder}/data/playsmart.db"}
    return CliRunner().invoke(commands, arguments, env=environment)


def test_a_store_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    result = invoke(tmp_path, "retention", "--older-than", "1d")
    assert isinstance(result.exception, SinkUnavailable)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("age", ["soon", "", "999999999d"])
def test_an_age_that_is_none_is_exit_code_2(tmp_path: Path, age: str) -> None:
    assert invoke(tmp_path, "retention", "--older-than", age).exit_code == 2
    assert invoke(tmp_path, "retention").exit_code == 2


def test_what_is_not_counted_and_what_is_ahead_is_told(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.01")
    for _ in range(3):
        running.post(make_upload("ada"), sub="ada")
        running.settle()
    wait_for_figures(running)
    assert running.stop() == 0
    with closing(sqlite3.connect(tmp_path / "data" / "playsmart.db")) as database:
        database.execute(
            "UPDATE batches SET received_at = '2999-01-01T00:00:00.000000Z' WHERE batch_id = 1"
        )
        database.execute("UPDATE rollup_state SET position = 2")
        database.commit()
    result = invoke(tmp_path, "retention", "--older-than", "0s")
    assert result.exit_code == 0
    assert "deleted: 2 events" in result.stdout
    assert "a clock that was ahead: batches 1;" in result.stderr
    assert "stopped before batch 3, as the dashboard has not counted it" in result.stderr


def test_old_events_go_while_new_ones_come(
    start_gateway: StartGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playsmart_gateway.cli.retention.EVENTS_PER_STEP", 3)
    rules = (
        '[{id = "com.example.game", coins_enabled = true, reward_fixed_amount = 10,'
        " event_trigger_threshold = 4}]"
    )
    running = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.01", GAMES=rules)
    jump = make_event("Custom", customEventName="jump")
    upload = make_upload("ada", make_event("LevelCompleted"), jump, jump, jump)
    for _ in range(5):
        running.post(upload, sub="ada")
    running.settle()
    wait_for_figures(running)
    young = invoke(tmp_path, "retention", "--older-than", "1d", "--json")
    assert json.loads(young.stdout)["events"] == 0
    counted = invoke(tmp_path, "retention", "--older-than", "0s", "--dry-run")
    assert counted.stdout.startswith("would be deleted: 20 events received before 2"), (
        counted.output
    )
    for kind, events in (("Custom", 15), ("LevelCompleted", 6)):
        result = invoke(tmp_path, "retention", "--older-than", "0s", "--type", kind, "--json")
        assert json.loads(result.stdout)["events"] == events
        running.post(upload, sub="ada")
        running.settle()
        wait_for_figures(running)
    assert invoke(tmp_path, "audit").stdout.endswith("every coin is right\n")
    assert "its event was deleted by retention" in invoke(tmp_path, "coins", "ada").stdout
    assert running.stop() == 0
