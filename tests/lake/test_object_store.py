"""A lake in a bucket of a real S3 server: written, asked, erased, and the server goes and comes."""

import asyncio
from pathlib import Path

import pytest

from playsmart_gateway.errors import LakeError
from playsmart_gateway.lake.forgetting import erase_player
from playsmart_gateway.lake.place import CONNECT_SECONDS, open_place
from playsmart_gateway.lake.query import ask
from playsmart_gateway.lake.writer import Writer
from playsmart_gateway.stores.open import open_store
from tests.lake.stored import AFTERWARDS, batch, manifest_of, store, write_all
from tests.support.engines.seaweed import KEYS, ObjectStore

COUNT = "SELECT count(*) AS n, sum(p_level) AS levels FROM events"


@pytest.fixture
def lake_url(object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    return object_store.lake_url(tmp_path.name)


async def test_a_bucket_is_as_good_as_a_folder(lake_url: str, tmp_path: Path) -> None:
    url, place = f"sqlite:///{tmp_path}/events.db", open_place(lake_url)
    async with open_store(url).reader() as reader:
        for n in range(1, 5):
            await store(url, batch(n, {"level": n}, user_id="ada" if n == 2 else "bob"))
            await write_all(place, reader)
        await store(url, batch(5, {"level": 5}, user_id="bob"))
        assert (await ask(place, reader, COUNT)).table.to_pylist() == [{"n": 5, "levels": 15}]
        await write_all(place, reader, now=AFTERWARDS)
        files = {each.name for each in manifest_of(place).files}
        assert len(files) == 1
        assert {*place.names("events")} == files
        place.put("events/game=x/day=2020-01-01/1-2.1.parquet", b"ada")
        assert erase_player(place, "ada") == 1
        assert {*place.names("events")} == {each.name for each in manifest_of(place).files}
        answer = await ask(place, reader, "SELECT count(*) AS n FROM events WHERE user_id = 'ada'")
        assert answer.table.to_pylist() == [{"n": 0}]


async def test_a_bucket_that_is_away_is_told_and_followed_again_when_it_is_back(
    lake_url: str, object_store: ObjectStore, tmp_path: Path
) -> None:
    url, place = f"sqlite:///{tmp_path}/events.db", open_place(lake_url)
    async with open_store(url).reader() as reader:
        await store(url, batch(1, {"level": 1}))
        writer = Writer(place, reader)
        await writer.step()
        object_store.stop()
        try:
            await store(url, batch(2, {"level": 2}))
            async with asyncio.timeout(10 * CONNECT_SECONDS):
                for _ in range(2):
                    with pytest.raises(LakeError, match="cannot be reached"):
                        await writer.step()
                with pytest.raises(LakeError):
                    await ask(place, reader, COUNT)
        finally:
            object_store.start()
        await store(url, batch(3, {"level": 3}))
        while (await writer.step()).more:
            pass
        assert manifest_of(place).events == 3
        assert (await ask(place, reader, COUNT)).table.to_pylist() == [{"n": 3, "levels": 6}]
