"""The whole gateway on PostgreSQL: what is read back over HTTP, and every command beside it."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.cli import commands
from playsmart_gateway.errors import ConfigError, SinkUnavailable
from playsmart_gateway.load import Baseline
from tests.console.watch import Watch
from tests.dialects.lynes.client import PROJECT
from tests.support import warm
from tests.support.commands import Run, outcome
from tests.support.engines.postgres import PASSWORD, PostgresServer, fetch
from tests.support.polling import PATIENCE_SECONDS, wait_until
from tests.support.process import SECRET, RunningGateway, clean_environment
from tests.support.teak import APPS, BATCH, call, event, identify
from tests.support.uploads import make_event, make_upload

TOKEN = "a token of operators"
OPERATOR = {"authorization": f"Bearer {TOKEN}"}
GAMES = '[{id = "com.example.game", coins_enabled = true, reward_fixed_amount = 7}]'
PROJECT_OPTION = ("--config", str(PROJECT))
APP = ("--app", "your_teak_app_id")
Invoke = Callable[..., Result]


class Played(RunningGateway):
    """A gateway that keeps its events at ``database``."""

    def __init__(self, folder: Path, database: str) -> None:
        self.database = database
        self.settings = {
            "PLAYSMART_AUTH__SECRET": SECRET,
            "PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "0.02",
            "PLAYSMART_GAMES": GAMES,
            "PLAYSMART_JOURNAL__PATH": f"{folder}/data/journal",
            "PLAYSMART_OPERATOR__TOKEN": TOKEN,
            "PLAYSMART_STORAGE__URL": database,
            "PLAYSMART_TEAK__APPS": APPS,
        }
        super().__init__(folder, self.settings, *PROJECT_OPTION)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """What the database says."""
        return asyncio.run(fetch(self.database, query))


def level(number: int) -> dict[str, Any]:
    return make_event("LevelCompleted", customdata={"level": number, "score": 10 * number})


def play(running: Played) -> None:
    """Three dialects, some players: twelve events."""
    lost = make_event("Custom", customEventName="level_failed", customdata={"level": 2})
    for user, *events in (
        ("ada", make_event(), level(1), level(2)),
        ("bob", make_event(), level(1), lost),
    ):
        assert running.post(make_upload(user, *events), sub=user).status_code == 202
    identify(running, "ada", email="ada@example.com")
    spins = [event("ada", value=value) for value in ("0.1", "0.2", "1e300")]
    assert call(running, BATCH, events=spins).json()["summary"]["successful_events"] == 3
    for platform in ("ios", "web"):
        assert lynes(running, "daily_login", platform=platform).is_success
    running.settle()


def lynes(running: Played, event_id: str, **metadata: object) -> httpx.Response:
    body = {"eventId": event_id, "userId": "ada", "metadata": metadata}
    return running.client.post("/event", json=body, headers=bearer(running))


def bearer(running: RunningGateway, subject: str = "app") -> dict[str, str]:
    return {"authorization": f"Bearer {running.token(subject)}"}


@pytest.fixture(scope="module")
def played(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Played]:
    database = asyncio.run(postgres_server.create_database())
    running = Played(tmp_path_factory.mktemp("played"), database)
    try:
        play(running)
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log
        assert PASSWORD not in running.log
    finally:
        running.close()


@pytest.fixture
def invoke(played: Played) -> Invoke:
    """Run a command on the store of that gateway, which goes on running."""

    def invoke_command(*arguments: str) -> Result:
        result = CliRunner().invoke(commands, arguments, env=played.settings)
        assert PASSWORD not in result.output
        return result

    return invoke_command


# --- over HTTP -----------------------------------------------------------------------------------


def get(running: RunningGateway, path: str, subject: str = "app") -> Any:
    answer = running.client.get(path, headers=bearer(running, subject))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_numbers_of_the_dashboard_are_those_of_plain_sql(played: Played) -> None:
    def counted() -> dict[str, Any] | None:
        answer = played.client.get("/dashboard/data?range=1h", headers=OPERATOR)
        figures: dict[str, Any] = answer.json()["figures"]
        followed = figures["followed"]
        return figures if followed["position"] == followed["end"] else None

    figures = wait_until(counted)
    types: Counter[tuple[str, str]] = Counter()
    for each in figures["counts"]:
        types[each["source"], each["type"]] += each["events"]
    stored = played.ask("SELECT source, type, count(*) FROM events GROUP BY source, type")
    assert types == {(source, kind): events for source, kind, events in stored}
    ((players,),) = played.ask("SELECT count(DISTINCT user_id) FROM events")
    assert sum(day["new_players"] for day in figures["days"]) == players == 2
    levels = played.ask(
        "SELECT customdata ->> 'level' AS level, count(*) FILTER (WHERE type = 'LevelCompleted'),"
        " count(*) FILTER (WHERE type = 'Custom') FROM events"
        " WHERE source = 'playsmart' AND type <> 'AppOpen' GROUP BY level ORDER BY level"
    )
    shown = [(row["level"], row["completions"], row["failures"]) for row in figures["levels"]]
    assert shown == levels
    ((coins,),) = played.ask("SELECT sum(amount) FROM coin_transactions WHERE type = 'earn'")
    assert sum(each["coins"] for each in figures["coins"]) == coins
    (action,) = [each for each in figures["actions"] if each["action"] == "spin"]
    assert (action["events"], action["occurrences"]) == (3, 3)
    (field,) = figures["fields"]
    assert (field["name"], field["common"]) == ("platform", [["ios", 1], ["web", 1]])
    # Not the latest: an event that waits for its commit may overtake those in the buffer.
    last = "SELECT received_at FROM events ORDER BY event_id DESC LIMIT 1"
    assert figures["counted_until"] == played.ask(last)[0][0]


def test_a_player_and_their_ledger_are_read_back(played: Played) -> None:
    ada = get(played, "/v1/players/ada", "ada")["data"]
    assert (ada["sessions"], ada["best_score"], ada["total_games_played"]) == (1, None, 0)
    ledger = get(played, "/v1/players/ada/transactions", "ada")["data"]
    stored = played.ask(
        "SELECT id, amount, balance_after FROM coin_transactions WHERE user_id = 'ada'"
        " ORDER BY id DESC"
    )
    assert [(int(e["id"]), e["amount"], e["balance_after"]) for e in ledger] == stored
    assert ada["coins_balance"] == stored[0][2]
    assert get(played, "/v1/players/bob", "bob")["data"]["coins_balance"] == 7


def test_points_history_streaks_and_statistics_are_read_back(played: Played) -> None:
    ((points,),) = played.ask("SELECT points FROM lynes_users WHERE user_id = 'ada'")
    assert str(points) in json.dumps(get(played, "/user/ada/points"))
    entries = played.ask("SELECT entry_id, points FROM lynes_history ORDER BY entry_id DESC")
    history = get(played, "/user/ada/history")["data"]
    assert [(int(each["id"]), each["points"]) for each in history] == entries
    assert "daily_app_use" in json.dumps(get(played, "/user/ada/streak"))
    assert '"ios"' in json.dumps(get(played, "/stats/event?eventId=daily_login"))
    assert "daily_app_use" in json.dumps(get(played, "/analytics/streak"))


def test_the_inspector_shows_what_a_batch_earned(played: Played) -> None:
    with Watch(played, "", OPERATOR) as watch:
        assert played.post(make_upload("eve", level(3)), sub="eve").status_code == 202
        (request,) = watch.requests(1)
        assert watch.fate_of(request)["state"] == "stored"
        wait_until(lambda: watch.fate_of(request).get("coins"))
        assert watch.fate_of(request)["coins"] == 7


# --- commands ------------------------------------------------------------------------------------


def test_tail_prints_the_last_events_and_goes_on(played: Played, run: Run) -> None:
    settings = {name.removeprefix("PLAYSMART_"): text for name, text in played.settings.items()}
    tail = run("tail", "-n", "1", "--player", "bob", "--json", **settings)
    wait_until(lambda: tail.output or None)
    assert played.post(make_upload("bob"), sub="bob").status_code == 202
    wait_until(lambda: tail.output.count("\n") == 2 or None)
    tail.process.send_signal(signal.SIGINT)
    code, output = outcome(tail)
    last, new = map(json.loads, output.splitlines())
    assert (code, last["custom_event_name"], new["type"]) == (0, "level_failed", "AppOpen")


def test_export_writes_what_is_stored(played: Played, invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    assert invoke("export", "--output", str(file), "--player", "ada").exit_code == 0
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    stored = played.ask("SELECT event_id FROM events WHERE user_id = 'ada' ORDER BY event_id")
    assert [row["event_id"] for row in rows] == [event_id for (event_id,) in stored]


def test_stats_count_events_and_sum_up_apps_and_lynes(invoke: Invoke) -> None:
    counted = json.loads(invoke("stats", "--json", "--type", "LevelCompleted").stdout)
    assert counted["events"] >= 3
    app = json.loads(invoke("stats", *APP, "--json").stdout)
    (spin,) = [each for each in app["actions"] if each["action_type"] == "spin"]
    assert spin["value"] == f"1{'0' * 300}.3"
    login = json.loads(invoke("stats", "--event", "daily_login", "--json", *PROJECT_OPTION).stdout)
    assert login["summary"]["events"] == 2
    strings = login["summary"]["fields"]["platform"]["strings"]["mostCommon"]
    assert [each["value"] for each in strings] == ["ios", "web"]


def test_coins_are_shown_corrected_and_audited(invoke: Invoke) -> None:
    before = json.loads(invoke("coins", "ada", "--json").stdout)["player"]["coins_balance"]
    assert "level completed: 7 x 1" in invoke("coins", "ada").stdout
    given = invoke("coins", "adjust", "ada", "--amount", "5", "--reason", "sorry")
    assert given.stdout == f"earn 5: {before} -> {before + 5}\n"
    audit = invoke("audit")
    assert (audit.exit_code, "every coin is right" in audit.stdout) == (0, True)


def test_players_are_excluded_included_and_opted_out(played: Played, invoke: Invoke) -> None:
    assert invoke("exclude", "ada", *APP).exit_code == 0
    assert played.ask("SELECT email FROM app_players WHERE user_id = 'ada'") == [(None,)]
    assert invoke("include", "ada", *APP).exit_code == 0
    assert invoke("opt", "ada", "out", *APP, "--channel", "email").exit_code == 0
    assert played.ask("SELECT email_state FROM app_players") == [("opt_out",)]


def test_doctor_finds_the_database_whole(invoke: Invoke) -> None:
    told = {each["subject"]: each for each in json.loads(invoke("doctor", "--json").stdout)}
    assert (told["database"]["level"], "is whole" in told["database"]["text"]) == ("ok", True)


def test_check_config_shows_no_password(invoke: Invoke) -> None:
    assert "postgresql://gateway:********@" in invoke("check-config").stdout


def test_load_is_verified_in_the_database(played: Played, invoke: Invoke) -> None:
    sent = ("load", "--url", played.url, "--requests", "20", "--events", "5", "--players", "3")
    result = invoke(*sent, "--verify", played.database, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["verify"]["stored"] == 100


def test_what_load_left_is_removed_and_nothing_else(played: Played, invoke: Invoke) -> None:
    others = "SELECT count(*) FROM events WHERE game_id <> 'load.playsmart'"
    before = played.ask(others)
    sent = ("load", "--url", played.url, "--requests", "12", "--events", "5", "--players", "3")
    assert invoke(*sent, "--verify", played.database).exit_code == 0
    done = invoke("load", "--clean", "--yes", "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["rows"]
    assert (rows["event_rows"] >= 60, rows["players"]) == (True, 3)
    assert played.ask("SELECT count(*) FROM events WHERE game_id = 'load.playsmart'") == [(0,)]
    assert played.ask("SELECT user_id FROM players WHERE user_id LIKE 'load.%'") == []
    assert played.ask(others) == before


def test_retention_deletes_what_is_old(played: Played, invoke: Invoke) -> None:
    ((events,),) = played.ask("SELECT count(*) FROM events")
    counted = json.loads(invoke("retention", "--older-than", "1s", "--dry-run", "--json").stdout)
    assert counted["events"] <= events
    assert json.loads(invoke("retention", "--older-than", "90d", "--json").stdout)["events"] == 0


def test_erase_works_beside_a_gateway_and_leaves_the_others(
    postgres_url: str, tmp_path: Path
) -> None:
    running = Played(tmp_path, postgres_url)
    try:
        play(running)
        erase = ("erase", "ada", "--yes", "--json", *PROJECT_OPTION)
        erased = json.loads(CliRunner().invoke(commands, erase, env=running.settings).stdout)
        assert (erased["rows"]["players"], erased["write_ahead_log_left"]) == (1, False)
        assert running.ask("SELECT DISTINCT user_id FROM events") == [("bob",)]
        assert running.ask("SELECT user_id FROM lynes_users") == []
        unknown = CliRunner().invoke(commands, erase, env=running.settings)
        assert (unknown.exit_code, "no player goes by that id" in unknown.output) == (1, True)
        assert running.stop() == 0
    finally:
        running.close()


@pytest.mark.parametrize(
    "command", [("tail",), ("coins", "ada"), ("audit",), ("stats",), ("include", "ada", *APP)]
)
def test_a_database_without_tables_is_told_and_gets_none(
    postgres_url: str, command: tuple[str, ...]
) -> None:
    result = CliRunner().invoke(commands, command, env={"PLAYSMART_STORAGE__URL": postgres_url})
    assert isinstance(result.exception, SinkUnavailable)
    assert "start the gateway once" in f"{result.exception} {result.exception.hint}".lower()
    assert asyncio.run(fetch(postgres_url, "SELECT to_regclass('events')")) == [(None,)]


def test_a_server_that_is_not_there_is_told_without_the_password(tmp_path: Path) -> None:
    url = f"postgresql://gateway:{PASSWORD}@127.0.0.1:1/games"
    finished = warm.run(
        ["tail"],
        folder=tmp_path,
        environment=clean_environment(PLAYSMART_STORAGE__URL=url),
        timeout=PATIENCE_SECONDS,
    )
    assert (finished.returncode, finished.stderr.count("\n")) == (1, 1)
    assert finished.stderr.startswith("error: ")
    assert PASSWORD not in finished.stderr
    result = CliRunner().invoke(commands, ("load", "--token", "x", "--verify", url))
    assert PASSWORD not in repr(result.exception) + result.output


def test_a_load_is_not_verified_in_a_database_that_no_gateway_has_made(postgres_url: str) -> None:
    with pytest.raises(ConfigError, match="cannot verify: the database has no events"):
        Baseline.take(postgres_url)
    with pytest.raises(ConfigError, match="cannot verify"):
        Baseline.take(f"{postgres_url}-that-is-not-there")
