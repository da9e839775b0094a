"""``load --clean``: beside a gateway or without, with a lake; nothing tells of load after it."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.cli import commands
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.load import GAME_ID, PLAYER_PREFIX
from tests.support.figures import wait_for_figures
from tests.support.forked import Forks
from tests.support.polling import wait_until
from tests.support.process import SECRET, RunningGateway, StartGateway
from tests.support.uploads import make_event, make_upload

pytestmark = pytest.mark.process

GAMES = f"""[
    {{id = "{GAME_ID}", coins_enabled = true, reward_fixed_amount = 3}},
    {{id = "real", coins_enabled = true, reward_fixed_amount = 7}},
]"""


def run(folder: Path, *arguments: str, **settings: str) -> Result:
    environment = {
        "PLAYSMART_STORAGE__URL": f"sqlite:///{folder}/data/playsmart.db",
        "PLAYSMART_JOURNAL__PATH": f"{folder}/data/journal",
        "PLAYSMART_AUTH__SECRET": SECRET,
        **settings,
    }
    return CliRunner().invoke(commands, ("load", *arguments), env=environment)


def play(running: RunningGateway, level: int = 1) -> None:
    event = make_event("LevelCompleted", customdata={"level": level, "from": GAME_ID})
    answer = running.post(make_upload("ada", event, game_id="real"), sub="ada")
    assert answer.status_code == 202, answer.text


def everything(running: RunningGateway) -> dict[str, list[Any]]:
    """All rows but those that count how often something was done, and headers that say nothing."""
    names = running.select("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
    skipped = ("sqlite_sequence", "erasures", "journals", "game_rules", "player_folding")
    found = {
        name: running.select(f'SELECT * FROM "{name}"') for (name,) in names if name not in skipped
    }
    headers = "SELECT batch_id, game_id, user_id, event_count FROM batches WHERE user_id <> ''"
    return {**found, "batches": running.select(headers)}


def told(running: RunningGateway, path: str) -> str:
    return str(running.client.get(path).text)


def test_what_load_left_goes_beside_a_running_gateway_and_nothing_else(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway("--dev", GAMES=GAMES, BUFFER__FLUSH_INTERVAL_SECONDS="0.05")
    play(running)
    running.settle()
    wait_for_figures(running)
    wait_until(lambda: "real" in told(running, "/catalogue/data") or None)
    before = everything(running)
    for seed in ("1", "2"):
        sent = ("--url", running.url, "--requests", "40", "--events", "50", "--players", "4")
        done = run(tmp_path, *sent, "--seed", seed, "--retries", "0.2")
        assert done.exit_code == 0, done.output
    running.settle()
    wait_for_figures(running)
    wait_until(lambda: GAME_ID in told(running, "/catalogue/data") or None)
    counted = run(tmp_path, "--clean", "--dry-run", "--json")
    assert counted.exit_code == 0, counted.output
    rows = json.loads(counted.stdout)["rows"]
    assert (rows["event_rows"], rows["players"], rows["batches"]) == (3_400, 8, 80)
    assert rows["coin_entries"] > 0
    refused = run(tmp_path, "--clean")
    assert (refused.exit_code, "give --yes" in refused.output) == (2, True)

    done = run(tmp_path, "--clean", "--yes")
    assert done.exit_code == 0, done.output
    assert "event_rows" in done.stdout
    assert "removed: " in done.stdout
    wait_until(lambda: GAME_ID not in told(running, "/catalogue/data") or None)
    for path in ("/dashboard/data?range=24h", "/dashboard/data?range=30d"):
        assert GAME_ID not in told(running, path)
    assert PLAYER_PREFIX not in told(running, "/inspector/memory")
    after = everything(running)
    state = ("rollup_state", "catalogue_state")  # these are how far it was read
    assert {name: after[name] for name in after if name not in state} == {
        name: before[name] for name in before if name not in state
    }
    audit = CliRunner().invoke(
        commands, ("audit",),
        env={"PLAYSMART_STORAGE__URL": f"sqlite:///{tmp_path}/data/playsmart.db"},
    )  # fmt: skip
    assert audit.exit_code == 0, audit.output
    play(running, 2)
    running.settle()
    assert [each["game_id"] for each in running.events_after(0)] == ["real"] * 2
    assert running.stop() == 0
    again = start_gateway("--dev", GAMES=GAMES)
    again.settle()
    assert len(again.events_after(0)) == 2, "nothing comes back"


def test_what_waits_in_the_journal_and_what_is_in_the_lake_goes_too(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.05")
    play(running)
    sent = ("--url", running.url, "--requests", "20", "--events", "10", "--players", "3")
    assert run(tmp_path, *sent).exit_code == 0
    running.settle()
    wait_for_figures(running)
    assert run(tmp_path, *sent).exit_code == 0
    running.process.kill()
    running.process.wait()
    lake = {"PLAYSMART_LAKE__URL": f"{tmp_path}/lake"}
    settings = {
        "STORAGE__URL": f"sqlite:///{tmp_path}/data/playsmart.db",
        "LAKE__URL": f"{tmp_path}/lake",
    }
    assert Forks(tmp_path).run(("lake", "--once"), settings).code == 0
    done = run(tmp_path, "--clean", "--yes", "--json", **lake)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["rows"]
    assert (rows["event_rows"], rows["batches"]) == (400, 40)
    assert rows["lake"] >= 200
    asked = "SELECT DISTINCT game_id FROM events"
    left = Forks(tmp_path).run(("query", "--json", asked), settings)
    assert json.loads(left.output)["rows"] == [["real"]]
    assert GAME_ID not in (tmp_path / "lake" / "manifest.json").read_text()
    again = run(tmp_path, "--clean", "--yes", **lake)
    assert (again.exit_code, "removed: 0 rows" in again.stdout) == (0, True)


def test_a_store_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    for option in ("--yes", "--dry-run"):
        assert isinstance(run(tmp_path, "--clean", option).exception, SinkUnavailable)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--clean", "--requests", "3"), "--clean sends nothing; leave out --requests."),
        (("--clean", "--url", "http://x", "--seed", "2"), "leave out --url and --seed."),
        (("--dry-run",), "--dry-run and --yes go with --clean"),
        (("--yes", "--requests", "3"), "--dry-run and --yes go with --clean"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    refused = run(tmp_path, *arguments)
    assert (refused.exit_code, told in refused.output) == (2, True), refused.output


def test_everybody_who_is_made_up_is_known_by_the_id() -> None:
    assert PLAYER_PREFIX.startswith(GAME_ID)
