"""What may be opened at a path, and when: nothing that is another's, or not complete yet."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.private import create_if_missing, make_folder
from playsmart_gateway.stores.sqlite.descriptors import (
    USE_LOCK,
    beside,
    found_at,
    held,
    is_in_use,
    is_locked,
    rename_aside,
)
from playsmart_gateway.stores.sqlite.wal import (
    continues,
    first_page,
    is_whole,
)

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 1.0
"""What turns up in the place of a file must have kept still for so long: it may be being copied."""


class Place:
    """The ``path`` at which a database is to be opened. ``clock`` counts seconds.

    Each method raises ``OSError``, or ``SinkUnavailable`` if nothing may be opened there now.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self.path = path
        self._clock = clock
        self._found: object = None
        self._still_since = 0.0

    def prepare_to_write(self, away: SinkUnavailable | None, *, again: bool) -> None:
        """Look at what is to be opened, make what is missing, and set logs of others aside.

        What is opened ``again`` must have kept still; until then it is ``away`` as it was.
        """
        if again:
            self._require_stillness(away)
        elif self.path.is_file():
            with held(self.path) as guard:
                if not is_in_use(guard):
                    self._require_whole(guard)
        make_folder(self.path.parent)
        log = beside(self.path, "-wal")
        if not self.path.exists() or self.path.stat().st_size == 0:
            self._set_aside(log, "no database")
        create_if_missing(self.path)
        if not os.access(self.path, os.W_OK):  # SQLite would make an index that is so, too
            hint = "Make the file and its folder writable."
            raise SinkUnavailable(f"{self.path} is readonly", hint=hint)
        if self._has_stale_log():
            self._set_aside(log, "another database")

    def prepare_to_read(self) -> None:
        """Look at what is to be opened, and make nothing."""
        if not self.path.exists():
            hint = "Start the gateway once, or point storage.url at a file that is there."
            raise SinkUnavailable(f"there is no database at {self.path}", hint=hint)
        if self._has_stale_log():
            hint = "Start the gateway: it sets that log aside."
            raise SinkUnavailable(f"the log beside {self.path} is of another database", hint=hint)

    def _has_stale_log(self) -> bool:
        """Whether the log at our path belongs to another file, and nobody is at work there."""
        if not self.path.is_file():  # SQLite has the words for that
            return False
        with held(self.path) as guard:
            log = beside(self.path, "-wal")
            is_ours = continues(log, first_page(guard), strictly=False)
            return not is_ours and not is_in_use(guard)

    def _require_stillness(self, away: SinkUnavailable | None) -> None:
        """Wait until what is there is nobody's work in progress; a copy takes its time."""
        here: object = ()
        if found := found_at(self.path):
            here = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
        now = self._clock()
        if here != self._found:
            self._found, self._still_since = here, now
        if here:
            with held(self.path) as guard:
                if is_in_use(guard):  # by a sibling: it has waited already, and writes
                    self._require_index_of_others(away)
                    return
        if now - self._still_since < SETTLE_SECONDS:
            raise away or SinkUnavailable(f"{self.path} is being replaced")
        if here:
            with held(self.path) as guard:
                self._require_whole(guard)

    def _require_whole(self, guard: int) -> None:
        if not is_whole(guard, beside(self.path, "-wal")):
            hint = "Copy it once more, restore a backup, or move it away."
            raise SinkUnavailable(f"{self.path} is not complete", hint=hint)

    def _require_index_of_others(self, away: SinkUnavailable | None) -> None:
        """Wait for siblings that have not noticed yet that the index they share was removed.

        With another index than theirs, their locks would not hold for us, nor their frames.
        """
        index = beside(self.path, "-shm")
        if index.exists():
            with held(index) as guard:
                if is_locked(guard, *USE_LOCK):
                    return
        raise away or SinkUnavailable(f"{self.path} is in use without its index (-shm)")

    def _set_aside(self, log: Path, whose: str) -> None:
        """Keep a log out of the way that does not belong to the file."""
        if log.exists() and log.stat().st_size:
            aside = rename_aside(log)
            logger.error("%s is of %s: it is set aside as %s", log, whose, aside)
        beside(self.path, "-shm").unlink(missing_ok=True)
