import json
from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.load import Sessions, player_names
from playsmart_gateway.load.games import LIVES, last_level
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
    life = events_of(sessions(players=LIVES, events=200), 2 * LIVES)
    kinds = [event["type"] for event in life]
    assert kinds[0] == "AppOpen"
    assert kinds[199] == "GameEnd"
    assert set(kinds) == TYPES
    levels = [event["customdata"] for event in life if event["type"] == "LevelCompleted"]
    assert all({"level", "score", "duration_seconds"} <= set(level) for level in levels)


def completed(requests: int, *, players: int, events: int, seed: int = 1) -> Counter[int]:
    found = events_of(sessions(seed, players, events), requests)
    return Counter(e["customdata"]["level"] for e in found if e["type"] == "LevelCompleted")


@pytest.mark.parametrize("seed", [1, 7])
@pytest.mark.parametrize("requests", [48, 480, 5_000])
def test_the_levels_are_a_funnel_whenever_it_is_looked_at(requests: int, seed: int) -> None:
    """No level is completed more often, or by more players, than the one before it."""
    levels = completed(requests, players=96, events=40, seed=seed)
    counts = [levels[level] for level in range(1, max(levels) + 1)]
    assert counts == sorted(counts, reverse=True)
    assert all(counts)


def test_a_funnel_loses_players_at_many_levels_and_most_at_hard_ones() -> None:
    reached = [last_level(rank) for rank in range(LIVES)]
    assert reached == sorted(reached, reverse=True)
    assert reached[0] >= 30
    assert 0 < sum(level >= 10 for level in reached) < sum(level >= 1 for level in reached) < LIVES
    lost = Counter(level + 1 for level in reached)
    assert lost[5] > lost[4]
    assert len(lost) >= 12


def test_who_fails_tries_again_and_says_at_which_level() -> None:
    life = events_of(sessions(players=1, events=200), 4)
    failed = [e["customdata"] for e in life if e["customdata"].get("reason") == "failed"]
    assert failed
    assert all({"level", "score", "duration_seconds"} <= set(each) for each in failed)


def test_few_players_buy_and_all_say_what_a_report_asks_for() -> None:
    workload = sessions(players=LIVES, events=200)
    buyers, by_country = set(), defaultdict(set)
    for request in range(3 * LIVES):
        for event in json.loads(workload.body(request))["events"]:
            data = event["customdata"]
            if event["type"] in ("AppOpen", "IAPPurchase"):
                assert {"app_version", "platform", "country"} <= set(data)
            if event["type"] == "IAPPurchase":
                buyers.add(workload.user(request))
                by_country[data["country"]].add(data["currency"])
                assert data["price"] > 0
    assert 1 <= len(buyers) <= LIVES / 10
    assert all(len(currencies) == 1 for currencies in by_country.values())


def test_a_session_is_some_sittings_each_from_opening_to_end() -> None:
    for seed in range(5):
        kinds = [e["type"] for e in events_of(sessions(seed, players=1, events=200), 1)]
        opened = [place for place, kind in enumerate(kinds) if kind == "AppOpen"]
        assert len(opened) > 2
        assert all(kinds[place - 1] == "GameEnd" for place in opened[1:])
        assert kinds[-1] == "GameEnd"


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
