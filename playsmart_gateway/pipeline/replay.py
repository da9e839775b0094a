"""What an earlier process left in a journal: read whole at the start, or only looked at.

Bytes that are no valid record are set aside in ``<number>.bad``, which nobody removes, and reading
goes on at the next valid one. If there is none they are a torn tail: what a write that was cut
short leaves, for which no answer was sent. Where there is a whole record that only a later gateway
can read, nothing is set aside and nothing replayed: that gateway is to store it first.
"""

import fcntl
import logging
import os
from pathlib import Path
from typing import NamedTuple

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.codec import decode_at
from playsmart_gateway.pipeline.disk import LOCK, Disk
from playsmart_gateway.pipeline.segments import (
    SET_ASIDE,
    SUFFIX,
    Segment,
    SegmentFiles,
    records,
)

logger = logging.getLogger(__name__)

_OF_LATER_VERSION = (
    "a record of a later version of this program; start that version, let it store what waits and "
    "stop it in order, then downgrade"
)


class _Broken(NamedTuple):
    """Bytes at ``place`` of a segment that are no record; ``is_tail`` if nothing follows them."""

    place: int
    content: bytes
    is_tail: bool


class Replay:
    """Reads the segments on ``disk``, oldest first, and sets aside what is broken.

    Then ``segments`` are those that were there, ``last_number`` the highest that is taken, and
    ``torn_tails`` and ``corrupt_records`` count what was set aside.
    """

    def __init__(self, disk: Disk, files: SegmentFiles) -> None:
        self.segments: list[Segment] = []
        self.last_number = 0
        self.torn_tails = 0
        self.corrupt_records = 0
        self._disk = disk
        self._files = files

    def read(self) -> list[Batch]:
        """Return every batch once.

        Raises:
            ConfigError: there are records of a later version; nothing was changed.
            OSError: the disk did not do it.
        """
        names = self._files.names()
        self.last_number = max((_number(name) for name in names), default=0)
        batches: list[Batch] = []
        broken: dict[str, list[_Broken]] = {}
        for name in names:
            if name.endswith(SUFFIX):
                batches += self._read(name, broken.setdefault(name, []))
        for name, parts in broken.items():
            self._set_aside(name, parts)
        if names:
            self._disk.sync_folder()
        return self._in_order(batches)

    def _read(self, name: str, broken: list[_Broken]) -> list[Batch]:
        content = self._disk.read(name)
        segment = Segment(_number(name), len(content))
        self.segments.append(segment)
        batches = []
        for batch, place, end in records(content):
            if batch is not None:
                batches.append(batch)
            elif decode_at(content, place)[1] > place:
                raise ConfigError([f"journal.path: {name} at byte {place}: {_OF_LATER_VERSION}"])
            else:
                broken.append(_Broken(place, content[place:end], is_tail=end == len(content)))
        segment.left = segment.total = len(batches)
        return batches

    def _set_aside(self, name: str, parts: list[_Broken]) -> None:
        for place, part, torn in parts:
            logger.log(
                logging.WARNING if torn else logging.ERROR,
                "journal %s: %s at byte %d, %d bytes set aside",
                name, "torn tail" if torn else "corrupt record", place, len(part),
            )  # fmt: skip
            self.torn_tails += torn
            self.corrupt_records += not torn
        if parts:
            content = b"".join(part.content for part in parts)
            self._disk.save(name.removesuffix(SUFFIX) + SET_ASIDE, content)

    def _in_order(self, batches: list[Batch]) -> list[Batch]:
        """Return each batch once, those of one journal in their order.

        They are out of it only if the process died while it wrote anew what waited. Then the
        segments go together, when all of them is stored.
        """
        newest: dict[str, int] = {}
        for batch in batches:
            if batch.sequence <= newest.get(batch.journal, 0):
                break
            newest[batch.journal] = batch.sequence
        else:
            return batches
        by_name = {(batch.journal, batch.sequence): batch for batch in batches}
        places = {
            name: place for place, name in enumerate(dict.fromkeys(b.journal for b in batches))
        }
        for segment in self.segments:
            segment.left = 0
        self.segments[0].left = self.segments[0].total = len(by_name)
        return [
            by_name[name] for name in sorted(by_name, key=lambda name: (places[name[0]], name[1]))
        ]


def _number(name: str) -> int:
    return int(name.partition(".")[0])


class JournalState(NamedTuple):
    """What is in a journal's folder; while a gateway holds it only ``held`` and ``set_aside``."""

    held: bool
    set_aside: tuple[str, ...]
    batches: int = 0
    events: int = 0
    broken: int = 0


def is_held(folder: Path) -> bool:
    """Whether a process has the folder of a journal now; raises ``OSError``."""
    if (folder / LOCK).exists():
        lock = os.open(folder / LOCK, os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
    return False


def inspect(folder: Path) -> JournalState:
    """Look at a journal without changing anything; raises ``OSError``."""
    set_aside = tuple(sorted(path.name for path in folder.glob(f"*{SET_ASIDE}")))
    if is_held(folder):
        return JournalState(True, set_aside)
    batches = events = broken = 0
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        for batch, _, _ in records(path.read_bytes()):
            broken += batch is None
            if batch is not None:
                batches += 1
                events += batch.count
    return JournalState(False, set_aside, batches, events, broken)
