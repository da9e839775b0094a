"""The SQLite file as one process knows it: still there, and still ours, or left.

SQLite goes on writing into a file that was moved, removed or overwritten under it, and a connection
that is opened then would find the log of the old file beside the new one. So before each use, and
once more before each COMMIT, it is looked whether the path leads to the file that was opened, with
the log and the index that we have, and whether what its first page says is the work of this store
(see ``wal``). If not, all connections of this process are closed first, and nothing is opened
before what is there has kept still for a moment.

What was moved gets all that its log holds. What was removed or overwritten gets nothing any more:
``renewals`` counts that the store may lack what was written, and who keeps that writes it again.

``watching`` looks what has happened, ``leaving`` closes connections, ``opening`` says what may be
opened, and ``descriptors`` keeps those that hold the locks.
"""

import asyncio
import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from playsmart_gateway.errors import SinkError, SinkUnavailable
from playsmart_gateway.stores.sqlite.descriptors import (
    Inode,
    beside,
    descriptor_of,
    held,
    hold,
    inode_of,
    release,
)
from playsmart_gateway.stores.sqlite.leaving import (
    Held,
    clear_away,
    keep,
    moved_log_into_file,
    until_idle,
)
from playsmart_gateway.stores.sqlite.opening import Place
from playsmart_gateway.stores.sqlite.wal import first_page, stamp_of
from playsmart_gateway.stores.sqlite.watching import Change, Known, look, looked_into

logger = logging.getLogger(__name__)
damage_logger = logging.getLogger(f"{__name__}.damage")
damage_logger.addHandler(logging.NullHandler())  # commands, which have no log, tell it themselves


class StoreFile:
    """The file at ``path``, and the connections that this process has to it.

    ``damage`` is what somebody met in it, ``renewals`` how often it became another file that may
    lack what was written. ``clock`` counts seconds.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._place = Place(path, clock)
        self.renewals = 0
        self.is_written_here = False
        self.opening = asyncio.Lock()
        self._away: SinkUnavailable | None = None
        self.damage: SinkUnavailable | None = None
        self._damaged: tuple[Inode | None, str] | None = None
        self._complete: object = None
        self._connections: list[Held] = []
        self._known: Known | None = None
        self._was_opened = False

    @property
    def log_bytes(self) -> int:
        """Size of the write-ahead log."""
        try:
            return beside(self.path, "-wal").stat().st_size
        except OSError:
            return 0

    def add(self, connection: Held) -> None:
        """Take note of a connection that may be opened."""
        self._connections.append(connection)

    # ---- Looking ----------------------------------------------------------------------------

    async def require(self) -> None:
        """Return when what is open, if anything, is ours; else all connections are closed now.

        Raises:
            SinkUnavailable: it was not.
        """
        if self._known is None or not await look(self.path, self._known):
            return
        async with self.opening:
            known = self._known
            if known is not None and (change := await look(self.path, known)):
                if self.is_written_here:
                    await self._leave(known, change)
                for each in self._connections:
                    await until_idle(each)
                    await each.close()
                self._release(known)

    async def stamp(self) -> str | None:
        """Require that a transaction goes into a file that is ours; return SQL that says so.

        Raises:
            SinkUnavailable: it would not.
        """
        known = self._known
        assert known is not None, "a transaction is under way"
        if change := await look(self.path, known):
            raise SinkUnavailable(f"{self.path} {change.text}")
        if known.stamped == known.fingerprint:
            return None
        known.stamped = known.fingerprint
        return f"PRAGMA application_id = {stamp_of(known.page)}"

    def failed(self, error: SinkError, code: int) -> None:
        """Take note of an error of a transaction; damage is told until another file is opened."""
        if self._known is not None:
            self._known.stamped = None
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) and self.damage is None:
            self.damage = SinkUnavailable(f"the database is damaged: {error}", hint=error.hint)
            damaged = inode_of(self.path), str(error)
            if damaged != self._damaged:  # it is opened again and again
                text = "the database %s is damaged: %s. %s"
                damage_logger.error(text, self.path, error, error.hint)
            self._damaged = damaged

    def require_undamaged(self) -> None:
        """Require that nobody has met damage in the file, also before it was opened anew.

        Raises:
            SinkUnavailable: somebody has, so what was written may be lost with it.
        """
        if self._damaged is not None:
            raise SinkUnavailable(f"{self.path} is damaged: {self._damaged[1]}")

    # ---- Leaving ----------------------------------------------------------------------------

    async def _leave(self, known: Known, change: Change) -> None:
        """Close everything; what may go into the file that we have goes there first."""
        hint = "If that was not meant, put it back; what comes is kept meanwhile."
        self._away = SinkUnavailable(f"{self.path} {change.text}", hint=hint)
        self.damage = None
        logger.error("the database %s %s: leaving it. %s", self.path, change.text, hint)
        writer = None
        for each in self._connections:
            await until_idle(each)
            if each.db is not None and not each.read_only:
                writer = each
            else:
                await each.close()
        is_moved = False
        if writer is not None:
            assert writer.db is not None
            is_moved = change.is_ours and await moved_log_into_file(writer.db)
            await writer.close()
        page, is_complete = looked_into(known)
        is_complete = is_complete and is_moved and self._damaged is None
        self._release(known)  # its reader was there to the end, so nothing was checkpointed
        clear_away(known, set_aside=change.log_is_stale or (change.is_ours and not is_moved))
        self._damaged = None
        self.renewals += not is_complete
        self._complete = None
        if is_complete and known.inode == inode_of(self.path):
            self._complete = known.inode, page
        raise self._away

    def _release(self, known: Known) -> None:
        if known.keeper is not None:
            known.keeper.close()
        release(known.inode)
        if known.index is not None:
            release(known.index)
        self._known = None

    async def left(self, connection: Held) -> None:
        """Close a connection that nobody wants any more; the last one closes the file."""
        others = [each for each in self._connections if each is not connection and each.db]
        known = self._known
        if known is not None and not connection.read_only and connection.db is not None:
            async with self.opening:
                if change := await look(self.path, known):
                    try:
                        await self._leave(known, change)
                    except SinkUnavailable:  # it is in the log
                        return
                if known.keeper is not None:  # or SQLite would not move the log into the file
                    known.keeper.close()
                    known.keeper = None
        await connection.close()
        if self._known is not None and not others:
            self._release(self._known)

    # ---- Opening ----------------------------------------------------------------------------

    def prepare(self, *, read_only: bool) -> None:
        """Look at what is to be opened, and make what is missing; raises ``OSError``.

        Raises:
            SinkUnavailable: it may not be opened now.
        """
        if self._known is not None:
            return
        if not read_only:
            self._place.prepare_to_write(self._away, again=self._was_opened)
        elif self.is_written_here and self._away is not None:
            raise self._away
        else:
            self._place.prepare_to_read()

    @contextlib.contextmanager
    def being_opened(self) -> Iterator[Callable[[], str]]:
        """Keep the locks while a connection is made; yields what returns the stamp as SQL."""
        with held(self.path) as guard:
            yield lambda: f"PRAGMA application_id = {stamp_of(first_page(guard))}"

    def require_same(self) -> None:
        """Require that the path leads to the file that other connections have open.

        Raises:
            SinkUnavailable: it was put there a moment ago.
        """
        if self._known is not None and inode_of(self.path) != self._known.inode:
            raise SinkUnavailable(f"{self.path} is being replaced")

    def opened(self, *, read_only: bool) -> None:
        """Take note of what was opened; raises as ``require_same`` does."""
        self.require_same()
        if not read_only and self._known is not None and self._known.log is None:
            self._release(self._known)  # readers were first; this connection has made the log
        if self._known is None:
            inode = hold(self.path)
            guard = descriptor_of(inode)
            found = os.fstat(guard)
            log, index = beside(self.path, "-wal"), beside(self.path, "-shm")
            self._known = Known(
                inode, guard, (found.st_size, found.st_mtime_ns), first_page(guard),
                log, inode_of(log), index, hold(index) if index.exists() else None,
            )  # fmt: skip
        if not read_only:
            if self._known.keeper is None:
                self._known.keeper = keep(self.path)
            if self._away is not None:
                logger.warning("the database %s is opened anew", self.path)
            if self._complete not in (None, (self._known.inode, self._known.page)):
                self.renewals += 1  # it was replaced once more, while nobody had it open
            self._away = self.damage = self._complete = None
            self._was_opened = True
