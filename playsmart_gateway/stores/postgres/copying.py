"""Batches as records for a binary ``COPY``.

Rows are decoded by msgspec, a batch at a time while the server takes what came before, and the
event loop gets a turn every few hundred events. That costs 0.7 microseconds of Python an event more
than to have the server take JSON apart, which does it four times more slowly; and of all that can
be many, the one database is what a fleet has one of.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec

from playsmart_gateway.errors import SinkRejected, dropped_rows
from playsmart_gateway.events.batch import (
    Batch,
    first_event_id,
)
from playsmart_gateway.events.row import decode

EVENTS_PER_TURN = 500
"""Rows that are encoded in one turn of the event loop, in about a millisecond."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_BETWEEN_EPOCHS = (_POSTGRES_EPOCH - _EPOCH) // timedelta(microseconds=1)
_BATCHES = (
    "batch_id", "journal_id", "sequence", "received_at", "event_count",
    "source", "game_id", "user_id",
)  # fmt: skip
_EVENTS = (
    "event_id", "occurred_at", "draw", "type", "custom_event_name", "customdata", "user_id",
)  # fmt: skip

_TRIGGERS = """
    SELECT tgname FROM pg_trigger WHERE NOT tgisinternal
    AND tgrelid IN ('batches'::regclass, 'event_rows'::regclass) ORDER BY tgname
"""
"""None of them is ours."""


async def prepare_times(db: asyncpg.Connection) -> None:
    """Have a connection take and give times in its own way, and take microseconds since 1970.

    The driver's is twice as slow, and takes the last instant of the year 9999 for eternity.
    """
    await db.set_type_codec(
        "timestamptz", schema="pg_catalog", format="tuple",
        encoder=_encode_time, decoder=_decode_time,
    )  # fmt: skip


async def copy_batches(
    db: asyncpg.Connection,
    batches: Sequence[Batch],
    first_id: int,
    *,
    journals: Mapping[str, int],
    draws_for: Callable[[str], bool],
) -> None:
    """Insert headers and rows; the first batch gets ``first_id``, which the others follow.

    Raises:
        SinkRejected: some rows cannot be parsed, or fewer are there, as a trigger dropped them.
    """
    headers = _headers(batches, first_id, journals)
    if any(each.run for each in batches):
        columns, records = (*_BATCHES, "run", "seq"), _with_runs(headers, batches)
        copied = await db.copy_records_to_table("batches", columns=columns, records=records)
    else:
        copied = await db.copy_records_to_table("batches", columns=_BATCHES, records=headers)
    if copied == f"COPY {len(batches)}":
        rows = _rows(batches, first_id, draws_for)
        copied = await db.copy_records_to_table("event_rows", columns=_EVENTS, records=rows)
        if copied == f"COPY {sum(each.count for each in batches)}":
            return
    raise dropped_rows(name for (name,) in await db.fetch(_TRIGGERS))


def received_at(batch: Batch) -> datetime:
    """Return when a batch was received."""
    return _EPOCH + timedelta(microseconds=batch.received_at)


def _headers(
    batches: Sequence[Batch], first_id: int, journals: Mapping[str, int]
) -> Iterator[tuple[Any, ...]]:
    for batch_id, each in enumerate(batches, first_id):
        name = (batch_id, journals[each.journal], each.sequence)
        at = each.received_at  # as it is: a datetime would cost more than all the rest
        yield *name, at, each.count, each.source, each.game_id, each.user_id


def _with_runs(
    headers: Iterable[tuple[Any, ...]], batches: Sequence[Batch]
) -> Iterator[tuple[Any, ...]]:
    for header, each in zip(headers, batches, strict=True):
        yield *header, *((each.run, each.seq) if each.run else (None, None))


async def _rows(
    batches: Sequence[Batch], first_id: int, draws_for: Callable[[str], bool]
) -> AsyncIterator[tuple[Any, ...]]:
    encoded = 0
    try:
        for batch_id, batch in enumerate(batches, first_id):
            event_id = first_event_id(batch_id)
            draws, many = draws_for(batch.game_id), not batch.user_id
            for row in decode(batch.rows):
                data = str(row.customdata, "utf-8")
                yield (
                    event_id,
                    row.occurred_at,
                    row.draw if draws else None,
                    row.type,
                    row.custom_event_name,
                    None if data == "null" else data,
                    row.user_id if many else None,
                )
                event_id += 1
            encoded += batch.count
            if encoded >= EVENTS_PER_TURN:
                encoded = 0
                await asyncio.sleep(0)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        problem = f"the store cannot parse these rows: {type(error).__name__}"
        raise SinkRejected(problem, certain=True) from None


def _encode_time(when: datetime | int) -> tuple[int]:
    if isinstance(when, int):
        return (when - _BETWEEN_EPOCHS,)
    since = when - _POSTGRES_EPOCH
    return (since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds,)


def _decode_time(value: tuple[int]) -> datetime:
    return _POSTGRES_EPOCH + timedelta(microseconds=value[0])
