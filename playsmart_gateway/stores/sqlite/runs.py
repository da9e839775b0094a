"""The table ``runs``: one statement reads what a flush needs of it, one writes it.

Of what is told beside the numbers (see ``ToldRun``) most is known after the first batch of a run;
what is not costs two more statements.

Keys are sorted, so that pages are visited in their order, and travel as one piece with the numbers,
``_RECORD_BYTES`` a run: to take a JSON array of arrays apart would cost half as much again.
"""

from collections.abc import Sequence

import aiosqlite
import msgspec

from playsmart_gateway.events.batch import RUN_KEY_BYTES, Batch
from playsmart_gateway.stores.runs import Claimed, decide, keys_of, require_unburied, says_more
from playsmart_gateway.stores.sql.runs import client_ids
from playsmart_gateway.stores.sqlite.connection import Statements

_KNOWN = f"""
    FROM runs WHERE run IN (
        SELECT substr(?1, 1 + {RUN_KEY_BYTES} * key, {RUN_KEY_BYTES}) FROM json_each(?2)
    )
"""  # noqa: S608 - built from our own constants
_READ = f"SELECT run, next, missing {_KNOWN}"
_READ_MORE = f"SELECT run, next, missing, client_id, offset_ms {_KNOWN}"
_RECORD = b"%b%16d%10d%10d"
_NO_PLACE = -1
_RECORD_BYTES = RUN_KEY_BYTES + 36


def _number(start: int, digits: int) -> str:
    return f"CAST(substr(?1, {start + 1} + {_RECORD_BYTES} * key, {digits}) AS INTEGER)"


_WRITE = f"""
    INSERT INTO runs (run, next, missing, duplicates, batch_id, seen_at)
    SELECT substr(?1, 1 + {_RECORD_BYTES} * key, {RUN_KEY_BYTES}),
           {_number(RUN_KEY_BYTES, 16)}, atom, {_number(RUN_KEY_BYTES + 16, 10)},
           ?3 + nullif({_number(RUN_KEY_BYTES + 26, 10)}, {_NO_PLACE}), ?4
    FROM json_each(?2) WHERE true
    ON CONFLICT DO UPDATE SET
        next = excluded.next, missing = excluded.missing,
        duplicates = duplicates + excluded.duplicates,
        batch_id = ifnull(excluded.batch_id, batch_id), seen_at = max(seen_at, excluded.seen_at)
"""  # noqa: S608 - built from our own constants
_TELL = f"""
    UPDATE runs SET client_id = ifnull(told.client_id, runs.client_id),
                    offset_ms = ifnull(told.offset_ms, runs.offset_ms)
    FROM (SELECT substr(?1, 1 + {RUN_KEY_BYTES} * key, {RUN_KEY_BYTES}) AS run,
                 value ->> 0 AS client_id,
                 value ->> 1 AS offset_ms
          FROM json_each(?2)) AS told
    WHERE runs.run = told.run
"""  # noqa: S608 - built from our own constants
_BURIED = "SELECT sequence FROM dead_letters WHERE journal = ? AND sequence BETWEEN ? AND ?"


async def claim(db: aiosqlite.Connection, batches: Sequence[Batch]) -> Claimed:
    """Return what is new of batches whose names are not known yet; nothing is written.

    Raises:
        SinkRejected: one of them is a dead letter.
    """
    keys = keys_of(batches)
    if not keys:
        return Claimed(batches)
    places = f"[{','.join('0' * len(keys))}]"
    query = _READ_MORE if says_more(batches) else _READ
    known = await db.execute_fetchall(query, (b"".join(keys), places))
    claimed = decide(batches, list(known))
    if claimed.cut:
        require_unburied(claimed.cut, await buried(db, claimed.cut))
    return claimed


async def write_down(db: aiosqlite.Connection, claimed: Claimed, first_id: int | None) -> None:
    """Write what was claimed; the batches are stored from ``first_id`` on, or not at all."""
    if not claimed.runs:
        return
    records = [
        _RECORD % (key, number, twice, _NO_PLACE if place is None else place)
        for key, number, _, twice, place in claimed.runs
    ]
    missing = msgspec.json.encode([run.missing for run in claimed.runs]).decode()
    await db.execute(_WRITE, (b"".join(records), missing, first_id, claimed.seen_at))
    if told := claimed.told:
        ids = await client_ids(Statements(db), told)
        keys = b"".join([run.key for run in told])
        facts = [(ids.get(run.client), run.offset_ms) for run in told]
        await db.execute(_TELL, (keys, msgspec.json.encode(facts).decode()))


async def buried(db: aiosqlite.Connection, batches: Sequence[Batch]) -> set[tuple[str, int]]:
    """Return names of dead letters, those of the batches among them."""
    found = set()
    for journal in {batch.journal for batch in batches}:
        numbers = [batch.sequence for batch in batches if batch.journal == journal]
        rows = await db.execute_fetchall(_BURIED, (journal, min(numbers), max(numbers)))
        found |= {(journal, sequence) for (sequence,) in rows}
    return found
