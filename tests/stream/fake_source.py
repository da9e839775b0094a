"""A source of deliveries that is no stream."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Self

from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.codec import encode
from playsmart_gateway.stream.source import (
    Delivery,
    SourceState,
)


class FakeSource:
    """Delivers what it is given, and remembers what it is told."""

    ack_wait_seconds = 60.0
    max_deliveries = 5

    def __init__(self, *errors: SinkUnavailable) -> None:
        self.errors = list(errors)
        self.waiting: deque[Delivery] = deque()
        self.told: dict[str, list[str]] = {"ack": [], "work": [], "term": [], "nak": []}
        self.more = asyncio.Event()
        self.log: list[str] = []

    def deliver(self, *batches: Batch | bytes, times: int = 1, first: int = 1) -> None:
        for place, batch in enumerate(batches):
            body = batch if isinstance(batch, bytes) else b"".join(encode(batch))
            sequence = first + place
            self.waiting.append(Delivery(sequence, times, f"{sequence}x{times}", body))
        self.more.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def fetch(self, max_messages: int) -> AsyncIterator[Delivery]:
        if self.errors:
            raise self.errors.pop(0)
        await self.more.wait()
        self.more.clear()
        while self.waiting:
            yield self.waiting.popleft()

    async def acknowledge(self, acks: Sequence[str]) -> None:
        self.log.append("ack")
        self.told["ack"] += acks

    async def work_on(self, acks: Sequence[str]) -> None:
        self.told["work"] += acks

    async def discard(self, acks: Sequence[str]) -> None:
        self.told["term"] += acks

    async def give_back(self, acks: Sequence[str]) -> None:
        self.told["nak"] += acks

    async def state(self) -> SourceState:
        return SourceState(len(self.waiting), 0, 0)
