"""``backup`` copies one moment of the database, ends under traffic, and can be restored."""

import asyncio
import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.stores.sqlite import SqliteSink
from playsmart_gateway.stores.sqlite.backup import back_up
from tests import ROOT
from tests.support import warm
from tests.support.count import count
from tests.support.doubles import make_batch
from tests.support.players import Client, Ledger, load
from tests.support.polling import until
from tests.support.process import clean_environment
from tests.support.target import Target

pytestmark = pytest.mark.process


def run(*arguments: object, url: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = clean_environment(PLAYSMART_STORAGE__URL=url)
    return warm.run([*map(str, arguments)], folder=cwd, environment=environment, timeout=60)


async def fill(database: Path, batches: int = 3) -> None:
    async with SqliteSink(str(database)) as sink:
        await sink.write([make_batch(number, 5) for number in range(batches)])


async def test_a_backup_under_traffic_ends_is_of_one_moment_and_has_what_was_stored(
    tmp_path: Path,
) -> None:
    ledger = Ledger()
    copy = tmp_path / "copy.db"
    with Target(tmp_path / "data", buffer__flush_interval_seconds=0.01) as target:
        await target.up()
        async with load([Client(f"p{n}", target.port, ledger, pause=0.001) for n in range(4)]):

            async def is_under_way() -> bool:
                return len(ledger.batches) > 100

            await until(is_under_way, "some traffic")
            url = f"sqlite:///{target.database}"
            done = await asyncio.to_thread(run, "backup", copy, "--json", url=url, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        await target.drained()
        assert await target.stop() == 0
        assert count(target.database, ledger).good
    told = json.loads(done.stdout)
    with closing(sqlite3.connect(f"{copy.as_uri()}?mode=ro", uri=True)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        ((events, headers),) = db.execute(
            "SELECT (SELECT count(*) FROM event_rows), (SELECT sum(event_count) FROM batches)"
        )
    assert 0 < events == headers == told["rows"]["event_rows"] <= ledger.events("accepted")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert names_in(tmp_path) == {"copy.db", "data"}


def names_in(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


async def test_a_backup_works_without_a_gateway_and_beside_what_kill_9_left(tmp_path: Path) -> None:
    with Target(tmp_path / "data") as target:
        ledger = Ledger()
        player = Client("player", target.port, ledger)
        await target.up()
        assert await player.send(50) == 202
        await target.drained()
        target.kill()
        await player.close()
        copy = tmp_path / "copy.db"
        done = run("backup", copy, url=f"sqlite:///{target.database}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "50 events" in done.stdout
        assert count(copy, ledger).good


async def test_a_backup_overwrites_nothing(tmp_path: Path) -> None:
    await fill(tmp_path / "events.db")
    (tmp_path / "copy.db").write_text("precious")
    done = run("backup", "copy.db", url="sqlite:///events.db", cwd=tmp_path)
    assert done.returncode == 2
    assert "is there already" in done.stderr
    assert (tmp_path / "copy.db").read_text() == "precious"
    with pytest.raises(FileExistsError):
        back_up(tmp_path / "events.db", tmp_path / "copy.db", lambda *_: None)


@pytest.mark.parametrize(
    ("url", "code", "told"),
    [
        ("postgresql://u@h/d", 2, "pg_dump"),
        ("memory:", 2, "memory cannot be copied"),
        ("sqlite:///nothing.db", 1, "there is no database"),
    ],
)
def test_what_cannot_be_copied_is_said_in_a_line(
    tmp_path: Path, url: str, code: int, told: str
) -> None:
    done = run("backup", "copy.db", url=url, cwd=tmp_path)
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


async def test_a_place_that_cannot_be_written_is_said_in_a_line(tmp_path: Path) -> None:
    await fill(tmp_path / "events.db")
    done = run("backup", "no/copy.db", url="sqlite:///events.db", cwd=tmp_path)
    assert done.returncode == 1
    assert "cannot write no/copy.db: No such file" in done.stderr


async def test_of_a_damaged_database_there_is_no_copy(tmp_path: Path) -> None:
    database = tmp_path / "events.db"
    await fill(database, 400)
    damage(database)
    with pytest.raises(SinkUnavailable, match=r"damaged|malformed"):
        back_up(database, tmp_path / "copy.db", lambda *_: None)
    assert not any("copy" in name for name in names_in(tmp_path))


def damage(database: Path) -> None:
    """Overwrite the middle of the largest table."""
    with closing(sqlite3.connect(database)) as db:
        ((page,),) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'event_rows'")
    content = bytearray(database.read_bytes())
    content[(page - 1) * 4096 + 8 : page * 4096] = b"\xff" * 4088
    database.write_bytes(content)


async def test_the_manual_s_steps_restore_a_backup(tmp_path: Path) -> None:
    """The block of the manual, run as it stands, where the manual's paths are."""
    manual = (ROOT / "playsmart_gateway" / "manual" / "operations.md").read_text("utf-8")
    (block,) = re.findall(r"```sh\n(mkdir -m 700 data/before\n.*?)```", manual, re.DOTALL)
    steps = block[: block.index("sudo systemctl start")]
    data = tmp_path / "data"
    await fill(data / "playsmart.db", 3)
    copied = run("backup", "backup.db", url="sqlite:///data/playsmart.db", cwd=tmp_path)
    assert copied.returncode == 0, copied.stderr
    await fill(data / "other.db", 7)
    (data / "other.db").replace(data / "playsmart.db")
    (data / "playsmart.db-wal").write_bytes(b"left behind")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "playsmart-gateway").write_text(
        f'#!/bin/sh\nexec {sys.executable} -m playsmart_gateway "$@"\n'
    )
    (tools / "playsmart-gateway").chmod(0o700)
    done = await asyncio.to_thread(
        subprocess.run,
        ["/bin/sh", "-e", "-c", steps],
        env={
            **os.environ,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PLAYSMART_AUTH__SECRET": "0123456789abcdef" * 3,
        },
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with closing(sqlite3.connect(data / "playsmart.db")) as db:
        assert db.execute("SELECT count(*) FROM events").fetchone() == (15,)
    assert (data / "playsmart.db").stat().st_mode & 0o777 == 0o600
    assert (data / "before" / "playsmart.db-wal").exists()
