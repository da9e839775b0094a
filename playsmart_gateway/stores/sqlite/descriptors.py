"""Descriptors of a database file and of what SQLite keeps beside it, and the locks on them.

Closing any descriptor of a file takes away the locks that the process has on it (POSIX). So in one
process there is one for each file, which is closed after all connections.
"""

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path

_SHARED_LOCK = 0x4000_0002, 510
"""Where SQLite's connections hold their shared locks: first byte, and how many."""

CHECKPOINT_LOCK = 121, 1
"""Where in the index whoever moves the log into the file holds its lock (walformat, 2.3.1)."""

USE_LOCK = 128, 1
"""Where in the index everybody who uses it holds a shared lock."""

Inode = tuple[int, int]
_held: dict[Inode, list[int]] = {}
_users: dict[Inode, int] = {}


def beside(path: Path, suffix: str) -> Path:
    """Return where SQLite keeps what belongs to a file: beside what a link leads to."""
    real = Path(os.path.realpath(path))
    return real.with_name(real.name + suffix)


def rename_aside(path: Path) -> Path:
    """Give a file a name that nothing looks for; return it."""
    number = 1
    while (aside := path.with_name(f"{path.name}.stale-{number}")).exists():
        number += 1
    return path.rename(aside)


def found_at(path: Path) -> os.stat_result | None:
    """Return what is at a path; None if nothing is."""
    try:
        return path.stat()
    except OSError:
        return None


def inode_of(path: Path) -> Inode | None:
    """Return which file is at a path; None if none is."""
    found = found_at(path)
    return None if found is None else (found.st_dev, found.st_ino)


def hold(path: Path) -> Inode:
    """Keep a descriptor of a file open until it was ``release``d as often as this."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    found = os.fstat(file)
    inode = found.st_dev, found.st_ino
    _held.setdefault(inode, []).append(file)
    _users[inode] = _users.get(inode, 0) + 1
    return inode


def descriptor_of(inode: Inode) -> int:
    """Return the descriptor of a file that is held."""
    return _held[inode][0]


def release(inode: Inode) -> None:
    """Undo one ``hold``; the last one closes the file."""
    _users[inode] -= 1
    if not _users[inode]:
        del _users[inode]
        for file in _held.pop(inode):
            os.close(file)


@contextlib.contextmanager
def held(path: Path) -> Iterator[int]:
    """Hold the file at a path while entered; yields its descriptor."""
    inode = hold(path)
    try:
        yield descriptor_of(inode)
    finally:
        release(inode)


def is_in_use(guard: int) -> bool:
    """Whether anybody has the file open with SQLite, in this process or another one."""
    return is_locked(guard, *_SHARED_LOCK)


def is_locked(file: int, start: int, size: int) -> bool:
    """Whether anybody else has a lock on some of these bytes; False where nobody can tell."""
    asked = getattr(fcntl, "F_OFD_GETLK", None)
    if asked is None:  # not Linux
        return False
    answer = fcntl.fcntl(file, asked, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, start, size, 0))
    kind: int = struct.unpack("hhqqi4x", answer)[0]
    return kind != fcntl.F_UNLCK
