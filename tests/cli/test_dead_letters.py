"""``dead-letters list|show|replay``: what the store refused, stored exactly once after all."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.cli import commands
from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.open import open_store
from tests.support import warm
from tests.support.doubles import make_batch
from tests.support.polling import wait_until
from tests.support.process import SECRET, RunningGateway, clean_environment
from tests.support.stores import execute, select
from tests.support.uploads import make_event, make_upload

pytestmark = pytest.mark.process

GAME = "com.example.game"
PAYS = "coins_enabled = true, reward_fixed_amount = 7, event_trigger_threshold = 1"
GAMES = f'[{{id = "{GAME}", {PAYS}, event_trigger_multiplier = 1.0}}]'
RULE = Rule.paying(
    GAME, bounds=(7, 7), level_multiplier=1.0, trigger_threshold=1, trigger_multiplier=1.0
)
Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str) -> Run:
    def invoke(*arguments: str) -> Result:
        environment = {"PLAYSMART_STORAGE__URL": database_url, "PLAYSMART_GAMES": GAMES}
        return CliRunner().invoke(commands, ("dead-letters", *arguments), env=environment)

    return invoke


def bury(url: str, *letters: tuple[Batch, str]) -> None:
    async def all_of_them() -> None:
        async with open_store(url, [RULE]) as sink:
            await sink.write([make_batch(1_000, 1, "somebody")])
            for batch, reason in letters:
                await sink.bury(batch, reason)

    asyncio.run(all_of_them())


def ask(url: str, query: str) -> Any:
    return asyncio.run(select(url, query))


def letters(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)["dead_letters"]
    return found


def of_many(*user_ids: str) -> Batch:
    rows: list[list[Any]] = [
        ["Played", None, "2026-04-22T14:30:00Z", {}, None, user] for user in user_ids
    ]
    batch = make_batch(50, len(user_ids), "")
    batch.source, batch.game_id, batch.rows = "teak", "app", msgspec.json.encode(rows)
    return batch


def test_every_letter_is_listed_and_can_be_chosen(run: Run, database_url: str) -> None:
    other = make_batch(2, 1, "bob")
    other.game_id = "other"
    bury(
        database_url,
        (make_batch(1, 3, "ada"), "NotNullViolationError, column extra"),
        (other, "a trigger raised an error (guard)"),
        (of_many("ada", "eve"), "a trigger raised an error (guard)"),
    )
    found = letters(run("list", "--json"))
    assert {(each["id"], each["event_count"]) for each in found} == {
        (f"{'11' * 16}-1", 3), (f"{'11' * 16}-2", 1), (f"{'11' * 16}-50", 2),
    }  # fmt: skip
    assert {"rows", "customdata"}.isdisjoint(found[0])

    def chosen(*options: str) -> list[int]:
        return sorted(each["sequence"] for each in letters(run("list", "--json", *options)))

    assert chosen("--game", "other") == [2]
    assert chosen("--player", "ada") == [1, 50]
    assert chosen("--player", "bob") == [2]
    assert chosen("--reason", "GUARD") == [2, 50]
    assert chosen("--source", "teak") == [50]
    assert chosen("--since", "2026-01-01") == [1, 2, 50]
    assert chosen("--since", "2199-01-01") == []
    assert chosen("--reason", "guard", "--source", "playsmart") == [2]
    told = run("list")
    assert told.exit_code == 0
    assert "3 dead letters with 6 events" in told.output
    dry = letters(run("replay", "--dry-run", "--json", "--player", "bob"))
    assert [each["sequence"] for each in dry] == [2]
    assert ask(database_url, "SELECT count(*) FROM dead_letters") == [(3,)]


def test_a_name_chooses_letters_with_such_an_event_and_a_player_together_with_it(
    run: Run, database_url: str
) -> None:
    mixed = of_many("ada", "eve")
    mixed.rows = msgspec.json.encode(
        [
            ["Custom", "boss", "2026-04-22T14:30:00Z", {}, None, "ada"],
            ["Custom", "jump", "2026-04-22T14:30:00Z", {}, None, "eve"],
        ]
    )
    broken = make_batch(3, 1, "ada")
    broken.rows = b"["
    bury(database_url, (make_batch(1, 3, "ada"), "no"), (mixed, "no"), (broken, "no"))

    def chosen(*options: str) -> list[int]:
        return sorted(each["sequence"] for each in letters(run("list", "--json", *options)))

    assert chosen("--name", "e2") == [1]
    assert chosen("--name", "e3") == []
    assert chosen("--name", "boss") == [50]
    assert chosen("--name", "boss", "--player", "ada") == [50]
    assert chosen("--name", "boss", "--player", "eve") == []
    assert chosen("--name", "e0", "--player", "eve") == []
    assert chosen("--player", "ada") == [1, 3, 50]
    dry = letters(run("replay", "--dry-run", "--json", "--name", "boss"))
    assert [each["sequence"] for each in dry] == [50]


def test_one_is_shown_with_its_rows_and_drives_no_terminal(run: Run, database_url: str) -> None:
    batch = make_batch(1, 1, "a\x1b[31mda")
    bury(database_url, (batch, "odd\x07 reason"))
    name = f"{'11' * 16}-1"
    shown = run("show", name)
    assert shown.exit_code == 0, shown.output
    assert '"1.0"' in shown.output
    assert "\x1b" not in shown.output + run("list").output
    assert "\x07" not in shown.output + run("list").output
    content = json.loads(run("show", name, "--json").stdout)
    assert content["rows"] == json.loads(batch.rows)
    missing = run("show", "nothing")
    assert missing.exit_code == 1
    assert "no such dead letter" in missing.output


def test_a_replay_stores_and_pays_once_however_often_it_is_run(run: Run, database_url: str) -> None:
    bury(database_url, *((make_batch(number, 2, "ada"), "guard") for number in range(1, 6)))
    first = json.loads(run("replay", "--json").stdout)
    assert first == {"dry_run": False, "replayed": 5, "stored": 10, "duplicate": 0, "refused": {}}
    second = run("replay")
    assert second.exit_code == 0
    assert "replayed 0 dead letters" in second.output
    assert ask(database_url, "SELECT coins_balance FROM players WHERE user_id = 'ada'") == [(70,)]
    assert ask(database_url, "SELECT count(*) FROM dead_letters") == [(0,)]
    environment = {"PLAYSMART_STORAGE__URL": database_url, "PLAYSMART_GAMES": GAMES}
    audit = CliRunner().invoke(commands, ("audit",), env=environment)
    assert audit.exit_code == 0, audit.output


def test_a_replay_that_is_given_no_configuration_pays_as_the_gateway_did_last(
    database_url: str,
) -> None:
    """As in development, whose games are in no file; nor does it say that they pay no more."""
    bury(database_url, *((make_batch(number, 2, "ada"), "guard") for number in range(1, 4)))
    rules = ask(database_url, "SELECT * FROM game_rules")
    environment = {"PLAYSMART_STORAGE__URL": database_url, "PLAYSMART_CONFIG": ""}
    told = CliRunner().invoke(commands, ("dead-letters", "replay"), env=environment)
    assert told.exit_code == 0, told.output
    assert ask(database_url, "SELECT coins_balance FROM players WHERE user_id = 'ada'") == [(42,)]
    assert ask(database_url, "SELECT * FROM game_rules") == rules


def test_a_replay_pays_as_the_configuration_says_that_it_is_given(database_url: str) -> None:
    for number, games in enumerate((GAMES.replace("= 7", "= 9"), f'[{{id = "{GAME}"}}]'), 1):
        bury(database_url, (make_batch(number, 2, "ada"), "guard"))
        environment = {"PLAYSMART_STORAGE__URL": database_url, "PLAYSMART_GAMES": games}
        told = CliRunner().invoke(commands, ("dead-letters", "replay"), env=environment)
        assert told.exit_code == 0, told.output
    assert ask(database_url, "SELECT coins_balance FROM players WHERE user_id = 'ada'") == [(18,)]


def test_one_that_the_store_has_already_is_not_stored_again(run: Run, database_url: str) -> None:
    batch = make_batch(1, 2, "ada")
    bury(database_url, (batch, "guard"))

    async def store() -> None:
        async with open_store(database_url, [RULE]) as sink:
            await sink.write([batch])

    asyncio.run(store())
    told = json.loads(run("replay", "--json", f"{'11' * 16}-1", "unknown-1").stdout)
    assert (told["stored"], told["duplicate"]) == (0, 2)
    assert ask(database_url, "SELECT coins_balance FROM players WHERE user_id = 'ada'") == [(14,)]


def test_what_is_still_refused_stays_and_the_others_are_stored(run: Run, database_url: str) -> None:
    unreadable = make_batch(1, 1, "eve")
    unreadable.rows = b"not a batch"
    bury(database_url, (unreadable, "poison"), (make_batch(2, 1, "ada"), "guard"))
    result = run("replay")
    assert result.exit_code == 1
    assert f"refused: {'11' * 16}-1: " in result.output
    assert "not a batch" not in result.output
    assert ask(database_url, "SELECT sequence FROM dead_letters") == [(1,)]
    assert ask(database_url, "SELECT count(*) FROM event_rows") == [(2,)]
    assert run("show", f"{'11' * 16}-1").exit_code == 0


def test_killed_in_the_middle_and_run_again_all_is_stored_once(
    run: Run, database_url: str, tmp_path: Path
) -> None:
    count = 300
    bury(database_url, *((make_batch(n, 2, f"player-{n}"), "guard") for n in range(1, count + 1)))
    for _ in range(2):
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            process = warm.start(
                ["dead-letters", "replay"],
                folder=tmp_path,
                environment=clean_environment(
                    PLAYSMART_STORAGE__URL=database_url, PLAYSMART_GAMES=GAMES
                ),
                stdout=nowhere,
            )
        before = ask(database_url, "SELECT count(*) FROM dead_letters")

        def some_are_gone(before: Any = before) -> bool | None:
            return ask(database_url, "SELECT count(*) FROM dead_letters") != before or None

        wait_until(some_are_gone)
        process.kill()
        process.wait()
    assert run("replay").exit_code == 0
    assert ask(database_url, "SELECT count(*) FROM dead_letters") == [(0,)]
    assert ask(database_url, "SELECT count(*) FROM event_rows") == [(2 * count + 1,)]
    coins = ask(database_url, "SELECT min(coins_balance), max(coins_balance) FROM players"
                " WHERE user_id LIKE 'player-%'")  # fmt: skip
    assert coins == [(14, 14)]


def test_beside_a_running_gateway_that_has_it_in_its_journal(
    run: Run, database_url: str, tmp_path: Path
) -> None:
    settings = {
        "PLAYSMART_AUTH__SECRET": SECRET,
        "PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "0.02",
        "PLAYSMART_STORAGE__URL": database_url,
        "PLAYSMART_GAMES": GAMES,
    }
    running = RunningGateway(tmp_path, settings)
    try:
        poison = (
            "CREATE TRIGGER guard BEFORE INSERT ON event_rows WHEN new.customdata LIKE '%poison%'"
            " BEGIN SELECT RAISE(ABORT, 'no'); END"
            if database_url.startswith("sqlite")
            else "ALTER TABLE event_rows ADD CONSTRAINT guard"
            " CHECK (customdata::text NOT LIKE '%poison%') NOT VALID"
        )
        undo = (
            "DROP TRIGGER guard"
            if database_url.startswith("sqlite")
            else "ALTER TABLE event_rows DROP CONSTRAINT guard"
        )
        asyncio.run(execute(database_url, poison))
        bad = make_event("Custom", customEventName="x", customdata={"a": "poison"})
        assert running.post(make_upload("ada", bad, bad), sub="ada").status_code == 202
        wait_until(lambda: ask(database_url, "SELECT 1 FROM dead_letters") or None)
        ((reason,),) = ask(database_url, "SELECT reason FROM dead_letters")
        assert "guard" in reason
        assert "poison" not in reason + running.log
        assert running.client.get("/readyz").status_code == 200
        asyncio.run(execute(database_url, undo))
        told = json.loads(run("replay", "--json").stdout)
        assert told["stored"] == 2
        running.process.kill()  # its journal still has the batch
        running.process.wait()
    finally:
        running.close()
    again = RunningGateway(tmp_path, settings)
    try:
        again.settle()
        assert again.stop() == 0
    finally:
        again.close()
    assert ask(database_url, "SELECT count(*) FROM event_rows") == [(2,)]
    assert ask(database_url, "SELECT coins_balance FROM players") == [(14,)]
    assert ask(database_url, "SELECT count(*) FROM dead_letters") == [(0,)]


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/none.db"
    result = CliRunner().invoke(
        commands, ("dead-letters", "replay"), env={"PLAYSMART_STORAGE__URL": url}
    )
    assert result.exception is not None
    assert not (tmp_path / "none.db").exists()
