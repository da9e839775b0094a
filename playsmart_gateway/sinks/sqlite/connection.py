"""A connection to a SQLite file that survives what happens to the file, and what its errors mean.

The file is checked by its inode before each use: SQLite itself goes on writing into a file that
was deleted or replaced under it. Then, and after any other trouble, it is opened anew.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiosqlite

from playsmart_gateway.errors import (
    ConfigError,
    SinkError,
    SinkRejected,
    SinkUnavailable,
    is_mistake,
)
from playsmart_gateway.turnstile import TakeTurn

BUSY_TIMEOUT_SECONDS = 1.0
"""How long a statement waits for another program's lock; after that the flusher comes back."""

WRITE = "BEGIN IMMEDIATE"

Prepare = Callable[[aiosqlite.Connection], Awaitable[None]]

_FOREIGN_TRIGGERS = """
    SELECT name FROM sqlite_master WHERE type = 'trigger'
    AND name NOT IN ('coin_entries_stay', 'coin_entries_stay_as_they_are') ORDER BY name
"""
_HINTS = {
    sqlite3.SQLITE_BUSY: "Another program holds a lock on it; end its transaction.",
    sqlite3.SQLITE_FULL: "Free space on its disk.",
    sqlite3.SQLITE_READONLY: "Make the file and its folder writable.",
    sqlite3.SQLITE_CANTOPEN: "Check that its folder exists and is writable.",
    sqlite3.SQLITE_CORRUPT: "Move the file away, restore a backup; events go on into a new file.",
    sqlite3.SQLITE_NOTADB: "Point storage.url at a SQLite file, or move this file away.",
    sqlite3.SQLITE_IOERR: "Check the disk.",
}


class Undone(Exception):
    """Raised in a transaction that is to leave nothing."""


class Connection:
    """The connection to ``path``, opened when it is needed; ``prepare`` sees each new one first.

    Unless ``read_only`` the file and its folder are created when missing. ``take_turn`` is what to
    enter before a transaction that writes.
    """

    def __init__(
        self,
        path: Path,
        prepare: Prepare,
        *,
        read_only: bool = False,
        take_turn: TakeTurn = contextlib.nullcontext,
    ) -> None:
        self.path = path
        self._prepare = prepare
        self._read_only = read_only
        self._db: aiosqlite.Connection | None = None
        self._inode = 0
        self._turn = asyncio.Lock()
        self._take_turn = take_turn

    async def open(self) -> None:
        """Open it; raises what SQLite, the system and ``prepare`` raise."""
        if not self._read_only:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        elif not self.path.exists():
            hint = "Start the gateway once, or point storage.url at a file that is there."
            raise SinkUnavailable(f"there is no database at {self.path}", hint=hint)
        connecting = asyncio.ensure_future(self._connect())
        try:
            db = await asyncio.shield(connecting)
        except asyncio.CancelledError:
            db = await connecting  # left alone, its thread would outlive the loop
            await db.close()
            raise
        try:
            await self._prepare(db)
            self._inode = self.path.stat().st_ino
        except BaseException:
            await db.close()
            raise
        self._db = db

    async def _connect(self) -> aiosqlite.Connection:
        """Connect before there is a thread: one that fails to do so ends unattended, maybe late."""
        mode = "ro" if self._read_only else "rwc"
        db = await asyncio.to_thread(
            sqlite3.connect,
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            timeout=BUSY_TIMEOUT_SECONDS,
            check_same_thread=False,
        )
        return await aiosqlite.Connection(lambda: db, iter_chunk_size=64)

    async def close(self) -> None:
        """Close it, if it is open."""
        db, self._db = self._db, None
        if db is not None:
            await db.close()

    @contextlib.asynccontextmanager
    async def transaction(self, begin: str = WRITE) -> AsyncIterator[aiosqlite.Connection]:
        """Commit at the end, or leave nothing; every error comes out as a ``SinkError``.

        One transaction at a time: another one waits for its turn. After an error or a cancellation
        nobody knows what the connection is about to do, so the next one opens another.
        """
        writes = begin == WRITE
        async with self._turn, self._take_turn() if writes else contextlib.nullcontext():
            try:
                db = await self._usable()
                await db.execute(begin)
                yield db
                await db.execute("COMMIT")
            except BaseException as error:
                self._inode = 0
                triggers = await self._triggers(error)
                if isinstance(error, Exception):  # now, as it may hold the lock of a writer
                    await self.close()
                if isinstance(error, ConfigError):
                    raise SinkUnavailable(str(error)) from error
                if isinstance(error, sqlite3.Error | OverflowError | OSError):
                    raise classify(error, triggers) from error
                raise

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[aiosqlite.Connection]:
        """Give the connection for a statement that cannot be in a transaction; errors as there."""
        async with self._turn:
            try:
                yield await self._usable()
            except sqlite3.Error as error:
                raise classify(error) from error

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator["Statements"]:
        """Open a transaction that only reads, for statements of ``sinks.sql``."""
        async with self.transaction("BEGIN") as db:
            yield Statements(db)

    async def _triggers(self, error: BaseException) -> str:
        """Name the triggers that are not ours, if one may have raised ``error``."""
        if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_CONSTRAINT_TRIGGER:
            return ""
        with contextlib.suppress(sqlite3.Error):
            assert self._db is not None
            found = await self._db.execute_fetchall(_FOREIGN_TRIGGERS)
            return ", ".join(name for (name,) in found)
        return ""

    async def _usable(self) -> aiosqlite.Connection:
        """Return the connection, opened anew if it is not to the file at our path any more."""
        try:
            inode = self.path.stat().st_ino
        except FileNotFoundError:
            inode = 0
        if self._db is None or not inode or inode != self._inode:
            await self.close()
            await self.open()
        assert self._db is not None
        return self._db


class Statements:
    """Runs what is written as ``sinks.sql`` says."""

    def __init__(self, db: aiosqlite.Connection) -> None:
        self._db = db

    async def fetch(self, query: str, /, *args: Any) -> Sequence[Any]:
        """See ``sinks.sql.Database``."""
        return list(await self._db.execute_fetchall(query, numbered(args)))


def numbered(parameters: Sequence[Any]) -> dict[str, Any]:
    """Return parameters by their numbers: SQLite takes ``$1`` for a name."""
    return {str(place): each for place, each in enumerate(parameters, 1)}


def classify(error: Exception, triggers: str = "") -> SinkError:
    """Tell what may work later from what the store refuses; ``triggers`` are those not ours."""
    if isinstance(error, sqlite3.IntegrityError | sqlite3.DataError | OverflowError):
        reason = str(error) if isinstance(error, sqlite3.IntegrityError) else type(error).__name__
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_CONSTRAINT_TRIGGER:
            reason = f"a trigger raised an error ({triggers})"  # its text may quote what was sent
        return SinkRejected(f"the store refuses these rows: {reason}")
    if str(error).startswith(("malformed JSON", "integer overflow", "Could not decode")):
        return SinkRejected("the store cannot parse these rows", certain=True)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return SinkUnavailable(str(error), hint=_HINTS.get(code, ""))


def at_opening(path: Path, error: OSError | sqlite3.Error) -> ConfigError | SinkError:
    """Tell what may work later from what no waiting mends, when a store is opened."""
    if isinstance(error, OSError):
        problem = f"cannot open {path}: {error.strerror}"
        if is_mistake(error):
            return ConfigError([f"storage.url: {problem}"])
        return SinkUnavailable(problem, hint="Check its folder and the disk.")
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB or path.is_dir():
        problem = "is a folder" if path.is_dir() else "is no SQLite database"
        return ConfigError([f"storage.url: {path} {problem}; name another, or move it away"])
    return classify(error)
