"""What one player may send in a second: taken, owed, refused, and shared by workers."""

import os
from collections.abc import Callable

import pytest

from playsmart_gateway.errors import RateLimited
from playsmart_gateway.pipeline.allowance import (
    BURST_SECONDS,
    MAX_KNOWN_AHEAD,
    Allowance,
)
from tests.support.doubles import FakeClock
from tests.support.process import RunningGateway, StartGateway
from tests.support.uploads import make_event, make_upload


def allowance(
    clock: FakeClock | None = None, events: int = 10, size: int = 0, sets: int = 64
) -> Allowance:
    clock = clock or FakeClock()
    return Allowance(events_per_second=events, bytes_per_second=size, clock=clock, sets=sets)


def ahead(limit: Allowance, subject: str) -> int | None:
    """For how long a player has to wait, as a request is looked at; None if not at all."""
    return wait(limit.admit, subject) if subject in limit.ahead else None


def wait(call: Callable[..., None], *arguments: object) -> int | None:
    """For how long a call is refused; None if it is not."""
    try:
        call(*arguments)
    except RateLimited as refusal:
        return refusal.retry_after_seconds
    return None


def test_a_player_may_be_ahead_by_the_burst_and_one_request_and_then_waits() -> None:
    clock = FakeClock()
    limit = allowance(clock)
    assert wait(limit.take, "ada", 200, 0) is None, "at any limit a whole batch is taken"
    assert ahead(limit, "ada") == 18
    assert wait(limit.take, "ada", 1, 0) == 18
    clock.advance(17.5)
    assert ahead(limit, "ada") == 1
    clock.advance(0.5)
    assert ahead(limit, "ada") is None
    assert wait(limit.take, "ada", 1, 0) is None


def test_in_the_long_run_the_limit_holds_to_the_event() -> None:
    clock = FakeClock()
    limit = allowance(clock)
    taken = 0
    for _ in range(1_000):  # a hundred seconds
        clock.advance(0.1)
        taken += 3 * (wait(limit.take, "ada", 3, 0) is None)
    assert 0 <= taken - 100 * 10 <= BURST_SECONDS * 10 + 3


def test_what_is_not_sent_now_is_not_saved_up_for_later() -> None:
    clock = FakeClock()
    limit = allowance(clock)
    limit.take("ada", 1, 0)
    clock.advance(3_600)
    limit.take("ada", 30, 0)
    assert wait(limit.take, "ada", 1, 0) == 1


def test_bytes_have_a_limit_of_their_own() -> None:
    clock = FakeClock()
    limit = allowance(clock, events=0, size=1_000)
    limit.take("ada", 200, 10_000)
    assert ahead(limit, "ada") == 8
    assert wait(limit.take, "ada", 1, 1) == 8
    clock.advance(8)
    assert wait(limit.take, "ada", 1, 1) is None
    clock.advance(100)
    limit.charge("ada", 10_000)
    limit.charge("ada", 10_000)
    assert ahead(limit, "ada") == 8, "what was refused already is not charged"


def test_one_player_takes_nothing_from_another() -> None:
    limit = allowance()
    limit.take("ada", 200, 0)
    assert ahead(limit, "bob") is None
    assert wait(limit.take, "bob", 200, 0) is None


def test_events_that_were_not_accepted_are_given_back() -> None:
    limit = allowance()
    limit.take("ada", 200, 0)
    limit.give_back("ada", 200, 0)
    assert wait(limit.take, "ada", 200, 0) is None
    limit.give_back("nobody", 5, 0)


def test_memory_does_not_grow_with_the_players_and_the_largest_debts_are_kept() -> None:
    limit = allowance(sets=4)
    for player in ("ada", "bob", "eve"):
        limit.take(player, 200, 0)
    for number in range(10_000):
        limit.take(f"player {number}", 1, 0)
    assert len(limit._names) == 4 * 4 * 2
    assert [wait(limit.take, player, 1, 0) for player in ("ada", "bob", "eve")] == [18, 18, 18]


def test_who_does_not_fit_is_let_in_rather_than_made_to_pay_for_others() -> None:
    limit = allowance(sets=1)
    for number in range(100):
        assert wait(limit.take, f"player {number}", 200, 0) is None


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # xdist has threads
def test_processes_count_a_player_together() -> None:
    limit = allowance()
    for _ in range(3):
        pid = os.fork()
        if not pid:
            limit.take("ada", 10, 0)
            os._exit(0)
        os.waitpid(pid, 0)
    assert wait(limit.take, "ada", 1, 0) == 1
    assert ahead(limit, "ada") == 1, "which this process has learnt by that"
    assert wait(limit.take, "bob", 1, 0) is None


def test_what_a_process_knows_of_those_who_are_ahead_is_bounded() -> None:
    limit = allowance()
    for number in range(MAX_KNOWN_AHEAD + 5):
        limit.take(f"player {number}", 200, 0)
    assert len(limit.ahead) <= MAX_KNOWN_AHEAD


# --- over HTTP -----------------------------------------------------------------------------------


def flood(running: RunningGateway, user_id: str, events: int, times: int) -> list[int]:
    upload = make_upload(user_id, *[make_event()] * events)
    return [running.post(upload, sub=user_id).status_code for _ in range(times)]


def test_a_player_who_sends_more_than_the_limit_is_told_when_to_come_back(
    start_gateway: StartGateway,
) -> None:
    running = start_gateway(INGEST__PLAYER_EVENTS_PER_SECOND="1")
    assert flood(running, "ada", 200, 3) == [202, 429, 429]
    refused = running.post(b"not even JSON", sub="ada")
    assert refused.status_code == 429, "which costs no decoding"
    wait = int(refused.headers["retry-after"])
    assert 100 <= wait <= 198
    limit = {"path": "", "message": f"at most 1 events a second of one player; again in {wait} s"}
    told = {"code": "RATE_LIMITED", "message": "rate_limited", "details": [limit]}
    assert refused.json() == {"error": told}
    assert flood(running, "bob", 1, 2) == [202, 202]
    metrics = running.metrics()
    assert metrics["playsmart_requests_refused_total{reason=rate_limited}"] == 3
    assert running.settle()["received"] == 202
    assert running.stop() == 0


def test_bytes_count_whatever_is_in_them(start_gateway: StartGateway) -> None:
    running = start_gateway(INGEST__PLAYER_BYTES_PER_SECOND="10")
    answers = [running.post(b"x" * 1_000, sub="ada").status_code for _ in range(2)]
    assert answers == [400, 429]
    assert flood(running, "ada", 1, 1) == [429]
    for_another = running.post(make_upload("ada", make_event()), sub="bob")
    assert for_another.status_code == 403
    assert flood(running, "ada", 1, 1) == [429]
    assert running.stop() == 0


def test_without_the_settings_there_is_no_limit(gateway: RunningGateway) -> None:
    assert flood(gateway, "ada", 200, 20) == [202] * 20


def test_the_limit_is_one_for_all_workers(start_gateway: StartGateway) -> None:
    running = start_gateway("--workers", "2", INGEST__PLAYER_EVENTS_PER_SECOND="1")
    answers = []
    for _ in range(6):  # a connection each, dealt to the workers in turn
        running.client.close()
        running.client = type(running.client)(base_url=running.url, trust_env=False)
        answers += flood(running, "ada", 100, 1)
    assert answers == [202] + [429] * 5
    assert running.stop() == 0


def test_events_that_the_gateway_had_no_room_for_are_not_held_against_the_player(
    start_gateway: StartGateway,
) -> None:
    running = start_gateway(
        INGEST__PLAYER_EVENTS_PER_SECOND="1",
        BUFFER__MAX_EVENTS="250",
        BUFFER__FLUSH_INTERVAL_SECONDS="3600",
        BUFFER__WAIT_FOR_ROOM_MS="0",
    )
    assert flood(running, "ada", 200, 1) == [202]
    assert flood(running, "bob", 200, 3) == [503] * 3
    assert running.stop() == 0
