"""Where accepted batches are kept until they are stored: a journal, a stream, or memory alone."""

import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Literal, Protocol

from playsmart_gateway.events.batch import Batch

Fsync = Literal["interval", "always", "never"]


class Log(Protocol):
    """What the intake writes a batch to, before the answer."""

    fsync: Fsync

    def write(self, batches: Sequence[Batch]) -> None:
        """Name the batches and take them, all or none; raises ``JournalUnavailable``."""
        ...

    async def sync(self) -> None:
        """Bring what was written to the medium; raises ``JournalUnavailable``."""
        ...

    def undo(self) -> None:
        """Take the last ``write`` back, which could not be synced."""
        ...


class Origin(Protocol):
    """Who keeps the batches of the buffer, in its order, for the case that this process dies."""

    @property
    def keeps_stored(self) -> bool:
        """Whether it keeps something that is stored, and could be let go of."""
        ...

    @property
    def is_due(self) -> bool:
        """Whether that is so much that it should be let go of now."""
        ...

    @property
    def needs_room(self) -> bool:
        """Whether letting go of it may end a trouble."""
        ...

    def stored(self, batches: int) -> None:
        """Count the oldest ``batches`` batches as stored."""
        ...

    async def remove_stored(self) -> None:
        """Let go of what is stored; the store must hold it durably."""
        ...

    def once_more(self) -> AsyncIterator[list[Batch]]:
        """Yield what is stored and was not let go of: the store may have lost it."""
        ...


class MemoryOnly:
    """Where there is no journal: batches get their names and are kept in the buffer alone.

    A 202 then lasts as long as the process. It is both a ``Log`` and an ``Origin``.
    """

    fsync: Fsync = "never"
    keeps_stored = is_due = needs_room = False

    def __init__(self) -> None:
        self._identity = uuid.uuid4().hex
        self._sequence = 0

    def write(self, batches: Sequence[Batch]) -> None:
        """Name the batches by identity and sequence."""
        for batch in batches:
            self._sequence += 1
            batch.journal = self._identity
            batch.sequence = self._sequence

    async def sync(self) -> None:
        """There is no medium."""

    def undo(self) -> None:
        """There is nothing to take back."""

    def stored(self, batches: int) -> None:
        """There is nothing to count."""

    async def remove_stored(self) -> None:
        """There is nothing to let go of."""

    async def once_more(self) -> AsyncIterator[list[Batch]]:
        """There is nothing left of them."""
        for _ in ():
            yield []
