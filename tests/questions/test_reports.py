"""Reports: from sums, and event by event, they say what is stored, counted anew."""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import strategies as st

from playsmart_gateway.errors import ConfigError, SinkUnavailable
from playsmart_gateway.questions.answers import (
    MAX_LEVELS,
    RETAINED,
    Figures,
    Period,
    ReportAnswer,
)
from playsmart_gateway.questions.asked import MAX_PERIODS, Report
from playsmart_gateway.questions.looking import MAX_CUSTOMDATA
from playsmart_gateway.questions.process import Question, answer
from playsmart_gateway.questions.purchases import Sold, add_up
from playsmart_gateway.stores.open import open_store
from tests.questions.played import STORY, Story, fill
from tests.support.counted import MONDAY, batch, row
from tests.support.stores import empty, for_all, select

SHARED = ("periods", "before", "total", "total_before", "active", "levels_game", "levels", "names")


async def ask(url: str, **asked: Any) -> ReportAnswer:
    found = await answer(Question(url, msgspec.convert({"type": "report", **asked}, Report)))
    assert isinstance(found, ReportAnswer)
    return found


def plain(found: ReportAnswer) -> dict[str, Any]:
    """What both ways of counting know, in one order."""
    shown = {name: msgspec.to_builtins(getattr(found, name)) for name in SHARED}
    for figures in (*shown["periods"], *shown["before"], shown["total"], shown["total_before"]):
        for name in ("coins", "visits", "visit_seconds"):
            del figures[name]
        revenue = {key: round(value, 6) for key, value in figures["revenue"].items()}
        figures["revenue"] = {key: value for key, value in revenue.items() if value}
    shown["names"].sort(key=str)
    groups = msgspec.to_builtins(found.groups)
    shown["groups"] = sorted(
        (g["meaning"], g["value"], g["purchases"], g["payers"]) for g in groups if g["purchases"]
    )
    return shown


@for_all(
    25,
    story=STORY,
    first=st.integers(0, 40),
    length=st.integers(0, 25),
    period=st.sampled_from(["day", "week", "month"]),
    game=st.sampled_from([None, "a"]),
)
async def test_a_report_from_sums_is_that_of_all_events(
    database_url: str, story: Story, first: int, length: int, period: str, game: str | None
) -> None:
    await fill(database_url, story)
    begins = MONDAY.date() + timedelta(days=first)
    asked = {
        "first": f"{begins}", "last": f"{begins + timedelta(days=length)}", "period": period,
        "game": game,
    }  # fmt: skip
    sums, events = (
        await ask(database_url, **asked),
        await ask(database_url, **asked, one_by_one=True),
    )
    assert (sums.source, events.source) == ("sums", "events")
    assert sums.complete
    assert sums.names_complete
    assert events.complete
    counted, looked = plain(sums), plain(events)
    # Whoever was there before the span and the one before it is not known to have been active.
    short = {"active"} if begins - timedelta(days=30) > MONDAY.date() else set()
    for name in {*counted} - short - {"active", "levels"}:
        assert counted[name] == looked[name], name
    days = {each.day: each.players_day for each in events.active}
    assert {each.day: each.players_day for each in sums.active} == days
    levels = [(each["level"], each["attempts"], each["failures"]) for each in looked["levels"]]
    assert [(e["level"], e["attempts"], e["failures"]) for e in counted["levels"]] == levels


async def test_levels_are_in_one_order_and_judged_alike_from_sums_and_from_events(
    database_url: str,
) -> None:
    """Also those that Python takes for numbers and SQL does not, and the last that are shown."""
    hard = {"7", "200", "201", "202", "203"}
    names = ["nan", "nan ", "inf", "1_0", *(f"{n}" for n in range(1, 206))]
    story: Story = [
        ("ada", n, 0, "a", [
            row("GameEnd" if failed else "LevelCompleted", None, level=name)
            for failed in [True] * (45 if name in hard else 5) + [False] * 30
        ])
        for n, name in enumerate(names)
    ]  # fmt: skip
    await fill(database_url, story)
    asked = {"first": f"{MONDAY.date()}", "last": f"{MONDAY.date() + timedelta(days=20)}"}
    sums = await ask(database_url, **asked, game="a")
    events = await ask(database_url, **asked, game="a", one_by_one=True)
    assert sums.levels == events.levels
    assert len(sums.levels) == MAX_LEVELS
    assert {each.level for each in sums.levels if each.stands_out} == {"7"}


@for_all(
    25,
    story=STORY,
    zone=st.sampled_from(["UTC", "Asia/Kolkata", "America/Los_Angeles", "Europe/Berlin"]),
    by=st.sampled_from(["received", "happened"]),
    period=st.sampled_from(["day", "week", "month"]),
    country=st.sampled_from([None, "DE"]),
)
async def test_days_of_a_zone_by_when_it_happened_of_some_are_those_of_a_recount(
    database_url: str, story: Story, zone: str, by: str, period: str, country: str | None
) -> None:
    await fill(database_url, story)
    first, last = date(2026, 3, 16), date(2026, 4, 14)
    where = {} if country is None else {"country": country}
    found = await ask(
        database_url, first=f"{first}", last=f"{last}", period=period, zone=zone, by=by,
        where=where, one_by_one=True,
    )  # fmt: skip
    column = "received_at" if by == "received" else "adjusted_at"
    rows = await select(
        database_url,
        f"SELECT {column}, user_id, type, customdata FROM events ORDER BY event_id",
    )
    span_begins = date.fromisoformat(found.periods[0].start)
    said: dict[tuple[str, bool], str] = {}  # what is said before the span is of the time before
    events: Counter[str] = Counter()
    players: defaultdict[str, set[str]] = defaultdict(set)
    revenue: defaultdict[str, Counter[str]] = defaultdict(Counter)
    ends = date.fromisoformat(found.periods[-1].start)
    ends += timedelta(days={"day": 1, "week": 7, "month": 30}[period])
    begins = date.fromisoformat(found.before[0].start)
    for text, user, kind, data in rows:
        day = datetime.fromisoformat(text).astimezone(ZoneInfo(zone)).date()
        if period != "month" and not begins <= day < ends:
            continue
        if day.month == 5:
            continue
        told = json.loads(data or "{}")
        if (place := told.get("country")) is not None:
            said[user, day < span_begins] = place.upper() if len(place) == 2 else place
        if country is not None and said.get((user, day < span_begins)) != country:
            continue
        start = f"{begin(day, period)}"
        events[start] += 1
        players[start].add(user)
        if kind == "IAPPurchase" and (price := price_of(told.get("price"))) is not None:
            currency = told.get("currency") or ""
            revenue[start][currency.upper() if len(currency) == 3 else "unknown"] += price  # type: ignore[assignment]
    if country is not None:
        return check(found.periods, events, players)
    check(found.periods, events, players)
    for each in found.periods:
        known = {key: round(value, 6) for key, value in each.revenue.items()}
        assert known == {key: round(value, 6) for key, value in revenue[each.start].items()}
    return None


def check(periods: Sequence[Any], events: Counter[str], players: dict[str, set[str]]) -> None:
    assert [(each.start, each.events, each.players) for each in periods] == [
        (each.start, events[each.start], len(players.get(each.start, ()))) for each in periods
    ]


def begin(day: date, period: str) -> date:
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


def price_of(price: object) -> float | None:
    if isinstance(price, str):
        return {"4.99": 4.99, "-4.99": -4.99}.get(price)
    return float(price) if type(price) in (int, float) else None  # type: ignore[arg-type]


def test_the_currency_of_most_purchases_comes_first_whatever_its_amounts_are() -> None:
    def sold(currency: str, purchases: int, amount: float, unpriced: int = 0) -> Sold:
        return Sold(0, "ada", currency, "JP", "ios", "1.0", purchases, unpriced, amount)

    total, yen = Figures(), sold("JPY", 1, 600.0)
    unpriced = sold("unknown", 9, 0.0, unpriced=9)
    add_up([yen, sold("USD", 2, 1.98), unpriced, sold("USD", 1, 4.99)], [Period()], total)
    assert list(total.revenue.items()) == [("USD", pytest.approx(6.97)), ("JPY", 600.0)]
    assert (total.purchases, total.unpriced, total.payers) == (13, 9, 1)


async def test_who_comes_back_is_told_of_the_players_of_a_period_whose_day_is_over(
    database_url: str,
) -> None:
    coming = {0: range(10), 1: range(5), 7: range(3, 6), 30: range(1)}
    story: Story = [
        (f"p{player}", 24 * day + 1, 0, "a", [row()])
        for day, players in coming.items()
        for player in players
    ]
    await fill(database_url, story)
    for one_by_one in (False, True):
        found = await ask(
            database_url, first="2026-03-02", last="2026-04-05", period="week",
            one_by_one=one_by_one,
        )  # fmt: skip
        first, *rest = found.cohorts
        assert (first.start, first.players) == ("2026-03-02", 10)
        assert dict(zip(RETAINED, first.back, strict=True)) == {
            1: [10, 5], 3: [10, 0], 7: [10, 3], 14: [10, 0], 30: [10, 1],
        }  # fmt: skip
        assert not any(cohort.players for cohort in rest)


async def test_visits_end_with_half_an_hour_of_nothing(database_url: str) -> None:
    minutes = [0, 10, 39, 69, 100, 300]
    rows = [
        ["Custom", "Jump", f"{MONDAY + timedelta(minutes=n):%Y-%m-%dT%H:%M:%SZ}", None]
        for n in minutes
    ]
    async with open_store(database_url) as sink:
        await sink.write([batch(1, "ada", MONDAY, *rows)])
    found = await ask(
        database_url, first="2026-03-02", last="2026-03-02", by="happened", one_by_one=True
    )
    assert (found.total.visits, found.total.visit_seconds) == (4, 39 * 60.0)


async def test_of_an_event_that_says_very_much_nothing_is_read_but_that_it_came(
    database_url: str,
) -> None:
    await empty(database_url)
    rows = [row("IAPPurchase", None, price=2, pad="x" * size) for size in (9, MAX_CUSTOMDATA)]
    async with open_store(database_url) as sink:
        await sink.write([batch(1, "ada", MONDAY, *rows)])
    day = f"{MONDAY:%Y-%m-%d}"
    found = await ask(database_url, first=day, last=day, one_by_one=True)
    assert (found.total.events, found.total.purchases) == (2, 2)
    assert found.total.revenue == {"unknown": 2.0}


async def test_what_is_not_looked_at_in_time_is_left_out_and_told_of(database_url: str) -> None:
    async with open_store(database_url) as sink:
        await sink.write([batch(1, "ada", MONDAY)])
    asked = Report(first=MONDAY.date(), last=MONDAY.date(), one_by_one=True)
    found = await answer(Question(database_url, asked, seconds=-time.monotonic()))
    assert isinstance(found, ReportAnswer)
    assert (found.complete, found.counted_up_to, found.total.events) == (False, None, 0)


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"first": "2026-03-02", "last": "2026-03-01"}, "after last"),
        ({"first": "2026-03-02", "last": "2026-03-02", "zone": "Mars/Olympus"}, "no time zone"),
        ({"first": "2026-03-02", "last": "2026-03-02", "zone": "../../etc/passwd"}, "no time zone"),
        ({"first": "0001-01-01", "last": "2026-03-02"}, "no days of games"),
        ({"first": "2025-01-01", "last": "2026-03-02"}, f"more than {MAX_PERIODS} periods"),
    ],
)
async def test_what_makes_no_sense_is_refused_before_anybody_looks(
    asked: dict[str, str], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        await ask("sqlite:////nowhere/at/all.db", **asked)


async def test_a_store_that_is_not_there_is_told_of() -> None:
    with pytest.raises(SinkUnavailable, match="no database"):
        await ask("sqlite:////nowhere/at/all.db", first="2026-03-02", last="2026-03-02")
    with pytest.raises(ConfigError, match="cannot be asked"):
        await ask("memory:", first="2026-03-02", last="2026-03-02")
