"""The journal: what is accepted and not yet stored, on disk.

It is for crashes, not for capacity: it holds what the buffer holds, plus at most one segment of
what is stored already. A batch is here before its 202 is sent; that is the promise.

Invariants

- One process owns the folder, by ``flock`` on the file ``lock``.
- Every start makes a new identity, and numbers its batches from 1. Identity and sequence name a
  batch for ever; no crash, restored backup or lost tail can make two batches share a name.
- Batches leave the buffer in the order in which they are here, so "stored" is one number.
- A segment is removed only when all of its batches are stored.

``segments`` says what is in a file, ``replay`` how an earlier process' files are read.

Writing. One ``writev`` for all the batches of a turn of the event loop. ``fsync`` decides when the
kernel writes to the medium: ``always`` before the answer, ``interval`` every so often off the
event loop, ``never`` when it likes. A write that fails is cut off again before anything follows.

Looking. With each sync it is seen whether folder, lock and segments are still where they were: a
file that was removed takes what is written to it along when the process dies. If not, nothing is
taken until the folder is made and locked anew, and all that waits in the buffer is written there
once more, under its old names.
"""

import asyncio
import contextlib
import errno
import itertools
import logging
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from playsmart_gateway.errors import JournalUnavailable, at_start
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.codec import encode
from playsmart_gateway.pipeline.disk import LOCK, Disk, OsDisk
from playsmart_gateway.pipeline.machine import InThread
from playsmart_gateway.pipeline.origin import Fsync
from playsmart_gateway.pipeline.replay import Replay
from playsmart_gateway.pipeline.segments import MAGIC, Segment, SegmentFiles, lock

logger = logging.getLogger(__name__)

SEGMENT_BYTES = 16_777_216
"""A segment that has grown to this is closed and a new one begun."""

RETAKE_SECONDS = 1.0
"""How long a place is left alone from which the journal was taken away: it may be under way yet."""


class Journal:
    """The batches that are accepted and not yet stored, in ``folder``. One event loop owns it.

    Between ``open`` and ``close``: ``replay`` once, then ``write`` and ``stored`` in any order.
    ``last_error`` is why the disk failed last, until ``heal`` finds that it works again.
    ``waiting`` has the batches that are written and not stored, oldest first: what is written anew
    where the folder was lost. ``in_thread`` runs what may block.
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
        waiting: Iterable[Batch] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.fsync = fsync
        self.last_error: OSError | None = None
        self.torn_tails = 0
        self.corrupt_records = 0
        self._journal = (identity or uuid.uuid4().bytes).hex()
        self.folder = folder
        self._segment_bytes = segment_bytes
        self._disk = disk or OsDisk()
        self._files = SegmentFiles(self._disk, folder)
        self._in_thread = in_thread
        self._sequence = 0
        self._number = 0
        self._segments: deque[Segment] = deque()
        self._current: Segment | None = None
        self._names_dirty = False
        self._undo: tuple[Segment, int, int] | None = None
        self._waiting = waiting
        self._clock = clock
        self._lost_since: float | None = None

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
        lock(self._disk, self.folder)

    def replay(self) -> Iterator[Batch]:
        """Yield what an earlier process left, oldest first; what is broken is set aside.

        Raises:
            ConfigError: a later version of this program left what only it can read.
            GatewayError: a segment cannot be read, so nobody may write behind it.
        """
        replay = Replay(self._disk, self._files)
        try:
            batches = replay.read()
        except OSError as error:
            raise at_start(f"journal.path: {self.folder} cannot be read", error) from error
        self._segments.extend(replay.segments)
        self._number = replay.last_number
        self.torn_tails, self.corrupt_records = replay.torn_tails, replay.corrupt_records
        yield from batches

    def write(self, batches: Sequence[Batch]) -> None:
        """Name the batches by identity and sequence, and append them; all of them or none.

        Raises:
            JournalUnavailable: the disk did not take them; nothing of them is left there.
        """
        if self._lost_since is not None:
            raise JournalUnavailable(told="its folder is gone")
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
            raise JournalUnavailable(told=str(error.strerror).lower()) from error
        segment.size += size
        segment.left += len(batches)
        segment.total += len(batches)
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
        return any(segment.number <= upto for segment in self._segments)

    def undo(self) -> None:
        """Take the last ``write`` back: it could not be synced, and its batches are refused."""
        assert self._undo is not None
        segment, size, batches = self._undo
        segment.size -= size
        segment.left -= batches
        segment.total -= batches
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
            files.append(segment.descriptor)
        try:
            await self._look(lambda: self._files.sync(files, names_dirty))
        except OSError as error:
            # After a failed sync the kernel may call the pages clean, so a second try proves
            # nothing; the next batch goes into a file of its own.
            self._names_dirty = True
            if self.fsync != "always":  # then it is still needed, to cut it
                self._abandon_current()
            self._failed(error)
            raise JournalUnavailable(told=str(error.strerror).lower()) from error
        finally:
            for segment in dirty:
                segment.syncing = False
                self._release(segment)

    async def heal(self) -> None:
        """Find out whether trouble began unseen, or has ended: the disk takes and syncs again."""
        try:
            if self._lost_since is None:
                await self._look()
            elif self._clock() - self._lost_since >= RETAKE_SECONDS:
                await self._take_anew()
            if self.last_error is not None and self._lost_since is None:
                await self._finish_in_thread(self._files.probe)
                self.last_error = None
        except OSError as error:
            self._failed(error)

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

    @property
    def keeps_stored(self) -> bool:
        """Whether a segment could go: all of its batches are stored."""
        return self.removable_bytes > 0

    @property
    def is_due(self) -> bool:
        """Whether as much could go as a whole segment has."""
        return self.removable_bytes >= self._segment_bytes

    @property
    def needs_room(self) -> bool:
        """Whether the disk, which is in trouble, may be full of what is stored already."""
        return self.last_error is not None and self.keeps_stored

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
            await self._finish_in_thread(lambda: self._files.remove(names))
        except OSError as error:  # the next start replays them and finds every batch stored
            self._failed(error)

    async def once_more(self) -> AsyncIterator[list[Batch]]:
        """Yield the batches that are stored and still here, a segment at a time, oldest first.

        What cannot be read is left out.
        """
        for segment in list(self._segments):
            batches: list[Batch] = []
            read = partial(
                self._files.read_first, segment.name, segment.total - segment.left, batches
            )
            try:
                await self._finish_in_thread(read)
            except OSError as error:
                self._failed(error)
            yield batches

    def close(self) -> None:
        """Let go of the folder. What is not stored stays there for the next start."""
        self._current = None
        for segment in self._segments:
            if segment.dirty:
                segment.dirty = False
                with contextlib.suppress(OSError):
                    self._disk.sync(segment.descriptor)
            self._release(segment)
        if self._names_dirty:
            with contextlib.suppress(OSError):
                self._disk.sync_folder()
        self._disk.unlock()

    # ---- Segments ---------------------------------------------------------------------------

    def _writable(self) -> Segment:
        """Return the segment to append to: the current one, or a new one when that is full."""
        if self._current is None or self._current.size >= self._segment_bytes:
            self._abandon_current()
            self._number += 1
            self._current = self._files.create(self._number)
            self._segments.append(self._current)
            self._names_dirty = True
        return self._current

    def _append(self, segment: Segment, buffers: list[bytes]) -> None:
        try:
            self._files.write(segment.descriptor, buffers)
        except OSError:
            self._cut(segment)
            raise

    def _cut(self, segment: Segment) -> None:
        """Leave nothing behind the good records; if that fails, never write behind them."""
        try:
            self._files.cut(segment)
        except OSError:
            self._abandon_current()

    def _abandon_current(self) -> None:
        segment, self._current = self._current, None
        if segment is not None:
            self._release(segment)

    def _release(self, segment: Segment) -> None:
        """Close the file if nobody will write or sync it any more."""
        wanted = segment is self._current or segment.syncing or segment.dirty
        if not wanted:
            self._files.close(segment)

    async def _finish_in_thread(self, function: Callable[[], object]) -> None:
        """Run it to its end, even if cancelled: it works on our files, which may be closed then."""
        work = asyncio.ensure_future(self._in_thread(function))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.gather(work, return_exceptions=True)
            raise

    async def _look(self, first: Callable[[], object] = bool) -> None:
        """Look whether folder, lock and segments are where they were; ``first`` is done before.

        Raises:
            OSError: they are not, and nothing is taken from now on; or that of ``first``.
        """
        files = {each.name: (each.identity, each.size) for each in self._segments}
        found: dict[str, str] = {}

        def in_thread() -> None:
            first()
            found.update(self._disk.look(files))

        await self._finish_in_thread(in_thread)
        sizes = {each.name: each.size for each in self._segments}
        for name, text in found.items():  # but for what was removed or taken back meanwhile
            if name == LOCK or (name in files and sizes.get(name, -1) >= files[name][1]):
                if self._lost_since is None:
                    self._lost_since = self._clock()
                raise OSError(errno.ENOENT, text)

    async def _take_anew(self) -> None:
        """Make and lock the folder anew, and write what waits in the buffer there once more."""
        if any(segment.syncing for segment in self._segments):
            return
        batches = list(self._waiting)
        names = [segment.name for segment in self._segments]
        self._current = None
        for old in self._segments:
            old.dirty = False
            self._release(old)
        buffers = [MAGIC, *itertools.chain.from_iterable(map(encode, batches))]
        self._number += 1
        segment = Segment(self._number, sum(map(len, buffers)))
        segment.left = segment.total = len(batches)
        segment.syncing = True
        self._segments = deque([segment])
        try:
            await self._finish_in_thread(lambda: self._files.write_anew(segment, buffers, names))
        finally:
            segment.syncing = False
        self._lost_since = None
        logger.warning(
            "the journal %s is made anew, with %d batches that waited", self.folder, len(batches)
        )

    def _failed(self, error: OSError) -> None:
        if self.last_error is None:
            logger.error("journal trouble in %s: %s", self.folder, error.strerror)
        self.last_error = error
