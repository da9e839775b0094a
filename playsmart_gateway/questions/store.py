"""The store that is asked: read-only, a bounded piece at a time."""

from playsmart_gateway.events.batch import MAX_EVENTS_PER_BATCH, first_event_id
from playsmart_gateway.stores.sql.database import Database, Transaction

_NEWEST = "SELECT coalesce(max(batch_id), 0) FROM batches"
_AT = """
    SELECT batch_id, (SELECT received_at FROM events WHERE event_id = first_event)
    FROM (
        SELECT event_id / {ids} AS batch_id, event_id AS first_event
        FROM event_rows WHERE event_id >= $1 ORDER BY event_id LIMIT 1
    ) AS found
""".replace("{ids}", str(MAX_EVENTS_PER_BATCH))
_END_OF_PIECE = """
    SELECT event_id FROM event_rows WHERE event_id > $1 AND event_id <= $2
    ORDER BY event_id LIMIT 1 OFFSET $3
"""


async def end_of_piece(db: Database, after: int, end: int, events: int) -> int:
    """Return the id of the last of the next ``events`` behind ``after``, up to ``end``."""
    for (found,) in await db.fetch(_END_OF_PIECE, after, end, events - 1):
        return int(found)
    return end


async def ids_between(reading: Transaction, first: str, last: str | None) -> tuple[int, int]:
    """Return the ids after which and up to which events were received between two moments.

    Without a ``last`` that is up to the newest. Batches are stored in the order of receipt, so they
    are found by halving.
    """
    async with reading() as db:
        ((newest,),) = await db.fetch(_NEWEST)
        begin = await _first_since(db, first, newest)
        end = newest + 1 if last is None else await _first_since(db, last, newest)
    return first_event_id(begin) - 1, first_event_id(end) - 1


async def _first_since(db: Database, when: str, newest: int) -> int:
    """Return the first batch that was received at that time or later."""
    low, high = 0, newest + 1
    while low < high:
        middle = (low + high) // 2
        rows = await db.fetch(_AT, first_event_id(middle))
        for batch_id, received_at in rows:
            if received_at < when:
                low = max(middle, batch_id) + 1
                break
        else:
            high = middle
    return min(low, newest + 1)
