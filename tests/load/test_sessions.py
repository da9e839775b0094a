import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.load import Sessions, player_names
from tests.support.examples import examples

RUN = 1_767_225_600_000_000  # 2026-01-01
TYPES = {"AppOpen", "LevelCompleted", "GameEnd", "AdImpression", "IAPPurchase", "Custom"}


def sessions(seed: int = 1, players: int = 3, events: int = 20) -> Sessions:
    return Sessions(player_names(seed, players), events=events, seed=seed, run=RUN)


def events_of(workload: Sessions, requests: int) -> list[Any]:
    return [e for i in range(requests) for e in json.loads(workload.body(i))["events"]]


@examples(50)
@given(st.integers(0, 9), st.integers(1, 50), st.integers(1, 200), st.integers(0, 100_000_000))
def test_every_body_keeps_the_contract(seed: int, players: int, events: int, request: int) -> None:
    workload = sessions(seed, players, events)
    body = json.loads(workload.body(request))
    assert body["user_id"] == workload.user(request)
    assert body["game_id"]
    assert len(body["events"]) == workload.events(request) == events
    for event in body["events"]:
        assert event["type"] in TYPES
        assert datetime.fromisoformat(event["timestamp"]).tzinfo is not None
        assert isinstance(event["customdata"], dict)
        assert bool(event.get("customEventName")) == (event["type"] == "Custom")


@examples(50)
@given(st.integers(0, 9), st.integers(1, 200), st.integers(0, 10_000))
def test_a_body_depends_on_nothing_but_its_number(seed: int, events: int, request: int) -> None:
    fresh, used = sessions(seed, events=events), sessions(seed, events=events)
    used.body(request + 1)
    assert fresh.body(request) == used.body(request) == used.body(request)


def test_another_seed_plays_other_games() -> None:
    def story(seed: int) -> list[tuple[str, str]]:
        return [(e["type"], e["timestamp"]) for e in events_of(sessions(seed), 10)]

    assert story(1) == story(1)
    assert story(1) != story(2)


@pytest.mark.parametrize("events", [1, 7, 200])
def test_load_ids_are_unique_and_say_where_they_come_from(events: int) -> None:
    workload = sessions(seed=5, events=events)
    found = [e["customdata"]["load_id"] for e in events_of(workload, 40)]
    assert found == [f"5-{RUN:x}-{i}-{n}" for i in range(40) for n in range(events)]


def test_two_runs_of_one_seed_have_no_load_id_in_common() -> None:
    first = Sessions(["a"], events=20, seed=1, run=RUN)
    second = Sessions(["a"], events=20, seed=1, run=RUN + 1)
    ids = [{e["customdata"]["load_id"] for e in events_of(each, 10)} for each in (first, second)]
    assert ids[0].isdisjoint(ids[1])


@pytest.mark.parametrize("events", [1, 30, 150])
def test_a_player_lives_forward_in_one_time_zone(events: int) -> None:
    workload = sessions(players=5, events=events)
    lives: dict[str, list[Any]] = defaultdict(list)
    for request in range(min(1500, 45_000 // events)):  # of at least fifty hours, or 1,500
        lives[workload.user(request)] += json.loads(workload.body(request))["events"]
    for life in lives.values():
        times = [datetime.fromisoformat(event["timestamp"]) for event in life]
        assert times == sorted(times)
        assert len({time.utcoffset() for time in times}) == 1
        assert times[0] < datetime.fromtimestamp(RUN / 1e6, UTC)


def test_a_session_opens_the_app_ends_the_game_and_has_everything_in_between() -> None:
    life = events_of(sessions(players=1, events=200), 24)
    kinds = [event["type"] for event in life]
    assert kinds[0] == "AppOpen"
    assert kinds[199] == "GameEnd"
    assert set(kinds) == TYPES
    levels = [event["customdata"] for event in life if event["type"] == "LevelCompleted"]
    assert all({"level", "score", "duration_seconds"} <= set(level) for level in levels)


def test_any_user_id_survives_in_the_body() -> None:
    users = ['100%"quoted"', "spieler-ü"]
    workload = Sessions(users, events=2, seed=1, run=RUN, game_id="com.50%.game")
    bodies = [json.loads(workload.body(i)) for i in range(2)]
    assert [body["user_id"] for body in bodies] == users
    assert bodies[0]["game_id"] == "com.50%.game"


@pytest.mark.parametrize(("users", "events"), [(["a"], 0), (["a"], 201), ([], 1)])
def test_impossible_sizes_are_refused(users: list[str], events: int) -> None:
    with pytest.raises(ConfigError):
        Sessions(users, events=events, seed=1, run=RUN)
