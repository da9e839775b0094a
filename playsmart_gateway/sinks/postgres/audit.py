"""What the audit takes of PostgreSQL: temporary tables, and what pays computed once more."""

from functools import partial

import asyncpg

from playsmart_gateway.sinks import sql_audit
from playsmart_gateway.sinks.postgres.coins import EARNING, RECOUNTED
from playsmart_gateway.sinks.records import Audited

AUDIT = "BEGIN ISOLATION LEVEL REPEATABLE READ"
"""A step sees one moment; it writes temporary tables, and the first one makes them."""

_TABLES = """
    CREATE TEMP TABLE audited (position bigint NOT NULL, expired bigint NOT NULL);
    INSERT INTO audited VALUES (0, -1);
    CREATE TEMP TABLE custom_event_counts (
        player_id bigint NOT NULL, game_id text COLLATE "C" NOT NULL, count bigint NOT NULL,
        PRIMARY KEY (player_id, game_id)
    );
    CREATE TEMP TABLE earned (
        event_id bigint PRIMARY KEY, player_id bigint, trigger smallint, amount bigint
    ) ON COMMIT DELETE ROWS;
"""
_EARN = f"""
    WITH fresh AS MATERIALIZED (
        SELECT batch_id, game_id, player_id, 0 AS coins_balance, coalesce(count, 0) AS counted,
               min_amount, max_amount, level_millionths, trigger_threshold, trigger_millionths
        FROM batches CROSS JOIN LATERAL (
            SELECT min_amount, max_amount, level_millionths, trigger_threshold, trigger_millionths
            FROM game_rules
            WHERE game_rules.game_id = batches.game_id AND since_batch_id <= batch_id
            ORDER BY rule_id DESC LIMIT 1
        ) AS rule
        CROSS JOIN LATERAL (
            SELECT player_id FROM players WHERE players.user_id = batches.user_id OFFSET 0
        ) AS player
        LEFT JOIN LATERAL (
            SELECT count FROM custom_event_counts AS so_far
            WHERE so_far.player_id = player.player_id AND so_far.game_id = batches.game_id OFFSET 0
        ) AS so_far ON true
        WHERE batch_id BETWEEN $1 AND $2 AND source = 'playsmart'
    ), {EARNING}, {RECOUNTED}
    INSERT INTO pg_temp.earned
    SELECT event_id, player_id, trigger, amount FROM earned WHERE amount > 0
"""  # noqa: S608 - built from our own constants


async def audit_step(db: asyncpg.Connection, max_events: int) -> Audited:
    """See ``Reader.audit``; the connection remembers how far it came."""
    if await db.fetchval("SELECT to_regclass('pg_temp.audited') IS NULL"):
        await db.execute(_TABLES)
    end = await db.fetchval("SELECT last_batch_id FROM batch_counter")
    return await sql_audit.audit_step(db, max_events, end=end, earn=partial(db.execute, _EARN))
