"""What a store shows of its events to who learns from them, and keeps of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from playsmart_gateway.catalogue.follower import AWAY_SECONDS, Follower
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.events.about import About, Program
from playsmart_gateway.events.batch import PLAYSMART, Batch, run_key
from playsmart_gateway.metrics import Stats
from playsmart_gateway.stores.contract import Store
from playsmart_gateway.stores.learned import (
    MAX_DATA_LENGTH,
    MAX_NAME_LENGTH,
    TOO_LONG,
    EventKey,
    LearnedStore,
)
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.open import open_store
from tests.support.doubles import FakeClock
from tests.support.event_batches import make_batches
from tests.support.stores import execute

GAME = "com.example.tower"
NOON = 1_776_859_200_000_000
JUMP = EventKey(PLAYSMART, GAME, "Custom", "jump")


def batch(
    sequence: int, *datas: dict[str, Any] | None, name: str | None = "jump", version: str = ""
) -> Batch:
    kind = "Custom" if name else "AppOpen"
    rows = [[kind, name, "2026-04-22T12:00:00Z", data] for data in datas]
    made = Batch(PLAYSMART, GAME, "ada", len(rows), msgspec.json.encode(rows), "77" * 16, sequence)
    made.received_at = NOON + sequence
    if version:
        made.run = run_key(bytes([sequence]) * 16, GAME, "ada")
        made.about = About(client=Program("c", "1", version, "ios"))
    return made


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with open_store(database_url) as opened:
        yield opened


@pytest.fixture
async def learned(store: Store) -> AsyncIterator[LearnedStore]:
    assert store.learned is not None
    async with store.learned as opened:
        yield opened


def test_a_store_in_memory_keeps_none() -> None:
    assert MemorySink().learned is None


async def test_an_empty_store_shows_nothing(learned: LearnedStore) -> None:
    sight = await learned.look(0, max_events=100, max_looked=100)
    assert (sight.position, sight.end, [*sight.counted], [*sight.looked]) == (0, 0, [], [])
    assert await learned.kept() == (0, 0, {}, 0)
    assert await learned.buried() == []


async def test_events_are_counted_by_game_and_name_and_looked_at(
    store: Store, learned: LearnedStore
) -> None:
    await store.write([batch(1, {"height": 3}, None, version="2.1"), batch(2, {}, name=None)])
    sight = await learned.look(0, max_events=100, max_looked=100)
    counted = {each.key: (each.events, each.first, each.last) for each in sight.counted}
    first, second = "2026-04-22T12:00:00.000001Z", "2026-04-22T12:00:00.000002Z"
    opened = EventKey(PLAYSMART, GAME, "AppOpen", "")
    assert counted == {JUMP: (2, first, first), opened: (1, second, second)}
    assert [(each.key, each.user_id, each.app_version) for each in sight.looked] == [
        (JUMP, "ada", "2.1"), (JUMP, "ada", "2.1"), (opened, "ada", None),
    ]  # fmt: skip
    assert [each.customdata and json.loads(each.customdata) for each in sight.looked] == [
        {"height": 3}, None, {},
    ]  # fmt: skip


async def test_every_dialects_events_are_shown(store: Store, learned: LearnedStore) -> None:
    batches = make_batches()
    await store.write(batches)
    sight = await learned.look(0, max_events=100, max_looked=100)
    assert sum(each.events for each in sight.counted) == sum(each.count for each in batches)
    assert {each.key.source for each in sight.looked} == {each.source for each in batches}
    assert {each.user_id for each in sight.looked} == {"ada", "bob", "eve"}


async def test_a_look_is_bounded_and_the_next_begins_where_it_ended(
    store: Store, learned: LearnedStore
) -> None:
    await store.write([batch(sequence, *[{}] * 50) for sequence in range(1, 21)])
    start, events, looked = 0, 0, 0
    for _ in range(4):
        sight = await learned.look(start, max_events=250, max_looked=60)
        assert (sight.start, sight.end) == (start, 20)
        assert len(sight.looked) <= 120
        start, events = sight.position, events + sum(each.events for each in sight.counted)
        looked += len(sight.looked)
    assert (start, events) == (20, 1_000)
    assert 0 < looked < 500


async def test_a_batch_that_is_larger_than_a_look_is_one_look(
    store: Store, learned: LearnedStore
) -> None:
    await store.write([batch(1, *[{}] * 50), batch(2, *[{}] * 50)])
    assert (await learned.look(0, max_events=10, max_looked=10)).position == 1


async def test_wrong_clocks_are_told(store: Store, learned: LearnedStore) -> None:
    rows = [["AppOpen", None, f"{year}-01-01T00:00:00Z", None] for year in (1970, 2026, 2031)]
    await store.write(
        [Batch(PLAYSMART, GAME, "ada", 3, msgspec.json.encode(rows), "77" * 16, 1, NOON)]
    )
    sight = await learned.look(0, max_events=100, max_looked=100)
    assert [each.clock for each in sight.looked] == ["past", None, "future"]


async def test_what_is_long_is_cut_off_or_left_out(store: Store, learned: LearnedStore) -> None:
    await store.write([batch(1, {"a": "x" * MAX_DATA_LENGTH}, name="n" * 1_000)])
    sight = await learned.look(0, max_events=100, max_looked=100)
    assert sight.counted[0].key.name == "n" * MAX_NAME_LENGTH
    assert sight.looked[0].customdata == TOO_LONG


async def test_what_is_kept_moves_the_position_from_where_it_was_read(
    learned: LearnedStore,
) -> None:
    assert await learned.keep(0, 7, [(JUMP, '{"events":1}')])
    assert not await learned.keep(0, 9, [(JUMP, '{"events":2}')])
    assert await learned.kept() == (7, 7, {JUMP: '{"events":1}'}, 0)
    assert await learned.keep(7, 8, [], [JUMP])
    assert await learned.kept() == (8, 8, {}, 0)


async def test_one_game_is_read_in_full_and_others_as_a_whole(learned: LearnedStore) -> None:
    whole = JUMP._replace(type="", name="")
    others = [each._replace(game_id="other") for each in (JUMP, whole)]
    await learned.keep(0, 1, [(each, "{}") for each in (JUMP, whole, *others)])
    assert set((await learned.kept(GAME)).learned) == {JUMP, whole, others[1]}
    assert set((await learned.kept("")).learned) == {whole, others[1]}


async def test_dead_letters_are_counted_by_game_and_reason(
    store: Store, learned: LearnedStore
) -> None:
    for sequence, reason in enumerate(["too odd", "too odd", "too new"], 1):
        await store.bury(batch(sequence, {}, {}), reason)
    found = await learned.buried()
    assert [(each.reason, each.letters, each.events) for each in found] == [
        ("too odd", 2, 4), ("too new", 1, 2),
    ]  # fmt: skip
    assert all(each.first <= each.last for each in found)


async def test_a_mark_that_somebody_removed_is_told_with_what_helps(
    store: Store, learned: LearnedStore, database_url: str
) -> None:
    await execute(database_url, "DELETE FROM catalogue_state")
    with pytest.raises(SinkUnavailable) as told:
        await learned.kept()
    await execute(database_url, "INSERT INTO catalogue_state VALUES (0)")
    assert "INSERT INTO catalogue_state VALUES (0)" in told.value.hint
    assert (await learned.kept()).position == 0


# ---- Following ------------------------------------------------------------------------------


async def follow(follower: Follower) -> None:
    while await follower.step():
        pass


async def events_of(learned: LearnedStore, key: EventKey = JUMP) -> int:
    return int(msgspec.json.decode((await learned.kept()).learned[key])["events"])


async def test_each_batch_is_learned_from_once_however_often_the_follower_begins_anew(
    store: Store, learned: LearnedStore
) -> None:
    for sequence in range(1, 8):
        await store.write([batch(sequence, {}, {})])
        follower = Follower(learned, Stats(), clock=FakeClock())
        await follow(follower)
        await follow(follower)
    assert await events_of(learned) == 14


async def test_whoever_reads_the_store_reads_what_was_learned(
    store: Store, learned: LearnedStore, database_url: str
) -> None:
    await store.write([batch(1, {"height": 3})])
    await follow(Follower(learned, Stats(), clock=FakeClock()))
    async with open_store(database_url).reader() as reader:
        assert await reader.all_learned() == await learned.kept()


async def test_of_two_followers_one_learns_and_the_other_tells_what_it_learned(
    store: Store, learned: LearnedStore
) -> None:
    clock = FakeClock()
    stats = Stats(), Stats()
    first, second = (
        Follower(learned, each, clock=clock, wall=lambda: NOON / 1e6) for each in stats
    )
    sequence = 0
    for _ in range(5):
        sequence += 1
        await store.write([batch(sequence, {"height": 3}, version="2.1")])
        await asyncio.gather(first.step(), second.step())
        clock.advance(AWAY_SECONDS / 2 + 1)
    assert await events_of(learned) == sequence
    assert stats[0].catalogue_findings == stats[1].catalogue_findings
    for _ in range(4):  # the other one is gone: who was away goes on
        sequence += 1
        await store.write([batch(sequence, {"height": 3})])
        await second.step()
        clock.advance(AWAY_SECONDS + 1)
    await second.step()
    assert await events_of(learned) == sequence


async def test_what_is_odd_and_how_far_it_is_behind_is_counted(
    store: Store, learned: LearnedStore
) -> None:
    stats, clock = Stats(), FakeClock()
    follower = Follower(learned, stats, clock=clock, wall=lambda: NOON / 1e6)
    await store.write([batch(1, *[{"level": 3}] * 250)])
    await follow(follower)
    clock.advance(10)
    await store.write([batch(2, {"Level": 3}, name="fall")])
    await follow(follower)
    told = {kind: count for kind, count in stats.catalogue_findings.items() if count}
    assert told == {"new_event": 1, "near_miss": 1}
    assert stats.catalogue_lag == 0


async def test_after_trouble_nothing_is_learned_twice(store: Store, learned: LearnedStore) -> None:
    class Troubled:
        """Fails the first time that something is to be kept."""

        busy_seconds = 0.0
        failures = 1

        def __getattr__(self, name: str) -> Any:
            return getattr(learned, name)

        async def keep(self, *arguments: Any, erasures: int) -> bool:
            if self.failures:
                self.failures -= 1
                raise SinkUnavailable("away")
            return await learned.keep(*arguments, erasures=erasures)

    await store.write([batch(1, {}, {})])
    troubled: Any = Troubled()
    follower = Follower(troubled, Stats(), clock=FakeClock())
    with pytest.raises(SinkUnavailable):
        await follow(follower)
    await follow(follower)
    assert await events_of(learned) == 2
