"""Funnels, and who comes back to an event: against all ways there are, tried one by one."""

import time
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.questions import funnel
from playsmart_gateway.questions.answers import FunnelAnswer, ReturnAnswer
from playsmart_gateway.questions.asked import MAX_STEPS, Asked
from playsmart_gateway.questions.funnel import walk
from playsmart_gateway.questions.process import Question, answer
from playsmart_gateway.stores.open import open_store
from tests.support.counted import MONDAY, batch, row
from tests.support.examples import examples

MINUTE = 60_000_000


async def ask(url: str, **asked: Any) -> Any:
    return await answer(Question(url, msgspec.convert(asked, Asked)))


@examples(300)
@given(
    seen=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 7)), max_size=9),
    within=st.integers(0, 30),
    begin=st.integers(0, 20),
    length=st.integers(0, 40),
)
def test_the_way_of_a_player_is_the_longest_there_is(
    seen: list[tuple[int, int]], within: int, begin: int, length: int
) -> None:
    steps, end = 3, begin + length
    ordered = sorted(seen)
    longest = 0
    for count in range(1, steps + 1):
        for way in combinations(ordered, count):
            goes = all(marks >> step & 1 for step, (_, marks) in enumerate(way))
            is_in = begin <= way[0][0] < end and way[-1][0] - way[0][0] <= within
            longest = max(longest, count if goes and is_in else 0)
    found = walk([when << MAX_STEPS | marks for when, marks in seen], steps, within, begin, end)
    assert len(found) == longest
    assert found == sorted(found)
    assert not found or (found[0] == 0 and found[-1] <= within)


async def test_a_funnel_counts_players_in_the_order_of_its_steps(database_url: str) -> None:
    open_, boss, fell, bought = (
        row(), row("Custom", "boss"), row("Custom", "fell"), row("IAPPurchase"),
    )  # fmt: skip
    played = {
        "all": [(0, open_), (10, boss), (20, bought)],
        "no boss": [(0, open_), (5, fell), (20, bought)],
        "boss last": [(0, open_), (10, bought), (20, boss)],
        "too late": [(0, open_), (10, boss), (60 * 24 * 2, bought)],
        "before": [(-60 * 24, open_), (-60, boss), (1, bought)],
        "behind": [(60 * 23, open_), (60 * 24 + 9, boss), (60 * 24 + 10, bought)],
    }
    story = sorted(
        (minutes, user, event) for user, events in played.items() for minutes, event in events
    )
    batches = [
        batch(n, user, MONDAY + timedelta(minutes=minutes), event)
        for n, (minutes, user, event) in enumerate(story)
    ]
    async with open_store(database_url) as sink:
        await sink.write([*batches, batch(99, "else", MONDAY, open_, boss, bought, game="b")])
    asked = {
        "type": "funnel", "first": "2026-03-02", "last": "2026-03-02", "game": "a",
        "within_days": 1,
        "steps": [{"type": "AppOpen"}, {"type": "Custom", "name": "boss"}, {"type": "IAPPurchase"}],
    }  # fmt: skip
    found = await ask(database_url, **asked)
    assert isinstance(found, FunnelAnswer)
    assert [step.players for step in found.steps] == [5, 4, 2]
    assert [step.median_seconds for step in found.steps][2] == (20 + 70) / 2 * 60
    assert (found.complete, found.looked_at) == (True, 15)
    everywhere = await ask(database_url, **{**asked, "game": None})
    assert [step.players for step in everywhere.steps] == [6, 5, 3]


@pytest.mark.parametrize(
    "asked",
    [
        {"type": "funnel", "steps": [{"type": "AppOpen"}, {"type": "IAPPurchase"}]},
        {"type": "return", "where": {"platform": "ios"}},
        {"type": "values", "property": "level"},
        {"type": "names"},
    ],
    ids=lambda asked: str(asked["type"]),
)
async def test_what_there_is_no_time_for_is_left_out_and_told_of(
    database_url: str, asked: dict[str, Any]
) -> None:
    async with open_store(database_url) as sink:
        await sink.write([batch(1, "ada", MONDAY)])
    question = msgspec.convert({**asked, "first": "2026-03-02", "last": "2026-03-02"}, Asked)
    found = await answer(Question(database_url, question, seconds=-time.monotonic()))
    assert (found.complete, found.looked_at, found.counted_up_to) == (False, 0, None)


@pytest.mark.parametrize("bound", ["MAX_SEEN", "MAX_PLAYERS"])
async def test_what_there_is_no_room_for_is_left_out_and_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    async with open_store(url) as sink:
        await sink.write([batch(n, f"p{n}", MONDAY, row(), row("IAPPurchase")) for n in range(9)])
    monkeypatch.setattr(funnel, bound, 4)
    found = await ask(
        url, type="funnel", first="2026-03-02", last="2026-03-02",
        steps=[{"type": "AppOpen"}, {"type": "IAPPurchase"}],
    )  # fmt: skip
    assert not found.complete
    assert found.steps[0].players == (2 if bound == "MAX_SEEN" else 4)


async def test_names_are_counted_of_all_or_refused(database_url: str) -> None:
    async with open_store(database_url) as sink:
        await sink.write([batch(1, "ada", MONDAY, row(), row("Custom", "boss"), row())])
    asked = {"type": "names", "first": "2026-03-02", "last": "2026-03-02"}
    found = await ask(database_url, **asked)
    assert [(each.type, each.name, each.events) for each in found.names] == [
        ("AppOpen", None, 2), ("Custom", "boss", 1),
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="counted of all"):
        await ask(database_url, **asked, where={"platform": "ios"})


async def test_by_when_it_happened_what_came_late_is_in_the_funnel(database_url: str) -> None:
    happened = [["AppOpen", None, "2026-03-02T10:00:00Z", None],
                ["IAPPurchase", None, "2026-03-02T11:00:00Z", None]]  # fmt: skip
    async with open_store(database_url) as sink:
        await sink.write([batch(1, "ada", MONDAY + timedelta(days=9), *happened)])
    for by, players in (("received", [0, 0]), ("happened", [1, 1])):
        found = await ask(
            database_url, type="funnel", first="2026-03-02", last="2026-03-02", by=by,
            steps=[{"type": "AppOpen"}, {"type": "IAPPurchase"}],
        )  # fmt: skip
        assert [step.players for step in found.steps] == players


async def test_only_those_who_say_so_are_in_a_funnel(database_url: str) -> None:
    phone, other = row("AppOpen", None, platform="ios"), row("AppOpen", None, platform="android")
    hard, easy = row("Custom", "boss", mode="hard"), row("Custom", "boss", mode="easy")
    story = {"ada": [phone, hard], "bob": [other, hard], "eve": [phone, easy], "tim": [row(), hard]}
    async with open_store(database_url) as sink:
        await sink.write(
            [batch(n, who, MONDAY, *each) for n, (who, each) in enumerate(story.items())]
        )
    boss, day = {"type": "Custom", "name": "boss"}, "2026-03-02"
    asked = {"type": "funnel", "first": day, "last": day, "steps": [boss, {"type": "AppOpen"}]}
    for where, players in (({}, 4), ({"platform": "ios"}, 2), ({"mode": "hard"}, 3),
                           ({"platform": "ios", "mode": "hard"}, 1)):  # fmt: skip
        found = await ask(database_url, **asked, where=where)
        assert found.steps[0].players == players
        back = await ask(database_url, type="return", first=day, last=day, start=boss, where=where)
        assert back.cohorts[0].players == players


async def test_who_comes_back_to_an_event_is_told_by_days(database_url: str) -> None:
    boss, other = row("Custom", "boss"), row("Custom", "other")
    story = [
        (0, "ada", boss), (0, "bob", boss), (0, "eve", other), (1, "ada", boss), (1, "bob", other),
        (3, "bob", boss), (7, "eve", boss), (8, "eve", boss),
    ]  # fmt: skip
    async with open_store(database_url) as sink:
        await sink.write(
            [
                batch(n, user, MONDAY + timedelta(days=day), event)
                for n, (day, user, event) in enumerate(story)
            ]
        )
    asked = {"type": "return", "first": "2026-03-02", "last": "2026-04-30", "period": "week"}
    mark = {"type": "Custom", "name": "boss"}
    found = await ask(database_url, **asked, start=mark, again=mark)
    assert isinstance(found, ReturnAnswer)
    first, second, *_ = found.cohorts
    assert (first.players, first.back[0], first.back[1]) == (2, [2, 1], [2, 1])
    assert (second.players, second.back[0]) == (1, [1, 1])
    anything = await ask(database_url, **asked)
    assert (anything.cohorts[0].players, anything.cohorts[0].back[0]) == (3, [3, 2])
