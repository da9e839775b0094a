"""``Awarding``: every store awards what the step says, once, however it is cut."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from playsmart_gateway.economy.points import (
    Award,
    Metadata,
    MetadataStats,
    Streak,
    summarize,
)
from playsmart_gateway.economy.points.analytics import (
    MAX_FIELDS,
    MAX_VALUES,
)
from playsmart_gateway.errors import SinkRejected
from playsmart_gateway.events.batch import run_key, run_of
from playsmart_gateway.stores.contract import Store
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.models import (
    EntryType,
    StreakFigures,
)
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stores.readers import PointsReader
from playsmart_gateway.stores.sqlite.schema import (
    MIGRATIONS,
)
from tests.support.doubles import make_batch
from tests.support.loyalty import ALWAYS, DAY, NOON, PROGRAM, event
from tests.support.stores import empty, execute, for_all, select

ALL_TYPES: tuple[EntryType, ...] = ("event", "streak_milestone")


def brought(award: Award) -> tuple[int, list[tuple[str, int, int]]]:
    return award.points, [(each.streak_id, each.current_count, each.points)
                          for each in award.streaks]  # fmt: skip


# --- what cannot be awarded ----------------------------------------------------------------------


async def test_an_event_that_is_not_defined_is_rejected_with_its_neighbours(url: str) -> None:
    async with open_store(url, program=PROGRAM) as sink:
        with pytest.raises(SinkRejected):
            await sink.commit([event(1), event(2, "unheard of")])
        assert brought((await sink.commit([event(1)]))[0])[0] == 10
        async with sink.reader() as reader:
            assert await reader.points.points("p", "ada") == 11


@pytest.mark.parametrize(
    "rows", [b"", b"[]", b"[[oops", b'[["login",null,"",7]]', b'[["login",null,"",null],[]]']
)
async def test_a_row_that_no_dialect_wrote_is_rejected(url: str, rows: bytes) -> None:
    bad = event(2)
    bad.rows = rows
    async with open_store(url, program=PROGRAM) as sink:
        with pytest.raises(SinkRejected):
            await sink.commit([event(1), bad])
        async with sink.reader() as reader:
            assert await reader.points.points("p", "ada") is None


async def test_a_balance_that_no_integer_holds_is_rejected_and_stays(database_url: str) -> None:
    async with open_store(database_url, program=PROGRAM) as sink:
        await sink.commit([event(1)])
        await execute(database_url, "UPDATE lynes_users SET points = 9223372036854775807")
        with pytest.raises(SinkRejected):
            await sink.commit([event(2, "buy", metadata={"value": 5})])
        async with sink.reader() as reader:
            assert await reader.points.points("p", "ada") == 2**63 - 1


# --- what is awarded -----------------------------------------------------------------------------


async def test_nobody_has_nothing(url: str) -> None:
    async with open_store(url, program=PROGRAM) as sink:
        assert await sink.commit([]) == []
        async with sink.reader() as reader:
            loyalty = reader.points
            assert await loyalty.points("p", "ada") is None
            assert await loyalty.streaks("p", "ada") == {}
            assert await history(loyalty, "ada") == []
            assert await loyalty.streak_figures("p", "days", date.min) == StreakFigures()
            stats = await loyalty.event_stats("p", "login", **ALWAYS, group=None)
            assert stats == MetadataStats()
            assert await loyalty.event_days("p", "login", **ALWAYS, group=None) == {}


async def test_one_transaction_awards_event_after_event(url: str) -> None:
    async with open_store(url, program=PROGRAM) as sink:
        batches = [event(1), event(2), event(3, user="bob"), event(4, at_ms=NOON + DAY)]
        assert [brought(each) for each in await sink.commit(batches)] == [
            (10, [("days", 1, 1), ("weeks", 1, 0)]),
            (0, [("days", 1, 0), ("weeks", 1, 0)]),
            (10, [("days", 1, 1), ("weeks", 1, 0)]),
            (10, [("days", 2, 0), ("weeks", 1, 0)]),
        ]
        async with sink.reader() as reader:
            assert await reader.points.points("p", "ada") == 21
            assert await reader.points.points("p", "bob") == 11
            assert await reader.points.points("elsewhere", "ada") is None


async def test_a_repeat_is_told_what_it_was_awarded_then(url: str) -> None:
    """The store may have committed what it reported as failed; newcomers share the retry."""
    async with open_store(url, program=PROGRAM) as sink:
        first = [event(1), event(2), event(3, at_ms=NOON + DAY), event(4, at_ms=NOON + 2 * DAY)]
        awards = await sink.commit(first)
        assert await sink.commit(first) == awards
        late = event(5, at_ms=NOON + 3 * DAY)
        again = await sink.commit([first[0], late, *first[1:]])
        assert again[:1] + again[2:] == awards
        assert brought(again[1]) == (10, [("days", 4, 0), ("weeks", 1, 0)])
        async with sink.reader() as reader:
            loyalty = reader.points
            assert await loyalty.points("p", "ada") == 4 * 10 + 1 + 50
            assert sum(each.points for each in await history(loyalty, "ada")) == 91
            days = await loyalty.event_days("p", "login", **ALWAYS, group=None)
            assert list(days.values()) == [2, 1, 1, 1]


async def test_a_repeat_by_its_run_is_told_the_first_award_and_pays_nothing(url: str) -> None:
    async with open_store(url, program=PROGRAM) as sink:
        first, twin, later = (event(n, at_ms=NOON + n) for n in (1, 2, 3))
        other = event(4, user="bob", at_ms=NOON)
        for each in (first, twin, later):
            each.run = run_key(run_of(b"k", b"lynes"), "p", "ada")
        other.run = run_key(run_of(b"k", b"lynes"), "p", "bob")
        awards = await sink.commit([first, twin])
        awards += await sink.commit([later, other])
        assert [each.is_repeated for each in awards] == [False, True, True, False]
        told = msgspec.structs.replace(awards[0], is_repeated=True)
        assert awards[1:3] == [told, told]
        assert [each.paid for each in awards] == [11, 0, 0, 11]
        assert await sink.commit([first, twin, later]) == awards[:3]
        async with sink.reader() as reader:
            assert await reader.points.points("p", "ada") == 11
            assert len(await history(reader.points, "ada")) == 2


@pytest.mark.parametrize("gone", ["erased", "forgotten"])
async def test_a_repeat_of_what_is_erased_or_forgotten_is_a_new_event(url: str, gone: str) -> None:
    """Of who is erased nothing is left; else what was paid before stays."""
    async with open_store(url, program=PROGRAM) as sink:
        first, repeat, later = (event(n, at_ms=NOON + n * DAY) for n in (1, 2, 3))
        for each in (first, repeat, later):
            each.run = run_key(run_of(b"k", b"lynes"), "p", "ada")
        await sink.commit([first])
        if gone == "erased":
            await sink.erase("ada")
        else:
            await sink.forget_runs(repeat.received_at, after=b"", limit=10)
        (award,), (told,) = await sink.commit([repeat]), await sink.commit([later])
        assert (award.is_repeated, award.points) == (False, 10)
        assert award.history[0].timestamp_ms == NOON + 2 * DAY
        assert told == msgspec.structs.replace(award, is_repeated=True)
        async with sink.reader() as reader:
            expected = 11 if gone == "erased" else 21
            assert await reader.points.points("p", "ada") == expected


async def test_a_repeat_of_what_was_no_award_pays_nothing(url: str) -> None:
    """Another batch has the number of the run already, of whatever source."""
    async with open_store(url, program=PROGRAM) as sink:
        other, repeat = make_batch(1), event(2)
        other.run = repeat.run = run_key(run_of(b"k"), "p", "ada")
        await sink.write([other])
        (award,) = await sink.commit([repeat])
        assert (award.is_repeated, award.points, award.streaks) == (True, 0, ())
        assert award.history[0].timestamp_ms == NOON
        async with sink.reader() as reader:
            assert await reader.points.points("p", "ada") is None


async def test_state_is_there_after_the_store_was_opened_anew(database_url: str) -> None:
    for day in range(4):
        async with open_store(database_url, program=PROGRAM) as sink:
            (award,) = await sink.commit([event(day + 1, at_ms=NOON + day * DAY)])
            assert award.streaks[0].current_count == day + 1


async def test_a_cancelled_commit_leaves_all_or_nothing_and_can_be_repeated(url: str) -> None:
    batches = [event(place, user=f"u{place % 7}") for place in range(1, 60)]
    async with open_store(url, program=PROGRAM) as sink:
        for pause in (0, 0.0005, 0.002, 0.005):
            committing = asyncio.ensure_future(sink.commit(batches))
            await asyncio.sleep(pause)
            committing.cancel()
            await asyncio.wait([committing])
        await sink.commit(batches)
        async with sink.reader() as reader:
            assert [await reader.points.points("p", f"u{place}") for place in range(7)] == [11] * 7
            stats = await reader.points.event_stats("p", "login", **ALWAYS, group=None)
            assert stats.events == len(batches)


async def test_events_of_the_commit_queue_are_rows_like_all_others_and_pay_no_coins(
    database_url: str,
) -> None:
    async with open_store(database_url, program=PROGRAM) as sink:
        await sink.write([make_batch(1)])
        await sink.commit([event(1, "buy", metadata={"value": Decimal("49.990")})])
        async with sink.reader() as reader:
            assert await reader.player("ada") is None
    (row,) = await select(
        database_url,
        "SELECT source, game_id, user_id, type, custom_event_name, occurred_at, received_at,"
        " customdata FROM events WHERE source = 'lynes'",
    )
    at = "2026-04-22T12:00:00.000000Z"
    assert row == ("lynes", "p", "ada", "buy", None, at, at, '{"value":49.990}')


# --- however it is cut ---------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3)
numbers = st.integers(-(10**20), 10**20) | st.decimals(
    -1000, 1000, allow_nan=False, places=3
) | st.sampled_from([Decimal("1E+300"), Decimal("1E-300")])  # fmt: skip
values = st.one_of(st.none(), st.booleans(), texts, numbers, st.lists(texts, max_size=3))
metadatas = st.dictionaries(texts.filter(bool), values, max_size=3).flatmap(
    lambda fields: st.fixed_dictionaries(
        {},
        optional={
            "value": numbers,
            "amount": st.integers(0, 9),
            "usergroup": st.sampled_from(["gold", "silver", ["silver", "gold"]]),
        },
    ).map(lambda more: {**fields, **more})
)
steps = st.tuples(
    st.sampled_from(["login", "login", "watch", "buy"]),
    st.sampled_from(["ada", "ada", "bob", "ünï \"'☃"]),
    metadatas,
    st.sampled_from([0, 0, 1, 3_600_000, DAY, 2 * DAY, 8 * DAY, -DAY]),
    st.booleans(),
)


@for_all(40, story=st.lists(steps, min_size=1, max_size=14))
async def test_any_cut_into_transactions_awards_and_counts_what_the_twin_does(
    database_url: str, story: list[tuple[str, str, Metadata, int, bool]]
) -> None:
    await empty(database_url)
    batches, cuts, now = [], [0], NOON
    for place, (event_id, user, metadata, later, ends) in enumerate(story, 1):
        now += later
        batches.append(event(place, event_id, user, metadata, now))
        if ends:
            cuts.append(place)
    cuts.append(len(batches))
    twin = MemorySink(program=PROGRAM)
    expected = [(await twin.commit([each]))[0] for each in batches]
    async with open_store(database_url, program=PROGRAM) as sink:
        awards: list[Award] = []
        for start, end in pairwise(cuts):
            awards += await sink.commit(batches[start:end])
        assert awards == expected
        assert await sink.commit(batches) == expected
        async with sink.reader() as reader:
            assert await all_there_is(reader.points) == await all_there_is(twin.points)
            anew = await counted_anew(database_url, "login")
            assert anew == await stats_of(reader.points, "login")


async def all_there_is(loyalty: PointsReader) -> dict[str, Any]:
    users = ["ada", "bob", "ünï \"'☃"]
    found: dict[str, Any] = {}
    for user in users:
        found |= {
            f"points of {user}": await loyalty.points("p", user),
            f"streaks of {user}": await loyalty.streaks("p", user),
            f"history of {user}": await history(loyalty, user),
            f"milestones of {user}": await history(loyalty, user, types=["streak_milestone"]),
            f"a page of {user}": await history(
                loyalty, user, from_ms=NOON, to_ms=NOON + 2 * DAY, offset=1, limit=2
            ),
        }
    for streak_id in ("days", "weeks", "never"):
        since = date(2026, 4, 23)
        found[streak_id] = await loyalty.streak_figures("p", streak_id, since)
    for event_id in ("login", "watch", "buy"):
        for group in (None, "gold", "default"):
            found[f"{event_id} of {group}"] = await stats_of(loyalty, event_id, group=group)
            found[f"days of {event_id} of {group}"] = await loyalty.event_days(
                "p", event_id, **ALWAYS, group=group
            )
        first, last = date(2026, 4, 22), date(2026, 4, 23)
        found[f"{event_id} for two days"] = await stats_of(
            loyalty, event_id, first=first, last=last
        )
    return found


async def history(loyalty: PointsReader, user: str, **limits: Any) -> list[Any]:
    everything = {"types": ALL_TYPES, "from_ms": 0, "to_ms": 2**62, "offset": 0, "limit": 1000}
    return await loyalty.history("p", user, **{**everything, **limits})


async def stats_of(loyalty: PointsReader, event_id: str, **limits: Any) -> Any:
    cells = {**ALWAYS, "group": None, **limits}
    return summarize(await loyalty.event_stats("p", event_id, **cells), 10_000)


async def counted_anew(url: str, event_id: str) -> Any:
    """The figures from the stored events alone."""
    stats = MetadataStats()
    decode = msgspec.json.Decoder(float_hook=Decimal).decode
    for (customdata,) in await select(
        url, f"SELECT customdata FROM events WHERE type = '{event_id}'"
    ):
        stats.observe(decode(customdata or "{}"))
    return summarize(stats, 10_000)


VALUES: list[Metadata] = [
    {"tx": f"t{place}", "again": f"a{place % 1_500}", "level": f"l{place % 9}"}
    for place in range(3 * MAX_VALUES)
]
FIELDS: list[Metadata] = [
    {f"f{(place * 7 + more) % 500}": f"{place % 3}" for more in range(7)} for place in range(500)
]


@pytest.mark.parametrize("told", [VALUES, FIELDS], ids=["values", "fields"])
async def test_names_beyond_the_bounds_are_counted_as_unnamed_as_in_the_twin(
    database_url: str, told: list[Metadata]
) -> None:
    """Far more distinct names than are kept, some again later, some on another day."""
    batches = [
        event(place, metadata=each, at_ms=NOON + (place % 5 == 0) * DAY)
        for place, each in enumerate(told, 1)
    ]
    twin = MemorySink(program=PROGRAM)
    await twin.commit(batches)
    async with open_store(database_url, program=PROGRAM) as sink:
        for start in range(0, len(batches), 100):
            await sink.commit(batches[start : start + 100])
        async with sink.reader() as reader:
            stats = await stats_of(reader.points, "login")
            assert stats == await stats_of(twin.points, "login")
            assert stats == await counted_anew(database_url, "login")
            one_day: dict[str, Any] = {"first": date(2026, 4, 22), "last": date(2026, 4, 22)}
            assert await stats_of(reader.points, "login", **one_day) == await stats_of(
                twin.points, "login", **one_day
            )
    ((most_values,), (most_fields,), (orphans,)) = [
        (await select(database_url, query))[0]
        for query in (
            "SELECT max(n) FROM (SELECT count(*) AS n FROM lynes_values GROUP BY field_id) AS c",
            "SELECT max(n) FROM (SELECT count(*) AS n FROM lynes_fields GROUP BY cell_id) AS c",
            "SELECT count(*) FROM lynes_values"
            " WHERE field_id NOT IN (SELECT field_id FROM lynes_fields)",
        )
    ]
    assert orphans == 0
    if told is VALUES:
        assert stats.fields["tx"].strings.unnamed == 2 * MAX_VALUES
        assert MAX_VALUES <= most_values <= 2 * MAX_VALUES + 100
    else:
        assert stats.unnamed > 0
        assert len(stats.fields) == MAX_FIELDS <= most_fields <= 2 * MAX_FIELDS


async def test_a_field_of_few_values_that_come_often_loses_none(database_url: str) -> None:
    async with open_store(database_url, program=PROGRAM) as sink:
        for start in range(0, 2_600, 100):
            await sink.commit(
                [event(n + 1, metadata={"os": f"o{n % 90}"}) for n in range(start, start + 100)]
            )
        async with sink.reader() as reader:
            found = await stats_of(reader.points, "login")
    strings = found.fields["os"].strings
    assert (strings.count, strings.unnamed, len(strings.most_common)) == (2_600, 0, 90)


async def test_what_a_migration_adds_is_there_in_an_older_file(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    older = MIGRATIONS[:3]
    with closing(sqlite3.connect(path)) as db:
        for script in older:
            db.executescript(script)
        db.execute(f"PRAGMA user_version = {len(older)}")
    async with open_store(f"sqlite:///{path}", program=PROGRAM) as sink:
        assert brought((await sink.commit([event(1)]))[0])[0] == 10


# --- reading -------------------------------------------------------------------------------------


async def play(sink: Store, days: Sequence[int], user: str = "ada") -> None:
    for place in days:
        batch = event(1, user=user, at_ms=NOON + place * DAY)
        batch.journal = f"{user} on day {place}"
        await sink.commit([batch])


async def test_figures_of_a_streak_tell_who_has_it_now(url: str) -> None:
    async with open_store(url, program=PROGRAM) as sink:
        await play(sink, range(5))
        await play(sink, range(3), "bob")
        await play(sink, [0, 3, 4], "eve")
        await play(sink, [4], "new")
        async with sink.reader() as reader:
            yesterday = (datetime.fromtimestamp(NOON / 1000, UTC) + timedelta(days=4)).date()
            figures = await reader.points.streak_figures("p", "days", yesterday)
            assert figures == StreakFigures(4, 3, 5, 8, {1: 1, 2: 1, 5: 1})
            assert (await reader.points.streak_figures("q", "days", yesterday)).users == 0
            mine = await reader.points.streaks("p", "eve")
            assert mine["days"] == Streak(2, 2, yesterday, NOON + 4 * DAY)
