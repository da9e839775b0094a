"""What the gateway makes is its user's alone, whatever the umask; and a dump is recognised."""

import os
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.stores.sqlite import SqliteSink
from playsmart_gateway.stores.sqlite.schema import MIGRATIONS
from tests.support import warm
from tests.support.doubles import make_batch
from tests.support.players import (
    Client,
    Ledger,
)
from tests.support.process import clean_environment
from tests.support.target import Target


@pytest.fixture(params=[0o000, 0o022, 0o177, 0o777])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


async def test_files_are_0600_and_folders_0700_whatever_the_umask(
    umask: int, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o700)
    with Target(data, server__workers=2) as target:
        (data / "log").touch()
        (data / "log").chmod(0o600)
        await target.up()
        player = Client("player", target.port, Ledger())
        assert await player.send(10) == 202
        await player.close()
        await target.drained()
        modes = {
            str(each.relative_to(data)): stat.S_IMODE(each.stat().st_mode)
            for each in data.rglob("*")
            if each.name != "log"
        }
        assert await target.stop() == 0
    for name, mode in modes.items():
        wanted = 0o700 if (data / name).is_dir() else 0o600
        assert mode == wanted, (name, oct(mode))
    assert {"store/playsmart.db", "store/playsmart.db-wal", "store/playsmart.db-shm"} <= set(modes)
    assert "journal/worker-0/lock" in modes
    assert any(name.endswith(".journal") for name in modes)


async def dumped(tmp_path: Path) -> Path:
    """A database as the shell's ``.dump`` and ``.read`` make it."""
    async with SqliteSink(str(tmp_path / "events.db")) as sink:
        await sink.write([make_batch(1, 3)])
    made = tmp_path / "made.db"
    with closing(sqlite3.connect(tmp_path / "events.db")) as db:
        script = "\n".join(db.iterdump())
    with closing(sqlite3.connect(made)) as db:
        db.executescript(script)
        assert db.execute("PRAGMA user_version").fetchone() == (0,)
    return made


def serve(database: Path, command: str = "serve") -> subprocess.CompletedProcess[str]:
    environment = clean_environment(
        PLAYSMART_STORAGE__URL=f"sqlite:///{database}",
        PLAYSMART_JOURNAL__PATH=str(database.with_name("journal")),
        PLAYSMART_AUTH__SECRET="0123456789abcdef" * 3,
    )
    return warm.run([command], folder=database.parent, environment=environment, timeout=60)


async def test_a_database_made_from_a_dump_is_recognised_with_what_to_do(tmp_path: Path) -> None:
    made = await dumped(tmp_path)
    before = made.read_bytes()
    done = serve(made)
    assert done.returncode == 2
    (line,) = [each for each in done.stderr.splitlines() if each.startswith("error: ")]
    assert "has tables and no schema version" in line
    command = f"sqlite3 {made} 'PRAGMA user_version = {len(MIGRATIONS)}'"
    assert command in line
    assert made.read_bytes() == before or _same_rows(made, before, tmp_path)
    assert "has tables and no schema version" in serve(made, "doctor").stdout
    with closing(sqlite3.connect(made)) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    async with SqliteSink(str(made)) as sink:
        await sink.write([make_batch(1, 3), make_batch(2, 4)])
    with closing(sqlite3.connect(made)) as db:
        assert db.execute("SELECT count(*) FROM events").fetchone() == (7,)


def _same_rows(made: Path, before: bytes, folder: Path) -> bool:
    """Only the mode of its log may have been changed by looking at it."""
    (folder / "before.db").write_bytes(before)
    dumps = []
    for path in (made, folder / "before.db"):
        with closing(sqlite3.connect(path)) as db:
            dumps.append(list(db.iterdump()))
    return dumps[0] == dumps[1]


async def test_another_program_s_database_is_not_taken_for_ours(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "notes.db")) as db:
        db.execute("CREATE TABLE notes (text)")
    with pytest.raises(ConfigError, match="another program's"):
        await SqliteSink(str(tmp_path / "notes.db")).__aenter__()
