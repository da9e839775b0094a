"""Batches that figures count, of any time."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.contract import Rollups, Store

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
Row = list[Any]


def keeper(sink: Store) -> Rollups:
    figures = sink.rollups()
    assert figures is not None
    return figures


def row(kind: str = "AppOpen", name: str | None = None, **data: object) -> Row:
    return [kind, name, "2026-04-22T14:30:00Z", data or None]


def batch(
    sequence: int, user: str, at: datetime, *rows: Row, game: str = "a", source: str = "playsmart"
) -> Batch:
    listed = list(rows) or [row()]
    return Batch(
        source=source, game_id=game, user_id=user, count=len(listed),
        rows=msgspec.json.encode(listed), journal="22" * 16, sequence=sequence,
        received_at=int(at.timestamp() * 1_000_000),
    )  # fmt: skip
