"""The system calls of the journal: on the real disk, or whatever is passed in its place."""

import fcntl
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from typing_extensions import override

from playsmart_gateway.private import FILE_MODE, create_file, make_folder

LOCK = "lock"


class Disk(Protocol):
    """The system calls that the journal needs; each raises ``OSError`` as the kernel would."""

    def lock(self, folder: Path) -> None:
        """Create ``folder`` if needed and lock it until ``unlock``; ``BlockingIOError`` if held."""

    def relock(self, folder: Path) -> None:
        """Lock the folder anew where it was moved or removed, or its lock was."""

    def unlock(self) -> None:
        """Let go of the folder."""

    def look(self, files: Mapping[str, tuple[int, int]]) -> dict[str, str]:
        """Say what has become of files that are not where they were, by name.

        Files come with what ``identity`` returned for them (0 if it was not asked) and their size.
        What is wrong with the folder or its lock goes by the name of the lock.
        """

    def list(self) -> list[str]:
        """Name the files in the folder, in no order."""

    def read(self, name: str) -> bytes:
        """Return a whole file, and bring what it returns to the medium."""

    def create(self, name: str) -> int:
        """Create a file that must not exist; return its descriptor."""

    def identity(self, file: int) -> int:
        """Return what tells a file from any other one, whatever their names."""

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


class OsDisk(Disk):
    """The real disk."""

    @override
    def lock(self, folder: Path) -> None:
        make_folder(folder)
        self._folder = folder
        self._directory = os.open(folder, os.O_RDONLY)
        self._lock = _open_lock(folder)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @override
    def relock(self, folder: Path) -> None:
        make_folder(folder)
        lock = _open_lock(folder)
        try:
            if os.path.sameopenfile(lock, self._lock):
                return
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            directory = os.open(folder, os.O_RDONLY)
            self._directory, directory = directory, self._directory
            self._lock, lock = lock, self._lock
            os.close(directory)
        finally:
            os.close(lock)

    @override
    def unlock(self) -> None:
        os.close(self._lock)
        os.close(self._directory)

    @override
    def look(self, files: Mapping[str, tuple[int, int]]) -> dict[str, str]:
        own = {
            ".": (os.fstat(self._directory).st_ino, 0),
            LOCK: (os.fstat(self._lock).st_ino, 0),
        }
        return {
            LOCK if name == "." else name: text
            for name, (identity, size) in {**own, **files}.items()
            if (text := _fate(self._folder / name, identity, size))
        }

    @override
    def list(self) -> list[str]:
        return [path.name for path in self._folder.iterdir()]

    @override
    def read(self, name: str) -> bytes:
        with (self._folder / name).open("rb") as file:
            os.fdatasync(file.fileno())
            return file.read()

    @override
    def create(self, name: str) -> int:
        return create_file(self._folder / name, os.O_WRONLY | os.O_APPEND)

    @override
    def identity(self, file: int) -> int:
        return os.fstat(file).st_ino

    @override
    def write(self, file: int, buffers: Sequence[bytes]) -> int:
        return os.writev(file, buffers)

    @override
    def truncate(self, file: int, size: int) -> None:
        os.ftruncate(file, size)

    @override
    def sync(self, file: int) -> None:
        os.fdatasync(file)

    @override
    def sync_folder(self) -> None:
        os.fsync(self._directory)

    @override
    def close(self, file: int) -> None:
        os.close(file)

    @override
    def save(self, name: str, content: bytes) -> None:
        path = self._folder / name
        path.unlink(missing_ok=True)
        with os.fdopen(create_file(path), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    @override
    def remove(self, name: str) -> None:
        (self._folder / name).unlink()


def _open_lock(folder: Path) -> int:
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, FILE_MODE)
    os.fchmod(lock, FILE_MODE)
    return lock


def _fate(path: Path, identity: int, size: int) -> str:
    """Say what has become of a file, or of a folder; nothing if all is well."""
    try:
        found = path.stat()
    except OSError:
        return f"{path} is gone"
    if identity and found.st_ino != identity:
        return f"{path} was replaced"
    return f"{path} was cut off" if found.st_size < size else ""
