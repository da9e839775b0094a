"""The table ``runs``: one statement reads what a flush needs of it, one writes it."""

from collections.abc import Sequence

import asyncpg

from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.runs import Claimed, decide, keys_of, require_unburied, says_more
from playsmart_gateway.stores.sql.runs import client_ids

_READ = "SELECT run, next, missing FROM runs WHERE run = ANY($1)"
_READ_MORE = "SELECT run, next, missing, client_id, offset_ms FROM runs WHERE run = ANY($1)"
_WRITE = """
    INSERT INTO runs (run, next, missing, duplicates, batch_id, seen_at)
    SELECT run, next, missing, duplicates, $6 + place, $7
    FROM unnest($1::bytea[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[])
        AS claimed (run, next, missing, duplicates, place)
    ON CONFLICT (run) DO UPDATE SET
        next = excluded.next, missing = excluded.missing,
        duplicates = runs.duplicates + excluded.duplicates,
        batch_id = coalesce(excluded.batch_id, runs.batch_id),
        seen_at = greatest(runs.seen_at, excluded.seen_at)
"""
_TELL = """
    UPDATE runs SET client_id = coalesce(told.client_id, runs.client_id),
                    offset_ms = coalesce(told.offset_ms, runs.offset_ms)
    FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) AS told (run, client_id, offset_ms)
    WHERE runs.run = told.run
"""
_BURIED = """
    SELECT journal, sequence FROM dead_letters
    WHERE (journal, sequence) IN (SELECT * FROM unnest($1::text[], $2::bigint[]))
"""


async def claim(db: asyncpg.Connection, batches: Sequence[Batch]) -> Claimed:
    """Return what is new of batches whose names are not known yet; nothing is written.

    Raises:
        SinkRejected: one of them is a dead letter.
    """
    keys = keys_of(batches)
    if not keys:
        return Claimed(batches)
    query = _READ_MORE if says_more(batches) else _READ
    claimed = decide(batches, await db.fetch(query, keys))
    if cut := claimed.cut:
        require_unburied(cut, await buried(db, cut))
    return claimed


async def buried(db: asyncpg.Connection, batches: Sequence[Batch]) -> set[tuple[str, int]]:
    """Return the names of those that are dead letters."""
    names = [each.journal for each in batches], [each.sequence for each in batches]
    return {(journal, sequence) for journal, sequence in await db.fetch(_BURIED, *names)}


async def write_down(db: asyncpg.Connection, claimed: Claimed, first_id: int | None) -> None:
    """Write what was claimed; the batches are stored from ``first_id`` on, or not at all."""
    if claimed.runs:
        columns = [list(column) for column in zip(*claimed.runs, strict=True)]
        await db.execute(_WRITE, *columns, first_id, claimed.seen_at)
    if told := claimed.told:
        ids = await client_ids(db, told)
        keys, clients, offsets = zip(*told, strict=True)
        await db.execute(_TELL, keys, [ids.get(client) for client in clients], offsets)
