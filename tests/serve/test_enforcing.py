"""``events = "enforce"`` with the real process: taken, kept apart, never lost, stored after all."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from playsmart_gateway.cli import commands
from tests.support.polling import wait_until
from tests.support.process import RunningGateway, StartGateway
from tests.support.uploads import make_event, make_upload

pytestmark = pytest.mark.process

GAME = "com.example.tower"
DEFINED = f"""
[[events]]
game = "{GAME}"
type = "LevelCompleted"
[events.properties]
level = "integer"
"""
LARGER = f"""{DEFINED}
[[events]]
game = "{GAME}"
type = "Custom"
name = "jump"
more = true
"""
RIGHT = make_event("LevelCompleted", customdata={"level": 1})
JUMP = make_event("Custom", customEventName="jump", customdata={"height": 3})


def settings(folder: Path, definitions: str, events: str = "enforce") -> dict[str, str]:
    path = folder / "events.toml"
    path.write_text(definitions)
    return {
        "GAMES": f'[{{id = "{GAME}", events = "{events}"}}]',
        "CATALOGUE__DEFINITIONS_FILE": str(path),
    }


def prefixed(environment: dict[str, str]) -> dict[str, str]:
    return {f"PLAYSMART_{name}": value for name, value in environment.items()}


def post(running: RunningGateway, player: str, *events: dict[str, Any]) -> None:
    answer = running.post(make_upload(player, *events, game_id=GAME), sub=player)
    assert answer.status_code == 202, answer.text


def dead_letters(running: RunningGateway, environment: dict[str, str], *arguments: str) -> Any:
    settled = {"STORAGE__URL": f"sqlite:///{running.folder}/data/playsmart.db", **environment}
    told = CliRunner().invoke(
        commands, ("dead-letters", *arguments, "--json"), env=prefixed(settled)
    )
    assert told.stdout, told.output
    return json.loads(told.stdout)


def test_what_does_not_fit_is_taken_kept_apart_and_stored_once_it_is_defined(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    environment = settings(tmp_path, DEFINED)
    running = start_gateway("--dev", **environment)
    for _ in range(3):
        post(running, "ada", RIGHT)
        post(running, "ada", RIGHT, JUMP)
    terms = running.settle()
    assert (terms["received"], terms["stored"], terms["rejected"]) == (9, 3, 6)
    quarantined = 'playsmart_events_rejected_total{reason="quarantined"} 6.0'
    assert quarantined in running.exposition()
    told = running.client.get("/catalogue/data").json()["catalogue"]["dead_letters"]
    assert [(each["reason"], each["letters"], each["events"]) for each in told] == [
        ("not as defined: jump: is not defined", 3, 6)
    ]
    refused = dead_letters(running, environment, "replay")
    assert (refused["replayed"], len(refused["refused"])) == (0, 3)
    nameless = dead_letters(running, {"CONFIG": ""}, "replay")
    assert nameless["replayed"] == 0
    assert {"give --config that of the gateway" in why for why in nameless["refused"].values()} == {
        True
    }
    larger = settings(tmp_path, LARGER)
    stored = dead_letters(running, larger, "replay")
    assert (stored["replayed"], stored["stored"], stored["refused"]) == (3, 6, {})
    assert len(running.events_after(0)) == 9
    assert dead_letters(running, larger, "list") == {"dead_letters": []}


def test_a_killed_process_leaves_nothing_undecided_whatever_is_defined_then(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    environment = settings(tmp_path, DEFINED) | {"BUFFER__FLUSH_INTERVAL_SECONDS": "60"}
    running = start_gateway("--dev", **environment)
    for _ in range(4):
        post(running, "ada", RIGHT)
        post(running, "bob", JUMP)
    running.process.send_signal(signal.SIGKILL)
    running.process.wait()
    environment = settings(tmp_path, LARGER)
    running = start_gateway("--dev", **environment)
    wait_until(lambda: len(running.events_after(0)) == 8 or None)
    assert running.settle()["rejected"] == 0
    assert dead_letters(running, environment, "list") == {"dead_letters": []}


def test_who_warns_stores_all_and_tells_what_is_not_defined(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway("--dev", **settings(tmp_path, DEFINED, "warn"))
    post(running, "ada", RIGHT, JUMP)

    def undefined() -> list[str] | None:
        told = running.client.get("/catalogue/data").json()["catalogue"]["findings"]
        return [each["event"] for each in told if each["kind"] == "undefined"] or None

    assert wait_until(undefined) == ["jump"]
    assert running.settle()["stored"] == 2


def test_definitions_with_mistakes_are_told_before_the_start(tmp_path: Path) -> None:
    environment = settings(tmp_path, DEFINED.replace("integer", "int"))
    told = CliRunner().invoke(commands, ("check-config",), env=prefixed(environment))
    assert told.exit_code != 0
    assert "events.0.properties.level: must be of" in str(told.exception)


def test_what_was_learned_is_what_is_exported_and_fits_what_comes(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway("--dev")
    post(running, "ada", RIGHT, JUMP)
    wait_until(lambda: running.client.get("/catalogue/data").json()["catalogue"]["events"] or None)
    url = {"PLAYSMART_STORAGE__URL": f"sqlite:///{running.folder}/data/playsmart.db"}
    told = CliRunner().invoke(commands, ("catalogue", "export"), env=url)
    running.close()
    environment = settings(tmp_path, told.stdout)
    running = start_gateway("--dev", **environment)
    post(running, "ada", RIGHT, JUMP)
    assert running.settle()["rejected"] == 0
