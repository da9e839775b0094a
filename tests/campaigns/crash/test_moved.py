"""What hands do to the files of a running gateway: nothing that was acknowledged is lost by it."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.count import count
from tests.support.players import Client, Ledger, load
from tests.support.polling import until
from tests.support.target import Target

OLD = "old.db"
BATCHES = 8


@pytest.fixture(params=[1, 2], ids=["alone", "workers"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    with Target(tmp_path / "data", server__workers=request.param) as target:
        yield target


def move(database: Path) -> None:
    database.rename(database.with_name(OLD))


def move_with_its_log(database: Path) -> None:
    folder = database.with_name("aside")
    folder.mkdir()
    for file in database.parent.glob(f"{database.name}*"):
        file.rename(folder / file.name)


def move_the_folder(database: Path) -> None:
    database.parent.rename(database.parent.with_name("moved"))


def remove(database: Path) -> None:
    database.unlink()


def remove_all(database: Path) -> None:
    for file in database.parent.glob(f"{database.name}*"):
        file.unlink()


def remove_the_log(database: Path) -> None:
    database.with_name(f"{database.name}-wal").unlink()


def remove_the_index(database: Path) -> None:
    database.with_name(f"{database.name}-shm").unlink()


def truncate(database: Path) -> None:
    os.truncate(database, 0)


def empty_the_log(database: Path) -> None:
    os.truncate(database.with_name(f"{database.name}-wal"), 0)


def cut_the_log_off(database: Path) -> None:
    os.truncate(database.with_name(f"{database.name}-wal"), 40)


def copy_over(database: Path) -> None:
    shutil.copyfile(database.with_name("copy.db"), database)


def rename_over(database: Path) -> None:
    shutil.copyfile(database.with_name("copy.db"), database.with_name("new"))
    database.with_name("new").replace(database)


def restore_beside_the_log(database: Path) -> None:
    database.unlink()
    shutil.copyfile(database.with_name("copy.db"), database)


def make_copy(database: Path, *, packed: bool) -> None:
    copy = database.with_name("copy.db")
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as source:
        if packed:
            source.execute("VACUUM INTO ?", (str(copy),))
        else:
            with closing(sqlite3.connect(copy)) as target:
                source.backup(target)


Keys = set[tuple[str, int, int]]


def stored(database: Path) -> Keys:
    """Every event of a file that is whole, each of which is in it once."""
    with closing(sqlite3.connect(database, timeout=10)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        query = "SELECT user_id, customdata ->> 'b', customdata ->> 'n' FROM events"
        rows = db.execute(query).fetchall()
    assert len(rows) == len(set(rows)), "once in each"
    return set(rows)


def acknowledged(*ledgers: Ledger) -> Keys:
    return {
        (user, number, place)
        for ledger in ledgers
        for (user, number), (size, outcome) in ledger.batches.items()
        if outcome == "accepted"
        for place in range(size)
    }


async def is_told(target: Target, what: str = "store") -> None:
    """Wait until ``/readyz`` tells of it, by itself: nobody sends anything."""

    async def told() -> bool:
        status, body = await target.ready()
        return status == 503 and f'{what}"' in body

    await until(told, f"/readyz tells of the {what}")


async def played(
    target: Target, happens: Callable[[Path], None], *, packed: bool | None = None
) -> tuple[Keys, str]:
    """Send before, while and after it happens; return what was acknowledged, and the log."""
    before, after = Ledger(), Ledger()
    await target.up()
    async with load([Client(f"before-{n}", target.port, before) for n in range(3)]):
        await until(lambda: _has(before, BATCHES), "some batches")
        if packed is not None:
            make_copy(target.database, packed=packed)
            more = len(before.batches) + BATCHES
            await until(lambda: _has(before, more), "some more")
        happens(target.database)
    await is_told(target)
    async with load([Client(f"after-{n}", target.port, after) for n in range(3)]):
        await until(lambda: _has(after, BATCHES), "some batches")
    await target.wait_ready()
    await target.drained()
    assert await target.stop() == 0
    assert set(before.statuses) | set(after.statuses) == {202}
    return acknowledged(before, after), target.log


async def _has(ledger: Ledger, batches: int) -> bool:
    return len(ledger.batches) >= batches


@pytest.mark.parametrize(
    ("happens", "old"),
    [
        (move, OLD),
        (move_with_its_log, "aside/playsmart.db"),
        (move_the_folder, "../moved/playsmart.db"),
    ],
)
async def test_a_database_that_is_moved_away_gets_all_that_was_stored_in_it(
    target: Target, happens: Callable[[Path], None], old: str
) -> None:
    wanted, log = await played(target, happens)
    moved = stored((target.database.parent / old).resolve())
    new = stored(target.database)
    assert moved | new == wanted
    assert not moved & new
    assert "was moved away" in log
    assert " ERROR " in log


@pytest.mark.parametrize(
    ("happens", "told"),
    [
        (remove, "was removed"),
        (remove_all, "was removed"),
        (truncate, "was overwritten"),
        (empty_the_log, "has lost a part of its log"),
        (cut_the_log_off, "has lost a part of its log"),
    ],
)
async def test_what_the_journal_has_of_a_removed_database_or_log_is_stored_again(
    target: Target, happens: Callable[[Path], None], told: str
) -> None:
    wanted, log = await played(target, happens)
    assert stored(target.database) == wanted
    assert told in log


async def test_a_database_that_is_cut_off_is_left_and_the_next_one_gets_what_the_journal_has(
    target: Target,
) -> None:
    """It may be cut off while pages are moved into it: see ``tests/stores/test_cut_off.py``."""
    ledger = Ledger()
    await target.up()
    async with load([Client(f"player-{n}", target.port, ledger) for n in range(3)]):

        async def is_large() -> bool:
            return target.database.stat().st_size > 400_000

        await until(is_large, "some pages in the file itself")
        os.truncate(target.database, 8_192)

        async def is_told() -> bool:
            status, body = await target.ready()
            return status == 503 and "is not complete" in body

        await until(is_told, "it waits for a whole file")
        move_with_its_log(target.database)
        await until(target.is_ready, "ready")
    await target.drained()
    assert await target.stop() == 0
    await target.told("was cut off")
    assert stored(target.database) == acknowledged(ledger)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("happens", [copy_over, rename_over, restore_beside_the_log])
async def test_a_backup_in_the_place_of_the_database_is_left_whole_and_gets_what_it_lacks(
    target: Target, happens: Callable[[Path], None], packed: bool
) -> None:
    wanted, log = await played(target, happens, packed=packed)
    assert stored(target.database) == wanted
    assert " ERROR " in log


@pytest.mark.parametrize("happens", [remove_the_log, remove_the_index])
async def test_a_log_or_an_index_that_is_removed_costs_nothing(
    target: Target, happens: Callable[[Path], None]
) -> None:
    wanted, log = await played(target, happens)
    assert stored(target.database) == wanted
    assert "has lost its log" in log


async def test_another_database_beside_a_log_that_was_left_behind_is_not_mixed_with_it(
    tmp_path: Path,
) -> None:
    """kill -9 leaves the log; then somebody copies a backup over the file, and starts again."""
    with Target(tmp_path / "data") as target:
        ledger = Ledger()
        player = Client("player", target.port, ledger)
        await target.up()
        for _ in range(BATCHES):
            assert await player.send(50) == 202
        await target.drained()
        make_copy(target.database, packed=True)
        for _ in range(BATCHES):
            assert await player.send(50) == 202
        await target.drained()
        target.kill()
        await player.close()
        copy_over(target.database)
        await target.up()
        await target.drained()
        await target.told("is of another database: it is set aside")
        assert await target.stop() == 0
        verdict = count(target.database, ledger)
        assert verdict.good, verdict


async def test_a_log_whose_database_is_gone_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    with Target(tmp_path / "data") as target:
        ledger = Ledger()
        player = Client("player", target.port, ledger)
        await target.up()
        for _ in range(BATCHES):
            assert await player.send(50) == 202
        await target.drained()
        target.kill()
        await player.close()
        target.database.unlink()
        await target.up()
        await target.drained()
        await target.told("is of no database: it is set aside")
        assert await target.stop() == 0
        assert count(target.database, ledger).good
