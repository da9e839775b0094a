"""A database that is damaged, or whose write-ahead log somebody holds: it is seen, and told."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from playsmart_gateway.cli.doctor import LARGE_LOG_BYTES
from playsmart_gateway.stores.sqlite.store import MAX_LOG_BYTES
from tests.support.count import count
from tests.support.players import Client, Ledger
from tests.support.polling import until
from tests.support.process import clean_environment
from tests.support.target import Target


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    with Target(tmp_path / "data") as target:
        yield target


def overwrite_a_page(database: Path) -> None:
    """Overwrite the root of the table of event rows, which readers come to and an insert does."""
    with closing(sqlite3.connect(database)) as db:
        ((page,),) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'event_rows'")
    with database.open("r+b") as file:
        file.seek((page - 1) * 4_096)
        file.write(b"\xff" * 4_096)


async def test_damage_that_only_a_reader_meets_makes_it_not_ready_with_one_clear_line(
    target: Target,
) -> None:
    await target.up()
    player = Client("player", target.port, Ledger())
    for _ in range(5):
        assert await player.send(200) == 202
    await target.drained()
    assert await target.stop() == 0
    overwrite_a_page(target.database)
    target.start()

    async def is_told() -> bool:
        status, body = await target.ready()
        return status == 503 and "the database is damaged" in body

    await until(
        is_told, "the audit or the dashboard's follower met it, and nobody has sent anything"
    )
    assert (await target.metrics())["store_up"] == 0
    (line,) = [each for each in target.log.splitlines() if "is damaged" in each]
    assert " ERROR " in line
    assert "restore a backup" in line
    assert await player.send(10) == 202, "events are taken all the same"
    await player.close()


async def test_a_log_that_a_reader_holds_is_seen_and_is_cut_when_that_has_gone(
    target: Target,
) -> None:
    await target.up()
    ledger = Ledger()
    player = Client("player", target.port, ledger, pad=1_000)
    assert await player.send(200) == 202
    await target.drained()
    log = target.database.with_name("playsmart.db-wal")
    with closing(sqlite3.connect(target.database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM batches").fetchall()

        async def is_large() -> bool:
            assert await player.send(200) == 202
            size = (await target.metrics())["store_log_bytes"]
            return log.stat().st_size >= size > MAX_LOG_BYTES + 2**20

        await until(is_large, "the log grows, and the metric says so", seconds=60)

    async def is_cut() -> bool:
        assert await player.send(1) == 202
        return log.stat().st_size <= MAX_LOG_BYTES

    await until(is_cut, "the log is cut", seconds=60)
    await player.close()
    await target.drained()
    assert await target.stop() == 0
    assert count(target.database, ledger).good


def test_doctor_names_a_log_that_somebody_holds_and_files_that_others_can_read(
    tmp_path: Path,
) -> None:
    database = tmp_path / "data" / "playsmart.db"
    database.parent.mkdir(mode=0o700)
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("CREATE TABLE large (content)")
        for _ in range(LARGE_LOG_BYTES // 10_000_000 + 1):
            db.execute("INSERT INTO large VALUES (zeroblob(10000000))")
        database.chmod(0o644)
        (tmp_path / "data" / "playsmart.db-wal.stale-1").touch()
        done = subprocess.run(
            [sys.executable, "-m", "playsmart_gateway", "doctor", "--json"],
            cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
    found = {each["text"]: each for each in json.loads(done.stdout)}
    (held,) = [each for text, each in found.items() if "somebody reads and does not end" in text]
    assert held["level"] == "problem"
    assert "fuser -v" in held["advice"]
    assert any("mode 0644) can be read by others" in text for text in found)
    assert any("playsmart.db-wal.stale-1" in text for text in found)
