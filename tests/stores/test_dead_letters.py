"""What was buried is read, and stored once after all, in every store."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiosqlite

from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stores.sql.dead_letters import newest_buried
from playsmart_gateway.stores.sqlite.connection import numbered
from tests.support.doubles import make_batch
from tests.support.stores import MakeSink


async def test_dead_letters_are_listed_in_the_order_in_which_they_came(make_sink: MakeSink) -> None:
    async with make_sink() as store, store.reader() as reader:
        assert await reader.buried() == []
        for sequence in (1, 2):
            await store.bury(make_batch(sequence, sequence + 1), f"reason {sequence}")
        letters = await reader.buried()
    assert [(each.sequence, each.reason, each.event_count) for each in letters] == [
        (1, "reason 1", 2),
        (2, "reason 2", 3),
    ]
    assert letters[0].name == f"{make_batch(1).journal}-1"
    assert letters[0].received_at == "2026-04-22T14:30:00.123457Z"
    assert letters[0].size == len(make_batch(1, 2).rows)


async def test_a_dead_letter_is_read_as_the_batch_that_it_was(make_sink: MakeSink) -> None:
    batch = make_batch(1, 3)
    async with make_sink() as store, store.reader() as reader:
        await store.bury(batch, "why not")
        found = await reader.buried_batch(batch.journal, 1)
        assert found is not None
        assert (found.user_id, found.count, bytes(found.rows), found.received_at) == (
            batch.user_id,
            batch.count,
            bytes(batch.rows),
            batch.received_at,
        )
        assert await reader.buried_batch(batch.journal, 2) is None


async def test_a_replay_stores_the_batch_once_and_removes_the_letter(make_sink: MakeSink) -> None:
    batch = make_batch(1, 3)
    async with make_sink() as store, store.reader() as reader:
        await store.bury(batch, "why not")
        written = await store.replay(batch.journal, 1)
        assert written is not None
        assert (written.stored, written.duplicate) == (3, 0)
        assert await reader.buried() == []
        assert await store.replay(batch.journal, 1) is None
        assert (await store.write([batch])).duplicate == 3


async def test_a_replay_of_what_is_stored_only_removes_the_letter(make_sink: MakeSink) -> None:
    batch = make_batch(1, 2)
    async with make_sink() as store, store.reader() as reader:
        await store.write([batch])
        await store.bury(batch, "by mistake")
        written = await store.replay(batch.journal, 1)
        assert written is not None
        assert (written.stored, written.duplicate) == (0, 2)
        assert await reader.buried() == []


async def test_the_newest_are_read_and_counted_by_game_and_reason(make_sink: MakeSink) -> None:
    async with make_sink() as store, store.reader() as reader:
        assert await reader.newest_buried(9) == []
        assert await reader.buried_by_reason() == []
        for sequence, reason in enumerate(["too odd", "too odd", "too new"], 1):
            await store.bury(make_batch(sequence, sequence), reason)
        newest = await reader.newest_buried(2)
        odd = await reader.newest_buried(9, reason="too odd")
        game = make_batch(1).game_id
        assert len(await reader.newest_buried(9, game_id=game, reason="too new")) == 1
        assert await reader.newest_buried(9, game_id="another") == []
        counted = await reader.buried_by_reason()
    assert len(newest) == 2
    assert {each.sequence for each in odd} == {1, 2}
    assert newest == sorted(newest, key=lambda each: each.buried_at, reverse=True)
    assert [each[:4] for each in counted] == [(game, "too odd", 2, 3), (game, "too new", 1, 3)]


async def test_sqlite_finds_the_newest_without_reading_what_is_in_them(tmp_path: Path) -> None:
    plans: list[Any] = []

    class Explained:
        async def fetch(self, query: str, /, *args: Any) -> Sequence[Any]:
            asked = f"EXPLAIN QUERY PLAN {query}"
            plans.extend(await db.execute_fetchall(asked, numbered(args)))
            return []

    url = f"sqlite:///{tmp_path}/letters.db"
    async with open_store(url), aiosqlite.connect(tmp_path / "letters.db") as db:
        await newest_buried(Explained(), str, "rowid", 200, None, None)
    assert any(
        "dead_letters USING COVERING INDEX dead_letters_by_reason" in each[3] for each in plans
    )
    assert not any(each[3] == "SCAN dead_letters" for each in plans)
