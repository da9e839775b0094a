"""The SQLite sink: one writer, one transaction a flush, a handful of statements in it.

``sqlite3`` gives up the GIL at every statement and has to win it back from a busy event loop, so
what counts is not rows but statements. Headers go into ``batches`` by one ``INSERT .. SELECT ..
FROM json_each(?)``; rows go into ``event_rows`` by one statement per ``BATCHES_PER_STATEMENT``
requests, each request's JSON bound as it came and taken apart by SQLite.

Schema. An event's id is its batch's id and its place in the batch, ``batch_id * 256 + n``: found
both ways by the two primary keys, so event rows need neither a foreign key nor an index. Times are
stored as they travel (20 or 27 characters); ``occurred_at`` pads them to one width when read. The
view ``events`` is the face for people and programs that read.

The file is checked by its inode before each transaction: SQLite itself goes on writing into a file
that was deleted or replaced under it. Then, and after any other trouble, it is opened anew.
"""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Self

import aiosqlite
import msgspec

from playsmart_gateway.errors import ConfigError, SinkError, SinkRejected, SinkUnavailable
from playsmart_gateway.event import MAX_EVENTS_PER_BATCH, Batch
from playsmart_gateway.sinks.base import Written

BUSY_TIMEOUT_SECONDS = 1.0
"""How long a statement waits for another program's lock; after that the flusher comes back."""

CHECKPOINT_PAGES = 200
"""Of 4 KiB, at which the write-ahead log is moved into the file. Requests that wait for room wait
for that too: at SQLite's 1,000 the p99 at saturation is 32 ms, at 200 it is 19, no slower."""

BATCHES_PER_STATEMENT = 250

_MIGRATIONS = (
    f"""
    CREATE TABLE journals (
        journal_id INTEGER PRIMARY KEY,
        identity TEXT NOT NULL UNIQUE
    );
    CREATE TABLE batches (
        batch_id INTEGER PRIMARY KEY AUTOINCREMENT,
        journal_id INTEGER NOT NULL REFERENCES journals,
        sequence INTEGER NOT NULL,
        source TEXT NOT NULL,
        game_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        received_at TEXT NOT NULL,
        event_count INTEGER NOT NULL,
        UNIQUE (journal_id, sequence)
    );
    CREATE TABLE event_rows (
        event_id INTEGER PRIMARY KEY,
        type TEXT NOT NULL,
        custom_event_name TEXT,
        time TEXT NOT NULL,
        customdata TEXT,
        occurred_at TEXT GENERATED ALWAYS AS (
            CASE length(time) WHEN 20 THEN substr(time, 1, 19) || '.000000Z' ELSE time END
        ) VIRTUAL
    );
    CREATE TABLE dead_letters (
        journal TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        reason TEXT NOT NULL,
        source TEXT NOT NULL,
        game_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        received_at TEXT NOT NULL,
        event_count INTEGER NOT NULL,
        rows BLOB NOT NULL,
        buried_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
        PRIMARY KEY (journal, sequence)
    );
    CREATE VIEW events AS
        SELECT event_id, source, game_id, user_id, type, custom_event_name,
               occurred_at, received_at, customdata
        FROM event_rows JOIN batches
            ON batch_id = event_id / {MAX_EVENTS_PER_BATCH}
            AND event_id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                         AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1};
    """,  # noqa: S608 - built from our own constants
)
"""One script a schema version; never edited once released, only appended to."""

_RECEIVED_AT = """
    strftime('%Y-%m-%dT%H:%M:%S', {0} / 1000000, 'unixepoch') || printf('.%06dZ', {0} % 1000000)
"""
_INSERT_BATCHES = f"""
    INSERT INTO batches (journal_id, sequence, source, game_id, user_id, received_at, event_count)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
           json_extract(value, '$[3]'), json_extract(value, '$[4]'),
           {_RECEIVED_AT.format("json_extract(value, '$[5]')")}, json_extract(value, '$[6]')
    FROM json_each(?)
"""  # noqa: S608 - built from our own constants
_BURY = f"""
    INSERT INTO dead_letters
        (journal, sequence, reason, source, game_id, user_id, received_at, event_count, rows)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, {_RECEIVED_AT.format("?7")}, ?8, ?9)
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - built from our own constants
_INSERT_EVENTS = f"""
    WITH incoming (batch_id, rows) AS (VALUES {", ".join(["(?, ?)"] * BATCHES_PER_STATEMENT)})
    INSERT INTO event_rows (event_id, type, custom_event_name, time, customdata)
    SELECT batch_id * {MAX_EVENTS_PER_BATCH} + key, json_extract(value, '$[0]'),
           json_extract(value, '$[1]'), json_extract(value, '$[2]'), json_extract(value, '$[3]')
    FROM incoming CROSS JOIN json_each(CAST(rows AS TEXT))
"""  # noqa: S608 - built from our own constants


_HINTS = {
    sqlite3.SQLITE_BUSY: "Another program holds a lock on it; end its transaction.",
    sqlite3.SQLITE_FULL: "Free space on its disk.",
    sqlite3.SQLITE_READONLY: "Make the file and its folder writable.",
    sqlite3.SQLITE_CANTOPEN: "Check that its folder exists and is writable.",
    sqlite3.SQLITE_CORRUPT: "Move the file away, restore a backup; events go on into a new file.",
    sqlite3.SQLITE_NOTADB: "Point storage.url at a SQLite file, or move this file away.",
    sqlite3.SQLITE_IOERR: "Check the disk.",
}


class SqliteSink:
    """Writes batches into the SQLite file ``path``, creating it and its folder when missing."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._db: aiosqlite.Connection | None = None
        self._inode = 0
        self._journals: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        """Open the file and bring its schema up to date. See ``Sink``."""
        try:
            await self._open()
        except OSError as error:
            problem = f"cannot open {self._path}: {error.strerror}"
            raise ConfigError([f"storage.url: {problem}"]) from error
        except sqlite3.Error as error:
            raise _classify(error) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the file; SQLite moves the write-ahead log into it."""
        await self._close()

    async def write(self, batches: Sequence[Batch]) -> Written:
        """See ``Sink.write``."""
        async with self._transaction() as db:
            try:
                stored = await self._insert(db, batches)
            except sqlite3.IntegrityError:
                # Only a repeat can violate a unique key, and repeats are rare: look for them now.
                await db.execute("ROLLBACK")
                self._journals.clear()
                await db.execute("BEGIN IMMEDIATE")
                stored = await self._insert(db, await self._without_known(db, batches))
        return Written(stored, sum(batch.count for batch in batches) - stored)

    async def bury(self, batch: Batch, reason: str) -> None:
        """See ``Sink.bury``."""
        async with self._transaction() as db:
            name = (batch.journal, batch.sequence, reason)
            header = (batch.source, batch.game_id, batch.user_id, batch.received_at, batch.count)
            await db.execute(_BURY, (*name, *header, batch.rows))

    async def sync(self) -> None:
        """See ``Sink.sync``: what a transaction wrote is in the write-ahead log until then."""
        log = self._path.with_name(self._path.name + "-wal")
        try:
            await asyncio.to_thread(_sync_file, log)
        except OSError as error:
            raise SinkUnavailable(f"cannot sync {log}: {error.strerror}") from error

    @contextlib.asynccontextmanager
    async def _transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """Commit at the end, or leave nothing; every error comes out as a ``SinkError``.

        After an error or a cancellation nobody knows what the connection is about to do, so the
        next transaction opens another one.
        """
        try:
            db = await self._usable()
            await db.execute("BEGIN IMMEDIATE")
            yield db
            await db.execute("COMMIT")
        except BaseException as error:
            self._inode = 0
            if isinstance(error, ConfigError):
                raise SinkUnavailable(str(error)) from error
            if isinstance(error, sqlite3.Error | OverflowError | OSError):
                raise _classify(error) from error
            raise

    async def _usable(self) -> aiosqlite.Connection:
        """Return the connection, opened anew if it is not to the file at our path any more."""
        try:
            inode = self._path.stat().st_ino
        except FileNotFoundError:
            inode = 0
        if self._db is None or not inode or inode != self._inode:
            await self._close()
            await self._open()
        assert self._db is not None
        return self._db

    async def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = await aiosqlite.connect(self._path, isolation_level=None, timeout=BUSY_TIMEOUT_SECONDS)
        try:
            await self._prepare(db)
            self._inode = self._path.stat().st_ino
        except BaseException:
            await db.close()
            raise
        self._db = db

    async def _close(self) -> None:
        db, self._db = self._db, None
        self._journals = {}
        if db is not None:
            await db.close()

    async def _insert(self, db: aiosqlite.Connection, batches: Sequence[Batch]) -> int:
        if not batches:
            return 0
        headers = [
            (
                self._journals.get(each.journal) or await self._journal_id(db, each.journal),
                *(each.sequence, each.source, each.game_id, each.user_id),
                *(each.received_at, each.count),
            )
            for each in batches
        ]
        cursor = await db.execute(_INSERT_BATCHES, (msgspec.json.encode(headers).decode(),))
        first_id = (cursor.lastrowid or 0) - len(batches) + 1
        for start in range(0, len(batches), BATCHES_PER_STATEMENT):
            parameters: list[Any] = [None] * (2 * BATCHES_PER_STATEMENT)
            for place, batch in enumerate(batches[start : start + BATCHES_PER_STATEMENT]):
                parameters[2 * place] = first_id + start + place
                parameters[2 * place + 1] = batch.rows
            await db.execute(_INSERT_EVENTS, parameters)
        return sum(batch.count for batch in batches)

    async def _journal_id(self, db: aiosqlite.Connection, identity: str) -> int:
        """Return the number that stands for a journal in this file."""
        await db.execute(
            "INSERT INTO journals (identity) VALUES (?) ON CONFLICT DO NOTHING", (identity,)
        )
        ((number,),) = await db.execute_fetchall(
            "SELECT journal_id FROM journals WHERE identity = ?", (identity,)
        )
        self._journals[identity] = int(number)
        return self._journals[identity]

    async def _without_known(
        self, db: aiosqlite.Connection, batches: Sequence[Batch]
    ) -> list[Batch]:
        unknown = []
        for batch in batches:
            found = await db.execute_fetchall(
                "SELECT 1 FROM batches JOIN journals USING (journal_id)"
                " WHERE identity = ? AND sequence = ?",
                (batch.journal, batch.sequence),
            )
            if not found:
                unknown.append(batch)
        return unknown

    async def _prepare(self, db: aiosqlite.Connection) -> None:
        await db.execute("PRAGMA journal_mode = WAL")
        await db.execute("PRAGMA synchronous = NORMAL")
        await db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        await db.execute("BEGIN IMMEDIATE")
        ((version,),) = await db.execute_fetchall("PRAGMA user_version")
        if version > len(_MIGRATIONS):
            raise ConfigError(
                [
                    f"storage.url: {self._path} has schema version {version}, newer than the "
                    f"{len(_MIGRATIONS)} this program knows; upgrade playsmart-gateway"
                ]
            )
        for script in _MIGRATIONS[version:]:
            for statement in script.split(";\n"):
                if statement.strip():
                    await db.execute(statement)
        await db.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
        await db.execute("COMMIT")


def _sync_file(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fdatasync(file)
    finally:
        os.close(file)


def _classify(error: Exception) -> SinkError:
    """Tell what may work later from what never will."""
    if isinstance(error, sqlite3.IntegrityError | sqlite3.DataError | OverflowError):
        return SinkRejected(f"the store cannot represent these rows: {type(error).__name__}")
    if "malformed JSON" in str(error):
        return SinkRejected("the store cannot parse these rows")
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return SinkUnavailable(str(error), hint=_HINTS.get(code, ""))
