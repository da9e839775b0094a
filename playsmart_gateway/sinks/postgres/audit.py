"""The audit of the coins, a step at a time, so that any store can be checked beside ingest.

What an event should have earned is computed once more, as ``coins`` pays it, from the stored events
and the rules that ``game_rules`` says were in force; custom events are counted from the very first
one, in a temporary table that hides the store's own counts. What is compared then, and why, is as
in ``sqlite.audit``: every grant must be there once and be right, no other may be there, and each
player's entries must form a chain from 0 to the balance.
"""

import asyncpg

from playsmart_gateway.event import MAX_EVENTS_PER_BATCH
from playsmart_gateway.rewards import CUSTOM, LEVEL_COMPLETED
from playsmart_gateway.sinks.base import Audited, Violation
from playsmart_gateway.sinks.postgres.coins import EARNING, RECOUNTED
from playsmart_gateway.sinks.postgres.schema import LEVEL_COMPLETE

AUDIT = "BEGIN ISOLATION LEVEL REPEATABLE READ"
"""A step sees one moment; it writes temporary tables, of which the first one makes some."""

MAX_VIOLATIONS = 1_000
"""Of each kind in one step; one is too many already."""

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
_EXPIRED = "SELECT coalesce(sum(batch_id), 0)::bigint FROM expired_events"
_NOTHING_PAID = """
    SELECT NOT EXISTS (SELECT 1 FROM game_rules) AND NOT EXISTS (SELECT 1 FROM coin_entries)
"""
_BEYOND = f"""
    SELECT event_id / {MAX_EVENTS_PER_BATCH} FROM event_rows
    WHERE event_id >= $1 ORDER BY event_id LIMIT 1 OFFSET $2
"""  # noqa: S608 - built from our own constants
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
_CHECKS = {
    "missing_grant": """
        SELECT 'event ' || event_id || ' should have earned ' || earned.amount
        FROM earned LEFT JOIN coin_entries ON id = event_id
        WHERE id IS NULL AND event_id BETWEEN $1 AND $2
    """,
    "wrong_grant": """
        SELECT 'event ' || event_id || ' earned ' || coin_entries.amount || ', not '
               || earned.amount
        FROM earned JOIN coin_entries ON id = event_id
        WHERE event_id BETWEEN $1 AND $2 AND (earned.player_id, earned.trigger, earned.amount)
              IS DISTINCT FROM (coin_entries.player_id, coin_entries.trigger, coin_entries.amount)
    """,
    "unearned_grant": f"""
        SELECT 'entry ' || id || ' of ' || amount || ' has no event that earned it'
        FROM coin_entries WHERE id BETWEEN $1 AND $2 AND trigger IS NOT NULL
        AND id NOT IN (SELECT event_id FROM earned)
        AND (
            EXISTS (SELECT 1 FROM event_rows WHERE event_id = id)
            OR NOT EXISTS (
                SELECT 1 FROM batches JOIN expired_events USING (game_id)
                WHERE batches.batch_id = id / {MAX_EVENTS_PER_BATCH}
                AND batches.batch_id <= expired_events.batch_id
                AND type = CASE trigger
                    WHEN {LEVEL_COMPLETE} THEN '{LEVEL_COMPLETED}' ELSE '{CUSTOM}'
                END
            )
        )
    """,  # noqa: S608 - built from our own constants
    "broken_chain": """
        SELECT 'entry ' || id || ' does not begin at the balance before it'
        FROM coin_entries AS entry
        WHERE id BETWEEN $1 AND $2 AND balance_after - amount <> coalesce((
            SELECT balance_after FROM coin_entries AS earlier
            WHERE earlier.player_id = entry.player_id AND earlier.id < entry.id
            ORDER BY earlier.id DESC LIMIT 1
        ), 0)
    """,
    "wrong_balance": f"""
        SELECT 'player ' || user_id || ' has ' || coins_balance || ', not what the ledger ends with'
        FROM players WHERE player_id IN (
            SELECT player_id FROM coin_entries WHERE id BETWEEN $1 AND $2
            UNION
            SELECT player_id FROM batches JOIN players USING (user_id)
            WHERE source = 'playsmart'
            AND batch_id BETWEEN $1 / {MAX_EVENTS_PER_BATCH} AND $2 / {MAX_EVENTS_PER_BATCH}
        ) AND coins_balance <> coalesce((
            SELECT balance_after FROM coin_entries
            WHERE coin_entries.player_id = players.player_id ORDER BY id DESC LIMIT 1
        ), 0)
    """,  # noqa: S608 - built from our own constants
}
"""Kind by kind, what is wrong with the events and entries from ``$1`` to ``$2``."""


async def audit_step(db: asyncpg.Connection, max_events: int) -> Audited:
    """Check the next ``max_events`` events or so; the connection remembers how far it came."""
    if await db.fetchval("SELECT to_regclass('pg_temp.audited') IS NULL"):
        await db.execute(_TABLES)
    expired = await db.fetchval(_EXPIRED)
    if expired != await db.fetchval("SELECT expired FROM audited"):
        await db.execute("UPDATE audited SET position = 0, expired = $1", expired)
        await db.execute("TRUNCATE pg_temp.custom_event_counts")
        await db.execute(
            "INSERT INTO pg_temp.custom_event_counts SELECT * FROM custom_event_baselines"
        )
    start = await db.fetchval("SELECT position FROM audited")
    end = await db.fetchval("SELECT last_batch_id FROM batch_counter")
    if await db.fetchval(_NOTHING_PAID):
        position = end
    else:
        first_event = (start + 1) * MAX_EVENTS_PER_BATCH
        position = await db.fetchval(_BEYOND, first_event, max_events) or end
    violations = await _check(db, start + 1, position) if position > start else []
    await db.execute("UPDATE audited SET position = $1", position)
    return Audited(start, position, end, tuple(violations))


async def _check(db: asyncpg.Connection, first_batch: int, last_batch: int) -> list[Violation]:
    first = first_batch * MAX_EVENTS_PER_BATCH
    last = last_batch * MAX_EVENTS_PER_BATCH + MAX_EVENTS_PER_BATCH - 1
    await db.execute(_EARN, first_batch, last_batch)
    violations = []
    for kind, check in _CHECKS.items():
        rows = await db.fetch(f"{check} LIMIT {MAX_VIOLATIONS}", first, last)
        violations += [Violation(kind, text) for (text,) in rows]
    return violations
