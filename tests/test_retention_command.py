"""``retention``: beside a running gateway."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.cli import commands
from playsmart_gateway.errors import SinkUnavailable
from tests.conftest import StartGateway, make_event, make_upload


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
    young = invoke(tmp_path, "retention", "--older-than", "1d", "--json")
    assert json.loads(young.stdout)["events"] == 0
    counted = invoke(tmp_path, "retention", "--older-than", "0s", "--dry-run")
    assert counted.stdout.startswith("would be deleted: 20 events received before 2")
    for kind, events in (("Custom", 15), ("LevelCompleted", 6)):
        result = invoke(tmp_path, "retention", "--older-than", "0s", "--type", kind, "--json")
        assert json.loads(result.stdout)["events"] == events
        running.post(upload, sub="ada")
        running.settle()
    assert invoke(tmp_path, "audit").stdout.endswith("every coin is right\n")
    assert "its event was deleted by retention" in invoke(tmp_path, "coins", "ada").stdout
    assert running.stop() == 0
