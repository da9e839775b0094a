"""Takes a player out of every table, in one transaction.

A batch of the player's own keeps its row, without a name and without events: it is what makes a
replay of that batch a no-op. The triggers that keep the ledger append-only are out of force only
inside the transaction, so nobody ever sees a ledger without them.
"""

import json
from contextlib import AbstractAsyncContextManager
from typing import Any

from playsmart_gateway.event import MAX_EVENTS_PER_BATCH
from playsmart_gateway.sinks.sql import Database

_OWN_BATCHES = "SELECT batch_id FROM batches WHERE user_id = $1"
_USER_NUMBER = "user_number IN (SELECT user_number FROM lynes_users WHERE user_id = $1)"
_ROLLUP_ID = "player_id IN (SELECT player_id FROM rollup_players WHERE user_id = $1)"
_PLAYER_ID = "player_id = (SELECT player_id FROM players WHERE user_id = $1)"

PERSONAL_ROWS = {
    "event_rows": f"user_id = $1 OR event_id / {MAX_EVENTS_PER_BATCH} IN ({_OWN_BATCHES})",
    "coin_entries": _PLAYER_ID,
    "custom_event_counts": _PLAYER_ID,
    "custom_event_baselines": _PLAYER_ID,
    "players": "user_id = $1",
    "app_players": "user_id = $1",
    "app_exclusions": "user_id = $1",
    "app_properties": "user_id = $1",
    "lynes_completions": _USER_NUMBER,
    "lynes_streaks": _USER_NUMBER,
    "lynes_history": _USER_NUMBER,
    "lynes_users": "user_id = $1",
    "rollup_player_days": _ROLLUP_ID,
    "rollup_player_levels": _ROLLUP_ID,
    "rollup_players": "user_id = $1",
}
"""Which rows are a player's, table by table, in an order in which they can be deleted.

Lynes' statistics and the dashboard's sums stay: they are counts, and name nobody."""

_COUNT_OTHERS = f"""
    UPDATE batches SET event_count = (
        SELECT count(*) FROM event_rows
        WHERE event_id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                       AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
        AND (user_id IS NULL OR user_id <> $1)
    )
    WHERE user_id = '' AND batch_id IN (
        SELECT event_id / {MAX_EVENTS_PER_BATCH} FROM event_rows WHERE user_id = $1
    )
"""  # noqa: S608 - built from our own constants
_FORGET_NAME = """
    UPDATE batches SET user_id = '', event_count = 0 WHERE user_id = $1 RETURNING 1
"""
_LETTERS = "SELECT journal, sequence, user_id, rows FROM dead_letters WHERE user_id IN ($1, '')"
_DROP_LETTER = "DELETE FROM dead_letters WHERE journal = $1 AND sequence = $2"
_CUT_LETTER = """
    UPDATE dead_letters SET rows = $3, event_count = $4 WHERE journal = $1 AND sequence = $2
"""


async def count(db: Database, user_id: str) -> dict[str, int]:
    """Return how many rows ``erase`` would remove or change, by table."""
    counted = {}
    for table, condition in {**PERSONAL_ROWS, "batches": "user_id = $1"}.items():
        query = f"SELECT count(*) FROM {table} WHERE {condition}"  # noqa: S608 - constants
        ((counted[table],),) = await db.fetch(query, user_id)
    counted["dead_letters"] = len(await _dead_letters(db, user_id))
    return counted


async def erase(
    db: Database, user_id: str, ledger_open: AbstractAsyncContextManager[None]
) -> dict[str, int]:
    """See ``Store.erase``; inside ``ledger_open`` the triggers of the ledger are out of force."""
    erased = {}
    await db.fetch(_COUNT_OTHERS, user_id)
    async with ledger_open:
        for table, condition in PERSONAL_ROWS.items():
            delete = f"DELETE FROM {table} WHERE {condition} RETURNING 1"  # noqa: S608 - constants
            erased[table] = len(await db.fetch(delete, user_id))
    erased["batches"] = len(await db.fetch(_FORGET_NAME, user_id))
    letters = await _dead_letters(db, user_id)
    for *name, rows in letters:
        if rows is None:
            await db.fetch(_DROP_LETTER, *name)
        else:
            text = json.dumps(rows, ensure_ascii=False).encode()
            await db.fetch(_CUT_LETTER, *name, text, len(rows))
    erased["dead_letters"] = len(letters)
    return erased


async def _dead_letters(
    db: Database, user_id: str
) -> list[tuple[str, int, list[list[Any]] | None]]:
    """Return those in which the player is, and what of each may stay; None if nothing.

    Of what cannot be read nothing stays if the id is anywhere in it.
    """
    found: list[tuple[str, int, list[list[Any]] | None]] = []
    for journal, sequence, owner, text in await db.fetch(_LETTERS, user_id):
        if owner == user_id:
            found.append((journal, sequence, None))
            continue
        try:
            rows = json.loads(text)
            others = [row for row in rows if row[5] != user_id]
        except (ValueError, LookupError, TypeError, RecursionError):
            if user_id.encode() in bytes(text):
                found.append((journal, sequence, None))
        else:
            if len(others) < len(rows):
                found.append((journal, sequence, others or None))
    return found
