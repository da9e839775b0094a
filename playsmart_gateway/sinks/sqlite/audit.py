"""What the audit takes of SQLite: temporary tables, and the statements that pay run once more."""

from functools import partial

import aiosqlite

from playsmart_gateway.event import MAX_EVENTS_PER_BATCH
from playsmart_gateway.sinks import sql_audit
from playsmart_gateway.sinks.records import Audited
from playsmart_gateway.sinks.sqlite.coins import (
    COUNT_CUSTOM,
    EARN_BY_COUNT,
    EARN_BY_LEVEL,
    TEMPORARY_TABLES,
)
from playsmart_gateway.sinks.sqlite.connection import Statements

AUDIT_TABLES = f"""
    {TEMPORARY_TABLES.strip()}
    CREATE TEMP TABLE custom_event_counts (
        player_id INTEGER NOT NULL, game_id TEXT NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (player_id, game_id)
    ) WITHOUT ROWID;
    CREATE TEMP TABLE audited (position INTEGER NOT NULL, expired INTEGER NOT NULL);
    INSERT INTO audited VALUES (0, -1);
"""  # noqa: S608 - built from our own constants
"""Those of a flush, and what ``sql_audit`` wants."""

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
_LAST_BATCH = "SELECT max(seq) FROM sqlite_sequence WHERE name = 'batches'"


async def audit_step(db: aiosqlite.Connection, max_events: int) -> Audited:
    """See ``Reader.audit``; the connection remembers how far it came."""
    ((end,),) = await db.execute_fetchall(_LAST_BATCH)
    return await sql_audit.audit_step(
        Statements(db), max_events, end=end or 0, earn=partial(_earn, db)
    )


async def _earn(db: aiosqlite.Connection, first_batch: int, last_batch: int) -> None:
    await db.execute("DELETE FROM fresh_batches")
    await db.execute("DELETE FROM earned")
    await db.execute(_LIST_BATCHES, (first_batch, last_batch))
    last_event = last_batch * MAX_EVENTS_PER_BATCH + MAX_EVENTS_PER_BATCH - 1
    for statement in (EARN_BY_LEVEL, EARN_BY_COUNT, COUNT_CUSTOM):
        await db.execute(statement, (first_batch * MAX_EVENTS_PER_BATCH, last_event))
