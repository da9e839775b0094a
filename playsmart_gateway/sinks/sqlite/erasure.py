"""Takes a player out of every table, in one transaction.

A batch of the player's own keeps its row, without a name and without events: it is what makes a
replay of that batch a no-op. Deleted content is overwritten (``secure_delete``), and closing the
file empties the write-ahead log. The triggers that keep the ledger append-only are taken away and
put back inside the transaction, so nobody ever sees a ledger without them.
"""

import json

import aiosqlite

from playsmart_gateway.event import MAX_EVENTS_PER_BATCH

_OWN_BATCHES = "SELECT batch_id FROM batches WHERE user_id = :user"
_USER_NUMBER = "user_number IN (SELECT user_number FROM lynes_users WHERE user_id = :user)"
_ROLLUP_ID = "player_id IN (SELECT player_id FROM rollup_players WHERE user_id = :user)"
_PLAYER_ID = "player_id = (SELECT player_id FROM players WHERE user_id = :user)"

PERSONAL_ROWS = {
    "event_rows": f"user_id = :user OR event_id / {MAX_EVENTS_PER_BATCH} IN ({_OWN_BATCHES})",
    "coin_entries": _PLAYER_ID,
    "custom_event_counts": _PLAYER_ID,
    "custom_event_baselines": _PLAYER_ID,
    "players": "user_id = :user",
    "app_players": "user_id = :user",
    "app_exclusions": "user_id = :user",
    "app_properties": "user_id = :user",
    "lynes_completions": _USER_NUMBER,
    "lynes_streaks": _USER_NUMBER,
    "lynes_history": _USER_NUMBER,
    "lynes_users": "user_id = :user",
    "rollup_player_days": _ROLLUP_ID,
    "rollup_player_levels": _ROLLUP_ID,
    "rollup_players": "user_id = :user",
}
"""Which rows are a player's, table by table, in an order in which they can be deleted.

Lynes' statistics and the dashboard's sums stay: they are counts, and name nobody."""

_COUNT_OTHERS = f"""
    UPDATE batches SET event_count = (
        SELECT count(*) FROM event_rows
        WHERE event_id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                       AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
        AND user_id IS NOT :user
    )
    WHERE user_id = '' AND batch_id IN (
        SELECT event_id / {MAX_EVENTS_PER_BATCH} FROM event_rows WHERE user_id = :user
    )
"""  # noqa: S608 - built from our own constants
_FORGET_NAME = "UPDATE batches SET user_id = '', event_count = 0 WHERE user_id = :user"
_TRIGGERS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?"


async def erase(db: aiosqlite.Connection, user_id: str, *, dry_run: bool) -> dict[str, int]:
    """See ``Store.erase``."""
    whose = {"user": user_id}
    erased = {}
    if dry_run:
        for table, condition in {**PERSONAL_ROWS, "batches": "user_id = :user"}.items():
            query = f"SELECT count(*) FROM {table} WHERE {condition}"  # noqa: S608 - constants
            ((erased[table],),) = await db.execute_fetchall(query, whose)
        erased["dead_letters"] = len(await _dead_letters(db, user_id))
        return erased
    await db.execute("PRAGMA secure_delete = ON")
    await db.execute(_COUNT_OTHERS, whose)
    triggers = list(await db.execute_fetchall(_TRIGGERS, ("coin_entries",)))
    for name, _ in triggers:
        await db.execute(f"DROP TRIGGER {name}")
    for table, condition in PERSONAL_ROWS.items():
        cursor = await db.execute(
            f"DELETE FROM {table} WHERE {condition}",  # noqa: S608 - built from our own constants
            whose,
        )
        erased[table] = cursor.rowcount
    for _, sql in triggers:
        await db.execute(sql)
    erased["batches"] = (await db.execute(_FORGET_NAME, whose)).rowcount
    letters = await _dead_letters(db, user_id)
    for rowid, rows in letters:
        if rows is None:
            await db.execute("DELETE FROM dead_letters WHERE rowid = ?", (rowid,))
        else:
            await db.execute(
                "UPDATE dead_letters SET rows = ?, event_count = ? WHERE rowid = ?",
                (json.dumps(rows, ensure_ascii=False).encode(), len(rows), rowid),
            )
    erased["dead_letters"] = len(letters)
    return erased


async def _dead_letters(
    db: aiosqlite.Connection, user_id: str
) -> list[tuple[int, list[list[object]] | None]]:
    """Return those in which the player is, and what of each may stay; None if nothing.

    Of what cannot be read nothing stays if the id is anywhere in it.
    """
    found: list[tuple[int, list[list[object]] | None]] = []
    query = "SELECT rowid, user_id, rows FROM dead_letters WHERE user_id IN (?, '')"
    for rowid, owner, text in await db.execute_fetchall(query, (user_id,)):
        if owner == user_id:
            found.append((rowid, None))
            continue
        try:
            rows = json.loads(text)
            others = [row for row in rows if row[5] != user_id]
        except (ValueError, LookupError, TypeError, RecursionError):
            if user_id.encode() in bytes(text):
                found.append((rowid, None))
        else:
            if len(others) < len(rows):
                found.append((rowid, others or None))
    return found
