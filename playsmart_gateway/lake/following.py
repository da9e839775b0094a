"""Reads what the store has behind an event, a bounded chunk at a time, as tables.

Events become columns a piece at a time, and are let go then: a million objects at once are no
cheaper to make than to take apart, as no cache of a processor holds them.
"""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import pyarrow

from playsmart_gateway.errors import LakeError
from playsmart_gateway.events.batch import MAX_EVENTS_PER_BATCH
from playsmart_gateway.lake.columns import grouped, table_of
from playsmart_gateway.lake.kinds import Catalogue, read_catalogue
from playsmart_gateway.lake.manifest import Manifest, Properties
from playsmart_gateway.stores.models import StoredEvent
from playsmart_gateway.stores.readers import BatchName, LakeReader

CHUNK_BYTES = 134_217_728
"""Of a chunk, of its tables in memory."""

CHUNK_SECONDS = 10.0
"""How long a chunk grows: whoever else wants the turn waits for it, be the machine ever so busy."""

PIECE_EVENTS = 5_000
PIECE_BYTES = 8_388_608
"""Of a piece, in characters of customdata: what is in memory as objects."""

PAGE_EVENTS = 1_000
"""Of one read of the store, which keeps its log from being emptied: it is short, as whoever reads
may have to wait for processors."""


class Pile(NamedTuple):
    """Events of one game that were received on one day, ``first`` to ``last`` by id, as tables."""

    game_id: str
    day: str
    first: int
    last: int
    tables: list[tuple[pyarrow.Table, Properties]]


class Chunk(NamedTuple):
    """So many events up to ``position``, of now ``end``; and the batch of the last one.

    ``games`` says which properties of each game are columns from now on.
    """

    position: int
    end: int
    events: int
    piles: list[Pile]
    games: dict[str, Properties]
    batch: BatchName | None


async def read_chunk(
    reader: LakeReader,
    manifest: Manifest,
    max_events: int,
    max_bytes: int = CHUNK_BYTES,
    clock: Callable[[], float] = time.monotonic,
    defined: Mapping[str, Properties] | None = None,
) -> Chunk:
    """Return the next ``max_events`` events or so; fewer if they are large, or it takes long.

    ``defined`` are the properties of each game that its definitions say.
    """
    position, until = manifest.position, clock() + CHUNK_SECONDS
    end = max(position, await reader.newest_event_id())
    count = size = 0
    batch: BatchName | None = None
    games = dict(manifest.games)
    catalogue = Catalogue({}, {}, is_behind=True)
    if position < end:
        catalogue = await read_catalogue(reader, defined or {}, position)
    piles: dict[tuple[str, str], Pile] = {}
    while position < end and count < max_events and size < max_bytes and clock() < until:
        first = position // MAX_EVENTS_PER_BATCH
        events, position = await _piece(reader, position, end, max_events - count)
        found = await reader.batch_names(first, position // MAX_EVENTS_PER_BATCH)
        names = {each.batch_id: each for each in found}
        batch = names[position // MAX_EVENTS_PER_BATCH]
        count += len(events)
        for group in grouped(events):
            game_id = group.game_id
            known = games.get(game_id, {})
            table, properties = table_of(group.events, names, known, catalogue.of(game_id))
            games[game_id] = properties
            size += table.nbytes
            key, last = (game_id, group.day), group.events[-1].event_id
            pile = piles.get(key) or Pile(*key, group.events[0].event_id, last, [])
            pile.tables.append((table, properties))
            piles[key] = pile._replace(last=last)
    return Chunk(position, end, count, list(piles.values()), games, batch)


async def _piece(
    reader: LakeReader, after: int, end: int, max_events: int
) -> tuple[list[StoredEvent], int]:
    """Return some events, and the id up to which there are no others."""
    position, size = after, 0
    events: list[StoredEvent] = []
    most = min(max_events, PIECE_EVENTS)
    while position < end and len(events) < most and size < PIECE_BYTES:
        limit = min(PAGE_EVENTS, most - len(events))
        page = await reader.events(after=position, upto=end, limit=limit)
        events += page.events
        size += sum(len(each.customdata or "") for each in page.events)
        position = page.position
    return events, position


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
