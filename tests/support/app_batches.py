"""Batches of Teak's apps as the door makes them, and what a store keeps of them."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec

from playsmart_gateway.dialects.teak.analytics import AnalyticsEvent, encode_rows
from playsmart_gateway.events.batch import TEAK, Batch
from playsmart_gateway.events.sessions import (
    Session,
    session_batch,
)
from playsmart_gateway.stores.contract import Store
from playsmart_gateway.stores.memory.store import MemorySink
from tests.support.doubles import data_of
from tests.support.stores import select

NOW = datetime(2026, 4, 22, 14, 30, tzinfo=UTC)


def named(batch: Batch, sequence: int) -> Batch:
    """Let it be the batch that a journal has accepted under this number."""
    batch.journal = "33" * 16
    batch.sequence = sequence
    batch.received_at = 1_776_868_200_000_000 + sequence
    return batch


def session(
    sequence: int,
    user: str = "ada",
    *,
    app: str = "app",
    country: str = "US",
    email: str = "",
    installs: bool = True,
    run: bytes = b"",
) -> Batch:
    """The batch of one call of identify."""
    who = Session(app, user, country, "UTC", email, installs)
    return named(session_batch(who, f"session-{sequence}", NOW, run=run), sequence)


def analytics(
    sequence: int, *events: AnalyticsEvent, app: str = "app", country: str = "US"
) -> Batch:
    """The batch of one call of analytics_events/batch."""
    rows = encode_rows(events, NOW, lambda _: country, store_client_ip=False)
    return named(Batch(TEAK, app, "", len(events), rows), sequence)


def spin(
    user: str = "ada",
    *,
    count: str = "1",
    value: str = "1",
    squares: str = "1",
    action: str = "spin",
) -> AnalyticsEvent:
    """One valid event with these numbers, as they are written."""
    numbers = [msgspec.Raw(text.encode()) for text in (count, value, squares)]
    return AnalyticsEvent(user, action, "", "", numbers[0], numbers[1], numbers[2])


class Kept:
    """A store under test, and a look at what its readers do not tell."""

    def __init__(self, sink: Store, url: str) -> None:
        self.sink = sink
        self._url = url

    async def emails(self) -> dict[tuple[str, str], str]:
        """The email of each player who has one, by app and player."""
        if isinstance(self.sink, MemorySink):
            return dict(self.sink.emails)
        query = "SELECT app_id, user_id, email FROM app_players WHERE email IS NOT NULL"
        return {(app, user): email for app, user, email in await select(self._url, query)}

    async def events(self) -> list[tuple[str, str, str, dict[str, Any] | None]]:
        """App, player, type and customdata of each stored event, in order."""
        if isinstance(self.sink, MemorySink):
            return [
                (batch.game_id, batch.user_id or row.user_id or "", row.type, data_of(row))
                for batch, rows in self.sink.batches.values()
                for row in rows
                if row is not None
            ]
        query = "SELECT game_id, user_id, type, customdata FROM events ORDER BY event_id"
        return [
            (app, user, kind, json.loads(data))
            for app, user, kind, data in await select(self._url, query)
        ]

    async def batch_counts(self) -> list[int]:
        """How many events each stored batch says it has."""
        if isinstance(self.sink, MemorySink):
            return [len(rows) for _, rows in self.sink.batches.values()]
        query = "SELECT event_count FROM batches ORDER BY batch_id"
        return [count for (count,) in await select(self._url, query)]
