"""One batch by its name: the same in every store that speaks SQL."""

from collections.abc import Callable

from playsmart_gateway.events.batch import first_event_id, last_event_id
from playsmart_gateway.stores.models import StoredBatch
from playsmart_gateway.stores.readers import BatchName
from playsmart_gateway.stores.sql.database import Database


async def stored_batch(
    db: Database, printed: Callable[[str], str], journal: str, sequence: int
) -> StoredBatch | None:
    """See ``BatchReader.stored_batch``; ``printed`` returns SQL that prints a time."""
    rows = await db.fetch(
        f"""
        SELECT batch_id, source, game_id, user_id, {printed("received_at")}
        FROM batches JOIN journals ON journals.journal_id = batches.journal_id
        WHERE identity = $1 AND sequence = $2
        """,  # noqa: S608 - built from our own constants
        *(journal, sequence),
    )
    for batch_id, source, game_id, user_id, received_at in rows:
        events = await db.fetch(
            "SELECT event_id FROM event_rows WHERE event_id BETWEEN $1 AND $2 ORDER BY event_id",
            *(first_event_id(batch_id), last_event_id(batch_id)),
        )
        ids = tuple(event_id for (event_id,) in events)
        return StoredBatch(batch_id, source, game_id, user_id, received_at, ids)
    return None


async def batch_names(db: Database, first: int, last: int) -> list[BatchName]:
    """See ``BatchReader.batch_names``."""
    rows = await db.fetch(
        """
        SELECT batch_id, identity, sequence, run, seq
        FROM batches JOIN journals ON journals.journal_id = batches.journal_id
        WHERE batch_id BETWEEN $1 AND $2 ORDER BY batch_id
        """,
        *(first, last),
    )
    return [BatchName(*row) for row in rows]
