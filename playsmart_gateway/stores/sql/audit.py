"""The audit of the coins, a step at a time, so that any store can be checked beside ingest.

What an event should have earned is computed once more, by the statements that pay, from the stored
events and the rules that ``game_rules`` says were in force; custom events are counted from the very
first one. (That those statements pay what the contract says is for the tests, which compare them
with plain Python.) Then every grant must be there once and be right, no other may be there, each
player's entries must form a chain that begins at 0, and its end must be the balance. So the sum of
a player's amounts is the balance.

Events may only be missing where ``retention`` says that it deleted them, and custom events that it
deleted are counted by what it wrote down. After each of its deletions, and after a
player was erased, the audit begins anew.

Where a game has a cap, an event should have earned what the ledger leaves of it: what the entries
before it paid on that day is in the ledger, whatever became of their events.

Everything is keyed by batch ids, which also order the ledger; one step looks at one range of them
in one read transaction. How far it came is in temporary tables, so it is gone with the connection:
``audited``, with one row, and ``custom_event_counts`` and ``coin_days``, whose names hide the
store's own. A fourth one, ``earned``, has what was earned in a step.
"""

from collections.abc import Awaitable, Callable

from playsmart_gateway.economy.coins import (
    CUSTOM,
    LEVEL_COMPLETED,
)
from playsmart_gateway.events.batch import (
    MAX_EVENTS_PER_BATCH,
    PLAYSMART,
    first_event_id,
    last_event_id,
)
from playsmart_gateway.stores.models import (
    Audited,
    Violation,
)
from playsmart_gateway.stores.sql.database import (
    LEVEL_COMPLETE,
    Database,
)

MAX_VIOLATIONS = 1_000
"""Of each kind in one step; one is too many already."""

_EXPIRED = """
    SELECT CAST(coalesce(sum(batch_id), 0) AS BIGINT)
           + (SELECT coalesce(max(count), 0) FROM erasures)
    FROM expired_events
"""
"""Changes with every deletion."""
_AUDITED = "SELECT position, expired FROM audited"
_NOTHING_PAID = """
    SELECT NOT EXISTS (SELECT 1 FROM game_rules) AND NOT EXISTS (SELECT 1 FROM coin_entries)
"""
_BEYOND = f"""
    SELECT event_id / {MAX_EVENTS_PER_BATCH} FROM event_rows
    WHERE event_id >= $1 ORDER BY event_id LIMIT 1 OFFSET $2
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
        FROM earned CROSS JOIN coin_entries
        WHERE id = event_id AND event_id BETWEEN $1 AND $2 AND NOT (
            earned.player_id = coin_entries.player_id AND earned.amount = coin_entries.amount
            AND coalesce(earned.trigger = coin_entries.trigger, false)
        )
    """,
    "unearned_grant": f"""
        SELECT 'entry ' || id || ' of ' || amount || ' has no event that earned it'
        FROM coin_entries WHERE id BETWEEN $1 AND $2 AND trigger IS NOT NULL
        AND id NOT IN (SELECT event_id FROM earned)
        AND (
            EXISTS (SELECT 1 FROM event_rows WHERE event_id = id)
            OR NOT EXISTS (
                SELECT 1 FROM batches CROSS JOIN expired_events
                WHERE batches.batch_id = id / {MAX_EVENTS_PER_BATCH}
                AND expired_events.game_id = batches.game_id
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
            SELECT player_id FROM batches CROSS JOIN players
            WHERE players.user_id = batches.user_id AND source = '{PLAYSMART}'
            AND batch_id BETWEEN $1 / {MAX_EVENTS_PER_BATCH} AND $2 / {MAX_EVENTS_PER_BATCH}
        ) AND coins_balance <> coalesce((
            SELECT balance_after FROM coin_entries
            WHERE coin_entries.player_id = players.player_id ORDER BY id DESC LIMIT 1
        ), 0)
    """,  # noqa: S608 - built from our own constants
}
"""Kind by kind, what is wrong with the events and entries from ``$1`` to ``$2``."""


async def audit_step(
    db: Database, max_events: int, *, end: int, earn: Callable[[int, int], Awaitable[int]]
) -> Audited:
    """Check the next ``max_events`` events or so.

    ``end`` is the last batch id there is; ``earn`` fills the empty ``earned``, for the batches from
    the one to the other, and returns how many awards a cap has cut.
    """
    ((expired,),) = await db.fetch(_EXPIRED)
    ((start, known_expired),) = await db.fetch(_AUDITED)
    if expired != known_expired:
        start = 0
        await db.fetch("DELETE FROM custom_event_counts")
        await db.fetch("INSERT INTO custom_event_counts SELECT * FROM custom_event_baselines")
        await db.fetch("DELETE FROM coin_days")
    position = end
    ((nothing_paid,),) = await db.fetch(_NOTHING_PAID)
    if not nothing_paid:
        for (beyond,) in await db.fetch(_BEYOND, first_event_id(start + 1), max_events):
            position = beyond
    violations: list[Violation] = []
    capped = 0
    if position > start:
        capped = await earn(start + 1, position)
        violations = await _check(db, start + 1, position)
    await db.fetch("UPDATE audited SET position = $1, expired = $2", position, expired)
    return Audited(start, position, end, tuple(violations), capped)


async def _check(db: Database, first_batch: int, last_batch: int) -> list[Violation]:
    first = first_event_id(first_batch)
    last = last_event_id(last_batch)
    violations = []
    for kind, check in _CHECKS.items():
        rows = await db.fetch(f"{check} LIMIT {MAX_VIOLATIONS}", first, last)
        violations += [Violation(kind, text) for (text,) in rows]
    return violations
