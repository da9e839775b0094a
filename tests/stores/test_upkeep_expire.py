"""``Upkeep.expire``: old events go, what they earned stays, and the audit stays sound."""

from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.contract import Store
from playsmart_gateway.stores.memory.events import printed
from playsmart_gateway.stores.open import open_store
from tests.support.coin_batches import EVENTS, RULES, batch, complaints, ledger
from tests.support.figures import count_all, follow_to_the_end
from tests.support.stores import empty, execute, for_all, select

START = 1_776_868_200_000_000
"""When a batch was received less its sequence, in microseconds."""


def history(first: int = 1, count: int = 12) -> list[Batch]:
    """Batches of two games, in turn: levels, and custom events of which each fourth pays."""
    batches = []
    for sequence in range(first, first + count):
        user = ("ada", "eve")[sequence // 2 % 2]
        if sequence % 2:
            batches.append(batch(sequence, EVENTS["level"], EVENTS["open"], user=user))
        else:
            customs = [EVENTS["custom"]] * 3
            batches.append(batch(sequence, *customs, user=user, game="counts"))
    return batches


async def expire(store: Store, sequence: int, step: int = 4, **which: Any) -> int:
    """Delete what was received before the batch ``sequence``, in steps; return how much."""
    await count_all(store)
    events, position = 0, 0
    while True:
        expired = await store.expire(
            printed(START + sequence), after_batch=position, max_events=step, **which
        )
        events += expired.events
        position = expired.position
        if expired.done:
            return events


async def test_nothing_to_delete_is_done_at_once(url: str) -> None:
    async with open_store(url, RULES) as store:
        assert await expire(store, 10**9) == 0
        await store.write(history())
        assert await expire(store, 1) == 0


@pytest.mark.parametrize(
    ("which", "count"),
    [
        ({}, 15),
        ({"game_id": "levels"}, 6),
        ({"type_": "Custom"}, 9),
        ({"game_id": "levels", "type_": "LevelCompleted"}, 3),
        ({"game_id": "none"}, 0),
    ],
)
async def test_old_events_go_and_what_they_earned_stays(
    url: str, which: dict[str, Any], count: int
) -> None:
    async with open_store(url, RULES) as store, store.reader() as reader:
        await store.write(history())
        entries, player = await ledger(reader), await reader.player("ada")
        everything = (await reader.events(upto=10**9, limit=100)).events
        assert await expire(store, 7, dry_run=True, **which) == count
        assert (await reader.events(upto=10**9, limit=100)).events == everything
        assert await expire(store, 7, **which) == count
        left = (await reader.events(upto=10**9, limit=100)).events
        assert len(left) == len(everything) - count
        assert set(left) <= set(everything)
        assert await expire(store, 7, **which) == 0
        assert (await ledger(reader), await reader.player("ada")) == (entries, player)
        assert (await store.write(history())).stored == 0, "a replay brings nothing back"
        await store.write(history(first=13))
        assert await complaints(reader) == []


async def test_an_audit_on_its_way_is_not_confused(database_url: str) -> None:
    async with open_store(database_url, RULES) as store:
        await store.write(history())
        for audited_first in (0, 3, 7, 30):
            async with store.reader() as reader:
                if audited_first:
                    assert (await reader.audit(audited_first)).violations == ()
                await expire(store, 2 + audited_first // 3)
                assert await complaints(reader) == []


async def test_the_audit_still_finds_what_nobody_expired(database_url: str) -> None:
    async with open_store(database_url, RULES) as store:
        await store.write(history())
        await expire(store, 7, type_="Custom")

        async def found_after(statement: str) -> set[str]:
            await execute(database_url, statement)
            async with store.reader() as reader:
                return {each.kind for each in await complaints(reader)}

        level = "(SELECT min(event_id) FROM event_rows WHERE type = 'LevelCompleted')"
        last = "(SELECT max(event_id) FROM event_rows WHERE type = 'Custom')"
        assert await found_after("SELECT 1") == set()
        assert await found_after(f"DELETE FROM event_rows WHERE event_id = {level}") == {
            "unearned_grant"
        }
        assert "unearned_grant" in await found_after(
            f"DELETE FROM event_rows WHERE event_id / 256 = {last} / 256"
        )


async def test_headers_tell_how_many_events_are_left(database_url: str) -> None:
    async with open_store(database_url, RULES) as store:
        await store.write(history())
        await expire(store, 8, type_="AppOpen")
        wrong = (
            "SELECT count(*) FROM batches WHERE event_count <>"
            " (SELECT count(*) FROM event_rows WHERE event_id / 256 = batch_id)"
        )
        assert await select(database_url, wrong) == [(0,)]


_ROWS = st.lists(st.sampled_from(["level", "custom", "open"]), min_size=1, max_size=4)
_USERS = st.sampled_from(["ada", "eve"])
_GAMES = st.sampled_from(["levels", "counts", "both"])
_STEPS = st.lists(
    st.tuples(
        st.lists(st.tuples(_USERS, _GAMES, _ROWS), max_size=5),
        st.integers(0, 20),
        st.sampled_from([None, "counts", "both", "levels"]),
        st.sampled_from([None, "Custom", "LevelCompleted", "AppOpen"]),
    ),
    min_size=1, max_size=4,
)  # fmt: skip


@for_all(25, steps=_STEPS, cap=st.sampled_from([0, 13]))
async def test_the_audit_is_clean_whatever_was_expired_in_between(
    database_url: str, steps: list[Any], cap: int
) -> None:
    rules = [msgspec.structs.replace(rule, max_per_day=cap) for rule in RULES]
    await empty(database_url)
    async with open_store(database_url, rules) as store, store.reader() as beside:
        sequence = 0
        for uploads, cut, game, kind in steps:
            for user, game_id, names in uploads:
                sequence += 1
                rows = [EVENTS[name] for name in names]
                await store.write([batch(sequence, *rows, user=user, game=game_id)])
            await beside.audit(2)
            await expire(store, cut, game_id=game, type_=kind)
            async with store.reader() as reader:
                assert await complaints(reader) == []
        assert await complaints(beside) == []


async def test_what_the_dashboard_has_not_counted_stays(database_url: str) -> None:
    """Nothing is deleted for good that is missing in the sums; a recount is awaited, too."""
    everything = printed(START + 10**9)
    async with open_store(database_url, RULES) as store:
        await store.write(history())
        figures = store.rollups()
        assert figures is not None
        async with figures:
            followed = await figures.roll_up(5)
            assert followed is not None
            expired = await store.expire(everything, max_events=100)
            assert (expired.position, expired.uncounted) == (followed.position, True)
            assert 0 < expired.events < 30
            again = await store.expire(everything, max_events=100)
            assert (again.events, again.done, again.uncounted) == (0, True, True)
            await follow_to_the_end(figures)
            await execute(database_url, "UPDATE rollup_state SET position = 0")
            recounting = await store.expire(everything, max_events=100)
            assert (recounting.events, recounting.uncounted) == (0, True)
            await follow_to_the_end(figures)
            assert not (await store.expire(everything, max_events=100)).uncounted
        assert await select(database_url, "SELECT count(*) FROM event_rows") == [(0,)]
        counted = "SELECT sum(events) FROM rollup_counts WHERE span = 86400"
        assert [int(n) for (n,) in await select(database_url, counted)] >= [30]


LATEST = printed(START + 1_000)


@pytest.mark.parametrize(
    ("ahead", "left"),
    [
        pytest.param({3}, 5, id="between old ones"),
        pytest.param({1, 2}, 5, id="the first ones"),
        pytest.param({6, 7}, 7, id="before a young one: nobody knows"),
        pytest.param(set(range(1, 13)), 12, id="all of them: nobody knows"),
    ],
)
async def test_a_batch_from_the_future_stops_nothing_and_is_named(
    url: str, ahead: set[int], left: int
) -> None:
    """The clock was ten years ahead for a moment; what came behind says how old a batch is."""
    batches = history()
    for each in batches:
        if each.sequence in ahead:
            each.received_at += 10 * 365 * 86_400_000_000
    async with open_store(url, RULES) as store, store.reader() as reader:
        await store.write(batches)
        await count_all(store)
        position = 0
        named: set[int] = set()
        while True:
            step = await store.expire(
                printed(START + 8), latest=LATEST, after_batch=position, max_events=4
            )
            position, named = step.position, named | set(step.ahead)
            if step.done:
                break
        events = (await reader.events(upto=10**9, limit=100)).events
        assert len({event.event_id // 256 for event in events}) == left
        assert named <= ahead
        assert min(named, default=12) == min(ahead), "it names them from the first one on"


async def test_what_somebody_else_has_not_copied_yet_stays(url: str) -> None:
    async with open_store(url, RULES) as store, store.reader() as reader:
        await store.write(history())
        await count_all(store)
        everything = (await reader.events(upto=10**9, limit=100)).events
        last = everything[-1].event_id // 256 - 2
        assert await expire(store, 10**9, dry_run=True, upto_batch=0) == 0
        told = await store.expire(printed(START + 10**9), upto_batch=last, max_events=10**6)
        assert (told.done, told.uncounted, told.position) == (True, True, last)
        left = (await reader.events(upto=10**9, limit=100)).events
        assert left == [each for each in everything if each.event_id // 256 > last]
        assert await expire(store, 10**9) == len(left)
