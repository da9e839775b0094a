"""The system calls of one process over a ``Medium``, and everything that can go wrong in them."""

import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from playsmart_gateway.pipeline.segments import PROBE
from tests.campaigns.simulation.chance import Chance
from tests.campaigns.simulation.loop import (
    Killed,
    SimLoop,
)
from tests.campaigns.simulation.medium import (
    File,
    Medium,
)


class SimDisk:
    """Implements ``Disk`` of the journal. ``misuse`` lists what no program may do.

    ``kill_at_call`` kills the process at that system call: before it, after it, or half through.
    """

    def __init__(self, medium: Medium, chance: Chance, loop: SimLoop) -> None:
        self.misuse: list[str] = []
        self.kill_at_call: int | None = None
        self._medium = medium
        self._chance = chance
        self._loop = loop
        self._files: dict[int, File] = {}
        self._calls = 0
        self._room: int | None = None
        self._full_until = 0.0

    def lock(self, folder: Path) -> None:
        self._enter("lock")
        if self._chance.strikes("disk: folder in use at start"):
            raise BlockingIOError(errno.EWOULDBLOCK, "in use")
        if self._medium.locked_by is not None:
            self.misuse.append("the lock was left behind")
        self._medium.locked_by = self

    def relock(self, folder: Path) -> None:
        self._enter("relock")

    def look(self, files: Mapping[str, tuple[int, int]]) -> dict[str, str]:
        self._enter("look")
        return {name: "gone" for name in files if name not in self._medium.names}

    def identity(self, file: int) -> int:
        return 0

    def unlock(self) -> None:
        self._enter("unlock")
        self._require_lock()
        self._medium.locked_by = None

    def list(self) -> list[str]:
        self._enter("list")
        return [*self._medium.names, "lock"]

    def read(self, name: str) -> bytes:
        self._enter(f"read {name}")
        self._fail_by_chance("disk: read error at start")
        file = self._medium.names[name]
        file.sync()
        return bytes(file.data)

    def create(self, name: str) -> int:
        dies_after = self._enter(f"create {name}")
        self._require_lock()
        if name in self._medium.names:
            if name != PROBE:  # which a removal that failed may have left
                self.misuse.append(f"{name} was there already")
            raise _error(errno.EEXIST)
        self._fail_by_chance("disk: create error")
        if self._is_full() and self._chance.random() < 0.5:
            raise _error(errno.ENOSPC)
        number = min(set(range(3, len(self._files) + 4)) - self._files.keys())
        self._files[number] = File()
        self._medium.link(name, self._files[number])
        self._leave(dies_after)
        return number

    def write(self, file: int, buffers: Sequence[bytes]) -> int:
        content = b"".join(buffers)
        dies_after = self._enter(f"write {len(content)} bytes to {file}")
        self._require_lock()
        target = self._file(file)
        self._fail_by_chance("disk: write error")
        size = len(content)
        if self._chance.strikes("disk: short write") and size > 1:
            size = self._chance.randint(1, size - 1)
        if self._is_full():
            assert self._room is not None
            size = min(size, self._room)
            self._room -= size
            if not size:
                raise _error(errno.ENOSPC)
        if dies_after and self._chance.random() < 0.5:
            size = self._chance.randint(0, size)
        target.append(content[:size])
        if self._chance.random() < 0.1:
            target.write_back_some(self._chance)
        self._leave(dies_after)
        return size

    def truncate(self, file: int, size: int) -> None:
        dies_after = self._enter(f"truncate {file} to {size}")
        target = self._file(file)
        if self._chance.strikes("disk: truncate error"):
            self._medium.uncut += target.data[size:]
            raise _error(errno.EIO)
        if size > len(target.data):
            self.misuse.append("a file grew by truncation")
        target.truncate(size)
        self._leave(dies_after)

    def sync(self, file: int) -> None:
        dies_after = self._enter(f"sync {file}")
        target = self._file(file)
        if self._chance.strikes("disk: sync error"):
            self._medium.doomed += target.fail_sync(self._chance)
            raise _error(errno.EIO)
        if dies_after and self._chance.random() < 0.5:
            target.write_back_some(self._chance)
        else:
            target.sync()
        self._leave(dies_after)

    def sync_folder(self) -> None:
        dies_after = self._enter("sync folder")
        if self._chance.strikes("disk: folder sync error"):
            self._medium.fail_name_sync()
            raise _error(errno.EIO)
        self._medium.sync_names()
        self._leave(dies_after)

    def close(self, file: int) -> None:
        self._enter(f"close {file}")
        self._file(file)
        self._files.pop(file, None)

    def save(self, name: str, content: bytes) -> None:
        dies_after = self._enter(f"save {name}, {len(content)} bytes")
        self._require_lock()
        self._fail_by_chance("disk: save error at start")
        file = File()
        file.append(content if not dies_after else content[: self._chance.randint(0, len(content))])
        file.sync()
        self._medium.names[name] = self._medium.durable_names[name] = file
        self._leave(dies_after)

    def remove(self, name: str) -> None:
        dies_after = self._enter(f"remove {name}")
        self._require_lock()
        if name not in self._medium.names:
            raise _error(errno.ENOENT)
        self._fail_by_chance("disk: remove error")
        self._medium.unlink(name)
        self._leave(dies_after)

    def _enter(self, call: str) -> bool:
        """Come into the kernel; return whether the process dies before it comes out."""
        if self._loop.dead:
            raise Killed
        if self._chance.traced:
            self._chance.say(f"disk: {call}")
        self._calls += 1
        if self._calls != self.kill_at_call:
            return False
        if self._chance.random() < 0.4:
            self._die()
        return True

    def _leave(self, dies: bool) -> None:
        if dies:
            self._die()

    def _die(self) -> None:
        self._loop.die()
        raise Killed

    def _fail_by_chance(self, kind: str) -> None:
        if self._chance.strikes(kind):
            raise _error(errno.EIO)

    def _is_full(self) -> bool:
        """Whether the disk is full now; somebody else fills it and frees it again."""
        if self._chance.calm:
            return False
        if self._room is None:
            if self._chance.strikes("disk: full"):
                self._room = self._chance.randint(0, 300)
                self._full_until = self._loop.now + self._chance.between(0.01, 2.0)
        elif self._loop.now >= self._full_until:
            self._room = None
            self._chance.count("disk: freed")
        return self._room is not None

    def _file(self, number: int) -> File:
        file = self._files.get(number)
        if file is None:
            self.misuse.append(f"descriptor {number} is not open")
            raise _error(errno.EBADF)
        return file

    def _require_lock(self) -> None:
        if self._medium.locked_by is not self:
            self.misuse.append("the folder is not locked")


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
