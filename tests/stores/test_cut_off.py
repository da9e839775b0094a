"""A SQLite file that is cut off, in whatever moment, is noticed before the journal is trimmed."""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.sqlite import SqliteSink
from playsmart_gateway.stores.sqlite.connection import Connection
from playsmart_gateway.stores.sqlite.store import CHECKPOINT_PAGES
from playsmart_gateway.stores.sqlite.wal import is_whole

PAGE_BYTES = 4_096
LARGE_BYTES = CHECKPOINT_PAGES * PAGE_BYTES
"""A batch of so many makes SQLite move the log into the file at once."""

Cut = Callable[[], None]
Moment = Callable[[SqliteSink, Path, Cut], Awaitable[None]]


def a_batch(number: int, size: int = 100) -> Batch:
    rows = b'[["Custom","u","2026-04-22T14:30:00.000000Z",{"p":"%b"}]]' % (b"x" * size)
    return Batch("playsmart", "com.example.game", "u", 1, rows, journal="ab" * 16, sequence=number)


async def at(statement: str, sink: SqliteSink, cut: Cut) -> None:
    """Cut the file when SQLite has begun that statement: we have looked, it has not written."""
    left = [cut]

    def begins(text: str) -> None:
        if text.startswith(statement) and left:
            left.pop()()

    db = sink._connection.db
    assert db is not None
    await db.set_trace_callback(begins)


async def while_nobody_writes(_: SqliteSink, __: Path, cut: Cut) -> None:
    cut()


async def when_a_transaction_has_begun(sink: SqliteSink, _: Path, cut: Cut) -> None:
    await at("BEGIN", sink, cut)
    with pytest.raises(SinkUnavailable):
        await sink.write([a_batch(90)])


async def at_a_commit_that_goes_into_the_log(sink: SqliteSink, _: Path, cut: Cut) -> None:
    await at("COMMIT", sink, cut)
    await sink.write([a_batch(90)])


async def at_a_commit_that_moves_the_log_into_the_file(
    sink: SqliteSink, path: Path, cut: Cut
) -> None:
    await at("COMMIT", sink, cut)
    await sink.write([a_batch(90, LARGE_BYTES)])


async def when_another_program_moves_the_log_into_the_file(
    _: SqliteSink, path: Path, cut: Cut
) -> None:
    cut()
    with closing(sqlite3.connect(path)) as other, contextlib.suppress(sqlite3.DatabaseError):
        other.execute("PRAGMA wal_checkpoint(PASSIVE)")  # it may notice, too


async def in_the_middle_of_moving_the_log_into_the_file(
    _: SqliteSink, path: Path, cut: Cut
) -> None:
    """Pages go into the file in their order; here the last one comes behind the cut."""
    file = os.open(path, os.O_RDWR)
    place = os.fstat(file).st_size - PAGE_BYTES
    last = os.pread(file, PAGE_BYTES, place)
    cut()
    os.pwrite(file, last, place)
    os.close(file)


async def when_the_journal_is_to_be_trimmed(sink: SqliteSink, _: Path, cut: Cut) -> None:
    await sink.write([a_batch(90)])
    await at("PRAGMA wal_checkpoint", sink, cut)


MOMENTS: list[Moment] = [
    while_nobody_writes,
    when_a_transaction_has_begun,
    at_a_commit_that_goes_into_the_log,
    at_a_commit_that_moves_the_log_into_the_file,
    when_another_program_moves_the_log_into_the_file,
    in_the_middle_of_moving_the_log_into_the_file,
    when_the_journal_is_to_be_trimmed,
]


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("left", [0.02, 0.95])
async def test_a_file_that_is_cut_off_is_noticed_before_the_journal_lets_go_of_anything(
    tmp_path: Path, moment: Moment, left: float
) -> None:
    path = tmp_path / "events.db"

    def cut() -> None:
        os.truncate(path, max(2, int(path.stat().st_size // PAGE_BYTES * left)) * PAGE_BYTES)

    async with SqliteSink(str(path)) as sink:
        for number in range(1, 30):
            await sink.write([a_batch(number, 20_000)])
        await sink.sync()
        await moment(sink, path, cut)
        with pytest.raises(SinkUnavailable, match=r"was cut off|is damaged|malformed"):
            await sink.sync()
        with pytest.raises(SinkUnavailable, match=r"was cut off|is being replaced"):
            await sink.look()
        await waits_for_a_whole_file(sink)
        left_alone = path.read_bytes()
        assert sink.renewals == 1, "the next one gets what the journal has"
        path.rename(tmp_path / "old.db")
        await opened_again(sink)
        await sink.write([a_batch(91)])
        assert (tmp_path / "old.db").read_bytes() == left_alone, "nothing more was written into it"
        assert sink.renewals == 1


async def waits_for_a_whole_file(sink: SqliteSink) -> None:
    async with asyncio.timeout(60):
        while True:
            with pytest.raises(SinkUnavailable) as refused:
                await sink.look()
            if "is not complete" in str(refused.value):
                return
            await asyncio.sleep(0.05)


async def opened_again(sink: SqliteSink) -> None:
    """Look until what is there has kept still for long enough."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await sink.look()
            except SinkUnavailable:
                await asyncio.sleep(0.05)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDONLY)
    try:
        yield file
    finally:
        os.close(file)


async def test_a_file_with_a_hole_is_not_opened_at_the_start(tmp_path: Path) -> None:
    """Killed before it noticed; SQLite itself would meet the hole some day, or never."""
    path = tmp_path / "events.db"
    async with SqliteSink(str(path)) as sink:
        for number in range(1, 10):
            await sink.write([a_batch(number, 20_000)])
    size = path.stat().st_size
    os.truncate(path, size // PAGE_BYTES // 2 * PAGE_BYTES)
    os.truncate(path, size)
    with pytest.raises(SinkUnavailable, match="is not complete"):
        async with SqliteSink(str(path)):
            pass


def test_a_page_that_is_yet_in_the_log_is_not_missing(tmp_path: Path) -> None:
    """A reader keeps the log from being moved: what changed since then is left out, with a hole."""
    path, log, index = (tmp_path / f"x.db{end}" for end in ("", "-wal", "-shm"))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("CREATE TABLE x (content)")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for _ in range(20):
            db.execute("INSERT INTO x VALUES (zeroblob(3000))")
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM x").fetchall()
            db.execute("UPDATE x SET content = zeroblob(2999) WHERE rowid = 10")
            ((_, pages, moved),) = db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            assert moved < pages
            with opened(path) as file, opened(index) as open_index:
                assert is_whole(file, log, open_index)
                assert is_whole(file, log)
                assert not is_whole(file, tmp_path / "none")
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        with opened(path) as file, opened(index) as open_index:
            assert is_whole(file, log, open_index)
            os.truncate(path, path.stat().st_size // 2)
            assert not is_whole(file, log, open_index), "what was moved is not in the log any more"
            assert is_whole(file, log), "it is there, but nothing says that it was moved"


def test_a_free_page_that_is_a_hole_is_not_missing(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA secure_delete = ON")
        db.execute("CREATE TABLE x (content)")
        db.execute("INSERT INTO x VALUES (?)", ("x" * 4_000_000,))
        db.execute("CREATE TABLE y (content)")
        db.execute("INSERT INTO y VALUES (?)", ("y" * 40_000,))
        db.execute("DELETE FROM x")
    copy = tmp_path / "copy.db"
    with path.open("rb") as source, copy.open("wb") as target:
        while page := source.read(PAGE_BYTES):
            if any(page):
                target.write(page)
            else:
                target.seek(PAGE_BYTES, os.SEEK_CUR)
    with opened(copy) as file:
        assert os.lseek(file, 0, os.SEEK_HOLE) < copy.stat().st_size
        assert is_whole(file, tmp_path / "none")
        os.truncate(copy, copy.stat().st_size - 10 * PAGE_BYTES)
        assert not is_whole(file, tmp_path / "none")


def test_what_is_no_database_lacks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"\xff" * 10_000)
    with opened(path) as file:
        assert is_whole(file, tmp_path / "none")


async def test_a_file_that_was_cut_off_and_moved_before_anybody_looked_is_not_taken_for_complete(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.db"
    async with SqliteSink(str(path)) as sink:
        for number in range(1, 10):
            await sink.write([a_batch(number, 20_000)])
        await sink.sync()
        os.truncate(path, path.stat().st_size // PAGE_BYTES // 2 * PAGE_BYTES)
        path.rename(tmp_path / "old.db")
        await opened_again(sink)
        assert sink.renewals == 1


async def as_it_is(*_: object) -> None:
    pass


async def test_while_the_file_is_damaged_the_journal_keeps_what_it_has_and_the_next_one_gets_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.db"
    async with SqliteSink(str(path)) as sink:
        await sink.write([a_batch(1)])
        await sink.sync()
        damage = sqlite3.DatabaseError("database disk image is malformed")
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        with pytest.raises(SinkUnavailable, match="malformed"):
            async with Connection(sink._file, as_it_is, read_only=True).reading():
                raise damage
        await sink.write([a_batch(2)])
        with pytest.raises(SinkUnavailable, match="is damaged"):
            await sink.sync()
        path.rename(tmp_path / "old.db")
        await opened_again(sink)
        assert sink.renewals == 1
        await sink.sync()
