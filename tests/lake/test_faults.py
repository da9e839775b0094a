"""The lake's place is full, cannot be written or is another's, and nothing is lost or doubled."""

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from playsmart_gateway.errors import LakeError
from playsmart_gateway.lake import follower, following
from playsmart_gateway.lake.columns import table_of
from playsmart_gateway.lake.forgetting import erase_player
from playsmart_gateway.lake.job import Job
from playsmart_gateway.lake.manifest import MANIFEST, Manifest, commit
from playsmart_gateway.lake.place import Place
from playsmart_gateway.lake.process import Told
from playsmart_gateway.lake.writer import Writer
from playsmart_gateway.stores.open import open_store
from tests.lake.stored import batch, files_in, ids_in, lake_in, manifest_of, store, write_all
from tests.support.faults import MOUNT, MountRefused, fill, tmpfs

STRAY = "events/game=com.example.game/day=2026-04-22/9-9.9.parquet"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """The folder of a lake, on a file system of its own that is soon full."""
    try:
        with tmpfs(tmp_path / "lake", "512k") as folder:
            yield folder
    except MountRefused as error:
        pytest.skip(f"nothing can be mounted: {error}")


async def test_a_full_disk_is_told_and_healed_from_and_leaves_nothing_half(
    small: Path, tmp_path: Path
) -> None:
    url, place = f"sqlite:///{tmp_path}/events.db", lake_in(tmp_path)
    await store(url, batch(1, {"a": 1}))
    async with open_store(url).reader() as reader:
        writer = Writer(place, reader)
        await writer.step()
        ballast = fill(small)
        await store(url, batch(2, {"a": 2}))
        for _ in range(3):
            with pytest.raises(LakeError, match="No space left"):
                await writer.step()
        assert ids_in(place) == [256]
        ballast.unlink()
        await writer.step()
    assert ids_in(place) == [256, 512]
    assert files_in(tmp_path) == {each.name for each in manifest_of(place).files}


async def test_a_folder_that_cannot_be_written_is_told_and_healed_from(
    small: Path, tmp_path: Path
) -> None:
    def remount(how: str) -> None:
        subprocess.run([MOUNT, "-o", f"remount,{how}", str(small)], check=True, timeout=10)

    url, place = f"sqlite:///{tmp_path}/events.db", lake_in(tmp_path)
    await store(url, batch(1, {"a": 1}, user_id="bob"))
    async with open_store(url).reader() as reader:
        writer = Writer(place, reader)
        await writer.step()
        await store(url, batch(2, {"a": 2}))
        remount("ro")
        with pytest.raises(LakeError, match="Read-only"):
            await writer.step()
        with pytest.raises(LakeError, match="Read-only"):
            erase_player(place, "bob")
        assert ids_in(place) == [256]
        remount("rw")
        await writer.step()
    assert ids_in(place) == [256, 512]


async def test_who_has_another_store_touches_no_file_of_a_lake(tmp_path: Path) -> None:
    """He has another turn, so what he would sweep is what the lake's own writer writes just now."""
    place, ours = lake_in(tmp_path), f"sqlite:///{tmp_path}/ours.db"
    await store(ours, batch(1, {"a": 1}))
    async with open_store(ours).reader() as reader:
        await write_all(place, reader)
    place.put(STRAY, b"being written")
    theirs = f"sqlite:///{tmp_path}/theirs.db"
    await store(theirs, batch(77, {"a": 1}))
    async with open_store(theirs).reader() as reader:
        writer = Writer(place, reader)
        for _ in range(2):
            with pytest.raises(LakeError, match="written from another database"):
                await writer.step()
    assert place.read(STRAY) == b"being written"
    assert ids_in(place) == [256]


async def test_of_two_stores_that_begin_one_lake_at_once_one_has_it(tmp_path: Path) -> None:
    place, lost = lake_in(tmp_path), []
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("one", "other")]
    for number, url in enumerate(urls, 1):
        await store(url, batch(number, *[{"a": 1}] * number))
    async with open_store(urls[0]).reader() as one, open_store(urls[1]).reader() as other:
        writing = asyncio.gather(
            *(Writer(place, reader).step() for reader in (one, other)), return_exceptions=True
        )
        lost = [each for each in await writing if isinstance(each, BaseException)]
        for reader in (one, other):
            try:
                await write_all(place, reader)
            except LakeError as error:
                lost.append(error)
    assert lost
    assert all(isinstance(each, LakeError) for each in lost)
    assert ids_in(place) in ([256], [256, 257])
    assert files_in(tmp_path) == {each.name for each in manifest_of(place).files}


async def test_an_erasure_takes_away_what_another_writes_just_now_before_it_counts(
    tmp_path: Path,
) -> None:
    place, url = lake_in(tmp_path), f"sqlite:///{tmp_path}/events.db"
    await store(url, batch(1, {"a": 1}))
    async with open_store(url).reader() as reader:
        await write_all(place, reader)
    before = manifest_of(place)
    place.put(STRAY, b"of bob")
    assert erase_player(place, "bob") == 0
    assert place.read(STRAY) is None
    with pytest.raises(LakeError, match="somebody else changed"):
        commit(place, before, Manifest())
    assert ids_in(place) == [256]


def failing(times: int) -> Callable[..., Any]:
    """What makes tables, but not the first times."""
    left = times

    def make(*arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            raise KeyError("what ada wrote")
        return table_of(*arguments)

    return make


async def follow(
    folder: Path, monkeypatch: pytest.MonkeyPatch, done: Callable[[list[Told]], bool]
) -> list[Told]:
    """Follow until it has told enough."""
    monkeypatch.setattr(follower, "TROUBLED_SECONDS", 0.01)
    told, stop = list[Told](), asyncio.Event()
    job = Job(str(folder / "lake"), f"sqlite:///{folder}/events.db", 0.01)
    following = asyncio.create_task(follower.follow(job, told.append, stop))
    async with asyncio.timeout(60):
        while not done(told) and not following.done():  # noqa: ASYNC110 - there is nothing that tells
            await asyncio.sleep(0.01)
    stop.set()
    await following
    return told


async def test_what_nobody_has_foreseen_is_logged_once_without_its_text_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await store(f"sqlite:///{tmp_path}/events.db", batch(1, {"a": 1}))
    monkeypatch.setattr(following, "table_of", failing(3))
    told = await follow(tmp_path, monkeypatch, lambda told: bool(told and not told[-1].failed))
    assert [each.failed for each in told[:4]] == [True, True, True, False]
    assert ids_in(lake_in(tmp_path)) == [256]
    (warning,) = [each for each in caplog.records if each.name.startswith("playsmart_gateway.lake")]
    assert "KeyError at " in warning.getMessage()
    assert "ada" not in caplog.text


def test_it_is_tried_again_ever_later_but_for_ever() -> None:
    pauses = [follower._pause(failures) for failures in (1, 2, 3, 1_000_000)]
    assert pauses == [5.0, 10.0, 20.0, follower.MOST_TROUBLED_SECONDS]


async def test_while_its_place_is_away_it_is_told_how_far_the_lake_falls_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, read = f"sqlite:///{tmp_path}/events.db", Place.read
    await store(url, batch(1, {"a": 1}))
    is_away = False

    def maybe(place: Place, name: str) -> bytes | None:
        if is_away and name == MANIFEST:
            raise LakeError("the lake cannot be reached: gone")
        return read(place, name)

    def enough(told: list[Told]) -> bool:
        nonlocal is_away
        if told and not told[-1].failed and not is_away:
            is_away = True
            asyncio.get_running_loop().create_task(store(url, batch(2, {}), batch(3, {})))
        return bool(told and told[-1].failed and told[-1].lag_batches == 2)

    monkeypatch.setattr(Place, "read", maybe)
    told = await follow(tmp_path, monkeypatch, enough)
    assert told[-1] == Told(lag_batches=2, failed=True)
