"""What was buried, and how it is read: the same in every store that speaks SQL."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.sessions import kind_told_by
from playsmart_gateway.stores.models import DeadLetter
from playsmart_gateway.stores.sql.database import Database

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Printed = Callable[[str], str]
"""Returns SQL that prints the time in a column."""


async def buried(db: Database, printed: Printed) -> list[DeadLetter]:
    """See ``DeadLetterReader.buried``."""
    rows = await db.fetch(
        f"""
        SELECT journal, sequence, reason, source, game_id, user_id, {printed("received_at")},
               event_count, length(rows), {printed("buried_at")}
        FROM dead_letters ORDER BY received_at, journal, sequence
        """  # noqa: S608 - built from our own constants
    )
    return [DeadLetter(*row) for row in rows]


async def newest_buried(
    db: Database, printed: Printed, row: str, limit: int, game_id: str | None, reason: str | None
) -> list[DeadLetter]:
    """See ``DeadLetterReader.newest_buried``; ``row`` is what the store calls the place of a row.

    Which ones they are is found without their contents, which may be very much.
    """
    rows = await db.fetch(
        f"""
        SELECT journal, sequence, reason, source, game_id, user_id, {printed("received_at")},
               event_count, length(rows), {printed("buried_at")}
        FROM dead_letters WHERE {row} IN (
            SELECT {row} FROM dead_letters
            WHERE (CAST($2 AS TEXT) IS NULL OR game_id = $2)
              AND (CAST($3 AS TEXT) IS NULL OR reason = $3)
            ORDER BY buried_at DESC LIMIT $1
        ) ORDER BY buried_at DESC, journal, sequence DESC
        """,  # noqa: S608 - built from our own constants
        *(limit, game_id, reason),
    )
    return [DeadLetter(*each) for each in rows]


async def buried_batch(db: Database, printed: Printed, journal: str, sequence: int) -> Batch | None:
    """See ``DeadLetterReader.buried_batch``."""
    rows = await db.fetch(
        f"""
        SELECT source, game_id, user_id, event_count, rows, {printed("received_at")}
        FROM dead_letters WHERE journal = $1 AND sequence = $2
        """,  # noqa: S608 - built from our own constants
        *(journal, sequence),
    )
    for source, game_id, user_id, count, content, received_at in rows:
        received = (datetime.fromisoformat(received_at) - _EPOCH) // timedelta(microseconds=1)
        rows_sent = content.encode() if isinstance(content, str) else bytes(content)
        kind = kind_told_by(source, rows_sent)
        return Batch(source, game_id, user_id, count, rows_sent, journal, sequence, received, kind)
    return None


async def is_buried(db: Database, batch: Batch) -> bool:
    """Whether a batch is a dead letter already."""
    query = "SELECT 1 FROM dead_letters WHERE journal = $1 AND sequence = $2"
    return bool(await db.fetch(query, *batch.key))


async def unbury(db: Database, journal: str, sequence: int) -> None:
    """Remove a dead letter, in the transaction that stores its batch."""
    await db.fetch("DELETE FROM dead_letters WHERE journal = $1 AND sequence = $2 RETURNING 1",
                   journal, sequence)  # fmt: skip
