"""What the audit takes of SQLite: temporary tables, and the statements that pay run once more."""

from functools import partial

import aiosqlite

from playsmart_gateway.events.batch import (
    MAX_EVENTS_PER_BATCH,
    PLAYSMART,
    first_event_id,
    last_event_id,
)
from playsmart_gateway.stores.models import Audited
from playsmart_gateway.stores.sql import audit as sql_audit
from playsmart_gateway.stores.sqlite.coins import (
    COUNT_CUSTOM,
    DROP_UNPAID,
    EARN_BY_COUNT,
    EARN_BY_LEVEL,
    TEMPORARY_TABLES,
)
from playsmart_gateway.stores.sqlite.connection import Statements

AUDIT_TABLES = f"""
    {TEMPORARY_TABLES.strip()}
    CREATE TEMP TABLE custom_event_counts (
        player_id INTEGER NOT NULL, game_id TEXT NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (player_id, game_id)
    ) WITHOUT ROWID;
    CREATE TEMP TABLE coin_days (
        player_id INTEGER NOT NULL, game_id TEXT NOT NULL, day TEXT NOT NULL,
        coins INTEGER NOT NULL, PRIMARY KEY (player_id, game_id, day)
    ) WITHOUT ROWID;
    CREATE TEMP TABLE audited (position INTEGER NOT NULL, expired INTEGER NOT NULL);
    INSERT INTO audited VALUES (0, -1);
"""  # noqa: S608 - built from our own constants
"""Those of a flush, and what ``sql_audit`` wants."""

_LIST_BATCHES = f"""
    INSERT INTO fresh_batches
    SELECT batch_id, player_id, game_id, min_amount, max_amount, level_millionths,
           trigger_threshold, trigger_millionths, max_per_day,
           iif(max_per_day > 0, substr(received_at, 1, 10), NULL), 0
    FROM batches CROSS JOIN player_names USING (user_id) CROSS JOIN game_rules USING (game_id)
    WHERE batch_id BETWEEN ? AND ? AND source = '{PLAYSMART}' AND rule_id = (
        SELECT max(rule_id) FROM game_rules AS known
        WHERE known.game_id = batches.game_id AND since_batch_id <= batch_id
    )
"""  # noqa: S608 - built from our own constants
_IS_CAPPED = "SELECT EXISTS (SELECT 1 FROM fresh_batches WHERE day IS NOT NULL)"
_DUE = f"""
    SELECT event_id, earned.player_id, game_id, max_per_day, day, 0 AS paid
    FROM earned CROSS JOIN fresh_batches ON batch_id = event_id / {MAX_EVENTS_PER_BATCH}
    WHERE day IS NOT NULL
"""  # noqa: S608 - built from our own constants
_PAID = f"""
    SELECT id AS event_id, coin_entries.player_id, game_id, max_per_day, day, amount AS paid
    FROM coin_entries CROSS JOIN fresh_batches ON batch_id = id / {MAX_EVENTS_PER_BATCH}
    WHERE id BETWEEN ?1 AND ?2 AND trigger IS NOT NULL AND day IS NOT NULL
"""  # noqa: S608 - built from our own constants
_CAP_BY_LEDGER = f"""
    UPDATE earned SET amount = max(0, min(amount, max_per_day - paid)) FROM (
        SELECT event_id AS which, max_per_day, ifnull(coins, 0) + ifnull(sum(paid) OVER (
                   PARTITION BY player_id, game_id, day ORDER BY event_id
                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
               ), 0) AS paid
        FROM (
            SELECT event_id, player_id, game_id, max_per_day, day, sum(paid) AS paid
            FROM ({_DUE} UNION ALL {_PAID}) GROUP BY event_id
        ) LEFT JOIN coin_days USING (player_id, game_id, day)
    ) WHERE place = 0 AND event_id = which AND amount > max_per_day - paid
"""  # noqa: S608 - built from our own constants
_COUNT_PAID = f"""
    INSERT INTO coin_days (player_id, game_id, day, coins)
    SELECT player_id, game_id, day, sum(paid) FROM ({_PAID}) WHERE true
    GROUP BY player_id, game_id, day
    ON CONFLICT DO UPDATE SET coins = coins + excluded.coins
"""  # noqa: S608 - built from our own constants
_LAST_BATCH = "SELECT max(seq) FROM sqlite_sequence WHERE name = 'batches'"


async def audit_step(db: aiosqlite.Connection, max_events: int) -> Audited:
    """See ``Reader.audit``; the connection remembers how far it came."""
    ((end,),) = await db.execute_fetchall(_LAST_BATCH)
    return await sql_audit.audit_step(
        Statements(db), max_events, end=end or 0, earn=partial(_earn, db)
    )


async def _earn(db: aiosqlite.Connection, first_batch: int, last_batch: int) -> int:
    await db.execute("DELETE FROM fresh_batches")
    await db.execute("DELETE FROM earned")
    await db.execute(_LIST_BATCHES, (first_batch, last_batch))
    last_event = last_event_id(last_batch)
    events = (first_event_id(first_batch), last_event)
    for statement in (EARN_BY_LEVEL, EARN_BY_COUNT, COUNT_CUSTOM):
        await db.execute(statement, events)
    ((is_capped,),) = await db.execute_fetchall(_IS_CAPPED)
    if not is_capped:
        return 0
    capped = (await db.execute(_CAP_BY_LEDGER, events)).rowcount
    await db.execute(DROP_UNPAID)
    await db.execute(_COUNT_PAID, events)
    return capped
