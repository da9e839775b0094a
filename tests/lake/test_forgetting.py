"""Players and old events leave the files, to the last byte."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from playsmart_gateway.errors import LakeError
from playsmart_gateway.lake import forgetting
from playsmart_gateway.lake.forgetting import count_player, erase_player, expire
from playsmart_gateway.lake.place import Place
from playsmart_gateway.stores.open import open_store
from tests.lake.stored import batch, files_in, lake_in, manifest_of, rows_in, store, write_all

ADA = "ada-7f3c"
NEXT_DAY = datetime(2026, 4, 23, tzinfo=UTC)


@pytest.fixture
async def place(tmp_path: Path) -> Place:
    """A lake with three players on two days, in four files."""
    url = f"sqlite:///{tmp_path}/events.db"
    place = lake_in(tmp_path)
    async with open_store(url).reader() as reader:
        await store(url, batch(1, {"n": 1, "name": ADA}, user_id=ADA), batch(2, {"n": 2}))
        await write_all(place, reader)
        await store(url, batch(3, {"n": 3, "new": 1}, day=1, user_id=ADA))
        await write_all(place, reader)
        await store(url, batch(4, {"n": 4}, {"n": 5}, day=1, kind="AppOpen"))
        await store(url, batch(5, {"n": 6}, game_id="other"))
        await write_all(place, reader)
    return place


def left(place: Place) -> list[int]:
    return [n for (n,) in rows_in(place, "p_n", "ORDER BY 1")]


def all_bytes(folder: Path) -> bytes:
    """Every file of the lake, and what Parquet holds compressed, as texts."""
    lake = folder / "lake"
    whole = b"".join(each.read_bytes() for each in lake.glob("**/*") if each.is_file())
    return whole + str(rows_in(lake_in(folder), "*")).encode()


async def test_nothing_of_a_player_stays_in_any_file(place: Place, tmp_path: Path) -> None:
    place.put("events/game=x/day=2020-01-01/1-2.1.parquet", ADA.encode())  # of one who died
    (tmp_path / "lake/events/game=x/day=2020-01-01/3-4.1.parquet.part").write_text(ADA)
    assert ADA.encode() in all_bytes(tmp_path)
    before = files_in(tmp_path)
    assert count_player(place, ADA) == 2
    assert files_in(tmp_path) == before
    assert erase_player(place, ADA) == 2
    assert ADA.encode() not in all_bytes(tmp_path)
    assert left(place) == [2, 4, 5, 6]
    assert files_in(tmp_path) == {each.name for each in manifest_of(place).files}
    assert (count_player(place, ADA), erase_player(place, ADA)) == (0, 0)


async def test_files_that_have_nothing_of_the_player_are_not_touched(
    place: Place, tmp_path: Path
) -> None:
    before = files_in(tmp_path)
    erase_player(place, ADA)
    assert len(before & files_in(tmp_path)) == 2
    assert erase_player(place, "nobody") == 0


async def test_an_erasure_of_many_files_is_done_in_several_commits(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "FILES_PER_COMMIT", 1)
    version = manifest_of(place).version
    assert erase_player(place, ADA) == 2
    assert left(place) == [2, 4, 5, 6]
    assert manifest_of(place).version >= version + 2


async def test_an_erasure_that_dies_is_done_by_another_one(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise LakeError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(forgetting, "commit", fail)
        with pytest.raises(LakeError):
            erase_player(place, ADA)
    assert left(place) == [1, 2, 3, 4, 5, 6]
    assert erase_player(place, ADA) == 2
    assert ADA.encode() not in all_bytes(tmp_path)


@pytest.mark.parametrize(
    ("before", "game_id", "type_", "gone"),
    [
        (NEXT_DAY, None, None, {1, 2, 6}),
        (NEXT_DAY, "other", None, {6}),
        (NEXT_DAY, None, "AppOpen", set()),
        (NEXT_DAY.replace(hour=12, microsecond=3_500), None, None, {1, 2, 3, 6}),
        (NEXT_DAY.replace(day=24), None, "AppOpen", {4, 5}),
        (NEXT_DAY.replace(day=22), None, None, set()),
        (NEXT_DAY.replace(year=2030), None, None, {1, 2, 3, 4, 5, 6}),
    ],
)
async def test_what_was_received_before_then_goes(
    before: datetime,
    game_id: str | None,
    type_: str | None,
    gone: set[int],
    place: Place,
    tmp_path: Path,
) -> None:
    files = files_in(tmp_path)
    assert expire(place, before, game_id, type_, dry_run=True) == len(gone)
    assert (left(place), files_in(tmp_path)) == ([1, 2, 3, 4, 5, 6], files)
    assert expire(place, before, game_id, type_, dry_run=False) == len(gone)
    assert left(place) == sorted({1, 2, 3, 4, 5, 6} - gone)
    assert files_in(tmp_path) == {each.name for each in manifest_of(place).files}


def test_where_there_is_no_lake_nothing_is_done_and_nothing_made(tmp_path: Path) -> None:
    place = lake_in(tmp_path)
    assert erase_player(place, ADA) == count_player(place, ADA) == 0
    assert expire(place, NEXT_DAY, None, None, dry_run=False) == 0
    assert not list(tmp_path.iterdir())
