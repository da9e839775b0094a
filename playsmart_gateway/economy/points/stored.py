"""What a stored row says: the event that the step and the analytics are given.

A sink takes it from the row that it stores, so what was paid and counted can be computed once more
from what is stored.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from playsmart_gateway.economy.points.awards import Award, HistoryEntry
from playsmart_gateway.economy.points.metadata import Metadata
from playsmart_gateway.errors import SinkRejected
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.row import decode

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_decode_data = msgspec.json.Decoder(dict[str, Any] | None, float_hook=Decimal).decode


class Occurrence(NamedTuple):
    """One event of one user."""

    user: tuple[str, str]  # project and user id
    event_id: str
    metadata: Metadata
    received_at_ms: int


def occurrence(batch: Batch) -> Occurrence:
    """Return the one event of a batch.

    Raises:
        SinkRejected: it has not exactly one, or one that no dialect wrote.
    """
    try:
        (row,) = decode(batch.rows)
        metadata = _decode_data(row.customdata)
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
        raise SinkRejected("not the row of one event with metadata", certain=True) from None
    user = batch.game_id, batch.user_id
    return Occurrence(user, row.type, metadata or {}, batch.received_at // 1_000)


def repeated(event: Occurrence) -> Award:
    """Return the award of an event that came before, when what it was then is not known."""
    entry = HistoryEntry("event", event.event_id, event.event_id, "", 0, event.received_at_ms)
    return Award(0, (), (entry,), is_repeated=True)


def milliseconds(printed: str) -> int:
    """Return the milliseconds since the epoch of a time as stores print it."""
    return (datetime.fromisoformat(printed) - _EPOCH) // timedelta(milliseconds=1)
