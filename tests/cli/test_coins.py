"""``coins``, ``coins adjust`` and ``audit``: beside a running gateway, and against its file."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.cli import commands
from playsmart_gateway.errors import AdjustmentRefused, SinkUnavailable
from tests.support.process import SECRET, RunningGateway, StartGateway
from tests.support.uploads import as_toml, make_event, make_upload

GAMES = json.dumps(
    [
        {"id": "com.example.game", "coins_enabled": True, "reward_fixed_amount": 10,
         "level_completion_multiplier": 1.5, "event_trigger_threshold": 2},
        {"id": "com.example.dice", "coins_enabled": True, "reward_mode": "random_range",
         "reward_min_amount": 5, "reward_max_amount": 15},
    ]
)  # fmt: skip

Invoke = Callable[..., Result]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway whose player ``[b]ada`` has completed two levels and jumped twice."""
    running = RunningGateway(
        tmp_path_factory.mktemp("played"),
        {
            "PLAYSMART_AUTH__SECRET": SECRET,
            "PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "0.05",
            "PLAYSMART_GAMES": as_toml(GAMES),
        },
    )
    jump = make_event("Custom", customEventName="jump")
    try:
        events = (make_event("LevelCompleted"), jump, make_event("AppOpen"), jump)
        running.post(make_upload("[b]ada", *events), sub="[b]ada")
        dice = make_upload("[b]ada", make_event("LevelCompleted"), game_id="com.example.dice")
        running.post(dice, sub="[b]ada")
        running.settle()
        yield running
    finally:
        running.close()


@pytest.fixture
def invoke(played: RunningGateway) -> Invoke:
    """Run a command on the store of that gateway, which goes on running."""

    def invoke_command(*arguments: str) -> Result:
        url = f"sqlite:///{played.folder}/data/playsmart.db"
        environment = {"PLAYSMART_STORAGE__URL": url}
        return CliRunner().invoke(commands, arguments, env=environment)

    return invoke_command


def test_a_player_without_events_is_told_so(invoke: Invoke) -> None:
    result = invoke("coins", "nobody")
    assert result.exit_code == 1
    assert "no event of this player is stored" in result.output


def test_every_coin_is_shown_with_its_event_and_its_rule(invoke: Invoke) -> None:
    result = invoke("coins", "[b]ada")
    assert result.exit_code == 0
    first, _, *lines = result.output.splitlines()
    assert first.startswith("[b]ada: ")
    dice, jump, level = lines
    assert "(drawn from 5 to 15) x 1" in dice
    assert "com.example.dice" in dice
    assert "each 2 custom events: 10 x 0.5" in jump
    assert "jump 2026-04-22T14:30:00.000000Z" in jump
    assert "level completed: 10 x 1.5" in level
    assert "+15" in level
    assert "LevelCompleted" in level


def test_the_ledger_is_json_for_machines(invoke: Invoke) -> None:
    shown = json.loads(invoke("coins", "show", "[b]ada", "--json", "--limit", "2").output)
    assert shown["player"]["coins_balance"] >= 25
    assert [entry["trigger"] for entry in shown["ledger"]] == ["level_complete", "event_trigger"]
    assert shown["ledger"][1]["because"] == "each 2 custom events: 10 x 0.5"


def test_an_adjustment_beside_a_running_gateway_is_in_the_ledger_with_its_reason(
    invoke: Invoke, played: RunningGateway
) -> None:
    before = json.loads(invoke("coins", "[b]ada", "--json").output)["player"]["coins_balance"]
    result = invoke("coins", "adjust", "[b]ada", "--amount", "-5", "--reason", "case 17")
    assert (result.exit_code, result.output) == (0, f"deduct 5: {before} -> {before - 5}\n")
    played.post(make_upload("[b]ada", make_event("LevelCompleted")), sub="[b]ada")
    played.settle()
    given = invoke("coins", "adjust", "[b]ada", "--amount", "7", "--reason", "sorry", "--json")
    assert json.loads(given.output)["balance_after"] == before - 5 + 15 + 7
    table = invoke("coins", "[b]ada").output
    assert "case 17" in table
    assert invoke("audit").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--amount", "0", "--reason", "x"), "must not be 0"),
        (("--amount", "5", "--reason", " "), "must say why"),
        (("--amount", "5"), "--reason"),
        (("--amount", "1e3", "--reason", "x"), "--amount"),
        (("--amount", str(10**13), "--reason", "x"), "--amount"),
    ],
)
def test_an_adjustment_that_says_nothing_is_exit_code_2(
    invoke: Invoke, arguments: tuple[str, ...], complaint: str
) -> None:
    result = invoke("coins", "adjust", "[b]ada", *arguments)
    assert result.exit_code == 2
    assert complaint in result.output


def test_more_than_the_balance_is_taken_only_by_force(invoke: Invoke) -> None:
    take = ("coins", "adjust", "[b]ada", "--amount", "-100000", "--reason", "fraud")
    refused = invoke(*take)
    assert isinstance(refused.exception, AdjustmentRefused)
    assert invoke(*take, "--force").exit_code == 0
    assert (
        invoke("coins", "adjust", "[b]ada", "--amount", "100000", "--reason", "no").exit_code == 0
    )


def test_a_store_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    environment = {"PLAYSMART_STORAGE__URL": f"sqlite:///{tmp_path}/none.db"}
    for command in (("coins", "ada"), ("audit",), ("coins", "adjust", "a", "--amount", "1",
                    "--reason", "x")):  # fmt: skip
        result = CliRunner().invoke(commands, command, env=environment)
        assert isinstance(result.exception, SinkUnavailable)
        assert result.exception.hint
    assert not list(tmp_path.iterdir())


def test_a_database_of_an_older_gateway_is_told_and_not_asked(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE players (user_id TEXT)")
        db.execute("PRAGMA user_version = 6")
    for command in (("coins", "ada"), ("audit",), ("coins", "adjust", "a", "--amount", "1",
                    "--reason", "x")):  # fmt: skip
        environment = {"PLAYSMART_STORAGE__URL": f"sqlite:///{path}"}
        result = CliRunner().invoke(commands, command, env=environment)
        assert "has schema version 6 of " in str(result.exception)


def test_the_audit_lists_what_is_wrong_with_exit_code_1(
    invoke: Invoke, played: RunningGateway, tmp_path: Path
) -> None:
    result = invoke("audit")
    assert result.exit_code == 0
    assert result.output.endswith("every coin is right\n")
    copy = tmp_path / "copy.db"
    with (
        closing(sqlite3.connect(played.folder / "data" / "playsmart.db")) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
        target.execute("UPDATE players SET coins_balance = coins_balance + 1")
        target.commit()
    environment = {"PLAYSMART_STORAGE__URL": f"sqlite:///{copy}"}
    result = CliRunner().invoke(commands, ("audit",), env=environment)
    assert result.exit_code == 1
    assert result.output.startswith("wrong_balance: player [b]ada has ")
    result = CliRunner().invoke(commands, ("audit", "--json"), env=environment)
    assert result.exit_code == 1
    (violation,) = json.loads(result.output)["violations"]
    assert violation["kind"] == "wrong_balance"


def test_an_award_that_a_cap_cut_says_so(start_gateway: StartGateway, tmp_path: Path) -> None:
    rules = (
        '[{id = "com.example.game", coins_enabled = true, reward_fixed_amount = 10,'
        " max_coins_per_day = 25}]"
    )
    running = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.01", GAMES=rules)
    for _ in range(2):
        running.post(make_upload("ada", *[make_event("LevelCompleted")] * 2), sub="ada")
        running.settle()
    environment = {"PLAYSMART_STORAGE__URL": f"sqlite:///{tmp_path}/data/playsmart.db"}
    ledger = CliRunner().invoke(commands, ("coins", "ada"), env=environment)
    assert ledger.stdout.startswith("ada: 25 coins")
    assert ledger.stdout.count("up to the day's cap of 25") == 1
    audit = CliRunner().invoke(commands, ("audit",), env=environment)
    assert "2 awards were cut by max_coins_per_day" in audit.stdout
    assert audit.stdout.endswith("every coin is right\n")
    assert running.stop() == 0
    assert len(running.events_after(0)) == 4
