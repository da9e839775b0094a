"""What events say in a property: as a recount has it, of what is stored."""

import json
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import mean, median
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.questions.answers import MAX_BESIDE, MAX_VALUES, ValuesAnswer
from playsmart_gateway.questions.asked import Asked, Values
from playsmart_gateway.questions.process import Question, answer
from playsmart_gateway.questions.values import BINS, MAX_SIDES, bins_between
from playsmart_gateway.stores.open import open_store
from tests.questions.played import STORY, Story, fill
from tests.support.counted import MONDAY, batch, row
from tests.support.examples import examples
from tests.support.stores import for_all, select

DAY = f"{MONDAY:%Y-%m-%d}"


async def ask(url: str, **asked: Any) -> ValuesAnswer:
    asked = {"type": "values", "first": DAY, "last": DAY, **asked}
    found = await answer(Question(url, msgspec.convert(asked, Asked)))
    assert isinstance(found, ValuesAnswer)
    return found


def shown(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return "[...]" if isinstance(value, list) else json.dumps(value)


@for_all(
    25,
    story=STORY,
    zone=st.sampled_from(["UTC", "Asia/Kathmandu"]),
    by=st.sampled_from(["received", "happened"]),
    asks=st.sampled_from([("mode", "Jump", None), ("level", None, None), ("mode", None, "hard")]),
)
async def test_values_are_those_of_a_recount(
    database_url: str, story: Story, zone: str, by: str, asks: tuple[str, str | None, str | None]
) -> None:
    await fill(database_url, story)
    name, custom, hard = asks
    first, last = date(2026, 3, 16), date(2026, 4, 12)
    found = await ask(
        database_url, first=f"{first}", last=f"{last}", period="week", zone=zone, by=by,
        property=name, mark=custom and {"type": "Custom", "name": custom}, beside="height",
        where={"mode": hard} if hard else {},
    )  # fmt: skip
    column = "received_at" if by == "received" else "adjusted_at"
    rows = await select(
        database_url, f"SELECT {column}, user_id, custom_event_name, customdata FROM events"
    )
    events: Counter[str | None] = Counter()
    before: Counter[str | None] = Counter()
    players: defaultdict[str | None, set[str]] = defaultdict(set)
    weeks: Counter[tuple[str | None, int]] = Counter()
    high: Counter[str | None] = Counter()
    numbers = []
    for text, user, event_name, data in rows:
        day = datetime.fromisoformat(text).astimezone(ZoneInfo(zone)).date()
        told = json.loads(data or "{}") or {}
        if custom not in (None, event_name) or (hard and told.get("mode") != hard):
            continue
        value = shown(told.get(name))
        if first - timedelta(weeks=4) <= day < first:
            before[value] += 1
        if not first <= day <= last:
            continue
        events[value] += 1
        players[value].add(user)
        weeks[value, (day - first).days // 7] += 1
        high[value] += "height" in told
        if value in ("1", "2", "10", "2.5", "-2.5"):
            numbers.append(float(value))
    told_of = {each.value: each for each in found.rows}
    assert {value: each.events for value, each in told_of.items()} == events
    assert {value: each.before for value, each in told_of.items()} == {
        value: before[value] for value in events
    }
    assert {value: each.players for value, each in told_of.items()} == {
        value: len(each) for value, each in players.items()
    }
    for value, each in told_of.items():
        assert each.periods == [weeks[value, week] for week in range(4)]
        place = found.beside.index("3.5") if "3.5" in found.beside else None
        assert (0 if place is None else each.beside[place]) == high[value]
    assert (found.events, found.events_before) == (events.total(), before.total())
    if found.numbers is not None:
        assert found.numbers.events == len(numbers)
        assert found.numbers.mean == pytest.approx(mean(numbers))
        assert found.numbers.median == pytest.approx(median(numbers))
        assert sum(each.events for each in found.numbers.bins) == len(numbers)
    else:
        assert 2 * len(numbers) < events.total() - events[None] or not numbers


async def test_of_players_it_is_what_they_said_last(database_url: str) -> None:
    rows = [row("AppOpen", None, country="de"), row("LevelCompleted", None, level=1)]
    async with open_store(database_url) as sink:
        await sink.write([batch(1, "ada", MONDAY, *rows), batch(2, "bob", MONDAY, *rows[1:])])
    found = await ask(database_url, property="country", mark={"type": "LevelCompleted"})
    assert {each.value: each.events for each in found.rows} == {"DE": 1, None: 1}
    found = await ask(database_url, property="level", where={"country": "DE"})
    assert {each.value: each.events for each in found.rows} == {"1": 1, None: 1}


async def test_of_many_values_the_most_frequent_are_told(database_url: str) -> None:
    rows = [row("Custom", "Jump", far=n // 2, side=f"s{n}") for n in range(250)]
    async with open_store(database_url) as sink:
        await sink.write([batch(1, "ada", MONDAY, *rows, row("Custom", "Jump", far=7))])
    found = await ask(database_url, property="far", beside="side")
    assert (len(found.rows), found.distinct) == (MAX_VALUES, 125)
    assert (found.rows[0].value, found.rows[0].events) == ("7", 3)
    assert len(found.beside) == MAX_BESIDE
    assert MAX_SIDES < 250
    assert found.numbers is not None
    assert (found.numbers.least, found.numbers.most) == (0.0, 124.0)
    assert found.numbers.means == [found.numbers.mean]
    assert [each.events for each in found.numbers.bins][:2] == [21, 20]


@examples(300)
@given(least=st.floats(-1e18, 1e18) | st.integers(-50, 50), size=st.floats(0, 1e18) | st.just(0.0))
def test_bins_have_round_edges_and_all_between(least: float, size: float) -> None:
    most = min(least + size, 1e18)
    edges = bins_between(least, most)
    assert 2 <= len(edges) <= BINS + 2
    slack = 1e-8 * max(abs(least), abs(most), 1.0)
    assert edges[0] - slack <= least <= most <= edges[-1] + slack
    assert all(a < b for a, b in pairwise(edges))


@pytest.mark.parametrize("value", [1e18, 1e19, 10**40, "1" * 40, float("1e308")])
async def test_a_number_that_is_none_of_games_breaks_nothing(
    database_url: str, value: object
) -> None:
    rows = [row("Custom", "Jump", far=each) for each in (1, value, -1)]
    async with open_store(database_url) as sink:
        await sink.write([batch(1, "ada", MONDAY, *rows)])
    found = await ask(database_url, property="far")
    assert (found.events, found.distinct) == (3, 3)
    assert found.numbers is not None


def test_a_span_that_says_where_keeps_it_for_the_time_before() -> None:
    asked = Values(
        first=MONDAY.date(), last=MONDAY.date(), property="level", where={"platform": "ios"}
    )
    assert (asked.before.where, asked.before.property) == ({"platform": "ios"}, "level")
