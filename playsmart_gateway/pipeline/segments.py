r"""The files of a journal, and what is done to them on the disk.

A segment is the file ``<number>.journal``; numbers rise. ``events.codec`` has the records.

    segment  = magic "PSJRNL1\n" (8 bytes), record*

Each call takes as long as the disk does, so most are for a thread; which of them belong together,
and when, is for ``journal`` to say.
"""

import contextlib
import itertools
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from playsmart_gateway.errors import ConfigError, at_start
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.codec import decode_at, next_record
from playsmart_gateway.pipeline.disk import Disk

logger = logging.getLogger(__name__)

MAGIC = b"PSJRNL1\n"
SUFFIX = ".journal"
SET_ASIDE = ".bad"
PROBE = "probe"

_PROBE_BYTES = 65_536
_NAME = re.compile(r"\d{16}\.(journal|bad)")
_MAX_BUFFERS = 1_000  # the kernel takes 1,024 at once (IOV_MAX)


class Segment:
    """One file: ``size`` bytes of it are good, ``left`` of its ``total`` batches not stored yet.

    ``file`` is its descriptor while somebody may write or sync it, ``identity`` what ``Disk`` knows
    it by.
    """

    def __init__(self, number: int, size: int) -> None:
        self.number = number
        self.name = f"{number:016d}{SUFFIX}"
        self.file: int | None = None
        self.size = size
        self.identity = 0
        self.total = 0
        self.left = 0
        self.dirty = False
        self.syncing = False

    @property
    def descriptor(self) -> int:
        """Its descriptor, which it must have."""
        assert self.file is not None
        return self.file


class SegmentFiles:
    """The files of one journal in ``folder`` on ``disk``; every call raises ``OSError``."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self._disk = disk
        self._folder = folder

    def names(self) -> list[str]:
        """Name the segments and what was set aside, in the order of their numbers."""
        return sorted(filter(_NAME.fullmatch, self._disk.list()))

    def create(self, number: int) -> Segment:
        """Begin a segment."""
        segment = Segment(number, len(MAGIC))
        segment.file = self._disk.create(segment.name)
        try:
            self.write(segment.file, [MAGIC])
        except OSError:
            self._disk.close(segment.file)
            self._disk.remove(segment.name)
            raise
        segment.identity = self._disk.identity(segment.file)
        return segment

    def write(self, file: int, buffers: list[bytes]) -> None:
        """Append all of it, in as many calls as that takes."""
        for start in range(0, len(buffers), _MAX_BUFFERS):
            self._write_all(file, buffers[start : start + _MAX_BUFFERS])

    def _write_all(self, file: int, buffers: list[bytes]) -> None:
        left = sum(map(len, buffers))
        while left := left - self._disk.write(file, buffers):
            buffers = [b"".join(buffers)[-left:]]

    def cut(self, segment: Segment) -> None:
        """Leave nothing behind its good records."""
        self._disk.truncate(segment.descriptor, segment.size)

    def sync(self, files: Sequence[int], names_dirty: bool) -> None:
        """Sync each of them, whatever becomes of the others, and then raise the first error."""
        with contextlib.ExitStack() as rest:
            if names_dirty:
                rest.callback(self._disk.sync_folder)
            for file in reversed(files):
                rest.callback(self._disk.sync, file)

    def close(self, segment: Segment) -> None:
        """Let go of its descriptor, if it has one."""
        if segment.file is not None:
            self._disk.close(segment.file)
            segment.file = None

    def remove(self, names: Sequence[str]) -> None:
        """Remove those that are there; ``Disk.look`` tells of the others."""
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                self._disk.remove(name)

    def write_anew(self, segment: Segment, buffers: list[bytes], names: Sequence[str]) -> None:
        """Write a whole segment, durably; only then remove those before it."""
        disk = self._disk
        try:
            disk.relock(self._folder)
        except BlockingIOError as error:
            raise OSError(error.errno, f"{self._folder} is in use by another gateway") from error
        file = disk.create(segment.name)
        try:
            self.write(file, buffers)
            disk.sync(file)
            segment.identity = disk.identity(file)
        except OSError:
            disk.remove(segment.name)
            raise
        finally:
            disk.close(file)
        disk.sync_folder()
        present = set(disk.list())
        self.remove([name for name in names if name in present])

    def probe(self) -> None:
        """See whether the disk takes and syncs a file."""
        with contextlib.suppress(OSError):  # one that could not be removed before
            self._disk.remove(PROBE)
        file = self._disk.create(PROBE)
        try:
            self._write_all(file, [bytes(_PROBE_BYTES)])
            self._disk.sync(file)
        finally:
            self._disk.close(file)
            self._disk.remove(PROBE)

    def read_first(self, name: str, count: int, into: list[Batch]) -> None:
        """Read the first ``count`` batches of a segment, without those that cannot be read."""
        found = (batch for batch, _, _ in records(self._disk.read(name)) if batch is not None)
        into += itertools.islice(found, count)


def records(content: bytes) -> Iterator[tuple[Batch | None, int, int]]:
    """Yield what a segment has, from byte to byte: batches, and None for what is none."""
    place = len(MAGIC) if content.startswith(MAGIC) else 0
    while place < len(content):
        batch, end = decode_at(content, place)
        if end == place:
            end = next_record(content, place + 1)
        yield batch, place, end
        place = end


def lock(disk: Disk, folder: Path) -> None:
    """Take the folder of a journal.

    Raises:
        ConfigError: another process has it, or the path cannot be that of a folder.
        NotNow: it cannot be used now.
    """
    try:
        disk.lock(folder)
    except BlockingIOError:
        problem = "is in use by another gateway; stop that one or set another journal.path"
        raise ConfigError([f"journal.path: {folder} {problem}"]) from None
    except OSError as error:
        raise at_start(f"journal.path: {folder} cannot be used", error) from error
