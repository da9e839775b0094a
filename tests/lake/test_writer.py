"""The lake follows every store, and has each event once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from playsmart_gateway.errors import LakeError, SinkUnavailable
from playsmart_gateway.lake import compaction
from playsmart_gateway.lake.compaction import FANOUT
from playsmart_gateway.lake.manifest import MANIFEST
from playsmart_gateway.lake.place import Place, open_place
from playsmart_gateway.lake.writer import Writer
from playsmart_gateway.stores.open import open_store
from tests.lake.stored import (
    AFTERWARDS,
    NOON,
    batch,
    files_in,
    ids_in,
    lake_in,
    manifest_of,
    rows_in,
    store,
    write_all,
)
from tests.support.stores import empty, execute, select


async def test_each_event_is_in_one_file_with_all_that_the_store_knows(
    database_url: str, tmp_path: Path
) -> None:
    place = lake_in(tmp_path)
    await store(
        database_url,
        batch(1, {"level": 3, "deep": [1]}, {"level": 4}),
        batch(2, {"hat": "red"}, user_id="bob", day=1, run=b"r" * 16),
    )
    async with open_store(database_url).reader() as reader:
        done = await write_all(place, reader)
        assert (done.more, done.lag_batches) == (False, 0)
        names = (
            "event_id, source, game_id, user_id, type, custom_event_name, customdata, p_level,"
            " p_hat, clock, journal, sequence, run, seq"
        )
        game, journal = "com.example.game", "11" * 16
        assert rows_in(place, names, "ORDER BY event_id") == [
            (256, "playsmart", game, "ada", "Custom", "e0", '{"deep":[1]}', 3, None, None,
             journal, 1, None, None),
            (257, "playsmart", game, "ada", "Custom", "e1", None, 4, None, None,
             journal, 1, None, None),
            (512, "playsmart", game, "bob", "Custom", "e0", None, None, "red", None,
             journal, 2, (b"r" * 16).hex(), 7),
        ]  # fmt: skip
        times = rows_in(place, "strftime(received_at AT TIME ZONE 'UTC', '%x %X')", "ORDER BY 1")
        assert times == [
            ("2026-04-22 12:00:00",),
            ("2026-04-22 12:00:00",),
            ("2026-04-23 12:00:00",),
        ]
        assert len(files_in(tmp_path)) == 2


async def test_it_goes_on_where_it_was_and_keeps_what_the_store_forgets(
    database_url: str, tmp_path: Path
) -> None:
    place = lake_in(tmp_path)
    async with open_store(database_url).reader() as reader:
        await store(database_url, batch(1, {"a": 1}, {"a": 2}))
        await write_all(place, reader)
        await execute(database_url, "DELETE FROM event_rows")
        await store(database_url, batch(2, {"b": 1}))
        await write_all(place, reader)
        await write_all(place, reader)
        assert ids_in(place) == [256, 257, 512]
        assert manifest_of(place).games["com.example.game"] == {"a": "int", "b": "int"}


@pytest.mark.parametrize("chunk_events", [1, 3, 7, 50_000])
async def test_chunks_of_any_size_are_the_same_events(chunk_events: int, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    place = lake_in(tmp_path)
    await store(url, *(batch(n, *[{"n": n}] * (n % 5 + 1)) for n in range(1, 20)))
    async with open_store(url).reader() as reader:
        await write_all(place, reader, chunk_events=chunk_events)
    stored = sorted(event_id for (event_id,) in await select(url, "SELECT event_id FROM events"))
    assert ids_in(place) == stored
    assert manifest_of(place).whole_batch == 19
    assert files_in(tmp_path) == {each.name for each in manifest_of(place).files}


async def test_while_it_is_behind_no_more_is_whole_than_what_it_has(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    place = lake_in(tmp_path)
    await store(url, batch(1, {}, {}, {}), batch(2, {}))
    async with open_store(url).reader() as reader:
        writer = Writer(place, reader, lambda: NOON / 1e6, chunk_events=2)
        wholes = []
        while (await writer.step()).more:
            wholes.append(manifest_of(place).whole_batch)
    assert (wholes, manifest_of(place).whole_batch) == ([0], 2)


async def test_files_of_a_day_that_is_over_become_one_and_its_events_stay(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    place = lake_in(tmp_path)
    async with open_store(url).reader() as reader:
        for n in range(1, 6):
            await store(url, batch(n, {"a": n, f"only_{n}": "x"}))
            await write_all(place, reader, now=NOON / 1e6)
        assert len(files_in(tmp_path)) == 5
        before = rows_in(place, "event_id, p_a, p_only_3, customdata", "ORDER BY 1")
        await write_all(place, reader, now=AFTERWARDS)
        assert len(files_in(tmp_path)) == 1
        assert rows_in(place, "event_id, p_a, p_only_3, customdata", "ORDER BY 1") == before


async def test_while_a_day_goes_on_files_of_one_size_are_merged_when_there_are_many(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    place = lake_in(tmp_path)
    counts = []
    async with open_store(url).reader() as reader:
        for n in range(1, 3 * FANOUT):
            await store(url, batch(n, {"a": n}))
            await write_all(place, reader, now=NOON / 1e6)
            counts.append(len(files_in(tmp_path)))
    assert max(counts) < 2 * FANOUT
    assert ids_in(place) == [256 * n for n in range(1, 3 * FANOUT)]


async def test_types_that_changed_are_one_type_when_files_are_merged(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    place = lake_in(tmp_path)
    async with open_store(url).reader() as reader:
        for n, value in enumerate((1, 2.5, "x", "y"), 1):
            await store(url, batch(n, *[{"v": value}] * n))
            await write_all(place, reader)
        await write_all(place, reader, now=AFTERWARDS)
    assert rows_in(place, "DISTINCT typeof(p_v)") == [("VARCHAR",)]
    assert rows_in(place, "count(*), count(p_v)") == [(10, 10)]


async def test_another_store_is_not_mixed_in(database_url: str, tmp_path: Path) -> None:
    place = lake_in(tmp_path)
    await store(database_url, batch(1, {"a": 1}))
    async with open_store(database_url).reader() as reader:
        await write_all(place, reader)
    await empty(database_url)
    await store(database_url, batch(77, {"a": 1}), batch(78, {"a": 2}))
    async with open_store(database_url).reader() as reader:
        with pytest.raises(LakeError, match="written from another database"):
            await write_all(place, reader)
    assert ids_in(place) == [256]


async def test_files_without_a_manifest_are_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    place = lake_in(tmp_path)
    await store(url, batch(1, {"a": 1}))
    async with open_store(url).reader() as reader:
        await write_all(place, reader)
        (tmp_path / "lake" / MANIFEST).unlink()
        files = files_in(tmp_path)
        with pytest.raises(LakeError, match=f"files and no {MANIFEST}"):
            await write_all(place, reader)
    assert files_in(tmp_path) == files


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 2}', b'{"games": {"\xff": {}}}'])
async def test_a_manifest_that_is_not_ours_is_told_and_left(content: bytes, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    place = lake_in(tmp_path)
    place.put(MANIFEST, content)
    await store(url, batch(1, {"a": 1}))
    async with open_store(url).reader() as reader:
        with pytest.raises(LakeError):
            await write_all(place, reader)
    assert place.read(MANIFEST) == content


async def test_what_died_before_it_counted_is_removed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    place = lake_in(tmp_path)
    await store(url, batch(1, {"a": 1}))
    async with open_store(url).reader() as reader:
        await write_all(place, reader)
        (name,) = files_in(tmp_path)
        place.put(f"{name}.part", b"half")
        place.put("events/game=gone/day=2020-01-01/1-2.9.parquet", b"an orphan")
        await write_all(place, reader)
    assert files_in(tmp_path) == {name}


async def test_one_has_the_turn_at_a_time(database_url: str, tmp_path: Path) -> None:
    await store(database_url, batch(1, {"a": 1}))
    opened = open_store(database_url)
    async with opened.reader() as one, open_store(database_url).reader() as other:
        async with one.turn(1):
            with pytest.raises(SinkUnavailable):
                async with other.turn(0.2):
                    pass
        async with other.turn(1):
            pass


async def test_an_id_of_a_game_is_any_text(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    place = lake_in(tmp_path)
    games = ["..", "a/b", "x" * 200, "é" * 100, "a=b%20'c\"", "."]
    await store(url, *(batch(n, {"a": 1}, game_id=game) for n, game in enumerate(games, 1)))
    async with open_store(url).reader() as reader:
        await write_all(place, reader)
    assert {game for (game,) in rows_in(place, "game_id")} == set(games)
    assert len({name.split("/")[1] for name in files_in(tmp_path)}) == len(games)


async def test_it_may_die_before_and_after_each_file_that_it_writes_or_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each place where a process can die, in turn, while it writes, merges and sweeps."""
    url = f"sqlite:///{tmp_path}/events.db"
    await store(url, *(batch(n, {"n": n}, day=n % 2) for n in range(1, 6)))
    stored = [event_id for (event_id,) in await select(url, "SELECT event_id FROM events")]
    doing: dict[str, Callable[..., None]] = {"put": Place.put, "remove": Place.remove}
    steps = 0

    def dying(name: str, after: int) -> Callable[..., None]:
        def do(place: Place, *arguments: Any) -> None:
            nonlocal steps
            steps += 1
            if steps == after:
                raise Died
            doing[name](place, *arguments)
            steps += 1
            if steps == after:
                raise Died

        return do

    lives = 0
    for after in range(1, 1_000):
        place = open_place(f"{tmp_path}/lake-{after}")
        with monkeypatch.context() as patch:
            steps = 0
            for name in doing:
                patch.setattr(Place, name, dying(name, after))
            async with open_store(url).reader() as reader:
                try:
                    await write_all(place, reader, chunk_events=2, now=AFTERWARDS)
                except Died:
                    lives += 1
                else:
                    break
        async with open_store(url).reader() as reader:
            await write_all(place, reader, chunk_events=2, now=AFTERWARDS)
        assert ids_in(place) == stored
        assert {*place.names("events")} == {each.name for each in manifest_of(place).files}
    assert lives > 20


class Died(Exception):
    """Of a process: nothing of it goes on."""


async def test_files_that_would_be_too_much_in_memory_are_not_merged_however_small_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "FULL_BYTES", 4_000_000)
    url, place = f"sqlite:///{tmp_path}/events.db", lake_in(tmp_path)
    async with open_store(url).reader() as reader:
        for sequence in range(1, 10):
            await store(url, batch(sequence, {"same": ["x" * 900_000]}))
            await write_all(place, reader, chunk_events=1)
        done = await write_all(place, reader, now=AFTERWARDS)
    assert len(ids_in(place)) == 9
    assert done.files == 3
    files = manifest_of(place).files
    assert all(each.size < 50_000 and each.plain < 4_000_000 for each in files)
