"""Deletes old events, a small transaction at a time, so that the audit of the coins stays sound.

Batches go in the order of their ids up to the first that is young enough; so of each game and type
what is gone is everything up to some batch. Headers stay: they make a replay a no-op. So do players
and ledger. Two things are written down in the transaction that deletes:

- ``expired_events``: up to which batch the paying events of a game and type may be missing, so that
  a grant there may stand without its event.
- ``custom_event_baselines``: how many of a player's deleted custom events had counted, which is
  where an audit begins to count.
"""

import aiosqlite

from playsmart_gateway.event import MAX_EVENTS_PER_BATCH
from playsmart_gateway.rewards import CUSTOM, LEVEL_COMPLETED
from playsmart_gateway.sinks.events import Expired

_RANGE = f"""
    SELECT event_id / {MAX_EVENTS_PER_BATCH} FROM event_rows
    WHERE event_id >= ? ORDER BY event_id LIMIT 1 OFFSET ?
"""  # noqa: S608 - built from our own constants
_YOUNG = """
    SELECT batch_id FROM batches
    WHERE batch_id BETWEEN ? AND ? AND received_at >= ? ORDER BY batch_id LIMIT 1
"""
_DOOMED = f"""
    FROM event_rows CROSS JOIN batches ON batch_id = event_id / {MAX_EVENTS_PER_BATCH}
    WHERE event_id BETWEEN :first_event AND :last_event
    AND (:game_id IS NULL OR game_id = :game_id) AND (:type IS NULL OR type = :type)
"""
_COUNT = f"SELECT count(*) {_DOOMED}"
_NOTE_PAYING = f"""
    INSERT INTO expired_events (game_id, type, batch_id)
    SELECT DISTINCT game_id, type, :last_batch {_DOOMED}
    AND source = 'playsmart' AND type IN ('{LEVEL_COMPLETED}', '{CUSTOM}')
    ON CONFLICT DO UPDATE SET batch_id = max(batch_id, excluded.batch_id)
"""
_NOTE_COUNTED = f"""
    INSERT INTO custom_event_baselines (player_id, game_id, count)
    SELECT player_id, game_id, count(*) FROM (
        SELECT batch_id, game_id, batches.user_id AS owner {_DOOMED}
        AND source = 'playsmart' AND type = '{CUSTOM}'
    ) AS doomed CROSS JOIN players ON players.user_id = owner
    WHERE 0 < (
        SELECT trigger_threshold FROM game_rules
        WHERE game_rules.game_id = doomed.game_id AND since_batch_id <= batch_id
        ORDER BY rule_id DESC LIMIT 1
    )
    GROUP BY player_id, game_id
    ON CONFLICT DO UPDATE SET count = count + excluded.count
"""  # noqa: S608 - built from our own constants
_DELETE = f"DELETE FROM event_rows WHERE event_id IN (SELECT event_id {_DOOMED})"  # noqa: S608
_COUNT_LEFT = f"""
    UPDATE batches SET event_count = (
        SELECT count(*) FROM event_rows
        WHERE event_id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                       AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
    )
    WHERE batch_id BETWEEN :first_event / {MAX_EVENTS_PER_BATCH} AND :last_batch
"""  # noqa: S608 - built from our own constants


async def expire(
    db: aiosqlite.Connection,
    before: str,
    game_id: str | None,
    type_: str | None,
    *,
    after_batch: int,
    max_events: int,
    dry_run: bool,
) -> Expired:
    """See ``Store.expire``."""
    end = await _number(db, "SELECT ifnull(max(batch_id), 0) FROM batches", ())
    behind = (after_batch + 1) * MAX_EVENTS_PER_BATCH
    first = await _number(db, _RANGE, (behind, 0))
    if first is None or end is None:
        return Expired(0, after_batch, after_batch, done=True)
    last = await _number(db, _RANGE, (behind, max_events - 1)) or end
    young = await _number(db, _YOUNG, (first, last, before))
    if young is not None:
        last = young - 1
    doomed = {
        "first_event": first * MAX_EVENTS_PER_BATCH,
        "last_event": last * MAX_EVENTS_PER_BATCH + MAX_EVENTS_PER_BATCH - 1,
        "last_batch": last,
        "game_id": game_id,
        "type": type_,
    }
    ((events,),) = await db.execute_fetchall(_COUNT, doomed)
    if events and not dry_run:
        for statement in (_NOTE_PAYING, _NOTE_COUNTED, _DELETE, _COUNT_LEFT):
            await db.execute(statement, doomed)
    return Expired(events, last, end, done=young is not None or last >= end)


async def _number(
    db: aiosqlite.Connection, query: str, parameters: tuple[int | str, ...]
) -> int | None:
    for (number,) in await db.execute_fetchall(query, parameters):
        return int(number)
    return None
