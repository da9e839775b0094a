"""A copy of a SQLite store: of one moment, whole, looked at, and there only then.

SQLite's backup begins anew whenever somebody writes between two of its steps, so under traffic it
never ends. Not if its source is in a read transaction all the time: then every step reads what
there was when that began. The write-ahead log grows for as long, and is cut afterwards.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.private import create_file
from playsmart_gateway.stores.sqlite.connection import classify
from playsmart_gateway.stores.sqlite.file import StoreFile

PAGES_PER_STEP = 512

_TABLES = """
    SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name
"""

Progress = Callable[[int, int], None]
"""Is told how many pages are copied, and how many there are."""


class Copied(NamedTuple):
    """What is in a copy: rows by table, and its size."""

    rows: dict[str, int]
    bytes: int


def back_up(source: Path, target: Path, progress: Progress) -> Copied:
    """Copy the store ``source`` to the new file ``target``, which appears whole.

    Raises:
        FileExistsError: ``target`` is there already.
        SinkUnavailable: the store cannot be read, or what was read is damaged.
        OSError: the copy cannot be written.
    """
    if target.exists():
        raise FileExistsError(target)
    StoreFile(source).prepare(read_only=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    os.close(create_file(part))
    try:
        try:
            copied = _copy(source, part, progress)
        except sqlite3.Error as error:
            raise classify(error) from error
        _publish(part, target)
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            part.with_name(part.name + suffix).unlink(missing_ok=True)
    return copied


def _copy(source: Path, part: Path, progress: Progress) -> Copied:
    uri = f"{source.absolute().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10)) as db,
        closing(sqlite3.connect(part, isolation_level=None)) as copy,
    ):
        db.execute("BEGIN")
        wanted = _rows(db)  # from here on it is one moment
        copy.execute("PRAGMA synchronous = OFF")  # it is synced once, when it is whole

        def step(_: int, remaining: int, total: int) -> None:
            progress(total - remaining, total)

        db.backup(copy, pages=PAGES_PER_STEP, progress=step)
        db.execute("ROLLBACK")
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
        found = [text for (text,) in copy.execute("PRAGMA integrity_check(3)")]
        if found != ["ok"]:
            hint = "Nothing was kept of the copy. Restore an older one; doctor tells more."
            raise SinkUnavailable(f"the database is damaged: {'; '.join(found)}", hint=hint)
        if _rows(copy) != wanted:
            raise SinkUnavailable("the copy does not have what the database has")
    return Copied(wanted, part.stat().st_size)


def _rows(db: sqlite3.Connection) -> dict[str, int]:
    names = [name for (name,) in db.execute(_TABLES).fetchall()]
    counts = {}
    for name in names:
        quoted = name.replace('"', '""')
        ((counts[name],),) = db.execute(f'SELECT count(*) FROM "{quoted}"')  # noqa: S608
    return counts


def _publish(part: Path, target: Path) -> None:
    """Give the whole file its name, if nobody has taken that."""
    file = os.open(part, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
    os.link(part, target)
    part.unlink()
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
