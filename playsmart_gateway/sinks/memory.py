"""The twin for tests and dry runs: keeps the contract, and nothing beyond the process."""

from collections.abc import Sequence
from typing import Any, Self

import msgspec

from playsmart_gateway.errors import SinkRejected
from playsmart_gateway.event import Batch
from playsmart_gateway.sinks.base import Written


class MemorySink:
    """Stores batches in a dict; it decodes the rows as a database would, so bad rows are found."""

    def __init__(self) -> None:
        self.batches: dict[tuple[str, int], tuple[Batch, list[list[Any]]]] = {}
        self.dead_letters: dict[tuple[str, int], tuple[Batch, str]] = {}

    async def __aenter__(self) -> Self:
        """Nothing to open."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""

    async def write(self, batches: Sequence[Batch]) -> Written:
        """See ``Sink.write``."""
        try:
            new = {
                _name(batch): (batch, msgspec.json.decode(batch.rows, type=list[list[Any]]))
                for batch in batches
                if _name(batch) not in self.batches
            }
        except msgspec.MsgspecError as error:
            raise SinkRejected("rows that are not JSON arrays") from error
        self.batches |= new
        stored = sum(len(rows) for _, rows in new.values())
        return Written(stored, sum(batch.count for batch in batches) - stored)

    async def bury(self, batch: Batch, reason: str) -> None:
        """See ``Sink.bury``."""
        self.dead_letters[_name(batch)] = (batch, reason)

    async def sync(self) -> None:
        """Memory survives no power cut, and promises none."""

    @property
    def rows(self) -> list[list[Any]]:
        """Every stored row, in the order in which it was written."""
        return [row for _, rows in self.batches.values() for row in rows]


def _name(batch: Batch) -> tuple[str, int]:
    return batch.journal, batch.sequence
