"""``Rollups``: each event counts exactly once, as if all were counted at the end."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st

from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stores.rollups import (
    DAY,
    Field,
)
from tests.support.counted import MONDAY, Row, batch, keeper, row
from tests.support.figures import follow_to_the_end, following_by_hand
from tests.support.stores import empty, for_all
from tests.support.sums import recounted, tables

PAYING = Rule("a", 7, 7, level_millionths=1_000_000)


LEVEL = st.sampled_from(
    [1, 2, "1", "boss", -3, 2.5, 5.0, 5, 20260422, -0.0, 1e15, 1e22, 0.1 + 0.2, 1e-7, 2**63 - 1,
     2**53 + 1, 2**70, 1e300, 1e-310, True, None, "", "x" * 40, "x" * 41, "é", "レベル1", "😀",
     "a\0", [1]]
)  # fmt: skip
SECONDS = st.sampled_from([0, 12, 3.25, -1, 90_000, "9", True, None, 1e300])
ROWS = st.one_of(
    st.builds(row, st.sampled_from(["AppOpen", "AdImpression", "IAPPurchase"])),
    st.builds(
        lambda level, seconds: row("LevelCompleted", level=level, duration_seconds=seconds),
        LEVEL, SECONDS,
    ),
    st.builds(
        lambda level, why: row("GameEnd", level=level, reason=why),
        LEVEL, st.sampled_from(["failed", "completed", None, 5]),
    ),
    st.builds(
        lambda name, level: row("Custom", name, level=level),
        st.sampled_from(["LevelFailed", "level_failed", "FAIL", "Jump"]), LEVEL,
    ),
)  # fmt: skip
PLAYED = st.builds(
    lambda user, hours, game, rows: (user, hours, game, rows),
    st.sampled_from(["ada", "bob", "eve"]),
    st.integers(0, 24 * 16),
    st.sampled_from(["a", "b"]),
    st.lists(ROWS, min_size=1, max_size=4),
)
TEAK = st.lists(
    st.builds(
        lambda user, action, n, v: [
            action, None, "2026-04-22T14:30:00Z", {"event_count": n, "value": v}, None, user,
        ],
        st.sampled_from(["ada", "tim"]), st.sampled_from(["spin", "Played"]),
        st.integers(1, 9), st.sampled_from([5, -2.5, 0]),
    ),
    min_size=1, max_size=4,
)  # fmt: skip


@for_all(
    40,
    story=st.lists(
        st.one_of(PLAYED, st.tuples(st.just(""), st.integers(0, 400), st.just("app"), TEAK)),
        max_size=12,
    ),
    writes=st.lists(st.integers(1, 4), max_size=12),
    chunks=st.lists(st.integers(1, 6), min_size=1, max_size=8),
)
async def test_however_events_come_and_are_cut_into_chunks_the_sums_are_those_of_all_events(
    database_url: str,
    story: list[tuple[str, int, str, list[Row]]],
    writes: list[int],
    chunks: list[int],
) -> None:
    """Times go back and forth, the follower starts anew each time, and some chunks come twice."""
    await empty(database_url)
    batches = [
        batch(n, user, MONDAY + timedelta(hours=hours), *rows, game=game,
              source="playsmart" if user else "teak")
        for n, (user, hours, game, rows) in enumerate(story)
    ]  # fmt: skip
    async with open_store(database_url, [PAYING]) as sink:
        for turn, size in enumerate([*writes, len(batches)]):
            await sink.write(batches[:size])
            del batches[:size]
            async with keeper(sink) as figures:
                await figures.roll_up(chunks[turn % len(chunks)])
        async with keeper(sink) as figures:
            await follow_to_the_end(figures, chunks[0])
            assert await tables(database_url) == await recounted(database_url)


async def test_a_chunk_that_two_followers_gathered_is_added_once(database_url: str) -> None:
    async with open_store(database_url) as sink:
        await sink.write([batch(n, "ada", MONDAY, row(), row()) for n in range(4)])
        async with following_by_hand(database_url) as by_hand:
            chunks = [await by_hand.gather(4) for _ in range(2)]
            assert [await by_hand.add(chunk) for chunk in chunks] == [True, False]
        counts = (await tables(database_url))["counts"]
        assert sum(events for *_, events in counts) == 4 * 5, "in five widths"
        async with keeper(sink) as figures:
            await follow_to_the_end(figures)
        assert await tables(database_url) == await recounted(database_url)


async def test_a_follower_that_dies_before_its_commit_has_added_nothing(database_url: str) -> None:
    async with open_store(database_url) as sink:
        await sink.write([batch(0, "ada", MONDAY, row("LevelCompleted", level=1))])
        async with following_by_hand(database_url) as by_hand:
            chunk = await by_hand.gather(4)
            await by_hand.run("BEGIN")
            assert await by_hand.add(chunk)
        assert not any((await tables(database_url)).values())
        async with keeper(sink) as figures:
            await follow_to_the_end(figures)
        assert await tables(database_url) == await recounted(database_url)
        assert (await tables(database_url))["levels"]


async def test_two_followers_at_once_count_each_event_once(database_url: str) -> None:
    async with open_store(database_url) as sink, open_store(database_url) as another:
        await sink.write([batch(n, "ada", MONDAY, row(), row()) for n in range(40)])
        async with keeper(sink) as figures, keeper(another) as others:
            await asyncio.gather(*(follow_to_the_end(each, 7) for each in (figures, others)))
        assert await tables(database_url) == await recounted(database_url)


async def test_customdata_that_no_column_could_hold_does_not_stop_a_follower(
    database_url: str,
) -> None:
    """NUL, and numbers without end, as clients may send them."""
    odd = [b'"\\u0000"', b"1e999999", b"-1E+99999999", b"1e-9999", b"1" * 5_000]
    events = [
        b'["%s",null,"2026-04-22T14:30:00Z",{"x":%s,"level":%s,"duration_seconds":%s,"score":%s}]'
        % (kind, *[text] * 4)
        for text in odd
        for kind in (b"LevelCompleted", b"GameEnd")
    ]
    fine = b'["LevelCompleted",null,"2026-04-22T14:30:00Z",{"x":"\\u0000","level":"boss"}]'
    one = batch(1, "ada", MONDAY)
    one.rows, one.count = b"[%s]" % b",".join([*events, fine]), len(events) + 1
    async with open_store(database_url) as sink:
        await sink.write([one])
        async with keeper(sink) as figures:
            await follow_to_the_end(figures)
    levels = (await tables(database_url))["levels"]
    assert sorted(level for _, _, level, *_ in levels) == ["0", "boss"]


async def test_a_level_with_a_nul_is_no_level_and_least_not_its_beginning(
    database_url: str,
) -> None:
    event = b'["LevelCompleted",null,"2026-04-22T14:30:00Z",{"level":"%s","x":"\\u0000 a"}]'
    texts = [rb"a\u0000b", rb"a\u0000", b"boss", b"a b"]
    one = batch(1, "ada", MONDAY)
    one.rows, one.count = b"[%s]" % b",".join(event % text for text in texts), len(texts)
    async with open_store(database_url) as sink:
        await sink.write([one])
        async with keeper(sink) as figures:
            await follow_to_the_end(figures)
    levels = (await tables(database_url))["levels"]
    assert sorted(level for _, _, level, *_ in levels) == ["a b", "boss"]


async def test_a_value_nearer_to_nothing_than_a_float_can_be_counts_as_nothing(
    database_url: str,
) -> None:
    event = b'["spin",null,"2026-04-22T14:30:00Z",{"event_count":1,"value":%s},null,"ada"]'
    texts = [b"1e-9999", b"-1e-400", b"0." + b"0" * 240 + b"1", b"1e9999", b"2.5"]
    one = batch(1, "", MONDAY, source="teak")
    one.rows, one.count = b"[%s]" % b",".join(event % text for text in texts), len(texts)
    async with open_store(database_url) as sink:
        await sink.write([one])
        async with keeper(sink) as figures:
            await follow_to_the_end(figures)
    ((*_, events, occurrences, value),) = (await tables(database_url))["actions"]
    assert (events, occurrences, value) == (5, 5.0, 1e18 + 2.5)


async def test_of_two_members_of_one_name_the_last_counts(database_url: str) -> None:
    one = batch(1, "ada", MONDAY)
    events = [
        b'"LevelCompleted",null,"2026-04-22T14:30:00Z",{"level":1,"level":2,'
        b'"duration_seconds":5,"duration_seconds":7}',
        b'"GameEnd",null,"2026-04-22T14:30:00Z",{"level":2,"reason":"completed","reason":"quit"}',
        b'"GameEnd",null,"2026-04-22T14:30:00Z",{"level":2,"reason":"quit","reason":"completed"}',
        b'"LevelCompleted",null,"2026-04-22T14:30:00Z",{"level":3,"l\\u0065vel":{"level":4}}',
    ]
    one.rows, one.count = b"[[%s]]" % b"],[".join(events), len(events)
    async with open_store(database_url) as sink:
        await sink.write([one])
        async with keeper(sink) as figures:
            await follow_to_the_end(figures)
    (counted,) = (await tables(database_url))["levels"]
    assert counted[2:] == ("2", 1, 1, 1, 1, 7.0)


async def test_levels_are_any_finite_numbers_and_short_texts_in_the_order_of_numbers(
    database_url: str,
) -> None:
    sent = [5.0, 5, "5", 5.5, 20260422, -1, "レベル1", "10", 1e300, "x" * 41, "", True]
    async with open_store(database_url) as sink:
        await sink.write(
            [batch(1, "ada", MONDAY, *(row("LevelCompleted", level=level) for level in sent))]
        )
        async with keeper(sink) as figures:
            await follow_to_the_end(figures)
            found = await figures.read(None, 30 * DAY, MONDAY.timestamp())
    assert [(each.level, each.completions) for each in found.levels][:6] == [
        ("-1", 1), ("レベル1", 1), ("5", 3), ("5.5", 1), ("10", 1), ("20260422", 1),
    ]  # fmt: skip
    assert [each.level for each in found.levels][6:] == ["1e+300"]


async def test_retention_is_of_those_who_come_back_on_the_very_day(database_url: str) -> None:
    """Ten players come on Monday; five the day after, three a week later, two on both, one late."""
    coming = {0: range(10), 1: range(5), 7: range(3, 6), 8: range(9, 10)}
    batches = [
        batch(100 * day + player, f"p{player}", MONDAY + timedelta(days=day, minutes=player))
        for day, players in coming.items()
        for player in players
    ]
    async with open_store(database_url) as sink:
        await sink.write(batches)
        async with keeper(sink) as figures:
            await follow_to_the_end(figures, 3)
            now = (MONDAY + timedelta(days=9)).timestamp()
            found = await figures.read(None, 30 * DAY, now)
    monday = int(MONDAY.timestamp()) // DAY
    assert [
        (day.day - monday, day.players, day.new_players, day.retained_1, day.retained_7)
        for day in found.days
    ] == [(0, 10, 10, 5, 3), (1, 5, 0, 0, 0), (7, 3, 0, 0, 0), (8, 1, 0, 0, 0)]
    assert [day.sessions for day in found.days] == [10, 5, 3, 1]


async def test_buckets_are_kept_for_twice_as_long_as_they_are_shown(database_url: str) -> None:
    async with open_store(database_url) as sink:
        await sink.write([batch(n, "ada", MONDAY + timedelta(hours=n)) for n in range(80)])
        async with keeper(sink) as figures:
            await follow_to_the_end(figures, 10)
        assert await tables(database_url) == await recounted(database_url)
    kept = Counter(span for span, *_ in (await tables(database_url))["counts"])
    assert (kept[60], kept[900], kept[DAY]) == (3, 49, 4)


async def test_the_fields_of_lynes_are_told_by_kind(database_url: str) -> None:
    metadata: list[dict[str, Any]] = [
        {"platform": "ios", "amount": 2},
        {"platform": "web", "amount": 5.5},
        {"vip": True},
        {"platform": "web"},
    ]
    batches = [
        batch(n, "ada", MONDAY, row("login", None, **data), source="lynes", game="loyalty")
        for n, data in enumerate(metadata)
    ]
    async with open_store(database_url) as sink:
        await sink.write([*batches, batch(9, "ada", MONDAY, row("AppOpen", None, amount=99))])
        async with keeper(sink) as figures:
            found = await figures.read(None, DAY, MONDAY.timestamp())
            assert (await figures.read("a", DAY, MONDAY.timestamp())).fields == []
    assert found.fields == [
        Field("amount", "number", 2, 2, 3.75, 5.5, []),
        Field("platform", "category", 3, None, None, None, [("web", 2), ("ios", 1)]),
        Field("vip", "category", 1, None, None, None, [("true", 1)]),
    ]


async def test_fields_of_lynes_may_have_any_number_that_its_door_takes(database_url: str) -> None:
    numbers = ("1e-400", "-1e-400", "9.9e308", "9e299")
    async with open_store(database_url) as sink, keeper(sink) as figures:
        for n, number in enumerate(numbers):
            one = batch(n, "ada", MONDAY, row("login", None, f=0), source="lynes", game="loyalty")
            one.rows = one.rows.replace(b'{"f":0}', b'{"f":%s}' % number.encode())
            await sink.write([one])
        (found,) = (await figures.read(None, DAY, MONDAY.timestamp())).fields
    assert (found.name, found.values, found.least) == ("f", 3, 0)
    assert [found.mean, found.most] == pytest.approx([3e299, 9e299])


async def test_who_is_erased_stays_in_the_sums_unnamed_and_comes_back_as_somebody_new(
    database_url: str,
) -> None:
    tuesday = MONDAY + timedelta(days=1)
    level = row("LevelCompleted", level=1)
    async with open_store(database_url) as sink, keeper(sink) as figures:
        await sink.write([batch(1, "ada", MONDAY, row(), level), batch(2, "eve", MONDAY, level)])
        await follow_to_the_end(figures)
        before = await tables(database_url)
        await sink.write([batch(3, "ada", MONDAY, level)])  # stored, and not counted yet
        await sink.erase("ada")
        await follow_to_the_end(figures)
        after = await tables(database_url)
        for name in ("counts", "days", "levels", "coins", "actions"):
            assert after[name] == before[name]
        for name in ("player_days", "player_levels"):
            assert {entry[1] for entry in after[name]} == {"eve"}, after[name]
        await sink.write([batch(4, "ada", tuesday)])
        await follow_to_the_end(figures)
        days = (await tables(database_url))["days"]
        players = [tuple(numbers[:3]) for game, _, *numbers in days if game == "a"]
        assert players == [(2, 2, 0), (1, 1, 0)], "ada of Tuesday is new, and did not come back"


async def test_a_batch_from_the_future_makes_nobody_forget_the_counts(database_url: str) -> None:
    """The clock was ten years ahead for a moment."""
    future = datetime.now(UTC) + timedelta(days=3_650)
    async with open_store(database_url) as sink, keeper(sink) as figures:
        await sink.write([batch(1, "ada", MONDAY)])
        await follow_to_the_end(figures)
        before = (await tables(database_url))["counts"]
        await sink.write([batch(2, "ada", future)])
        await sink.write([batch(3, "ada", MONDAY)])
        await follow_to_the_end(figures)
        after = (await tables(database_url))["counts"]
    assert {row[:5] for row in before} < {row[:5] for row in after}
