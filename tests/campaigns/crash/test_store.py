"""The store in trouble: no request fails while there is room, and it heals without a restart."""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.count import count
from tests.support.faults import (
    MountRefused,
    fill,
    locked,
    powerless,
    tmpfs,
)
from tests.support.players import Client, Ledger
from tests.support.polling import until
from tests.support.target import Target


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    with Target(tmp_path / "data") as target:
        yield target


class Player(Client):
    """One client that sends when told to."""

    def __init__(self, name: str, target: Target) -> None:
        self.ledger = Ledger()
        super().__init__(name, target.port, self.ledger)

    async def send_many(self, batches: int = 5, size: int = 10) -> None:
        """Every one of them is taken."""
        for _ in range(batches):
            assert await self.send(size) == 202, self.ledger.refusals


async def notices_trouble(target: Target, reason: str = "") -> str:
    """Wait until health and metrics say that the store fails; returns why, which has ``reason``."""

    async def is_told() -> bool:
        status, body = await target.ready()
        return status == 503 and '"store"' in body and reason in body

    await until(is_told, "/readyz tells of the store")
    values = await target.metrics()
    assert values["store_up"] == 0
    await target.told("store unavailable")
    return (await target.ready())[1]


async def heals(target: Target, *ledgers: Ledger) -> None:
    """Wait until it is ready again, and count; the same process all along."""
    await target.drained()
    await target.wait_ready()

    async def is_told() -> bool:
        return "store is back" in target.log or "is opened anew" in target.log

    await until(is_told, "the log tells that the store is back")  # some time after it is
    for ledger in ledgers:
        verdict = count(target.database, ledger)
        assert verdict.good, verdict
        assert verdict.accepted_events
    assert await target.stop() == 0


async def test_a_locked_database_fails_no_request_and_heals(target: Target) -> None:
    await target.up()
    player = Player("player", target)
    with locked(target.database):
        await player.send_many()
        assert "database is locked" in await notices_trouble(target)
        await player.send_many()
    await heals(target, player.ledger)
    await player.close()


async def test_a_database_deleted_while_open_is_made_anew(target: Target) -> None:
    await target.up()
    before, after = Player("before", target), Player("after", target)
    await before.send_many()
    await target.drained()
    for file in target.database.parent.iterdir():
        file.unlink()
    await after.send_many()
    await target.drained()
    await before.close()
    await after.close()
    assert await target.stop() == 0
    before.ledger.batches |= after.ledger.batches  # what the journal had of it is there again
    assert count(target.database, before.ledger).good


async def test_a_database_replaced_while_open_gets_what_comes_after(target: Target) -> None:
    await target.up()
    before, after = Player("before", target), Player("after", target)
    await before.send_many()
    await target.drained()
    replace_by_a_copy(target.database)
    await after.send_many()
    await target.drained()
    before.ledger.batches |= after.ledger.batches
    verdict = count(target.database, before.ledger)
    assert verdict.good, verdict
    await before.close()
    await after.close()
    assert await target.stop() == 0
    assert count(target.database, before.ledger).good


def replace_by_a_copy(database: Path, mode: int = 0o644) -> None:
    """Put a backup in the place of a database, as a restore would."""
    backup = database.with_name("backup.db")
    source, copy = sqlite3.connect(database), sqlite3.connect(backup)
    source.backup(copy)
    source.close()
    copy.close()
    backup.chmod(mode)
    os.replace(backup, database)  # noqa: PTH105 - the same either way


async def test_a_removed_database_folder_is_made_anew(target: Target) -> None:
    await target.up()
    before, after = Player("before", target), Player("after", target)
    await before.send_many()
    await target.drained()
    shutil.rmtree(target.database.parent)
    await after.send_many()
    await target.drained()
    await before.close()
    await after.close()
    assert await target.stop() == 0
    before.ledger.batches |= after.ledger.batches
    assert count(target.database, before.ledger).good


async def test_a_folder_replaced_by_a_file_is_waited_for(target: Target) -> None:
    await target.up()
    player = Player("player", target)
    shutil.rmtree(target.database.parent)
    target.database.parent.touch()
    await player.send_many()
    await notices_trouble(target)
    target.database.parent.unlink()
    await heals(target, player.ledger)
    await player.close()


async def test_a_database_that_turned_read_only_is_waited_for(tmp_path: Path) -> None:
    prefix = powerless()
    if prefix is None:
        pytest.skip("root ignores file modes, and there is no setpriv to take that power away")
    with Target(tmp_path / "data", prefix=prefix) as target:
        await target.up()
        player = Player("player", target)
        await player.send_many()
        await target.drained()
        replace_by_a_copy(target.database, mode=0o444)
        await player.send_many()
        await notices_trouble(target, "readonly")
        target.database.chmod(0o644)
        await heals(target, player.ledger)
        await player.close()


async def test_a_file_that_is_no_database_is_waited_for(target: Target) -> None:
    await target.up()
    player = Player("player", target)
    for file in target.database.parent.iterdir():
        file.unlink()
    target.database.write_text("this is a shopping list, not a database\n" * 100)
    await player.send_many()
    await notices_trouble(target, "not a database")
    target.database.unlink()
    await heals(target, player.ledger)
    await player.close()


async def test_a_full_disk_under_the_store_fails_no_request_and_heals(target: Target) -> None:
    folder = target.database.parent
    target.data.mkdir()
    try:
        with tmpfs(folder, "4m"):
            await target.up()
            player = Player("player", target)
            await player.send_many()
            await target.drained()
            ballast = fill(folder)
            await player.send_many(batches=20, size=200)
            await notices_trouble(target)
            await player.send_many()
            ballast.unlink()
            await heals(target, player.ledger)
            await player.close()
    except MountRefused as error:
        pytest.skip(f"a tmpfs cannot be mounted here: {error}")


async def test_a_disk_that_is_full_while_pages_go_into_the_file_does_not_pass_for_a_cut_off_one(
    target: Target,
) -> None:
    """The file then lacks pages that its log has yet, and is killed so, too."""
    folder = target.database.parent
    target.data.mkdir()
    try:
        with tmpfs(folder, "8m"):
            await target.up()
            player = Player("player", target)
            for _ in range(3):
                await player.send_many(batches=10, size=200)
                await target.drained()
            ballast = fill(folder)
            await player.send_many(batches=30, size=200)
            await notices_trouble(target)
            assert "cut off" not in target.log
            await player.close()
            target.kill()
            target.start()
            await notices_trouble(target)
            ballast.unlink()
            await heals(target, player.ledger)
    except MountRefused as error:
        pytest.skip(f"a tmpfs cannot be mounted here: {error}")


async def test_a_schema_newer_than_the_program_exits_2_with_one_clear_line(target: Target) -> None:
    target.database.parent.mkdir(parents=True)
    db = sqlite3.connect(target.database)
    db.execute("PRAGMA user_version = 1000")
    db.close()
    target.start()
    assert await target.exit_code() == 2
    (line,) = target.log.splitlines()
    assert line.startswith("error: storage.url: ")
    assert "schema version 1000" in line


async def test_a_newer_schema_while_it_runs_is_waited_for(target: Target) -> None:
    await target.up()
    player = Player("player", target)
    for file in target.database.parent.iterdir():
        file.unlink()
    db = sqlite3.connect(target.database)
    db.execute("PRAGMA user_version = 1000")
    db.close()
    await player.send_many()
    await notices_trouble(target, "newer")
    target.database.unlink()
    await heals(target, player.ledger)
    await player.close()


async def test_a_full_disk_at_the_start_is_waited_for(target: Target) -> None:
    folder = target.database.parent
    target.data.mkdir()
    try:
        with tmpfs(folder, "1m"):
            ballast = fill(folder)
            target.start()
            await notices_trouble(target)
            player = Player("player", target)
            await player.send_many()
            ballast.unlink()
            await heals(target, player.ledger)
            await player.close()
    except MountRefused as error:
        pytest.skip(f"a tmpfs cannot be mounted here: {error}")


async def test_a_folder_that_is_not_writable_at_the_start_is_waited_for(tmp_path: Path) -> None:
    prefix = powerless()
    if prefix is None:
        pytest.skip("root ignores file modes, and there is no setpriv to take that power away")
    with Target(tmp_path / "data", prefix=prefix) as target:
        folder = target.database.parent
        folder.mkdir(parents=True)
        folder.chmod(0o555)
        target.start()
        await notices_trouble(target)
        player = Player("player", target)
        await player.send_many()
        folder.chmod(0o755)
        await heals(target, player.ledger)
        await player.close()


async def test_a_trigger_that_somebody_left_there_buries_nothing(target: Target) -> None:
    await target.up()
    player = Player("player", target)
    await player.send_many()
    await target.drained()
    with contextlib.closing(sqlite3.connect(target.database, timeout=10)) as database:
        database.execute(
            "CREATE TRIGGER guard BEFORE INSERT ON event_rows"
            " BEGIN SELECT RAISE(ABORT, 'nothing today'); END"
        )
        await player.send_many()
        assert "guard" in await notices_trouble(target)
        await player.send_many()
        database.execute("DROP TRIGGER guard")
        await heals(target, player.ledger)
        assert database.execute("SELECT count(*) FROM dead_letters").fetchall() == [(0,)]
    await player.close()
