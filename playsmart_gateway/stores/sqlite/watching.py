"""What became of the file that is open: whether the path leads to it, and it is still ours."""

import asyncio
import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

from playsmart_gateway.stores.sqlite.descriptors import (
    CHECKPOINT_LOCK,
    Inode,
    descriptor_of,
    found_at,
    inode_of,
    is_locked,
)
from playsmart_gateway.stores.sqlite.wal import (
    continues,
    first_page,
    is_cut,
    is_whole,
)


class Change(NamedTuple):
    """What has happened to the file, and so what may be done with it."""

    text: str
    is_ours: bool
    """Whether what our log holds may be written into the file that we have open."""

    log_is_stale: bool = False
    """Whether the log at our path is ours, and belongs to no file any more."""


class Known:
    """The file that is open: its inode, a descriptor of it, and what it looked like."""

    def __init__(
        self,
        inode: Inode,
        guard: int,
        fingerprint: tuple[int, int],
        page: bytes,
        log_path: Path,
        log: Inode | None,
        index_path: Path,
        index: Inode | None,
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


async def look(path: Path, known: Known) -> Change | None:
    """Return what has happened to the file at ``path`` that was ``known``, if anything.

    What is asked with each transaction is asked here, though it reads a page or two: each way to a
    thread and back takes as long as the loop is busy with others.
    """
    found = found_at(path)
    if found is None or (found.st_dev, found.st_ino) != known.inode:
        if os.fstat(known.guard).st_nlink:
            return Change("was moved away", is_ours=True)
        return Change("was removed", is_ours=False)
    is_logged = known.log == inode_of(known.log_path)
    has_parted = not is_logged or known.index != inode_of(known.index_path)
    fingerprint = found.st_size, found.st_mtime_ns
    if fingerprint != known.fingerprint:  # a checkpoint, ours or another program's; or a copy
        page, is_complete = looked_into(known)
        if page != known.page and not (
            is_logged
            and (continues(known.log_path, page, strictly=True) or await _is_continued(known))
        ):
            if has_parted:
                return Change("and its log were replaced", is_ours=False)
            return Change("was overwritten", is_ours=False, log_is_stale=True)
        if not is_complete and await _is_cut_off(known):
            return Change("was cut off", is_ours=False, log_is_stale=True)
        known.fingerprint, known.page = fingerprint, page
    if has_parted:
        return Change("has lost its log (-wal) or the index of that (-shm)", is_ours=True)
    if known.index is not None and is_cut(known.log_path, descriptor_of(known.index)):
        return Change("has lost a part of its log (-wal)", is_ours=False, log_is_stale=True)
    return None


def looked_into(known: Known) -> tuple[bytes, bool]:
    """Return the file's first page, and whether it lacks none."""
    index = None if known.index is None else descriptor_of(known.index)
    return first_page(known.guard), is_whole(known.guard, known.log_path, index)


async def _is_continued(known: Known) -> bool:
    """Whether the log goes with the file as it is now; asked twice, as others may be at work."""
    for pause in (0.0, 0.05):
        await asyncio.sleep(pause)
        page = await asyncio.to_thread(first_page, known.guard)
        if await asyncio.to_thread(continues, known.log_path, page, strictly=True):
            return True
    return False


async def _is_cut_off(known: Known) -> bool:
    """Whether the file lacks some of its pages while nobody brings any; asked twice."""
    for pause in (0.0, 0.05):
        await asyncio.sleep(pause)
        if _is_checkpointed(known):
            return False
        _, is_complete = await asyncio.to_thread(looked_into, known)
        if is_complete or _is_checkpointed(known):
            return False
    return True


def _is_checkpointed(known: Known) -> bool:
    return known.index is None or is_locked(descriptor_of(known.index), *CHECKPOINT_LOCK)
