"""The views for people and programs: their numbers are those of all events, counted anew."""

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st

from playsmart_gateway.build import properties_of
from playsmart_gateway.config import Config, Game, Properties
from playsmart_gateway.events.about import About, Program
from playsmart_gateway.events.batch import run_key
from playsmart_gateway.metrics import Stats
from playsmart_gateway.stores.background import properties_task
from playsmart_gateway.stores.open import open_store
from tests.support.counted import MONDAY, batch, keeper, row
from tests.support.figures import follow_to_the_end
from tests.support.stores import empty, for_all, select

RETAINED = (1, 3, 7, 14, 30)
PURCHASE = st.builds(
    lambda **data: row("IAPPurchase", None, **{k: v for k, v in data.items() if v is not ...}),
    price=st.sampled_from([0.99, 4, "4.99", "7", -4.99, "1.2.3", "", None, True, 2e9, ...]),
    currency=st.sampled_from(["EUR", "usd", "euro", 5, ...]),
    country=st.sampled_from(["de", "FR", "Narnia", "  ", 49, ...]),
    platform=st.sampled_from(["ios", "x" * 50, ...]),
    app_version=st.sampled_from(["2.1.5", "2.1.10", None, ...]),
)
ROWS = st.one_of(
    PURCHASE,
    st.builds(row, st.sampled_from(["AppOpen", "AdImpression"])),
    st.builds(lambda name: row("Custom", name), st.sampled_from(["Jump", "boss é"])),
    st.builds(
        lambda kind, level: row(kind, None, level=level, duration_seconds=5),
        st.sampled_from(["LevelCompleted", "GameEnd"]),
        st.integers(1, 12),
    ),
)
STORY = st.lists(
    st.tuples(
        st.sampled_from(["ada", "bob", "eve"]),
        st.integers(0, 24 * 40),
        st.sampled_from(["a", "b"]),
        st.lists(ROWS, min_size=1, max_size=4),
    ),
    max_size=14,
)


async def events_of(url: str) -> list[tuple[Any, ...]]:
    return [
        (day, game, user, kind, name, json.loads(data or "{}"))
        for day, game, user, kind, name, data in await select(
            url,
            "SELECT substr(received_at, 1, 10), game_id, user_id, type, custom_event_name,"
            " customdata FROM events ORDER BY event_id",
        )
    ]


def price_of(price: object) -> float | None:
    if isinstance(price, str):
        return float(price) if price in ("4.99", "7") else None
    is_number = type(price) in (int, float) and abs(price) <= 1e9  # type: ignore[arg-type]
    return float(price) if is_number else None  # type: ignore[arg-type]


def text_of(value: object) -> str | None:
    return value.strip(" ")[:40] or None if isinstance(value, str) else None


def day_of(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@for_all(30, story=STORY)
async def test_the_numbers_of_the_views_are_those_of_all_events(
    database_url: str, story: list[tuple[str, int, str, list[Any]]]
) -> None:
    await empty(database_url)
    story.sort(key=lambda each: each[1])
    async with open_store(database_url) as sink, keeper(sink) as figures:
        await sink.write(
            [
                batch(n, user, MONDAY + timedelta(hours=hours), *rows, game=game)
                for n, (user, hours, game, rows) in enumerate(story)
            ]
        )
        await follow_to_the_end(figures)
    events = await events_of(database_url)
    assert await select(database_url, "SELECT batches_to_go FROM v_counted") == [(0,)]

    revenue: defaultdict[tuple[str, ...], list[Any]] = defaultdict(lambda: [0, set(), 0, 0.0])
    names: defaultdict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0, set()])
    played: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    counts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for day, game, user, kind, name, data in events:
        names[day, game, kind, name][0] += 1
        names[day, game, kind, name][1].add(user)
        for whose in ("", game):
            counts[day, whose]["events"] += 1
            counts[day, whose][kind] += 1
            if day not in played[whose, user]:
                played[whose, user].append(day)
        if kind != "IAPPurchase":
            continue
        currency, country = data.get("currency"), text_of(data.get("country"))
        key = (
            day, game,
            currency.upper() if currency in ("EUR", "usd") else "unknown",
            (country.upper() if len(country) == 2 else country) if country else "unknown",
            text_of(data.get("platform")) or "unknown",
            text_of(data.get("app_version")) or "unknown",
        )  # fmt: skip
        price = price_of(data.get("price"))
        sums = revenue[key]
        sums[0] += 1
        sums[1].add(user)
        sums[2] += price is None
        sums[3] += price or 0

    found = await select(
        database_url,
        "SELECT day, game_id, currency, country, platform, app_version, purchases, payers,"
        " unpriced, amount FROM v_revenue",
    )
    assert sorted((*each[:9], round(each[9], 6)) for each in found) == sorted(
        (*key, n, len(payers), unpriced, round(amount, 6))
        for key, (n, payers, unpriced, amount) in revenue.items()
    )
    found = await select(
        database_url, "SELECT day, game_id, type, name, events, players FROM v_names"
    )
    assert sorted(found, key=str) == sorted(
        ((*key, n, len(players)) for key, (n, players) in names.items()), key=str
    )
    days: Counter[tuple[str, str]] = Counter()
    new: Counter[tuple[str, str]] = Counter()
    back: defaultdict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    week: Counter[tuple[str, str]] = Counter()
    month: Counter[tuple[str, str]] = Counter()
    for (game, _), on in played.items():
        new[on[0], game] += 1
        for day in on:
            days[day, game] += 1
            back[on[0], game][(day_of(day) - day_of(on[0])).days] += 1
    for day, game in days:
        for (whose, _), on in played.items():
            ages = [(day_of(day) - day_of(each)).days for each in on]
            week[day, game] += whose == game and any(0 <= age < 7 for age in ages)
            month[day, game] += whose == game and any(0 <= age < 30 for age in ages)
    found = await select(
        database_url,
        "SELECT day, game_id, players, new_players, returning_players, events, sessions, ads,"
        " purchases FROM v_daily",
    )
    assert sorted(found) == sorted(
        (*key, n, new[key], n - new[key], counts[key]["events"], counts[key]["AppOpen"],
         counts[key]["AdImpression"], counts[key]["IAPPurchase"])
        for key, n in days.items()
    )  # fmt: skip
    found = await select(
        database_url, "SELECT day, game_id, players_day, players_week, players_month FROM v_active"
    )
    assert sorted(found) == sorted((*key, n, week[key], month[key]) for key, n in days.items())
    found = await select(database_url, "SELECT * FROM v_retention")
    assert sorted(found) == sorted(
        (*key, n, *(back[key][after] for after in RETAINED)) for key, n in new.items()
    )


async def test_levels_come_with_what_says_how_hard_they_are(database_url: str) -> None:
    async with open_store(database_url) as sink, keeper(sink) as figures:
        done = [row("LevelCompleted", None, level=n, duration_seconds=10 * n) for n in (2, 10, 2)]
        lost = [row("GameEnd", None, level=10), row("Custom", "LevelFailed", level=10)]
        await sink.write([batch(1, "ada", MONDAY, *done, *lost)])
        await follow_to_the_end(figures)
    found = await select(
        database_url,
        "SELECT day, game_id, level, level_number, players, attempts, completions, failures,"
        " timed, seconds FROM v_levels ORDER BY level_number",
    )
    assert [tuple(each) for each in found] == [
        ("2026-03-02", "a", "2", 2.0, 1, 2, 2, 0, 2, 40.0),
        ("2026-03-02", "a", "10", 10.0, 1, 3, 1, 2, 1, 100.0),
    ]


@pytest.mark.parametrize("has_own", [True, False])
async def test_a_purchase_that_does_not_say_its_program_has_that_of_its_client(
    database_url: str, has_own: bool
) -> None:
    own = {"platform": "web", "app_version": "9"} if has_own else {}
    program = Program(app_version="2.1.5", platform="ios")
    one = batch(1, "ada", MONDAY, row("IAPPurchase", None, price=1, **own))
    one.run, one.about = run_key(bytes(16), "a", "ada"), About(client=program)
    async with open_store(database_url) as sink:
        await sink.write([one])
    ((platform, version),) = await select(
        database_url, "SELECT platform, app_version FROM v_purchases"
    )
    assert (platform, version) == (("web", "9") if has_own else ("ios", "2.1.5"))


async def test_a_game_has_its_own_names_for_what_is_asked_of_purchases(database_url: str) -> None:
    sold = row("IAPPurchase", None, price=1, usd_cents=99, geo="at", currency="usd")
    query = "SELECT game_id, price, country, currency FROM v_purchases"
    games = (Game(id="a", properties=Properties(price="usd_cents", country="geo")), Game(id="b"))
    async with open_store(database_url) as sink, keeper(sink) as figures:
        await sink.write([batch(1, "ada", MONDAY, sold), batch(2, "ada", MONDAY, sold, game="b")])
        for _ in range(2):
            await properties_task(figures, properties_of(Config(games=games)), Stats()).once()
            found = await select(database_url, query)
            assert sorted(found) == [("a", 99.0, "AT", "USD"), ("b", 1.0, "unknown", "USD")]
        await properties_task(figures, properties_of(Config()), Stats()).once()
        found = await select(database_url, query)
    assert sorted(found) == [("a", 1.0, "unknown", "USD"), ("b", 1.0, "unknown", "USD")]


async def test_of_two_prices_the_last_counts_and_no_text_stops_a_view(database_url: str) -> None:
    texts = [
        b'{"price":1,"price":2,"currency":"EUR"}', b'{"price":1e999999}',
        b'{"country":"a\\u0000b"}',
        b'{"price":{"x":1}}', b'{"price":1%s}' % (b"0" * 400), b"null",
    ]  # fmt: skip
    one = batch(1, "ada", MONDAY)
    one.rows = b"[%s]" % b",".join(
        b'["IAPPurchase",null,"2026-04-22T14:30:00Z",%s]' % text for text in texts
    )
    one.count = len(texts)
    async with open_store(database_url) as sink:
        await sink.write([one])
    ((purchases, unpriced, amount),) = await select(
        database_url, "SELECT sum(purchases), sum(unpriced), sum(amount) FROM v_revenue"
    )
    assert (purchases, unpriced, amount) == (6, 5, 2.0)


async def test_adjustments_of_coins_are_told_from_what_was_earned(database_url: str) -> None:
    async with open_store(database_url) as sink:
        await sink.write([batch(1, "ada", MONDAY)])
        await sink.adjust("ada", 70, "gift")
        await sink.adjust("ada", -30, "mistake")
    found = await select(database_url, "SELECT sum(earned), sum(given), sum(taken) FROM v_coins")
    assert [tuple(map(int, each)) for each in found] == [(0, 70, 30)]
