"""Reads what the store has behind an event, a bounded chunk at a time."""

from typing import NamedTuple

from playsmart_gateway.errors import LakeError
from playsmart_gateway.events.batch import MAX_EVENTS_PER_BATCH
from playsmart_gateway.lake.manifest import Manifest
from playsmart_gateway.stores.models import StoredEvent
from playsmart_gateway.stores.readers import BatchName, LakeReader

CHUNK_BYTES = 33_554_432
"""Of a chunk, in characters of customdata: what is in memory."""

PAGE_EVENTS = 1_000
"""Of one read of the store, which keeps its log from being emptied: it is short, as whoever reads
may have to wait for processors."""


class Chunk(NamedTuple):
    """The events behind some event up to ``position``, of now ``end``; and their batches by id."""

    position: int
    end: int
    events: list[StoredEvent]
    names: dict[int, BatchName]


async def read_chunk(
    reader: LakeReader, after: int, max_events: int, max_bytes: int = CHUNK_BYTES
) -> Chunk:
    """Return the next ``max_events`` events or so; fewer if they are large."""
    end = max(after, await reader.newest_event_id())
    position, size = after, 0
    events: list[StoredEvent] = []
    while position < end and len(events) < max_events and size < max_bytes:
        limit = min(PAGE_EVENTS, max_events - len(events))
        page = await reader.events(after=position, upto=end, limit=limit)
        events += page.events
        size += sum(len(each.customdata or "") for each in page.events)
        position = page.position
    first, last = after // MAX_EVENTS_PER_BATCH, position // MAX_EVENTS_PER_BATCH
    names = await reader.batch_names(first, last) if position > after else []
    return Chunk(position, end, events, {each.batch_id: each for each in names})


async def require_same_store(reader: LakeReader, manifest: Manifest) -> None:
    """Look whether the store is the one that the lake has followed so far.

    Raises:
        LakeError: it has another batch, or none, where the lake has come to.
    """
    if manifest.batch is None:
        return
    batch_id = manifest.position // MAX_EVENTS_PER_BATCH
    found = [(each.journal, each.sequence) for each in await reader.batch_names(batch_id, batch_id)]
    if found != [manifest.batch]:
        raise LakeError(
            "the lake was written from another database, or from this one before a backup was "
            "restored: give this one a lake of its own (lake.url)"
        )
