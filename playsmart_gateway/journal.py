r"""The journal: what is accepted and not yet stored, on disk.

It is for crashes, not for capacity: it holds what the ring holds, plus at most one segment of what
is stored already. A batch is here before its 202 is sent; that is the promise.

Invariants

- One process owns the folder, by ``flock`` on the file ``lock``.
- Every start makes a new identity, and numbers its batches from 1. Identity and sequence name a
  batch for ever; no crash, restored backup or lost tail can make two batches share a name.
- Batches leave the ring in the order in which they are here, so "stored" is one number.
- A segment is removed only when all of its batches are stored.

Layout. A segment is the file ``<number>.journal``; numbers rise. Records are those of ``record``.

    segment  = magic "PSJRNL1\n" (8 bytes), record*

Writing. One ``writev`` for all the batches of a turn of the event loop. ``fsync`` decides when the
kernel writes to the medium: ``always`` before the answer, ``interval`` every so often off the
event loop, ``never`` when it likes. A write that fails is cut off again before anything follows.

Reading. Bytes that are no valid record are set aside in ``<number>.bad``, which nobody removes, and
reading goes on at the next valid one. If there is none they are a torn tail: what a write that was
cut short leaves, for which no answer was sent.
"""

import asyncio
import contextlib
import fcntl
import itertools
import logging
import os
import re
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from playsmart_gateway.errors import ConfigError, JournalUnavailable, at_start
from playsmart_gateway.event import Batch
from playsmart_gateway.record import decode_at, encode, next_record

logger = logging.getLogger(__name__)

Fsync = Literal["interval", "always", "never"]
InThread = Callable[[Callable[[], object]], Awaitable[object]]

SEGMENT_BYTES = 16_777_216
"""A segment that has grown to this is closed and a new one begun."""

_MAGIC = b"PSJRNL1\n"
_SUFFIX = ".journal"
PROBE = "probe"
_PROBE_BYTES = 65_536
_NAME = re.compile(r"\d{16}\.(journal|bad)")
_MAX_BUFFERS = 1_000  # the kernel takes 1,024 at once (IOV_MAX)


class Disk(Protocol):
    """The system calls that the journal needs; each raises ``OSError`` as the kernel would."""

    def lock(self, folder: Path) -> None:
        """Create ``folder`` if needed and lock it until ``unlock``; ``BlockingIOError`` if held."""

    def unlock(self) -> None:
        """Let go of the folder."""

    def list(self) -> list[str]:
        """Name the files in the folder, in no order."""

    def read(self, name: str) -> bytes:
        """Return a whole file, and bring what it returns to the medium."""

    def create(self, name: str) -> int:
        """Create a file that must not exist; return its descriptor."""

    def write(self, file: int, buffers: Sequence[bytes]) -> int:
        """Append; return how many bytes were written, which may be fewer."""

    def truncate(self, file: int, size: int) -> None:
        """Cut a file off."""

    def sync(self, file: int) -> None:
        """Return when what was written is on the medium."""

    def sync_folder(self) -> None:
        """Return when the names of the files are on the medium."""

    def close(self, file: int) -> None:
        """Close a descriptor."""

    def save(self, name: str, content: bytes) -> None:
        """Write a whole file aside, durably."""

    def remove(self, name: str) -> None:
        """Remove a file."""


class OsDisk:
    """The real disk."""

    def lock(self, folder: Path) -> None:
        """See ``Disk``."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._directory = os.open(folder, os.O_RDONLY)
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def unlock(self) -> None:
        """See ``Disk``."""
        os.close(self._lock)
        os.close(self._directory)

    def list(self) -> list[str]:
        """See ``Disk``."""
        return [path.name for path in self._folder.iterdir()]

    def read(self, name: str) -> bytes:
        """See ``Disk``."""
        with (self._folder / name).open("rb") as file:
            os.fdatasync(file.fileno())
            return file.read()

    def create(self, name: str) -> int:
        """See ``Disk``."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        return os.open(self._folder / name, flags, 0o600)

    def write(self, file: int, buffers: Sequence[bytes]) -> int:
        """See ``Disk``."""
        return os.writev(file, buffers)

    def truncate(self, file: int, size: int) -> None:
        """See ``Disk``."""
        os.ftruncate(file, size)

    def sync(self, file: int) -> None:
        """See ``Disk``."""
        os.fdatasync(file)

    def sync_folder(self) -> None:
        """See ``Disk``."""
        os.fsync(self._directory)

    def close(self, file: int) -> None:
        """See ``Disk``."""
        os.close(file)

    def save(self, name: str, content: bytes) -> None:
        """See ``Disk``."""
        with (self._folder / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def remove(self, name: str) -> None:
        """See ``Disk``."""
        (self._folder / name).unlink()


class _Segment:
    """One file: ``size`` bytes of it are good, ``left`` of its batches are not stored yet."""

    def __init__(self, name: str, file: int | None, size: int) -> None:
        self.name = name
        self.file = file
        self.size = size
        self.left = 0
        self.dirty = False
        self.syncing = False


class Journal:
    """The batches that are accepted and not yet stored, in ``folder``. One event loop owns it.

    Between ``open`` and ``close``: ``replay`` once, then ``write`` and ``stored`` in any order.
    ``last_error`` is why the disk failed last, until ``heal`` finds that it works again.
    ``in_thread`` runs what may block.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fsync: Fsync = "interval",
        segment_bytes: int = SEGMENT_BYTES,
        disk: Disk | None = None,
        in_thread: InThread = asyncio.to_thread,
        identity: bytes | None = None,
    ) -> None:
        self.fsync = fsync
        self.last_error: OSError | None = None
        self.torn_tails = 0
        self.corrupt_records = 0
        self._journal = (identity or uuid.uuid4().bytes).hex()
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._disk = disk or OsDisk()
        self._in_thread = in_thread
        self._sequence = 0
        self._number = 0
        self._segments: deque[_Segment] = deque()
        self._current: _Segment | None = None
        self._names_dirty = False
        self._undo: tuple[_Segment, int, int] | None = None

    @property
    def size(self) -> int:
        """Bytes of all segments together."""
        return sum(segment.size for segment in self._segments)

    def open(self) -> None:
        """Take the folder.

        Raises:
            ConfigError: another process has it, or the path cannot be that of a folder.
            NotNow: it cannot be used now.
        """
        try:
            self._disk.lock(self._folder)
        except BlockingIOError:
            problem = "is in use by another gateway; stop that one or set another journal.path"
            raise ConfigError([f"journal.path: {self._folder} {problem}"]) from None
        except OSError as error:
            raise at_start(f"journal.path: {self._folder} cannot be used", error) from error

    def replay(self) -> Iterator[Batch]:
        """Yield what an earlier process left, oldest first; what is broken is set aside.

        Raises:
            GatewayError: a segment cannot be read, so nobody may write behind it.
        """
        try:
            numbered = sorted(filter(_NAME.fullmatch, self._disk.list()))
            self._number = max((int(name.partition(".")[0]) for name in numbered), default=0)
            for name in numbered:
                if name.endswith(_SUFFIX):
                    yield from self._read(name)
            if numbered:
                self._disk.sync_folder()
        except OSError as error:
            raise at_start(f"journal.path: {self._folder} cannot be read", error) from error

    def write(self, batches: Sequence[Batch]) -> None:
        """Name the batches by identity and sequence, and append them; all of them or none.

        Raises:
            JournalUnavailable: the disk did not take them; nothing of them is left there.
        """
        buffers: list[bytes] = []
        for batch in batches:
            self._sequence += 1
            batch.journal = self._journal
            batch.sequence = self._sequence
            buffers += encode(batch)
        size = sum(map(len, buffers))
        try:
            segment = self._writable()
            self._append(segment, buffers)
        except OSError as error:
            self._failed(error)
            raise JournalUnavailable from error
        segment.size += size
        segment.left += len(batches)
        self._undo = (segment, size, len(batches))
        segment.dirty = self.fsync != "never"

    def seal(self) -> int | None:
        """Have the next batch begin a new segment; return the number of the one before it.

        None if that cannot be now, as a batch is being synced that may have to be taken back.
        """
        current = self._current
        if self.fsync == "always" and current and (current.dirty or current.syncing):
            return None
        self._abandon_current()
        return self._number

    def holds(self, upto: int) -> bool:
        """Whether one of the segments up to that number is here still."""
        return any(int(segment.name.partition(".")[0]) <= upto for segment in self._segments)

    def undo(self) -> None:
        """Take the last ``write`` back: it could not be synced, and its batches are refused."""
        assert self._undo is not None
        segment, size, batches = self._undo
        segment.size -= size
        segment.left -= batches
        self._cut(segment)
        self._abandon_current()

    async def sync(self) -> None:
        """Bring what was written to the medium.

        Raises:
            JournalUnavailable: it may not be there.
        """
        dirty = [segment for segment in self._segments if segment.dirty]
        if not dirty:
            return
        names_dirty, self._names_dirty = self._names_dirty, False
        files = []
        for segment in dirty:
            segment.dirty = False
            segment.syncing = True
            files.append(_file(segment))
        try:
            await self._finish_in_thread(lambda: self._sync_files(files, names_dirty))
        except OSError as error:
            # After a failed sync the kernel may call the pages clean, so a second try proves
            # nothing; the next batch goes into a file of its own.
            self._names_dirty = True
            if self.fsync != "always":  # then it is still needed, to cut it
                self._abandon_current()
            self._failed(error)
            raise JournalUnavailable from error
        finally:
            for segment in dirty:
                segment.syncing = False
                self._release(segment)

    async def heal(self) -> None:
        """After trouble, find out whether the disk takes, syncs and removes a file again."""
        if self.last_error is not None:
            try:
                await self._finish_in_thread(self._probe)
            except OSError as error:
                self.last_error = error
            else:
                self.last_error = None

    def stored(self, batches: int) -> None:
        """Count the oldest ``batches`` batches as stored."""
        for segment in self._segments:
            done = min(segment.left, batches)
            segment.left -= done
            batches -= done
            if not batches:
                return
        assert not batches, "no more batches are stored than were written"

    @property
    def removable_bytes(self) -> int:
        """Size of the oldest segments, as far as all of their batches are stored."""
        done = itertools.takewhile(lambda segment: not segment.left, self._segments)
        return sum(segment.size for segment in done)

    async def remove_stored(self) -> None:
        """Remove the segments whose batches are all stored; the store must hold them durably."""
        names = []
        while self._segments and not self._segments[0].left and not self._segments[0].syncing:
            segment = self._segments.popleft()
            if segment is self._current:
                self._current = None
            segment.dirty = False
            self._release(segment)
            names.append(segment.name)
        try:
            await self._finish_in_thread(lambda: self._remove_files(names))
        except OSError as error:  # the next start replays them and finds every batch stored
            self._failed(error)

    def close(self) -> None:
        """Let go of the folder. What is not stored stays there for the next start."""
        self._current = None
        for segment in self._segments:
            if segment.dirty:
                segment.dirty = False
                with contextlib.suppress(OSError):
                    self._disk.sync(_file(segment))
            self._release(segment)
        if self._names_dirty:
            with contextlib.suppress(OSError):
                self._disk.sync_folder()
        self._disk.unlock()

    # ---- Segments ---------------------------------------------------------------------------

    def _writable(self) -> _Segment:
        """Return the segment to append to: the current one, or a new one when that is full."""
        if self._current is None or self._current.size >= self._segment_bytes:
            self._abandon_current()
            self._number += 1
            name = f"{self._number:016d}{_SUFFIX}"
            file = self._disk.create(name)
            try:
                self._write_all(file, [_MAGIC])
            except OSError:
                self._disk.close(file)
                self._disk.remove(name)
                raise
            self._current = _Segment(name, file, len(_MAGIC))
            self._segments.append(self._current)
            self._names_dirty = True
        return self._current

    def _append(self, segment: _Segment, buffers: list[bytes]) -> None:
        try:
            for start in range(0, len(buffers), _MAX_BUFFERS):
                self._write_all(_file(segment), buffers[start : start + _MAX_BUFFERS])
        except OSError:
            self._cut(segment)
            raise

    def _write_all(self, file: int, buffers: list[bytes]) -> None:
        left = sum(map(len, buffers))
        while left := left - self._disk.write(file, buffers):
            buffers = [b"".join(buffers)[-left:]]

    def _cut(self, segment: _Segment) -> None:
        """Leave nothing behind the good records; if that fails, never write behind them."""
        try:
            self._disk.truncate(_file(segment), segment.size)
        except OSError:
            self._abandon_current()

    def _abandon_current(self) -> None:
        segment, self._current = self._current, None
        if segment is not None:
            self._release(segment)

    def _release(self, segment: _Segment) -> None:
        """Close the file if nobody will write or sync it any more."""
        wanted = segment is self._current or segment.syncing or segment.dirty
        if segment.file is not None and not wanted:
            self._disk.close(segment.file)
            segment.file = None

    async def _finish_in_thread(self, function: Callable[[], object]) -> None:
        """Run it to its end, even if cancelled: it works on our files, which may be closed then."""
        work = asyncio.ensure_future(self._in_thread(function))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.gather(work, return_exceptions=True)
            raise

    def _sync_files(self, files: list[int], names_dirty: bool) -> None:
        """Sync each of them, whatever becomes of the others, and then raise the first error."""
        with contextlib.ExitStack() as rest:
            if names_dirty:
                rest.callback(self._disk.sync_folder)
            for file in reversed(files):
                rest.callback(self._disk.sync, file)

    def _probe(self) -> None:
        with contextlib.suppress(OSError):  # one that could not be removed before
            self._disk.remove(PROBE)
        file = self._disk.create(PROBE)
        try:
            self._write_all(file, [bytes(_PROBE_BYTES)])
            self._disk.sync(file)
        finally:
            self._disk.close(file)
            self._disk.remove(PROBE)

    def _remove_files(self, names: list[str]) -> None:
        for name in names:
            self._disk.remove(name)

    def _failed(self, error: OSError) -> None:
        if self.last_error is None:
            logger.error("journal trouble in %s: %s", self._folder, error.strerror)
        self.last_error = error

    # ---- Reading ----------------------------------------------------------------------------

    def _read(self, name: str) -> Iterator[Batch]:
        content = self._disk.read(name)
        segment = _Segment(name, None, len(content))
        self._segments.append(segment)
        place = len(_MAGIC) if content.startswith(_MAGIC) else 0
        aside = []
        while place < len(content):
            batch, end = decode_at(content, place)
            if batch is not None:
                segment.left += 1
                yield batch
            else:
                end = next_record(content, place + 1)
                aside.append(content[place:end])
                torn = end == len(content)
                logger.log(
                    logging.WARNING if torn else logging.ERROR,
                    "journal %s: %s at byte %d, %d bytes set aside",
                    name, "torn tail" if torn else "corrupt record", place, end - place,
                )  # fmt: skip
                self.torn_tails += torn
                self.corrupt_records += not torn
            place = end
        if aside:
            self._disk.save(name.removesuffix(_SUFFIX) + ".bad", b"".join(aside))


class JournalState(NamedTuple):
    """What is in a journal's folder; while a gateway holds it only ``held`` and ``set_aside``."""

    held: bool
    set_aside: tuple[str, ...]
    batches: int = 0
    events: int = 0
    broken: int = 0


def inspect(folder: Path) -> JournalState:
    """Look at a journal without changing anything; raises ``OSError``."""
    set_aside = tuple(sorted(path.name for path in folder.glob("*.bad")))
    if (folder / "lock").exists():
        lock = os.open(folder / "lock", os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return JournalState(True, set_aside)
        finally:
            os.close(lock)
    batches = events = broken = 0
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        content = path.read_bytes()
        place = len(_MAGIC) if content.startswith(_MAGIC) else 0
        while place < len(content):
            batch, end = decode_at(content, place)
            if batch is None:
                broken += 1
                end = next_record(content, place + 1)
            else:
                batches += 1
                events += batch.count
            place = end
    return JournalState(False, set_aside, batches, events, broken)


class NoJournal:
    """The twin that keeps nothing: a 202 then lasts as long as the process."""

    fsync: Fsync = "never"
    last_error: OSError | None = None
    torn_tails = 0
    corrupt_records = 0
    size = 0
    removable_bytes = 0

    def __init__(self) -> None:
        self._journal = uuid.uuid4().hex
        self._sequence = 0

    def open(self) -> None:
        """Nothing to take."""

    def replay(self) -> Iterator[Batch]:
        """Nothing was kept."""
        return iter(())

    def write(self, batches: Sequence[Batch]) -> None:
        """Name the batches; see ``Journal.write``."""
        for batch in batches:
            self._sequence += 1
            batch.journal = self._journal
            batch.sequence = self._sequence

    def seal(self) -> int:
        """Nothing to close; see ``Journal.seal``."""
        return 0

    def holds(self, _: int) -> bool:
        """Nothing is kept."""
        return False

    def undo(self) -> None:
        """Nothing to take back."""

    async def sync(self) -> None:
        """Nothing to sync."""

    async def heal(self) -> None:
        """Nothing to heal."""

    def stored(self, batches: int) -> None:
        """Nothing to count."""

    async def remove_stored(self) -> None:
        """Nothing to remove."""

    def close(self) -> None:
        """Nothing to let go of."""


def _file(segment: _Segment) -> int:
    assert segment.file is not None
    return segment.file
