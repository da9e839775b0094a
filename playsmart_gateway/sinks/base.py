"""The contract that every sink keeps."""

from collections.abc import Sequence
from typing import Protocol, Self

import msgspec

from playsmart_gateway.event import Batch


class Written(msgspec.Struct, frozen=True):
    """What became of the events of one ``write``: newly stored, or already there."""

    stored: int
    duplicate: int


class Sink(Protocol):
    """A store that takes flushes.

    Entering it opens it (creating what is missing), leaving it closes it. Entering raises
    ``ConfigError`` when no restart without a change could help, ``SinkUnavailable`` otherwise.
    """

    async def __aenter__(self) -> Self:
        """Open the store."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Close the store."""
        ...

    async def write(self, batches: Sequence[Batch]) -> Written:
        """Store all of ``batches`` in one transaction, or none of them.

        A batch whose journal and sequence are in the store already is a no-op and counts as
        duplicate. Does not retry or sleep beyond a bounded lock wait; may be called again with
        the same batches after any error, and after a cancellation.

        Raises:
            SinkUnavailable: the same call may work later.
            SinkRejected: it never will.
        """
        ...

    async def bury(self, batch: Batch, reason: str) -> None:
        """Keep a batch that can never be stored among the dead letters, once, with the reason.

        Raises:
            SinkUnavailable: the same call may work later.
        """
        ...

    async def sync(self) -> None:
        """Return when everything written so far would survive a power cut.

        Raises:
            SinkUnavailable: it may not.
        """
        ...
