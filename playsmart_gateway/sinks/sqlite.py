"""The SQLite sink: one writer, one transaction a flush, a handful of statements in it.

``sqlite3`` gives up the GIL at every statement and has to win it back from a busy event loop, so
what counts is not rows but statements. Headers go into ``batches`` by one ``INSERT .. SELECT ..
FROM json_each(?)``; rows go into ``event_rows`` by one statement per ``BATCHES_PER_STATEMENT``
requests, each request's JSON bound as it came and taken apart by SQLite.

Schema. An event's id is its batch's id and its place in the batch, ``batch_id * 256 + n``: found
both ways by the two primary keys, so event rows need neither a foreign key nor an index. Times are
stored as they travel (20 or 27 characters); ``occurred_at`` pads them to one width when read. The
view ``events`` is the face for people and programs that read.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import aiosqlite
import msgspec

from playsmart_gateway.errors import ConfigError, SinkError, SinkRejected, SinkUnavailable
from playsmart_gateway.event import MAX_EVENTS_PER_BATCH, Batch
from playsmart_gateway.sinks.base import Written

BUSY_TIMEOUT_SECONDS = 5.0
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
    CREATE INDEX batches_by_user ON batches (user_id);
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

_INSERT_BATCHES = """
    INSERT INTO batches (journal_id, sequence, source, game_id, user_id, received_at, event_count)
    SELECT ?1, json_extract(value, '$[0]'), json_extract(value, '$[1]'),
           json_extract(value, '$[2]'), json_extract(value, '$[3]'),
           strftime('%Y-%m-%dT%H:%M:%S', json_extract(value, '$[4]') / 1000000, 'unixepoch')
               || printf('.%06dZ', json_extract(value, '$[4]') % 1000000),
           json_extract(value, '$[5]')
    FROM json_each(?2)
"""
_INSERT_EVENTS = f"""
    WITH incoming (batch_id, rows) AS (VALUES {", ".join(["(?, ?)"] * BATCHES_PER_STATEMENT)})
    INSERT INTO event_rows (event_id, type, custom_event_name, time, customdata)
    SELECT batch_id * {MAX_EVENTS_PER_BATCH} + key, json_extract(value, '$[0]'),
           json_extract(value, '$[1]'), json_extract(value, '$[2]'), json_extract(value, '$[3]')
    FROM incoming CROSS JOIN json_each(CAST(rows AS TEXT))
"""  # noqa: S608 - built from our own constants


class SqliteSink:
    """Writes batches into the SQLite file ``path``, creating it and its folder when missing."""

    def __init__(self, path: str, *, journal_id: str) -> None:
        self._path = Path(path)
        self._journal = journal_id
        self._journal_id = 0

    async def __aenter__(self) -> Self:
        """Open the file and bring its schema up to date. See ``Sink``."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._db = await aiosqlite.connect(
                self._path, isolation_level=None, timeout=BUSY_TIMEOUT_SECONDS
            )
        except (sqlite3.Error, OSError) as error:
            raise ConfigError([f"storage.url: cannot open {self._path}: {error}"]) from error
        try:
            await self._prepare()
        except sqlite3.Error as error:
            await self._db.close()
            raise _classify(error) from error
        except ConfigError:
            await self._db.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the file; SQLite moves the write-ahead log into it."""
        await self._db.close()

    async def write(self, batches: Sequence[Batch]) -> Written:
        """See ``Sink.write``."""
        try:
            await self._begin()
            try:
                stored = await self._insert(batches)
            except sqlite3.IntegrityError:
                # Only a repeat can violate a unique key, and repeats are rare: look for them now.
                await self._begin()
                stored = await self._insert(await self._without_known(batches))
            await self._db.execute("COMMIT")
        except (sqlite3.Error, OverflowError) as error:
            raise _classify(error) from error
        return Written(stored, sum(batch.count for batch in batches) - stored)

    async def _begin(self) -> None:
        """Begin a transaction; what an earlier error or cancellation left open is undone."""
        if self._db.in_transaction:
            await self._db.execute("ROLLBACK")
        await self._db.execute("BEGIN IMMEDIATE")

    async def _insert(self, batches: Sequence[Batch]) -> int:
        if not batches:
            return 0
        headers = [
            (b.sequence, b.source, b.game_id, b.user_id, b.received_at, b.count) for b in batches
        ]
        cursor = await self._db.execute(
            _INSERT_BATCHES, (self._journal_id, msgspec.json.encode(headers).decode())
        )
        first_id = (cursor.lastrowid or 0) - len(batches) + 1
        for start in range(0, len(batches), BATCHES_PER_STATEMENT):
            parameters: list[Any] = [None] * (2 * BATCHES_PER_STATEMENT)
            for place, batch in enumerate(batches[start : start + BATCHES_PER_STATEMENT]):
                parameters[2 * place] = first_id + start + place
                parameters[2 * place + 1] = batch.rows
            await self._db.execute(_INSERT_EVENTS, parameters)
        return sum(batch.count for batch in batches)

    async def _without_known(self, batches: Sequence[Batch]) -> list[Batch]:
        known = await self._db.execute_fetchall(
            "SELECT sequence FROM batches WHERE journal_id = ? AND sequence BETWEEN ? AND ?",
            (self._journal_id, batches[0].sequence, batches[-1].sequence),
        )
        stored = {row[0] for row in known}
        return [batch for batch in batches if batch.sequence not in stored]

    async def _prepare(self) -> None:
        db = self._db
        await db.execute("PRAGMA journal_mode = WAL")
        await db.execute("PRAGMA synchronous = NORMAL")
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
        await db.execute(
            "INSERT INTO journals (identity) VALUES (?) ON CONFLICT DO NOTHING", (self._journal,)
        )
        ((self._journal_id,),) = await db.execute_fetchall(
            "SELECT journal_id FROM journals WHERE identity = ?", (self._journal,)
        )
        await db.execute("COMMIT")


def _classify(error: Exception) -> SinkError:
    """Tell what may work later from what never will."""
    if isinstance(error, sqlite3.IntegrityError | sqlite3.DataError | OverflowError):
        return SinkRejected(f"the store cannot represent these rows: {type(error).__name__}")
    if "malformed JSON" in str(error):
        return SinkRejected("the store cannot parse these rows")
    return SinkUnavailable(str(error))
