"""Does a write-ahead log belong to the SQLite file that it lies beside?

SQLite applies whatever log it finds beside a file, and nothing in a log names the file. So if a
backup is copied over a file whose log is still there, the pages of both are mixed. Ours can be
told: the first transaction after each checkpoint sets ``application_id`` to the checksum of the
file's first page as it is at that moment. It is on the first page itself, so each life of the log
begins with a first page that names the one it continues. A checkpoint brings such a page into the
file, whole; then it is one that the log holds, until the next life names it.

A copy of the same file from another moment has another first page, be it only for the counters that
copying it raises. (https://sqlite.org/fileformat2.html, sections 1.3 and 4.)
"""

import contextlib
import errno
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

_MAGIC = b"SQLite format 3\0"
_LOG_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24
_MAX_PAGE_BYTES = 65_536
_INDEX_HEADER_BYTES = 48
_FRAMES_PLACE, _MOVED_PLACE = 16, 96
"""In the index: how many frames the log has, and how many of these were moved into the file."""

_LOCK_BYTE = 0x4000_0000
"""The page with this byte is never written."""

_SCHEMA = slice(40, 44)
_STAMP = slice(68, 72)
"""Of a first page: the cookie of the schema, and ``application_id``."""


def stamp_of(page: bytes) -> int:
    """Return the ``application_id`` that names a first page."""
    return zlib.crc32(page) & 0x7FFF_FFFF


def first_page(file: int) -> bytes:
    """Return the first page of an open database, in which its size is told; empty if there is none.

    Raises ``OSError``.
    """
    content = os.pread(file, _MAX_PAGE_BYTES, 0)
    size = int.from_bytes(content[16:18], "big")
    return content[: _MAX_PAGE_BYTES if size == 1 else size]


def is_whole(file: int, log: Path, index: int | None = None) -> bool:
    """Whether a database has as many pages as its first one says; one that is empty is whole.

    A file that was cut off while pages were moved into it is as long as ever, with a hole before
    those that came last. What is missing may be in its log yet, as after a disk was full; with the
    open ``index`` (-shm) only what was not moved into the file yet is looked for there. A page that
    is free may be a hole, too: file systems and copies can make one of zeros. Raises ``OSError``.
    """
    page = first_page(file)
    if not page.startswith(_MAGIC) or page[24:28] != page[92:96]:  # then there is no valid count
        return True
    elsewhere: set[int] | None = None
    for missing in _missing_pages(file, page):
        for number in missing:
            if elsewhere is None:
                elsewhere = _pages_of_log(log, page, index) | _free_pages(file, page)
                elsewhere.add(_LOCK_BYTE // len(page) + 1)
            if number not in elsewhere:
                return False
    return True


def _missing_pages(file: int, page: bytes) -> Iterator[range]:
    """Yield the numbers of pages that were never written or were cut off, in the file or behind."""
    size, count = len(page), int.from_bytes(page[28:32], "big")
    end = min(os.fstat(file).st_size, size * count)
    place = 0
    while place < end and (begins := os.lseek(file, place, os.SEEK_HOLE)) < end:
        try:
            place = os.lseek(file, begins, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            place = end  # there is none behind it
        yield range(-(-begins // size) + 1, min(place, end) // size + 1)
    yield range(end // size + 1, count + 1)


def _free_pages(file: int, page: bytes) -> set[int]:
    """Return the pages that hold nothing (https://sqlite.org/fileformat2.html, section 1.5)."""
    free: set[int] = set()
    trunk, count = struct.unpack(">2I", page[32:40])
    for _ in range(count):
        content = os.pread(file, len(page), (trunk - 1) * len(page)) if trunk else b""
        if len(content) < len(page):
            break
        trunk, leaves = struct.unpack(">2I", content[:8])
        free.update(each for (each,) in struct.iter_unpack(">I", content[8 : 8 + 4 * leaves]))
    return free


def _pages_of_log(log: Path, page: bytes, index: int | None) -> set[int]:
    """Return the pages that are in a log, of what is not yet in the file with that first page."""
    if index is None:
        moved, end = 0, None
        if not continues(log, page, strictly=False):
            return set()
    else:
        (end,) = struct.unpack("=I", os.pread(index, 4, _FRAMES_PLACE))
        (moved,) = struct.unpack("=I", os.pread(index, 4, _MOVED_PLACE))
    try:
        with _opened(log) as file:
            return {number for number, _ in islice(_frames(file), moved, end)}
    except FileNotFoundError:
        return set()


def is_cut(log: Path, index: int) -> bool:
    """Whether a log lacks some of what its open index (-shm) says is in it.

    SQLite looks at the index alone, so it goes on behind the gap.
    (https://sqlite.org/walformat.html, section 2.1.) Raises ``OSError``.
    """
    before = os.pread(index, _INDEX_HEADER_BYTES, 0)
    if len(before) < _INDEX_HEADER_BYTES or not before[12]:  # nobody has made it yet
        return False
    (frames,) = struct.unpack("=I", before[16:20])
    if not frames:
        return False
    (size,) = struct.unpack("=H", before[14:16])
    wanted = _LOG_HEADER_BYTES + frames * (
        _FRAME_HEADER_BYTES + (_MAX_PAGE_BYTES if size == 1 else size)
    )
    with _opened(log) as file:
        begins = os.pread(file, _LOG_HEADER_BYTES, 0)
        is_short = begins[16:24] != before[32:40] or os.fstat(file).st_size < wanted
    return is_short and os.pread(index, _INDEX_HEADER_BYTES, 0) == before  # else it was begun anew


def continues(log: Path, page: bytes, *, strictly: bool) -> bool:
    """Whether a log, if there is anything in it, goes on from a file with that first page.

    A log without a first page cannot tell, and is believed. Unless ``strictly``, so is one that was
    begun by another program, which leaves stamp and schema as they are, or by an older one of ours.
    """
    begins = None
    for each in _first_pages(log):
        if each == page:
            return True
        if begins is None:
            begins = each
    if begins is None or int.from_bytes(begins[_STAMP], "big") == stamp_of(page):
        return True
    is_unstamped = begins[_STAMP] == page[_STAMP]
    is_old = begins[_STAMP] == bytes(4)
    return not strictly and is_unstamped and (is_old or begins[_SCHEMA] == page[_SCHEMA])


def _first_pages(log: Path) -> Iterator[bytes]:
    """Yield the versions of the first page in the log's present life, oldest first."""
    try:
        with _opened(log) as file:
            for number, content in _frames(file):
                if number == 1:
                    yield content()
    except FileNotFoundError:
        return


def _frames(file: int) -> Iterator[tuple[int, Callable[[], bytes]]]:
    """Yield the pages of an open log's present life: each one's number, and what reads it."""
    header = os.pread(file, _LOG_HEADER_BYTES, 0)
    size = int.from_bytes(header[8:12], "big")
    place = _LOG_HEADER_BYTES
    while size:
        frame = os.pread(file, _FRAME_HEADER_BYTES, place)
        if len(frame) < _FRAME_HEADER_BYTES or frame[8:16] != header[16:24]:
            return  # what follows is of an earlier life
        place += _FRAME_HEADER_BYTES
        yield int.from_bytes(frame[:4], "big"), partial(os.pread, file, size, place)
        place += size


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDONLY)
    try:
        yield file
    finally:
        os.close(file)
