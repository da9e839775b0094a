"""Deletes old events, a small transaction at a time, so that the audit of the coins stays sound.

Batches go in the order of their ids up to the first that is young enough; so of each game and type
what is gone is everything up to some batch. Headers stay: they make a replay a no-op. So do players
and ledger. What the dashboard's sums have not counted yet stays, too, or it would be missing there
for good; while they are counted anew, that is everything behind the recount.

A batch whose time of receipt is yet to come was received while the clock was wrong. It was stored
before those behind it, so it is old if they are.

Two things are written down in the transaction that deletes:

- ``expired_events``: up to which batch the paying events of a game and type may be missing, so that
  a grant there may stand without its event.
- ``custom_event_baselines``: how many of a player's deleted custom events had counted, which is
  where an audit begins to count.
"""

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
    MAX_NAMED,
    Expired,
)
from playsmart_gateway.stores.sql.database import Database

_RANGE = f"""
    SELECT event_id / {MAX_EVENTS_PER_BATCH} FROM event_rows
    WHERE event_id >= $1 ORDER BY event_id LIMIT 1 OFFSET $2
"""  # noqa: S608 - built from our own constants
_YOUNG = """
    SELECT batch_id FROM batches
    WHERE batch_id BETWEEN $1 AND $2 AND received_at >= $3 AND received_at <= $4
    ORDER BY batch_id LIMIT 1
"""
_AHEAD = f"""
    SELECT batch_id FROM batches
    WHERE batch_id BETWEEN $1 AND $2 AND received_at > $3 ORDER BY batch_id LIMIT {MAX_NAMED}
"""  # noqa: S608 - built from our own constants
_LAST_OLD = """
    SELECT max(batch_id) FROM batches WHERE batch_id BETWEEN $1 AND $2 AND received_at < $3
"""
_NEXT_IS_OLD = """
    SELECT 1 FROM (
        SELECT received_at FROM batches
        WHERE batch_id > $1 AND received_at <= $3 ORDER BY batch_id LIMIT 1
    ) AS next WHERE received_at < $2
"""
_COUNTED = "SELECT max(position) FROM rollup_state"
_LAST_BATCH = "SELECT max(batch_id) FROM batches"
_DOOMED = f"""
    FROM event_rows CROSS JOIN batches
    WHERE batch_id = event_id / {MAX_EVENTS_PER_BATCH} AND event_id BETWEEN $1 AND $2
    AND batch_id BETWEEN $1 / {MAX_EVENTS_PER_BATCH} AND $2 / {MAX_EVENTS_PER_BATCH}
    AND game_id = coalesce($3, game_id) AND type = coalesce($4, type)
"""
_COUNT = f"SELECT count(*) {_DOOMED}"
_NOTE_PAYING = f"""
    INSERT INTO expired_events (game_id, type, batch_id)
    SELECT DISTINCT game_id, type, CAST($5 AS BIGINT) {_DOOMED}
    AND source = '{PLAYSMART}' AND type IN ('{LEVEL_COMPLETED}', '{CUSTOM}')
    ON CONFLICT (game_id, type) DO UPDATE SET batch_id = CASE
        WHEN excluded.batch_id > expired_events.batch_id THEN excluded.batch_id
        ELSE expired_events.batch_id
    END
"""
_NOTE_COUNTED = f"""
    INSERT INTO custom_event_baselines (player_id, game_id, count)
    SELECT player_id, game_id, count(*) FROM (
        SELECT batch_id, game_id, batches.user_id AS owner {_DOOMED}
        AND source = '{PLAYSMART}' AND type = '{CUSTOM}'
    ) AS doomed CROSS JOIN players
    WHERE players.user_id = owner AND 0 < (
        SELECT trigger_threshold FROM game_rules
        WHERE game_rules.game_id = doomed.game_id AND since_batch_id <= batch_id
        ORDER BY rule_id DESC LIMIT 1
    )
    GROUP BY player_id, game_id
    ON CONFLICT (player_id, game_id)
        DO UPDATE SET count = custom_event_baselines.count + excluded.count
"""  # noqa: S608 - built from our own constants
_DELETE = f"DELETE FROM event_rows WHERE event_id IN (SELECT event_id {_DOOMED})"  # noqa: S608
_COUNT_LEFT = f"""
    UPDATE batches SET event_count = (
        SELECT count(*) FROM event_rows
        WHERE event_id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                       AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
    )
    WHERE batch_id BETWEEN $1 AND $2
"""  # noqa: S608 - built from our own constants


async def expire(
    db: Database,
    before: object,
    latest: object,
    game_id: str | None,
    type_: str | None,
    *,
    after_batch: int,
    upto_batch: int | None,
    max_events: int,
    dry_run: bool,
) -> Expired:
    """See ``Store.expire``; ``before`` and ``latest`` are as this store holds times."""
    end = await _number(db, _LAST_BATCH) or 0
    behind = first_event_id(after_batch + 1)
    first = await _number(db, _RANGE, behind, 0)
    if first is None:
        return Expired(0, after_batch, after_batch, done=True)
    last = await _number(db, _RANGE, behind, max_events - 1) or end
    ahead = tuple(number for (number,) in await db.fetch(_AHEAD, first, last, latest))
    young = await _number(db, _YOUNG, first, last, before, latest)
    done = young is not None or last >= end
    if young is not None or (ahead and not await db.fetch(_NEXT_IS_OLD, last, before, latest)):
        seen = last if young is None else young - 1
        last, done = await _number(db, _LAST_OLD, first, seen, before) or first - 1, True
    counted = await _number(db, _COUNTED) or 0
    counted = counted if upto_batch is None else min(counted, upto_batch)
    if uncounted := last > counted:
        last, done = max(counted, first - 1), True
    doomed = first_event_id(first), last_event_id(last), game_id, type_
    events = await _number(db, _COUNT, *doomed) or 0
    if events and not dry_run:
        await db.fetch(_NOTE_PAYING, *doomed, last)
        await db.fetch(_NOTE_COUNTED, *doomed)
        await db.fetch(_DELETE, *doomed)
        await db.fetch(_COUNT_LEFT, first, last)
    return Expired(events, last, end, done=done, uncounted=uncounted, ahead=ahead)


async def _number(db: Database, query: str, *parameters: object) -> int | None:
    for (number,) in await db.fetch(query, *parameters):
        return None if number is None else int(number)
    return None
