"""The audit of the coins, a step at a time, so that any store can be checked beside ingest.

What an event should have earned is computed once more, by the statements that pay, from the stored
events and the rules that ``game_rules`` says were in force; custom events are counted from the very
first one. (That those statements pay what the contract says is for the tests, which compare them
with plain Python.) Then every grant must be there once and be right, no other may be there, each
player's entries must form a chain that begins at 0, and its end must be the balance. So the sum of
a player's amounts is the balance.

Events may only be missing where ``retention`` says that it deleted them, and custom events that it
deleted are counted by what it wrote down. After each of its deletions the audit begins anew.

Everything is keyed by batch ids, which also order the ledger; one step looks at one range of them
in one read transaction.
"""

import aiosqlite

from playsmart_gateway.event import MAX_EVENTS_PER_BATCH
from playsmart_gateway.rewards import CUSTOM, LEVEL_COMPLETED
from playsmart_gateway.sinks.base import Audited, Violation
from playsmart_gateway.sinks.sqlite.coins import (
    COUNT_CUSTOM,
    EARN_BY_COUNT,
    EARN_BY_LEVEL,
    TEMPORARY_TABLES,
)
from playsmart_gateway.sinks.sqlite.schema import LEVEL_COMPLETE

MAX_VIOLATIONS = 1_000
"""Of each kind in one step; one is too many already."""

AUDIT_TABLES = f"""
    {TEMPORARY_TABLES.strip()}
    CREATE TEMP TABLE custom_event_counts (
        player_id INTEGER NOT NULL, game_id TEXT NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (player_id, game_id)
    ) WITHOUT ROWID;
    CREATE TEMP TABLE audited (position INTEGER NOT NULL, expired INTEGER NOT NULL);
    INSERT INTO audited VALUES (0, -1);
"""  # noqa: S608 - built from our own constants
"""Those of a flush, and custom events counted anew: the name hides the store's own counts."""

_LIST_BATCHES = """
    INSERT INTO fresh_batches
    SELECT batch_id, player_id, game_id, min_amount, max_amount, level_millionths,
           trigger_threshold, trigger_millionths
    FROM batches CROSS JOIN players USING (user_id) CROSS JOIN game_rules USING (game_id)
    WHERE batch_id BETWEEN ? AND ? AND source = 'playsmart' AND rule_id = (
        SELECT max(rule_id) FROM game_rules AS known
        WHERE known.game_id = batches.game_id AND since_batch_id <= batch_id
    )
"""
_CHECKS = {
    "missing_grant": """
        SELECT 'event ' || event_id || ' should have earned ' || earned.amount
        FROM earned LEFT JOIN coin_entries ON id = event_id WHERE id IS NULL
    """,
    "wrong_grant": """
        SELECT 'event ' || event_id || ' earned ' || coin_entries.amount || ', not '
               || earned.amount
        FROM earned CROSS JOIN coin_entries ON id = event_id
        WHERE (earned.player_id, earned.trigger, earned.amount)
              IS NOT (coin_entries.player_id, coin_entries.trigger, coin_entries.amount)
    """,
    "unearned_grant": f"""
        SELECT 'entry ' || id || ' of ' || amount || ' has no event that earned it'
        FROM coin_entries WHERE id BETWEEN :first AND :last AND trigger IS NOT NULL
        AND id NOT IN (SELECT event_id FROM earned)
        AND (
            EXISTS (SELECT 1 FROM event_rows WHERE event_id = id)
            OR NOT EXISTS (
                SELECT 1 FROM batches CROSS JOIN expired_events USING (game_id)
                WHERE batches.batch_id = id / {MAX_EVENTS_PER_BATCH}
                AND batches.batch_id <= expired_events.batch_id
                AND type = iif(trigger = {LEVEL_COMPLETE}, '{LEVEL_COMPLETED}', '{CUSTOM}')
            )
        )
    """,  # noqa: S608 - built from our own constants
    "broken_chain": """
        SELECT 'entry ' || id || ' does not begin at the balance before it'
        FROM coin_entries AS entry
        WHERE id BETWEEN :first AND :last AND balance_after - amount <> ifnull((
            SELECT balance_after FROM coin_entries AS earlier
            WHERE earlier.player_id = entry.player_id AND earlier.id < entry.id
            ORDER BY earlier.id DESC LIMIT 1
        ), 0)
    """,
    "wrong_balance": f"""
        SELECT 'player ' || user_id || ' has ' || coins_balance || ', not what the ledger ends with'
        FROM players WHERE player_id IN (
            SELECT player_id FROM coin_entries WHERE id BETWEEN :first AND :last
            UNION
            SELECT player_id FROM batches CROSS JOIN players USING (user_id)
            WHERE source = 'playsmart'
            AND batch_id BETWEEN :first / {MAX_EVENTS_PER_BATCH} AND :last / {MAX_EVENTS_PER_BATCH}
        ) AND coins_balance <> ifnull((
            SELECT balance_after FROM coin_entries
            WHERE coin_entries.player_id = players.player_id ORDER BY id DESC LIMIT 1
        ), 0)
    """,  # noqa: S608 - built from our own constants
}
"""Kind by kind, what is wrong with the events and entries from ``:first`` to ``:last``."""


async def audit_step(db: aiosqlite.Connection, max_events: int) -> Audited:
    """Check the next ``max_events`` events or so; the connection remembers how far it came."""
    expired = await _number(db, "SELECT sum(batch_id) FROM expired_events")
    if expired != await _number(db, "SELECT expired FROM audited"):
        await db.execute("UPDATE audited SET position = 0, expired = ?", (expired,))
        await db.execute("DELETE FROM temp.custom_event_counts")
        await db.execute(
            "INSERT INTO temp.custom_event_counts SELECT * FROM custom_event_baselines"
        )
    start = await _number(db, "SELECT position FROM audited")
    end = await _number(db, "SELECT max(seq) FROM sqlite_sequence WHERE name = 'batches'")
    nothing_paid = (
        "SELECT NOT EXISTS (SELECT 1 FROM game_rules) AND NOT EXISTS (SELECT 1 FROM coin_entries)"
    )
    if await _number(db, nothing_paid):
        position = end
    else:
        beyond = (
            f"SELECT event_id / {MAX_EVENTS_PER_BATCH} FROM event_rows"  # noqa: S608 - constants
            f" WHERE event_id >= {(start + 1) * MAX_EVENTS_PER_BATCH}"
            f" ORDER BY event_id LIMIT 1 OFFSET {max_events}"
        )
        position = await _number(db, beyond) or end
    violations = await _check(db, start + 1, position) if position > start else []
    await db.execute("UPDATE audited SET position = ?", (position,))
    return Audited(start, position, end, tuple(violations))


async def _check(db: aiosqlite.Connection, first_batch: int, last_batch: int) -> list[Violation]:
    events = {
        "first": first_batch * MAX_EVENTS_PER_BATCH,
        "last": last_batch * MAX_EVENTS_PER_BATCH + MAX_EVENTS_PER_BATCH - 1,
    }
    await db.execute("DELETE FROM fresh_batches")
    await db.execute("DELETE FROM earned")
    await db.execute(_LIST_BATCHES, (first_batch, last_batch))
    for statement in (EARN_BY_LEVEL, EARN_BY_COUNT, COUNT_CUSTOM):
        await db.execute(statement, tuple(events.values()))
    violations = []
    for kind, check in _CHECKS.items():
        rows = await db.execute_fetchall(f"{check} LIMIT {MAX_VIOLATIONS}", events)
        violations += [Violation(kind, text) for (text,) in rows]
    return violations


async def _number(db: aiosqlite.Connection, query: str) -> int:
    for (number,) in await db.execute_fetchall(query):
        return int(number or 0)
    return 0
