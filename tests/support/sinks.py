"""The kinds of sink that the suite of ``EventSink`` is held against; a new one is a line here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from playsmart_gateway.stores.contract import EventSink
from playsmart_gateway.stores.memory.events import printed_time
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.open import open_store
from tests.support.doubles import data_of
from tests.support.stores import empty, select, store_url


class TriedDatabase:
    """A database that takes events, and what it stored, read past everything that is ours."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path, kind: str) -> None:
        self.url = store_url(kind, request, folder)

    def make(self) -> EventSink:
        """Return the sink; each one returned has the same place to store in."""
        return open_store(self.url)

    async def rows(self) -> list[list[Any]]:
        """Every stored row as [type, name, occurred_at, customdata], in order."""
        rows = await select(
            self.url,
            "SELECT type, custom_event_name, occurred_at, customdata FROM events ORDER BY event_id",
        )
        return [[*row[:3], None if row[3] is None else msgspec.json.decode(row[3])] for row in rows]

    async def dead_letters(self) -> list[tuple[str, str, int, bytes]]:
        """Every dead letter as (reason, user_id, event_count, rows)."""
        return await select(self.url, "SELECT reason, user_id, event_count, rows FROM dead_letters")

    async def empty(self) -> None:
        """Forget what is stored; no sink may be open."""
        await empty(self.url)


class TriedMemory(TriedDatabase):
    """The twin, which is its own medium."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path, kind: str) -> None:
        super().__init__(request, folder, kind)
        self._sink = MemorySink()

    def make(self) -> EventSink:
        return self._sink

    async def rows(self) -> list[list[Any]]:
        return [
            [row.type, row.custom_event_name, printed_time(row.occurred_at), data_of(row)]
            for row in self._sink.rows
        ]

    async def dead_letters(self) -> list[tuple[str, str, int, bytes]]:
        return [
            (reason, batch.user_id, batch.count, bytes(batch.rows))
            for batch, reason in self._sink.dead_letters.values()
        ]

    async def empty(self) -> None:
        self._sink = MemorySink()


class TriedStream(TriedDatabase):
    """A stream, with a worker behind it that stores what was published in SQLite."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path, kind: str) -> None:
        super().__init__(request, folder, "sqlite")
        self._nats_url = request.getfixturevalue("nats_server").url

    def make(self) -> EventSink:
        from tests.stream.pipeline import PipedSink

        return PipedSink(self._nats_url, open_store(self.url), open_store(self.url))


SINKS: dict[str, Callable[[pytest.FixtureRequest, Path, str], TriedDatabase]] = {
    "memory": TriedMemory,
    "sqlite": TriedDatabase,
    "postgres": TriedDatabase,
    "stream": TriedStream,
}
