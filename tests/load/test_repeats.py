"""Requests that are sent twice on purpose: which, and what must have come of them."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.cli.load import load_command
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.load import Baseline, Outcome, Repeated, Sessions, Verification, verify
from tests.load.database import execute, store
from tests.support.engines.postgres import PostgresServer
from tests.support.examples import examples
from tests.support.process import SECRET, RunningGateway, StartGateway

OK, REFUSED, UNKNOWN = Outcome.ACKNOWLEDGED, Outcome.REFUSED, Outcome.UNKNOWN
EVENTS = 3
SESSIONS = Sessions(
    ["anna", "ben"], events=EVENTS, seed=1, run=1_767_225_600_000_000, numbered=True
)
HALF = Repeated(SESSIONS, 0.5)
"""Sends 0 1 1 2 3 3 and so on."""
TABLES = """
    CREATE TABLE runs (run BLOB, duplicates INTEGER);
    CREATE TABLE players (user_id TEXT, coins_balance INTEGER);
    CREATE TABLE coin_transactions (
        id INTEGER, user_id TEXT, event_id INTEGER, type TEXT, amount INTEGER);
"""
GAMES = '[{id = "load.playsmart", coins_enabled = true, reward_fixed_amount = 7}]'


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "playsmart.db"
    store(path)
    for table in TABLES.split(";")[:-1]:
        execute(path, table)
    return path


def bodies(*positions: int) -> list[bytes]:
    return [HALF.body(position) for position in positions]


def count(database: Path, duplicates: int, runs: bytes = SESSIONS.runs) -> None:
    execute(database, f"INSERT INTO runs VALUES (x'{runs.hex()}{'0' * 36}', {duplicates})")


def pay(database: Path, event_id: int, user: str, amount: int) -> None:
    values = f"({event_id}, '{user}', {event_id}, 'earn', {amount})"
    execute(database, f"INSERT INTO coin_transactions VALUES {values}")


def check(
    database: Path, outcomes: Sequence[Outcome], change: Callable[[], object] = int
) -> Verification:
    """Verify what is in the database after ``change``, as if the run had begun before it."""
    baseline = Baseline.take(database)
    change()
    (lane,) = HALF.lanes(1)
    lane.outcomes.extend(outcomes)
    return verify(baseline, lambda: HALF.tally([lane]), timeout_seconds=0, settle_seconds=0.01)


# --- what is sent --------------------------------------------------------------------------------


@examples(30)
@given(st.integers(0, 1_000), st.integers(1, 3_000))
def test_a_share_of_requests_is_sent_again_none_before_its_first_time(
    thousandths: int, positions: int
) -> None:
    repeated = Repeated(SESSIONS, thousandths / 1_000)
    sent = [repeated.request(position) for position in range(positions)]
    firsts = list(dict.fromkeys(sent))
    assert firsts == list(range(len(firsts)))
    assert abs(positions - len(firsts) * (1 + thousandths / 1_000)) < 3
    assert max(Counter(sent).values()) <= 3
    bodies = {repeated.body(position) for position in range(min(positions, 50))}
    assert len(bodies) == len(set(sent[:50]))


def test_repeats_come_at_once_a_little_later_and_much_later() -> None:
    repeated = Repeated(SESSIONS, 0.25)
    newest, distances = -1, Counter[int]()
    for position in range(10_000):
        request = repeated.request(position)
        if request <= newest:
            distances[newest - request] += 1
        newest = max(newest, request)
    assert set(distances) == {0, 4 * 8, 4 * 1_000}


def test_a_run_is_a_hundred_requests_of_a_player_numbered_without_a_hole() -> None:
    nexts = Counter[str]()
    users = dict[str, str]()
    for request in range(450):
        body = json.loads(SESSIONS.body(request))
        run = body["run"]
        assert str(UUID(run)) == run
        assert UUID(run).bytes.startswith(SESSIONS.runs)
        assert users.setdefault(run, body["user_id"]) == body["user_id"]
        assert body["seq"] == nexts[run]
        nexts[run] += len(body["events"])
    assert sorted(nexts.values()) == [25 * EVENTS, 25 * EVENTS] + [100 * EVENTS] * 4


def test_without_repeats_nothing_is_numbered() -> None:
    plain = Sessions(["anna"], events=1, seed=1, run=1)
    assert not json.loads(plain.body(0)).keys() & {"run", "seq"}


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_from_0_to_1(share: float) -> None:
    with pytest.raises(ConfigError, match="is not from 0 to 1"):
        Repeated(SESSIONS, share)


# --- what must have come of it -------------------------------------------------------------------


def test_stored_once_and_counted_as_a_repeat_is_exactly_once(database: Path) -> None:
    count(database, EVENTS)
    count(database, 70, runs=b"others")
    found = check(database, [OK] * 4, lambda: store(database, *bodies(0, 1, 3)))
    assert found.exactly_once
    assert found.retries is not None
    assert (found.acknowledged, found.stored, found.duplicated) == (9, 9, 0)
    assert (found.retries.acknowledged_again, found.retries.counted) == (3, 3)


def test_a_gateway_that_stores_both_copies_is_reported(database: Path) -> None:
    found = check(database, [OK] * 4, lambda: store(database, *bodies(0, 1, 2, 3)))
    assert not found.exactly_once
    assert (found.stored, found.duplicated) == (9, EVENTS)


@pytest.mark.parametrize("counted", [0, EVENTS - 1, EVENTS + 1])
def test_repeats_that_are_not_counted_rightly_are_a_failure(database: Path, counted: int) -> None:
    count(database, counted)
    found = check(database, [OK] * 4, lambda: store(database, *bodies(0, 1, 3)))
    assert (found.missing, found.duplicated) == (0, 0)
    assert not found.exactly_once


@pytest.mark.parametrize("first", [OK, UNKNOWN])
@pytest.mark.parametrize("counted", [0, EVENTS])
def test_a_repeat_with_a_copy_that_was_not_answered_may_be_counted_or_not(
    database: Path, first: Outcome, counted: int
) -> None:
    count(database, counted)
    second = UNKNOWN if first == OK else OK
    found = check(database, [OK, first, second], lambda: store(database, *bodies(0, 1)))
    assert found.exactly_once
    assert (found.acknowledged, found.stored) == (6, 6)


def test_a_request_that_was_refused_and_then_taken_is_no_repeat(database: Path) -> None:
    found = check(database, [OK, REFUSED, OK], lambda: store(database, *bodies(0, 1)))
    assert found.exactly_once
    assert (found.acknowledged, found.stored) == (6, 6)


def test_coins_for_no_event_twice_for_one_or_beside_the_ledger_are_wrong(database: Path) -> None:
    def played(*more: tuple[int, str, int], balance: int = 7) -> int:
        execute(database, "DELETE FROM events")
        execute(database, "DELETE FROM coin_transactions")
        execute(database, "DELETE FROM players")
        execute(database, f"INSERT INTO players VALUES ('anna', {balance})")

        def change() -> None:
            store(database, *bodies(0))
            for entry in ((1, "anna", 7), *more):
                pay(database, *entry)

        found = check(database, [OK], change)
        assert found.retries is not None
        assert found.exactly_once is (found.retries.wrong_coins == 0)
        return found.retries.wrong_coins

    assert played() == 0
    assert played(balance=14) == 1
    assert played((99, "anna", 7), balance=14) == 1
    assert played((1, "anna", 7), balance=14) == 1


# --- with a gateway ------------------------------------------------------------------------------


def load(running: RunningGateway, database: str, *arguments: str) -> tuple[int, dict[str, object]]:
    command = ["--url", running.url, "--players", "5", "--events", "10", "--json"]
    result = CliRunner().invoke(
        load_command,
        [*command, "--verify", database, *arguments],
        env={"PLAYSMART_AUTH__SECRET": SECRET},
    )
    report: dict[str, object] = json.loads(result.stdout)
    return result.exit_code, report


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_a_gateway_stores_and_pays_each_once_and_counts_what_came_again(
    engine: str, request: pytest.FixtureRequest, start_gateway: StartGateway
) -> None:
    environment = {"GAMES": GAMES}
    database = ""
    if engine == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        database = asyncio.run(server.create_database())
        environment["STORAGE__URL"] = database
    running = start_gateway(**environment)
    database = database or str(running.folder / "data" / "playsmart.db")
    code, report = load(running, database, "--retries", "0.2", "--requests", "600")
    found = report["verify"]
    assert isinstance(found, dict)
    assert (code, found["exactly_once"]) == (0, True), report
    assert (found["acknowledged"], found["stored"]) == (5_000, 5_000)
    assert found["retries"]["acknowledged_again"] == found["retries"]["counted"] == 1_000
    assert found["retries"]["coins"] > 0
    assert found["retries"]["wrong_coins"] == 0
    assert running.settle()["duplicate"] == 1_000
