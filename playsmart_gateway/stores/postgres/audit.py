"""What the audit takes of PostgreSQL: temporary tables, and what pays computed once more."""

from functools import partial

import asyncpg

from playsmart_gateway.events.batch import MAX_EVENTS_PER_BATCH, PLAYSMART
from playsmart_gateway.stores.models import Audited
from playsmart_gateway.stores.postgres.coins import (
    DAY,
    EARNING,
    RECOUNTED,
)
from playsmart_gateway.stores.sql import audit as sql_audit

AUDIT = "BEGIN ISOLATION LEVEL REPEATABLE READ"
"""A step sees one moment; it writes temporary tables, and the first one makes them."""

_TABLES = """
    CREATE TEMP TABLE audited (position bigint NOT NULL, expired bigint NOT NULL);
    INSERT INTO audited VALUES (0, -1);
    CREATE TEMP TABLE custom_event_counts (
        player_id bigint NOT NULL, game_id text COLLATE "C" NOT NULL, count bigint NOT NULL,
        PRIMARY KEY (player_id, game_id)
    );
    CREATE TEMP TABLE coin_days (
        player_id bigint NOT NULL, game_id text COLLATE "C" NOT NULL, day text COLLATE "C" NOT NULL,
        coins bigint NOT NULL, PRIMARY KEY (player_id, game_id, day)
    );
    CREATE TEMP TABLE earned (
        event_id bigint PRIMARY KEY, player_id bigint, trigger smallint, amount bigint
    ) ON COMMIT DELETE ROWS;
"""
_EARN = f"""
    WITH fresh AS MATERIALIZED (
        SELECT batch_id, game_id, player_id, 0 AS coins_balance, coalesce(count, 0) AS counted,
               min_amount, max_amount, level_millionths, trigger_threshold, trigger_millionths,
               max_per_day, CASE WHEN max_per_day > 0 THEN {DAY} END AS day
        FROM batches CROSS JOIN LATERAL (
            SELECT min_amount, max_amount, level_millionths, trigger_threshold, trigger_millionths,
                   max_per_day
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
        WHERE batch_id BETWEEN $1 AND $2 AND source = '{PLAYSMART}'
    ), {EARNING}, {RECOUNTED}, paid AS MATERIALIZED (
        SELECT id AS event_id, coin_entries.player_id, fresh.game_id, max_per_day, day, amount
        FROM coin_entries JOIN fresh ON batch_id = id / {MAX_EVENTS_PER_BATCH}
        WHERE id BETWEEN $1 * {MAX_EVENTS_PER_BATCH}
                 AND $2 * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
        AND trigger IS NOT NULL AND day IS NOT NULL
    ), leaving AS MATERIALIZED (
        SELECT event_id, max_per_day - coalesce(coins, 0) - coalesce(sum(amount) OVER (
                   PARTITION BY player_id, game_id, day ORDER BY event_id
                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
               ), 0)::bigint AS left_of_cap
        FROM (
            SELECT event_id, player_id, game_id, max_per_day, day, sum(amount) AS amount FROM (
                SELECT event_id, player_id, game_id, max_per_day, day, 0 AS amount
                FROM due WHERE day IS NOT NULL
                UNION ALL
                SELECT * FROM paid
            ) AS both_of_them GROUP BY event_id, player_id, game_id, max_per_day, day
        ) AS one_by_one LEFT JOIN coin_days AS so_far USING (player_id, game_id, day)
    ), spent AS (
        INSERT INTO coin_days AS known (player_id, game_id, day, coins)
        SELECT player_id, game_id, day, sum(amount)::bigint FROM paid
        GROUP BY player_id, game_id, day
        ON CONFLICT (player_id, game_id, day) DO UPDATE SET coins = known.coins + excluded.coins
    ), entered AS (
        INSERT INTO pg_temp.earned
        SELECT event_id, player_id, trigger, least(amount, left_of_cap)
        FROM due LEFT JOIN leaving USING (event_id)
        WHERE amount > 0 AND coalesce(left_of_cap, amount) > 0
    )
    SELECT count(*) FROM due JOIN leaving USING (event_id) WHERE amount > left_of_cap
"""  # noqa: S608 - built from our own constants


async def audit_step(db: asyncpg.Connection, max_events: int) -> Audited:
    """See ``Reader.audit``; the connection remembers how far it came."""
    if await db.fetchval("SELECT to_regclass('pg_temp.audited') IS NULL"):
        await db.execute(_TABLES)
    end = await db.fetchval("SELECT last_batch_id FROM batch_counter")
    return await sql_audit.audit_step(db, max_events, end=end, earn=partial(db.fetchval, _EARN))
