"""What lies on the disk: what programs see, and what a power cut leaves of it.

Every file has two contents. ``data`` is what reads return; it lives in the kernel and survives the
death of a process. ``durable`` is on the medium. A sync makes the second like the first. Between
syncs the kernel may write back what it likes, in sectors, in any order. Names behave alike.

For the checker the medium remembers bytes that it could not get rid of (``uncut``: a refused batch
may come back from there, and only from there) and bytes that a failed sync gave up (``doomed``).
"""

import random
from collections.abc import Iterator

SECTOR = 512


class File:
    """One inode."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.durable = bytearray()
        self.dirty: list[tuple[int, int]] = []
        self.cut_at: int | None = None

    def append(self, content: bytes) -> None:
        """Write into the kernel."""
        start = len(self.data)
        self.data += content
        self.dirty.append((start, len(self.data)))

    def truncate(self, size: int) -> None:
        """Cut off in the kernel."""
        del self.data[size:]
        self.dirty = [(start, min(end, size)) for start, end in self.dirty if start < size]
        self.cut_at = size if self.cut_at is None else min(size, self.cut_at)

    def sync(self) -> None:
        """Bring everything to the medium."""
        for start, end in self.dirty:
            self._write_back(start, end)
        self._settle()

    def write_back_some(self, chance: random.Random) -> None:
        """Write some of it back, as the kernel does by itself; that promises nothing."""
        for start, end in self.dirty:
            for sector_start, sector_end in _sectors(start, end):
                if chance.random() < 0.5:
                    self._write_back(sector_start, sector_end)

    def fail_sync(self, chance: random.Random) -> bytes:
        """Write some back and call all of it clean: Linux does so. Return what was given up."""
        self.write_back_some(chance)
        lost = b"".join(bytes(self.data[start:end]) for start, end in self.dirty)
        self.dirty = []
        return lost

    def cut_power(self, chance: random.Random) -> tuple[str, bytes]:
        """Lose what was not synced, or part of it; return how, and what a cut did not remove."""
        how = ""
        if self.dirty:
            how = chance.choice(("lost", "torn", "reordered", "kept"))
        if how == "torn":
            start = self.dirty[0][0]
            self._write_back(start, chance.randint(start, len(self.data)))
        elif how == "reordered":
            self.write_back_some(chance)
            self.durable += bytes(max(0, len(self.data) - len(self.durable)))
        elif how == "kept":
            for start, end in self.dirty:
                self._write_back(start, end)
        ghosts = b""
        if self.cut_at is not None:
            if chance.random() < 0.5:
                del self.durable[len(self.data) :]
            ghosts = bytes(self.durable[self.cut_at :])
        self.data = bytearray(self.durable)
        self._settle()
        return how, ghosts

    def _write_back(self, start: int, end: int) -> None:
        if len(self.durable) < start:
            self.durable += bytes(start - len(self.durable))
        self.durable[start:end] = self.data[start:end]

    def _settle(self) -> None:
        del self.durable[len(self.data) :]
        self.dirty = []
        self.cut_at = None


class Medium:
    """A folder of files that outlives processes."""

    def __init__(self) -> None:
        self.names: dict[str, File] = {}
        self.durable_names: dict[str, File] = {}
        self.unsynced_names: list[tuple[str, File | None]] = []
        self.uncut = bytearray()
        self.doomed = bytearray()
        self.locked_by: object = None

    def link(self, name: str, file: File) -> None:
        """Give a file a name."""
        self.names[name] = file
        self.unsynced_names.append((name, file))

    def unlink(self, name: str) -> None:
        """Take a name away."""
        del self.names[name]
        self.unsynced_names.append((name, None))

    def sync_names(self) -> None:
        """Bring the folder to the medium."""
        self.durable_names = dict(self.names)
        self.unsynced_names.clear()

    def fail_name_sync(self) -> None:
        """Give up on the names that were not synced, and so on what is in those files."""
        for _, file in self.unsynced_names:
            if file is not None:
                self.doomed += file.data

    def cut_power(self, chance: random.Random) -> Iterator[str]:
        """Keep what was synced and anything of the rest; yield what became of it."""
        by_name: dict[str, list[File | None]] = {}
        for name, change in self.unsynced_names:
            by_name.setdefault(name, []).append(change)
        for name, changes in by_name.items():
            kept = chance.randint(0, len(changes))
            if kept < len(changes):
                yield "names lost"
            for change in changes[:kept]:
                if change is None:
                    self.durable_names.pop(name, None)
                else:
                    self.durable_names[name] = change
        self.names = dict(self.durable_names)
        self.unsynced_names.clear()
        for file in self.names.values():
            how, ghosts = file.cut_power(chance)
            self.uncut += ghosts
            if how and how != "kept":
                yield how

    def rest(self) -> None:
        """Let time pass until the kernel has written back everything."""
        self.sync_names()
        for file in self.names.values():
            file.sync()


def _sectors(start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        yield start, stop
        start = stop
