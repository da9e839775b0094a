"""The thread behind a connection to SQLite ends with it, whatever happens meanwhile."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from playsmart_gateway.sinks.sqlite.connection import Connection
from playsmart_gateway.sinks.sqlite.file import StoreFile


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
