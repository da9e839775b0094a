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

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

_LOG_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24
_MAX_PAGE_BYTES = 65_536
_INDEX_HEADER_BYTES = 48
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


def is_whole(file: int) -> bool:
    """Whether a database has as many pages as its first one says; one that is empty is whole."""
    page = first_page(file)
    if not page or page[24:28] != page[92:96]:  # then the count is not valid
        return True
    return os.fstat(file).st_size >= len(page) * int.from_bytes(page[28:32], "big")


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
    file = os.open(log, os.O_RDONLY)
    try:
        begins = os.pread(file, _LOG_HEADER_BYTES, 0)
        is_short = begins[16:24] != before[32:40] or os.fstat(file).st_size < wanted
    finally:
        os.close(file)
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
        file = os.open(log, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        header = os.pread(file, _LOG_HEADER_BYTES, 0)
        size = int.from_bytes(header[8:12], "big")
        place = _LOG_HEADER_BYTES
        while size:
            frame = os.pread(file, _FRAME_HEADER_BYTES, place)
            if len(frame) < _FRAME_HEADER_BYTES or frame[8:16] != header[16:24]:
                return  # what follows is of an earlier life
            if frame[:4] == b"\0\0\0\1":
                yield os.pread(file, size, place + _FRAME_HEADER_BYTES)
            place += _FRAME_HEADER_BYTES + size
    finally:
        os.close(file)
