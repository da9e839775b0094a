"""A connection to a SQLite file that survives what happens to the file, and what its errors mean.

Before each use ``file`` looks whether the file is still there and ours: SQLite itself goes on
writing into one that was deleted or replaced under it. Then, and after any other trouble, it is
opened anew.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiosqlite
from typing_extensions import override

from playsmart_gateway.errors import (
    ConfigError,
    SinkError,
    SinkRejected,
    SinkUnavailable,
    is_mistake,
)
from playsmart_gateway.stores.contract import TakeTurn
from playsmart_gateway.stores.sql.database import Database
from playsmart_gateway.stores.sqlite.file import StoreFile
from playsmart_gateway.stores.sqlite.one_go import AND_THEN, InOneGo, Underneath

BUSY_TIMEOUT_SECONDS = 1.0
"""How long a statement waits for another program's lock; after that the flusher comes back."""

WRITE = "BEGIN IMMEDIATE"

Prepare = Callable[[aiosqlite.Connection, Callable[[], str]], Awaitable[None]]
"""Is also given what returns the statement that stamps the file; see ``wal``."""

_FOREIGN_TRIGGERS = """
    SELECT name FROM sqlite_master WHERE type = 'trigger'
    AND name NOT IN ('coin_entries_stay', 'coin_entries_stay_as_they_are',
                     'players_go', 'players_are_changed')
    AND name NOT GLOB 'rollup_*' ORDER BY name
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
    """A connection to ``file``, opened when it is needed; ``prepare`` sees each new one first.

    Unless ``read_only`` the file and its folder are created when missing. ``take_turn`` is what to
    enter before a transaction that writes. ``db`` is what is open; not ``idle`` it is in use.
    """

    def __init__(
        self,
        file: StoreFile,
        prepare: Prepare,
        *,
        read_only: bool = False,
        take_turn: TakeTurn = contextlib.nullcontext,
    ) -> None:
        self.read_only = read_only
        self.db: InOneGo | None = None
        self.idle = asyncio.Event()
        self.idle.set()
        self._file = file
        self._prepare = prepare
        self._is_doubtful = False
        self._turn = asyncio.Lock()
        self._take_turn = take_turn
        file.add(self)

    async def open(self) -> None:
        """Open it; raises what SQLite, the system and ``prepare`` raise."""
        async with self._file.opening:
            await self._open()

    async def _open(self) -> None:
        self._file.prepare(read_only=self.read_only)
        with self._file.being_opened() as stamp:
            await self._make(stamp)

    async def _make(self, stamp: Callable[[], str]) -> None:
        connecting = asyncio.ensure_future(self._connect())
        try:
            db = await asyncio.shield(connecting)
        except asyncio.CancelledError:
            db = await connecting  # left alone, its thread would outlive the loop
            await db.close()
            raise
        try:
            self._file.require_same()
            await self._prepare(db, stamp)
            self._file.opened(read_only=self.read_only)
        except BaseException:
            await db.close()
            raise
        self.db = db
        self._is_doubtful = False

    async def _connect(self) -> InOneGo:
        """Connect before there is a thread: one that fails to do so ends unattended, maybe late."""
        mode = "ro" if self.read_only else "rw"
        db = await asyncio.to_thread(
            sqlite3.connect,
            f"{self._file.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            timeout=BUSY_TIMEOUT_SECONDS,
            check_same_thread=False,
            factory=Underneath,
        )
        opened = InOneGo(db)
        await opened
        return opened

    async def close(self) -> None:
        """Close it, if it is open."""
        db, self.db = self.db, None
        if db is not None:
            await db.close()

    async def leave(self) -> None:
        """Close it for good."""
        await self._file.left(self)

    async def look(self) -> None:
        """Look whether the file is still there and ours, and open it if it is not open.

        Raises:
            SinkUnavailable: it cannot be used now.
        """
        async with self._turn, self._take_turn():
            try:
                await self._usable()
            except (ConfigError, sqlite3.Error, OSError) as error:
                raise self._explained(error) from error

    async def checkpoint(self) -> None:
        """Bring everything that was committed into the file itself, and that to the medium.

        Raises:
            SinkUnavailable: some of it is in the log yet, as somebody reads what was before it; or
                somebody met damage in the file.
        """
        async with self._turn, self._take_turn():
            try:
                db = await self._usable()
                self._file.require_undamaged()
                query = "PRAGMA wal_checkpoint(PASSIVE)"
                ((_, pages, moved),) = await db.execute_fetchall(query)
                await self._file.require()
            except (ConfigError, sqlite3.Error, OSError) as error:
                raise self._explained(error) from error
            if moved < pages:
                raise SinkUnavailable("a reader holds the write-ahead log")

    @contextlib.asynccontextmanager
    async def transaction(self, begin: str = WRITE) -> AsyncIterator[InOneGo]:
        """Commit at the end, or leave nothing; every error comes out as a ``SinkError``.

        It begins with the first statement. One transaction at a time: another one waits for its
        turn. After an error or a cancellation nobody knows what the connection is about to do, so
        the next one opens another.
        """
        writes = begin == WRITE
        async with self._turn, self._take_turn() if writes else contextlib.nullcontext():
            try:
                db = await self._usable()
                self.idle.clear()
                db.begin(begin)
                yield db
                stamp = await self._file.stamp() if writes else None
                await db.execute("COMMIT" if stamp is None else f"{stamp}{AND_THEN}COMMIT")
            except (ConfigError, sqlite3.Error, OverflowError, OSError) as error:
                self._is_doubtful = True
                triggers = await self._triggers(error)
                await self._end()
                raise self._explained(error, triggers) from error
            except BaseException as error:
                self._is_doubtful = True
                if isinstance(error, Exception):
                    await self._end()
                raise
            finally:
                self.idle.set()

    async def _end(self) -> None:
        """End the transaction now, as it may hold the lock of a writer.

        What was committed before may be in the log only; so the connection stays until the next use
        has looked whether it has to be brought into a file that was moved.
        """
        if self.db is not None:
            with contextlib.suppress(sqlite3.Error):
                await self.db.execute("ROLLBACK")

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[InOneGo]:
        """Give the connection for a statement that cannot be in a transaction; errors as there."""
        async with self._turn:
            try:
                yield await self._usable()
            except sqlite3.Error as error:
                raise self._explained(error) from error

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator["Statements"]:
        """Open a transaction that only reads, for statements of ``stores.sql.database``."""
        async with self.transaction("BEGIN") as db:
            yield Statements(db)

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator["Statements"]:
        """Open a transaction that writes, for the same."""
        async with self.transaction() as db:
            yield Statements(db)

    async def _triggers(self, error: BaseException) -> str:
        """Name the triggers that are not ours, if one may have raised ``error``."""
        if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_CONSTRAINT_TRIGGER:
            return ""
        with contextlib.suppress(sqlite3.Error):
            assert self.db is not None
            found = await self.db.execute_fetchall(_FOREIGN_TRIGGERS)
            return ", ".join(name for (name,) in found)
        return ""

    async def _usable(self) -> InOneGo:
        """Return the connection, opened anew if it is not to the file at our path any more."""
        await self._file.require()
        if self.db is None or self._is_doubtful:
            async with self._file.opening:
                await self.close()
                await self._open()
        assert self.db is not None
        return self.db

    def _explained(self, error: Exception, triggers: str = "") -> SinkError:
        """Return an error as those who call us know it."""
        if isinstance(error, ConfigError):
            return SinkUnavailable(str(error))
        known = classify(error, triggers)
        self._file.failed(known, getattr(error, "sqlite_errorcode", 0) & 0xFF)
        return known


class Statements(Database):
    """Runs what is written as ``stores.sql.database`` says."""

    def __init__(self, db: aiosqlite.Connection) -> None:
        self._db = db

    @override
    async def fetch(self, query: str, /, *args: Any) -> Sequence[Any]:
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
