"""What stands in the journal's place at a worker.

A gateway keeps in its journal what is in its buffer; a worker's messages are kept by the stream
until they are acknowledged, and what is to be kept here is with what to do that.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterator

from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stream.source import (
    Delivery,
    Source,
)


class Acks:
    """The acks of what is in the buffer, in its order: the ``Origin`` of a worker's batches.

    ``none_held`` is set while nothing is.
    """

    needs_room = False

    def __init__(self, source: Source) -> None:
        self.none_held = asyncio.Event()
        self.none_held.set()
        self._source = source
        self._held: deque[tuple[str, int]] = deque()
        self._acks: dict[tuple[str, int], dict[int, str]] = {}
        self._stored: list[str] = []

    def __iter__(self) -> Iterator[str]:
        """Every receipt whose message is not stored yet."""
        for acks in self._acks.values():
            yield from acks.values()

    def hold(self, batch: Batch, delivery: Delivery) -> bool:
        """Keep a receipt; False if the batch is held already, and this joins it.

        That is a message which came again too early, or was published twice.
        """
        name = batch.journal, batch.sequence
        acks = self._acks.setdefault(name, {})
        is_new = not acks
        acks[delivery.sequence] = delivery.receipt
        if is_new:
            self._held.append(name)
            self.none_held.clear()
        return is_new

    @property
    def keeps_stored(self) -> bool:
        """Whether something that is stored is not acknowledged yet."""
        return bool(self._stored)

    @property
    def is_due(self) -> bool:
        """The sooner it is acknowledged, the less comes again."""
        return self.keeps_stored

    def stored(self, batches: int) -> None:
        """Count the oldest ``batches`` batches as stored."""
        for _ in range(batches):
            self._stored += self._acks.pop(self._held.popleft()).values()
        if not self._held:
            self.none_held.set()

    async def remove_stored(self) -> None:
        """Acknowledge what is stored; what that fails for will come again."""
        stored, self._stored = self._stored, []
        with contextlib.suppress(SinkUnavailable):
            await self._source.acknowledge(stored)

    async def once_more(self) -> AsyncIterator[list[Batch]]:
        """Have the stream deliver them again, which keeps them: nothing is yielded."""
        stored, self._stored = self._stored, []
        with contextlib.suppress(SinkUnavailable):
            await self._source.give_back(stored)
        for _ in ():
            yield []
