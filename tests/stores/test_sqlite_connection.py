"""The thread behind a connection to SQLite ends with it, whatever happens meanwhile."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.stores.sqlite import SqliteSink
from playsmart_gateway.stores.sqlite.connection import Connection
from playsmart_gateway.stores.sqlite.file import StoreFile
from tests.support.doubles import make_batch


async def nothing(*_: object) -> None:
    pass


def threads_of_sqlite() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if "connection_worker" in each.name]


@pytest.mark.parametrize("turns", range(6))
async def test_a_start_that_is_cancelled_leaves_no_thread(tmp_path: Path, turns: int) -> None:
    connection = Connection(StoreFile(tmp_path / "events.db"), nothing)
    opening = asyncio.create_task(connection.open())
    for _ in range(turns):
        await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait([opening])
    await connection.close()
    for thread in threads_of_sqlite():
        await asyncio.to_thread(thread.join, 30)
        assert not thread.is_alive()


async def test_a_connection_that_fails_makes_no_thread(tmp_path: Path) -> None:
    (tmp_path / "events.db").mkdir()
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        await Connection(StoreFile(tmp_path / "events.db"), nothing).open()
    assert not threads_of_sqlite()


async def test_a_reader_that_was_first_does_not_take_the_log_of_the_writer_for_anothers(
    tmp_path: Path,
) -> None:
    """It found a copy that was restored, or a file that is empty yet: one that has no log."""
    path = tmp_path / "events.db"
    async with SqliteSink(str(path)):
        pass
    with closing(sqlite3.connect(path)) as copy:
        copy.execute("PRAGMA journal_mode = DELETE")
    sink = SqliteSink(str(path))
    async with sink.reader() as reader:
        assert await reader.player("ada") is None
        async with sink:
            await sink.write([make_batch(1, 3)])
            assert await reader.player("ada") is None
        assert sink.renewals == 0


@pytest.mark.parametrize("is_moved", [True, False])
async def test_a_file_that_goes_in_the_middle_of_a_transaction_keeps_what_was_before_it(
    tmp_path: Path, is_moved: bool
) -> None:
    """Moved, it gets what the log held; removed, the store says that it may lack all of it."""
    path, old = tmp_path / "events.db", tmp_path / "old.db"
    async with SqliteSink(str(path)) as sink:
        await sink.write([make_batch(1, 3)])
        with pytest.raises(SinkUnavailable, match=r"was moved away|was removed"):
            await during_a_transaction(
                sink, lambda: path.rename(old) if is_moved else path.unlink()
            )
        for _ in range(2):  # it waits until nothing moves there any more
            with pytest.raises(SinkUnavailable):
                await sink.write([make_batch(2, 4)])
        assert sink.renewals == (not is_moved)
    if is_moved:
        with closing(sqlite3.connect(old)) as found:
            assert found.execute("SELECT count(*) FROM events").fetchone() == (3,)
            assert found.execute("SELECT count(*) FROM journals").fetchone() == (1,)


async def during_a_transaction(sink: SqliteSink, happens: Callable[[], object]) -> None:
    async with sink._connection.transaction() as db:
        await db.execute("INSERT INTO journals (identity) VALUES ('lost')")
        happens()


async def opened_again(sink: SqliteSink) -> None:
    """Look until what is there has kept still for long enough."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await sink.look()
            except SinkUnavailable:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("is_removed", [True, False])
async def test_a_file_that_is_removed_while_it_is_left_is_told_as_another_one(
    tmp_path: Path, is_removed: bool
) -> None:
    """It was complete when it was left for the loss of its index; then it went, too."""
    path = tmp_path / "events.db"
    async with SqliteSink(str(path)) as sink:
        await sink.write([make_batch(1, 3)])
        path.with_name("events.db-shm").unlink()
        with pytest.raises(SinkUnavailable, match="has lost its log"):
            await sink.look()
        assert not sink.renewals
        if is_removed:
            path.unlink()
        await opened_again(sink)
        assert sink.renewals == is_removed


async def test_a_file_is_not_opened_while_another_process_uses_it_with_an_index_that_was_removed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.db"
    async with SqliteSink(str(path)) as sink:
        await sink.write([make_batch(1, 3)])
        command = (
            "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]);"
            "db.execute('SELECT count(*) FROM batches').fetchall(); print(1, flush=True);"
            "sys.stdin.read()"
        )
        other = await asyncio.to_thread(
            lambda: subprocess.Popen(
                [sys.executable, "-c", command, str(path)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )
        )  # fmt: skip
        assert other.stdout is not None
        await asyncio.to_thread(other.stdout.readline)
        path.with_name("events.db-shm").unlink()
        for _ in range(30):
            with pytest.raises(SinkUnavailable, match="has lost its log"):
                await sink.look()
            await asyncio.sleep(0.05)
        await asyncio.to_thread(other.communicate)
        await opened_again(sink)
        assert (await sink.write([make_batch(1, 3)])).duplicate == 3
