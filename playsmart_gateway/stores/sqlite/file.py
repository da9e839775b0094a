"""The SQLite file as one process knows it: whether it is still there, and still ours.

SQLite goes on writing into a file that was moved, removed or overwritten under it, and a connection
that is opened then would find the log of the old file beside the new one. So before each use, and
once more before each COMMIT, it is looked whether the path leads to the file that was opened, with
the log and the index that we have, and whether what its first page says is the work of this store
(see ``wal``). If not, all connections of this process are closed first, and nothing is opened
before what is there has kept still for a moment.

What was moved gets all that its log holds. What was removed or overwritten gets nothing any more:
``renewals`` counts that the store may lack what was written, and who keeps that writes it again.

Closing any descriptor of a file takes away the locks that the process has on it (POSIX). The one
that is kept here is closed after all connections, and in one process there is one for each file.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import sqlite3
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import aiosqlite

from playsmart_gateway.errors import SinkError, SinkUnavailable
from playsmart_gateway.private import create_if_missing, make_folder
from playsmart_gateway.stores.sqlite.wal import (
    continues,
    first_page,
    is_cut,
    is_whole,
    stamp_of,
)

logger = logging.getLogger(__name__)
damage_logger = logging.getLogger(f"{__name__}.damage")
damage_logger.addHandler(logging.NullHandler())  # commands, which have no log, tell it themselves

SETTLE_SECONDS = 1.0
"""What turns up in the place of a file must have kept still for so long: it may be being copied."""

PATIENCE_SECONDS = 1.0
"""How long a reader may go on before it is interrupted, when all connections are to be closed."""

_SHARED_LOCK = 0x4000_0002, 510
"""Where SQLite's connections hold their shared locks: first byte, and how many."""

_CHECKPOINT_LOCK = 121, 1
"""Where in the index whoever moves the log into the file holds its lock (walformat, 2.3.1)."""

_USE_LOCK = 128, 1
"""Where in the index everybody who uses it holds a shared lock."""

_Inode = tuple[int, int]
_guards: dict[_Inode, list[int]] = {}
_users: dict[_Inode, int] = {}


class Held(Protocol):
    """A connection, as the file sees it."""

    read_only: bool
    idle: asyncio.Event
    db: aiosqlite.Connection | None

    async def close(self) -> None:
        """Close it, if it is open."""


class Change(NamedTuple):
    """What has happened to the file, and so what may be done with it."""

    text: str
    is_ours: bool
    """Whether what our log holds may be written into the file that we have open."""

    log_is_stale: bool = False
    """Whether the log at our path is ours, and belongs to no file any more."""


class StoreFile:
    """The file at ``path``, and the connections that this process has to it.

    ``damage`` is what somebody met in it, ``renewals`` how often it became another file that may
    lack what was written. ``clock`` counts seconds.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self.renewals = 0
        self.is_written_here = False
        self.opening = asyncio.Lock()
        self._away: SinkUnavailable | None = None
        self.damage: SinkUnavailable | None = None
        self._damaged: tuple[_Inode | None, str] | None = None
        self._complete: object = None
        self._clock = clock
        self._connections: list[Held] = []
        self._known: _Known | None = None
        self._was_opened = False
        self._place: object = None
        self._still_since = 0.0

    @property
    def log_bytes(self) -> int:
        """Size of the write-ahead log."""
        try:
            return _beside(self.path, "-wal").stat().st_size
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
        if self._known is None or not await self._look(self._known):
            return
        async with self.opening:
            known = self._known
            if known is not None and (change := await self._look(known)):
                if self.is_written_here:
                    await self._leave(known, change)
                for each in self._connections:
                    await _until_idle(each)
                    await each.close()
                self._release(known)

    async def before_commit(self, db: aiosqlite.Connection) -> None:
        """Require that a transaction goes into a file that is ours, and have it say so.

        Raises:
            SinkUnavailable: it would not.
        """
        known = self._known
        assert known is not None, "a transaction is under way"
        if change := await self._look(known):
            raise SinkUnavailable(f"{self.path} {change.text}")
        if known.stamped != known.fingerprint:
            await db.execute(f"PRAGMA application_id = {stamp_of(known.page)}")
            known.stamped = known.fingerprint

    def failed(self, error: SinkError, code: int) -> None:
        """Take note of an error of a transaction; damage is told until another file is opened."""
        if self._known is not None:
            self._known.stamped = None
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) and self.damage is None:
            self.damage = SinkUnavailable(f"the database is damaged: {error}", hint=error.hint)
            damaged = _inode(self.path), str(error)
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

    async def _look(self, known: "_Known") -> Change | None:
        """Return what has happened, if anything."""
        try:
            found = self.path.stat()
        except OSError:
            found = None
        if found is None or (found.st_dev, found.st_ino) != known.inode:
            if os.fstat(known.guard).st_nlink:
                return Change("was moved away", is_ours=True)
            return Change("was removed", is_ours=False)
        is_logged = known.log == _inode(known.log_path)
        has_parted = not is_logged or known.index != _inode(known.index_path)
        fingerprint = found.st_size, found.st_mtime_ns
        if fingerprint != known.fingerprint:  # a checkpoint, ours or another program's; or a copy
            page, is_complete = await asyncio.to_thread(_looked_into, known)
            if page != known.page and not (is_logged and await _is_continued(known)):
                if has_parted:
                    return Change("and its log were replaced", is_ours=False)
                return Change("was overwritten", is_ours=False, log_is_stale=True)
            if not is_complete and await _is_cut_off(known):
                return Change("was cut off", is_ours=False, log_is_stale=True)
            known.fingerprint, known.page = fingerprint, page
        if has_parted:
            return Change("has lost its log (-wal) or the index of that (-shm)", is_ours=True)
        if known.index is not None and is_cut(known.log_path, _guards[known.index][0]):
            return Change("has lost a part of its log (-wal)", is_ours=False, log_is_stale=True)
        return None

    # ---- Leaving ----------------------------------------------------------------------------

    async def _leave(self, known: "_Known", change: Change) -> None:
        """Close everything; what may go into the file that we have goes there first."""
        hint = "If that was not meant, put it back; what comes is kept meanwhile."
        self._away = SinkUnavailable(f"{self.path} {change.text}", hint=hint)
        self.damage = None
        logger.error("the database %s %s: leaving it. %s", self.path, change.text, hint)
        writer = None
        for each in self._connections:
            await _until_idle(each)
            if each.db is not None and not each.read_only:
                writer = each
            else:
                await each.close()
        is_moved = False
        if writer is not None:
            assert writer.db is not None
            is_moved = change.is_ours and await _moved_log_into_file(writer.db)
            await writer.close()
        page, is_complete = _looked_into(known)
        is_complete = is_complete and is_moved and self._damaged is None
        self._release(known)  # its reader was there to the end, so nothing was checkpointed
        _clear_away(known, set_aside=change.log_is_stale or (change.is_ours and not is_moved))
        self._damaged = None
        self.renewals += not is_complete
        self._complete = None
        if is_complete and known.inode == _inode(self.path):
            self._complete = known.inode, page
        raise self._away

    def _release(self, known: "_Known") -> None:
        if known.keeper is not None:
            known.keeper.close()
        _unguard(known.inode)
        if known.index is not None:
            _unguard(known.index)
        self._known = None

    async def left(self, connection: Held) -> None:
        """Close a connection that nobody wants any more; the last one closes the file."""
        others = [each for each in self._connections if each is not connection and each.db]
        known = self._known
        if known is not None and not connection.read_only and connection.db is not None:
            async with self.opening:
                if change := await self._look(known):
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
        if read_only:
            self._prepare_to_read()
            return
        if self._was_opened:
            self._require_stillness()
        elif self.path.is_file():
            with _guarded(self.path) as guard:
                if not _is_in_use(guard):
                    self._require_whole(guard)
        make_folder(self.path.parent)
        log = _beside(self.path, "-wal")
        if not self.path.exists() or self.path.stat().st_size == 0:
            self._set_aside(log, "no database")
        create_if_missing(self.path)
        if not os.access(self.path, os.W_OK):  # SQLite would make an index that is so, too
            hint = "Make the file and its folder writable."
            raise SinkUnavailable(f"{self.path} is readonly", hint=hint)
        if self._has_stale_log():
            self._set_aside(log, "another database")

    def _prepare_to_read(self) -> None:
        if self.is_written_here and self._away is not None:
            raise self._away
        if not self.path.exists():
            hint = "Start the gateway once, or point storage.url at a file that is there."
            raise SinkUnavailable(f"there is no database at {self.path}", hint=hint)
        if self._has_stale_log():
            hint = "Start the gateway: it sets that log aside."
            raise SinkUnavailable(f"the log beside {self.path} is of another database", hint=hint)

    def _has_stale_log(self) -> bool:
        """Whether the log at our path belongs to another file, and nobody is at work there."""
        if not self.path.is_file():  # SQLite has the words for that
            return False
        with _guarded(self.path) as guard:
            log = _beside(self.path, "-wal")
            is_ours = continues(log, first_page(guard), strictly=False)
            return not is_ours and not _is_in_use(guard)

    @contextlib.contextmanager
    def being_opened(self) -> Iterator[Callable[[], str]]:
        """Keep the locks while a connection is made; yields what returns the stamp as SQL."""
        with _guarded(self.path) as guard:
            yield lambda: f"PRAGMA application_id = {stamp_of(first_page(guard))}"

    def require_same(self) -> None:
        """Require that the path leads to the file that other connections have open.

        Raises:
            SinkUnavailable: it was put there a moment ago.
        """
        if self._known is not None and _inode(self.path) != self._known.inode:
            raise SinkUnavailable(f"{self.path} is being replaced")

    def opened(self, *, read_only: bool) -> None:
        """Take note of what was opened; raises as ``require_same`` does."""
        self.require_same()
        if self._known is None:
            inode = _guard(self.path)
            guard = _guards[inode][0]
            found = os.fstat(guard)
            log, index = _beside(self.path, "-wal"), _beside(self.path, "-shm")
            self._known = _Known(
                inode, guard, (found.st_size, found.st_mtime_ns), first_page(guard),
                log, _inode(log), index, _guard(index) if index.exists() else None,
            )  # fmt: skip
        if not read_only:
            if self._known.keeper is None:
                self._known.keeper = _keep(self.path)
            if self._away is not None:
                logger.warning("the database %s is opened anew", self.path)
            if self._complete not in (None, (self._known.inode, self._known.page)):
                self.renewals += 1  # it was replaced once more, while nobody had it open
            self._away = self.damage = self._complete = None
            self._was_opened = True

    def _require_stillness(self) -> None:
        """Wait until what is there is nobody's work in progress; a copy takes its time."""
        try:
            found = self.path.stat()
            place: object = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
        except OSError:
            place = ()
        now = self._clock()
        if place != self._place:
            self._place, self._still_since = place, now
        if place:
            with _guarded(self.path) as guard:
                if _is_in_use(guard):  # by a sibling: it has waited already, and writes
                    self._require_index_of_others()
                    return
        if now - self._still_since < SETTLE_SECONDS:
            raise self._away or SinkUnavailable(f"{self.path} is being replaced")
        if place:
            with _guarded(self.path) as guard:
                self._require_whole(guard)

    def _require_whole(self, guard: int) -> None:
        if not is_whole(guard, _beside(self.path, "-wal")):
            hint = "Copy it once more, restore a backup, or move it away."
            raise SinkUnavailable(f"{self.path} is not complete", hint=hint)

    def _require_index_of_others(self) -> None:
        """Wait for siblings that have not noticed yet that the index they share was removed.

        With another index than theirs, their locks would not hold for us, nor their frames.
        """
        index = _beside(self.path, "-shm")
        if index.exists():
            with _guarded(index) as guard:
                if _is_locked(guard, *_USE_LOCK):
                    return
        raise self._away or SinkUnavailable(f"{self.path} is in use without its index (-shm)")

    def _set_aside(self, log: Path, whose: str) -> None:
        """Keep a log out of the way that does not belong to the file."""
        if log.exists() and log.stat().st_size:
            aside = _rename_aside(log)
            logger.error("%s is of %s: it is set aside as %s", log, whose, aside)
        _beside(self.path, "-shm").unlink(missing_ok=True)


class _Known:
    """The file that is open: its inode, a descriptor of it, and what it looked like."""

    def __init__(
        self,
        inode: _Inode,
        guard: int,
        fingerprint: tuple[int, int],
        page: bytes,
        log_path: Path,
        log: _Inode | None,
        index_path: Path,
        index: _Inode | None,
    ) -> None:
        self.inode = inode
        self.guard = guard
        self.fingerprint = fingerprint
        self.page = page
        self.log_path = log_path
        self.log = log
        self.index_path = index_path
        self.index = index
        self.stamped: tuple[int, int] | None = None
        self.keeper: sqlite3.Connection | None = None


async def _until_idle(connection: Held) -> None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await connection.idle.wait()
    except TimeoutError:
        if connection.db is not None:
            await connection.db.interrupt()
        await connection.idle.wait()


async def _is_continued(known: _Known) -> bool:
    """Whether the log goes with the file as it is now; asked twice, as others may be at work."""
    for pause in (0.0, 0.05):
        await asyncio.sleep(pause)
        page = await asyncio.to_thread(first_page, known.guard)
        if await asyncio.to_thread(continues, known.log_path, page, strictly=True):
            return True
    return False


def _looked_into(known: _Known) -> tuple[bytes, bool]:
    """Return the file's first page, and whether it lacks none."""
    index = None if known.index is None else _guards[known.index][0]
    return first_page(known.guard), is_whole(known.guard, known.log_path, index)


async def _is_cut_off(known: _Known) -> bool:
    """Whether the file lacks some of its pages while nobody brings any; asked twice."""
    for pause in (0.0, 0.05):
        await asyncio.sleep(pause)
        if _is_checkpointed(known):
            return False
        _, is_complete = await asyncio.to_thread(_looked_into, known)
        if is_complete or _is_checkpointed(known):
            return False
    return True


def _is_checkpointed(known: _Known) -> bool:
    return known.index is None or _is_locked(_guards[known.index][0], *_CHECKPOINT_LOCK)


async def _moved_log_into_file(db: aiosqlite.Connection) -> bool:
    """Bring all that was committed into the file that is open, wherever it is now."""
    try:
        if db.in_transaction:
            await db.execute("ROLLBACK")
        for _ in range(3):
            ((busy, pages, moved),) = await db.execute_fetchall("PRAGMA wal_checkpoint(FULL)")
            if not busy and pages == moved:
                return True
    except sqlite3.Error as error:
        logger.error("what the log of the database holds cannot be moved into it: %s", error)
    return False


def _clear_away(known: _Known, *, set_aside: bool) -> None:
    """Leave no log of ours at the path for the next file to find."""
    if known.log is not None and _inode(known.log_path) == known.log:
        if set_aside and known.log_path.stat().st_size:
            logger.error("its log is set aside as %s", _rename_aside(known.log_path))
        else:
            known.log_path.unlink()
    if known.index is not None and _inode(known.index_path) == known.index:
        known.index_path.unlink()


def _keep(path: Path) -> sqlite3.Connection:
    """Return a reader that is there to the end.

    SQLite moves the log into the file when the last connection closes. A reader cannot, so as long
    as it is the last one nothing is written that was not asked for.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro"
    keeper = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    try:
        keeper.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except BaseException:
        keeper.close()
        raise
    return keeper


def _beside(path: Path, suffix: str) -> Path:
    """Return where SQLite keeps what belongs to a file: beside what a link leads to."""
    real = Path(os.path.realpath(path))
    return real.with_name(real.name + suffix)


def _rename_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.stale-{number}")).exists():
        number += 1
    return path.rename(aside)


def _inode(path: Path) -> _Inode | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _guard(path: Path) -> _Inode:
    """Keep a descriptor of a file open until it was ``_unguard`` as often as this."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    found = os.fstat(file)
    inode = found.st_dev, found.st_ino
    _guards.setdefault(inode, []).append(file)
    _users[inode] = _users.get(inode, 0) + 1
    return inode


def _unguard(inode: _Inode) -> None:
    _users[inode] -= 1
    if not _users[inode]:
        del _users[inode]
        for file in _guards.pop(inode):
            os.close(file)


@contextlib.contextmanager
def _guarded(path: Path) -> Iterator[int]:
    inode = _guard(path)
    try:
        yield _guards[inode][0]
    finally:
        _unguard(inode)


def _is_in_use(guard: int) -> bool:
    """Whether anybody has the file open with SQLite, in this process or another one."""
    return _is_locked(guard, *_SHARED_LOCK)


def _is_locked(file: int, start: int, size: int) -> bool:
    asked = getattr(fcntl, "F_OFD_GETLK", None)
    if asked is None:  # not Linux
        return False
    answer = fcntl.fcntl(file, asked, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, start, size, 0))
    kind: int = struct.unpack("hhqqi4x", answer)[0]
    return kind != fcntl.F_UNLCK
