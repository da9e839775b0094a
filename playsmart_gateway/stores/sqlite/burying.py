"""Batches as dead letters: one that the store refuses, or many that are not as defined."""

from collections.abc import Sequence

import msgspec

from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.sql import dead_letters
from playsmart_gateway.stores.sqlite import runs
from playsmart_gateway.stores.sqlite.connection import Statements
from playsmart_gateway.stores.sqlite.inserting import extracts
from playsmart_gateway.stores.sqlite.one_go import InOneGo
from playsmart_gateway.stores.sqlite.schema import printed_time

_COLUMNS = (
    "journal", "sequence", "reason", "source", "game_id", "user_id", "received_at", "event_count",
    "rows",
)  # fmt: skip
_BURY = f"""
    INSERT INTO dead_letters ({", ".join(_COLUMNS)})
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, {printed_time("?7")}, ?8, ?9)
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - built from our own constants
_SLOTS = extracts(_COLUMNS)
_SLOTS["received_at"] = printed_time(_SLOTS["received_at"])
_SLOTS["rows"] = f"CAST({_SLOTS['rows']} AS BLOB)"
_QUARANTINE = f"""
    INSERT INTO dead_letters ({", ".join(_COLUMNS)})
    SELECT {", ".join(_SLOTS.values())} FROM json_each(?) AS letter
    WHERE NOT EXISTS (
        SELECT 1 FROM batches JOIN journals USING (journal_id)
        WHERE identity = {_SLOTS["journal"]} AND batches.sequence = {_SLOTS["sequence"]}
    )
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - built from our own constants


async def bury(db: InOneGo, batch: Batch, reason: str) -> None:
    """See ``EventSink.bury``; in a transaction that writes."""
    if batch.run:
        if await dead_letters.is_buried(Statements(db), batch):
            return
        claimed = await runs.claim(db, [batch])
        await runs.write_down(db, claimed, None)
        (batch,) = claimed.batches
        if not batch.count:  # it came as others
            return
    await db.execute(_BURY, (*_head(batch, reason), batch.rows))


async def quarantine(db: InOneGo, letters: Sequence[tuple[Batch, str]]) -> None:
    """See ``Quarantining.quarantine``; one statement for all, as each costs a turn of the GIL."""
    reasons = {batch.key: reason for batch, reason in letters}
    batches: Sequence[Batch] = [batch for batch, _ in letters]
    if any(batch.run for batch in batches):
        known = await runs.buried(db, batches)
        claimed = await runs.claim(db, [each for each in batches if each.key not in known])
        if claimed.batches:
            await runs.write_down(db, claimed, None)
        batches = [each for each in claimed.batches if each.count or not each.run]
    rows = [
        (*_head(each, reasons[each.key]), str(each.rows, "utf-8", "replace")) for each in batches
    ]
    await db.execute(_QUARANTINE, (msgspec.json.encode(rows).decode(),))


def _head(batch: Batch, reason: str) -> tuple[str | int, ...]:
    return (
        batch.journal, batch.sequence, reason, batch.source, batch.game_id, batch.user_id,
        batch.received_at, batch.count,
    )  # fmt: skip
