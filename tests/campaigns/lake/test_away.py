"""A bucket is away for a minute while events come in, and the lake has them when it is back."""

import asyncio
from pathlib import Path

import pytest

from playsmart_gateway.lake.follower import follow
from playsmart_gateway.lake.job import Job
from playsmart_gateway.lake.place import open_place
from playsmart_gateway.lake.process import Told
from playsmart_gateway.lake.query import ask
from playsmart_gateway.stores.open import open_store
from tests.lake.stored import batch, manifest_of, store
from tests.support.engines.seaweed import KEYS, ObjectStore

AWAY_SECONDS = 60.0


async def test_what_came_in_a_minute_without_the_bucket_is_in_the_lake_afterwards(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    lake_url, url = object_store.lake_url(tmp_path.name), f"sqlite:///{tmp_path}/events.db"
    told, stop = list[Told](), asyncio.Event()
    await store(url, batch(1, {"level": 1}))
    running = asyncio.create_task(follow(Job(lake_url, url, 0.1), told.append, stop))

    async def until_it_is_up_to_date() -> None:
        async with asyncio.timeout(120):
            while not told or told[-1].failed or told[-1].lag_batches:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    await until_it_is_up_to_date()
    object_store.stop()
    away = len(told)
    try:
        for number in range(2, 8):
            await store(url, batch(number, {"level": number}))
            await asyncio.sleep(AWAY_SECONDS / 6)
        assert all(each.failed for each in told[away + 1 :])
        assert told[-1].failed
        assert told[-1].lag_batches
        assert told[-1].lag_batches > 1
    finally:
        await asyncio.to_thread(object_store.start)
    await until_it_is_up_to_date()
    stop.set()
    await running
    place = open_place(lake_url)
    assert manifest_of(place).events == 7
    assert {*place.names("events")} == {each.name for each in manifest_of(place).files}
    async with open_store(url).reader() as reader:
        found = await ask(place, reader, "SELECT count(*) AS n, sum(p_level) AS levels FROM events")
    assert found.table.to_pylist() == [{"n": 7, "levels": 28}]
