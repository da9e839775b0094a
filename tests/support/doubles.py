"""Doubles that are passed in, never patched in."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from playsmart_gateway.economy.points import (
    Award,
    Program,
)
from playsmart_gateway.errors import SinkRejected
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.row import Row
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.models import Written


class FakeClock:
    """A clock that stands until it is told to move; seconds."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class TroubledSink(MemorySink):
    """A memory sink that first raises the errors it is given, one a write, then works.

    ``poison`` are sequences of batches that it rejects for ever.
    """

    def __init__(
        self, *errors: Exception, poison: Sequence[int] = (), program: Program | None = None
    ) -> None:
        super().__init__(program=program)
        self.errors = list(errors)
        self.poison = set(poison)
        self.stored: MemorySink = self
        self.attempts = 0

    async def write(self, batches: Sequence[Batch]) -> Written:
        self.attempts += 1
        if self.errors:
            raise self.errors.pop(0)
        if self.poison & {batch.sequence for batch in batches}:
            raise SinkRejected("poison")
        return await super().write(batches)

    async def trial(self, batches: Sequence[Batch]) -> None:
        if self.poison & {batch.sequence for batch in batches if batch.journal != "trial"}:
            raise SinkRejected("poison")
        await super().trial(batches)

    async def commit(self, batches: Sequence[Batch]) -> list[Award]:
        self.attempts += 1
        if self.errors:
            raise self.errors.pop(0)
        if self.poison & {batch.sequence for batch in batches}:
            raise SinkRejected("poison")
        return await super().commit(batches)


def data_of(row: Row) -> Any:
    """What the customdata of a row says."""
    return json.loads(bytes(row.customdata))


def make_batch(sequence: int = 0, count: int = 1, user_id: str = "player-1", pad: int = 0) -> Batch:
    """A valid batch whose events say which they are."""
    rows = [
        [
            "Custom",
            f"e{place}",
            "2026-04-22T14:30:00Z",
            {"n": f"{sequence}.{place}", "p": "x" * pad},
        ]
        for place in range(count)
    ]
    return Batch(
        source="playsmart",
        game_id="com.example.game",
        user_id=user_id,
        count=count,
        rows=msgspec.json.encode(rows),
        journal="11" * 16,
        sequence=sequence,
        received_at=1_776_868_200_123_456 + sequence,
    )
