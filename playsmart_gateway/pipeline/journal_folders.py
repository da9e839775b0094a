"""Where the journals of a gateway are: in one folder, or in one for each of several workers.

``journal.path`` is the folder of a gateway without workers; worker k of several has ``worker-k`` in
it. Whoever runs the gateway holds the lock of ``journal.path`` itself, so the set of folders is one
process' to change. Segments say themselves whose batches they hold, so a segment can be moved: what
another number of workers left is moved to a folder that somebody reads.
"""

import contextlib
import errno
import json
import logging
import os
import re
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from playsmart_gateway.errors import ConfigError, at_start
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.codec import (
    owner_of_broken,
    split_at_marks,
    written_name,
)
from playsmart_gateway.pipeline.disk import LOCK, OsDisk
from playsmart_gateway.pipeline.journal import RETAKE_SECONDS
from playsmart_gateway.pipeline.replay import JournalState, inspect, is_held
from playsmart_gateway.pipeline.segments import PROBE, lock, records
from playsmart_gateway.private import make_folder

logger = logging.getLogger(__name__)

MIN_TELLING_BYTES = 6
"""Of a name that is looked for anywhere; a shorter one only as an owner, or in quotes."""

_FOLDER = re.compile(r"worker-\d+")
_FILE = re.compile(r"(\d{16})\.(journal|bad)")


class Sighting(NamedTuple):
    """Where a batch is in the journals; ``batch`` is None if its record there is broken."""

    file: Path
    batch: Batch | None
    is_held: bool
    """Whether a process runs that has the folder, and so the batch in its buffer."""


class HeldFolder:
    """The lock of a folder, for who keeps it and writes nothing there, as a supervisor does.

    ``clock`` is in seconds that nobody sets.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.last_error: OSError | None = None
        self._folder = folder
        self._disk = OsDisk()
        self._clock = clock
        self._lost_since: float | None = None

    def open(self) -> None:
        """Take the folder; raises as ``Journal.open`` does."""
        lock(self._disk, self._folder)

    def hold(self) -> None:
        """See that folder and lock are where they were; make and lock them anew if not."""
        try:
            if self._lost_since is None and (found := self._disk.look({})):
                self._lost_since = self._clock()
                self._failed(OSError(errno.ENOENT, found[LOCK]))
            lost = self._lost_since
            if lost is not None and self._clock() - lost >= RETAKE_SECONDS:
                self._disk.relock(self._folder)
                self._lost_since = self.last_error = None
                logger.warning("the journal %s is locked anew", self._folder)
        except OSError as error:
            self._failed(error)

    def close(self) -> None:
        """Let go of it."""
        self._disk.unlock()

    def _failed(self, error: OSError) -> None:
        if self.last_error is None:
            logger.error("journal trouble in %s: %s", self._folder, error.strerror)
        self.last_error = error


def worker_folder(path: Path, worker: int) -> Path:
    """Return the folder of one of several workers."""
    return path / f"worker-{worker}"


def journal_folders(path: Path) -> list[Path]:
    """Return every folder that may hold segments: ``path``, and those of workers in it."""
    workers = [each for each in path.glob("worker-*") if _FOLDER.fullmatch(each.name)]
    return [path, *sorted(workers, key=lambda each: int(each.name.partition("-")[2]))]


def held_folders(path: Path) -> list[Path]:
    """Return the folders whose processes run, or are about to: they have what is to be stored.

    Of several workers that is not ``path``, which their supervisor holds.
    """
    if not inspect(path).held:
        return []
    workers = journal_folders(path)[1:]
    running = [folder for folder in workers if (state := inspect(folder)).held or state.batches]
    return running or [path]


def inspect_all(path: Path) -> JournalState:
    """Look at every folder without changing anything; raises ``OSError``."""
    folders = journal_folders(path)
    states = [inspect(each) for each in folders]
    names = [
        str((folder / name).relative_to(path))
        for folder, state in zip(folders, states, strict=True)
        for name in state.set_aside
    ]
    return JournalState(
        any(state.held for state in states),
        tuple(names),
        batches=sum(state.batches for state in states),
        events=sum(state.events for state in states),
        broken=sum(state.broken for state in states),
    )


def find(path: Path, journal: str, sequence: int) -> list[Sighting]:
    """Return where a batch is in any of the folders, by its name, without changing anything.

    A record that is broken in its first bytes cannot be told by its name. Raises ``OSError``.
    """
    written = written_name(journal, sequence)
    found = []
    for folder in journal_folders(path):
        held = folder.is_dir() and is_held(folder)
        for file in sorted(each for each in folder.glob("*") if _FILE.fullmatch(each.name)):
            content = b""
            with contextlib.suppress(FileNotFoundError):  # a gateway that runs removes them
                content = file.read_bytes()
            if written not in content:
                continue
            batches = (batch for batch, _, _ in records(content) if batch is not None)
            named = (
                each for each in batches if (each.journal, each.sequence) == (journal, sequence)
            )
            found.append(Sighting(file, next(named, None), held))
    return found


def cut_set_aside(path: Path, names: Collection[str], *, dry_run: bool = False) -> list[str]:
    """Take out of what was set aside the broken records with one of ``names``; return the files.

    A record begins at its mark; it goes as a whole, and a file of which nothing is left, too.
    With ``dry_run`` nothing is changed.

    Raises:
        OSError: a file cannot be read or written.
    """
    changed = []
    for file in [file for folder in journal_folders(path) for file in sorted(folder.glob("*.bad"))]:
        parts = split_at_marks(file.read_bytes())
        kept = [part for part in parts if not _names_any(part, names)]
        if len(kept) == len(parts):
            continue
        changed.append(str(file))
        if dry_run:
            continue
        if b"".join(kept):
            _replace(file, b"".join(kept))
        else:
            file.unlink()
    return changed


def _names_any(part: bytes, names: Collection[str]) -> bool:
    for name in names:
        text = name.encode("utf-8", "surrogateescape")
        quoted = [
            json.dumps(name).encode(),
            json.dumps(name, ensure_ascii=False).encode("utf-8", "surrogateescape"),
        ]
        is_telling = len(text) >= MIN_TELLING_BYTES
        if owner_of_broken(part) == text or any(
            (each[1:-1] if is_telling else each) in part for each in (*quoted, b'"%b"' % text)
        ):
            return True
    return False


def _replace(file: Path, content: bytes) -> None:
    """Write a file anew, durably, with the owner and mode it had."""
    before = file.stat()
    draft = file.with_suffix(".cut")
    with draft.open("wb") as opened:
        os.fchmod(opened.fileno(), before.st_mode)
        os.fchown(opened.fileno(), before.st_uid, before.st_gid)
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    draft.rename(file)


def adopt(folder: Path, others: Iterable[Path]) -> None:
    """Move the segments of ``others`` to ``folder``, behind its own, and what was set aside.

    The caller holds the lock of the gateway. A folder of a worker is removed when it is empty.

    Raises:
        GatewayError: some of it cannot be moved; the next start goes on with it.
    """
    for other in others:
        try:
            moved = _move(other, folder)
        except BlockingIOError:
            problem = "is in use by another gateway; stop that one or set another journal.path"
            raise ConfigError([f"journal.path: {other} {problem}"]) from None
        except OSError as error:
            raise at_start(f"journal.path: {other} cannot be moved to {folder}", error) from error
        if moved:
            logger.warning("took %d files of the journal %s over", moved, other)


def _move(source: Path, target: Path) -> int:
    """Move the numbered files, oldest first; one that is moved twice would be a repeat, no more."""
    found = sorted(each for each in source.iterdir() if _FILE.fullmatch(each.name))
    is_workers = _FOLDER.fullmatch(source.name) is not None
    if not found and not is_workers:
        return 0
    disk = OsDisk()
    with contextlib.ExitStack() as stack:
        if is_workers:
            disk.lock(source)
            stack.callback(disk.unlock)
        if found:
            make_folder(target)
            taken = [each.name for each in target.iterdir() if _FILE.fullmatch(each.name)]
            number = max((int(name[:16]) for name in taken), default=0)
            numbers: dict[str, int] = {}
            for each in found:  # a segment and what was set aside of it keep one number
                old = numbers.setdefault(each.name[:16], number + 1 + len(numbers))
                each.rename(target / f"{old:016d}{each.suffix}")
        if is_workers:
            for name in (LOCK, PROBE):
                (source / name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # somebody put something else there
                source.rmdir()
    return len(found)
