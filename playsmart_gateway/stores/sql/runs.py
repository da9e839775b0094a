"""Runs, as far as it is the same in every store that speaks SQL.

That is which programs send them, which of their numbers never came, and how they are forgotten, for
their age or with their player.
``clients`` counts the runs of each program, so that none stays of which there are no more runs.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from playsmart_gateway.events.about import Program
from playsmart_gateway.events.batch import MAX_EVENTS_PER_BATCH, RUN_BYTES, Batch, run_owner
from playsmart_gateway.stores.losses import (
    MAX_LOST,
    MAX_NUMBERS,
    OTHER,
    UNKNOWN,
    Loss,
    LossPage,
)
from playsmart_gateway.stores.models import ForgottenRuns
from playsmart_gateway.stores.runs import ToldRun, compared
from playsmart_gateway.stores.sql.database import Database, run

_LAST_OF_PIECE = "SELECT run FROM runs WHERE run > $1 ORDER BY run LIMIT 1 OFFSET $2"
_FORGET = "DELETE FROM runs WHERE run > $1 AND run <= $2 AND seen_at < $3 RETURNING client_id"
_FORGET_REST = "DELETE FROM runs WHERE run > $1 AND seen_at < $2 RETURNING client_id"
_LOST = f"""
    SELECT CAST(seen_at / 86400000000 AS BIGINT) AS at, game_id, app_version, platform,
           count(*), CAST(sum(numbers) AS BIGINT), CAST(sum(lost) AS BIGINT)
    FROM run_losses
    WHERE seen_at < $1 AND run > $2 AND numbers <= {MAX_NUMBERS} AND lost <= {MAX_LOST}
"""  # noqa: S608 - built from our own constants
_LOST_GROUPS = " GROUP BY at, game_id, app_version, platform"
_DROP_LOSSES = f"""
    DELETE FROM rollup_losses
    WHERE app_version NOT IN (SELECT app_version FROM clients)
          AND app_version NOT IN ('{UNKNOWN}', '{OTHER}')
       OR platform NOT IN (SELECT platform FROM clients)
          AND platform NOT IN ('{UNKNOWN}', '{OTHER}')
"""  # noqa: S608 - built from our own constants
_KEEP_LOSSES = """
    INSERT INTO rollup_losses (day, game_id, app_version, platform, runs, numbers, lost)
    SELECT CAST(value ->> 0 AS BIGINT), value ->> 1, value ->> 2, value ->> 3,
           CAST(value ->> 4 AS BIGINT), CAST(value ->> 5 AS BIGINT), CAST(value ->> 6 AS BIGINT)
    FROM json_each($1)
"""
_GAMES = """
    SELECT game_id FROM batches WHERE user_id = $1
    UNION SELECT game_id FROM dead_letters WHERE user_id = $1
"""
_OWNED = f"FROM runs WHERE substr(run, {RUN_BYTES + 1}) = $1"
_SPAN = f"""
    SELECT type, custom_event_name, occurred_at
    FROM runs JOIN batches USING (batch_id) JOIN events
         ON event_id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                     AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
    WHERE runs.run = $1 AND batches.run = runs.run AND seq = $2 AND event_count = $3
    ORDER BY event_id
"""  # noqa: S608 - built from our own constants
_DELETE_ONE = "DELETE FROM runs WHERE run = $1 RETURNING client_id"
_COUNT_MORE = """
    INSERT INTO clients (name, version, app_version, platform, runs)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, CAST(value ->> 4 AS BIGINT)
    FROM json_each($1) WHERE true
    ON CONFLICT (name, version, app_version, platform)
    DO UPDATE SET runs = clients.runs + excluded.runs
    RETURNING name, version, app_version, platform, client_id
"""
_COUNT_LESS = """
    UPDATE clients SET runs = runs - gone
    FROM (SELECT CAST(value ->> 0 AS BIGINT) AS id, CAST(value ->> 1 AS BIGINT) AS gone
          FROM json_each($1)) AS counted
    WHERE client_id = id
    RETURNING 1
"""
_DROP_CLIENTS = """
    DELETE FROM clients
    WHERE runs <= 0 AND client_id IN (SELECT CAST(value ->> 0 AS BIGINT) FROM json_each($1))
    RETURNING 1
"""


async def conflicts(db: Database, repeats: Iterable[Batch]) -> tuple[str, ...]:
    """Return the names of those whose span was stored, with other events (see ``stores.runs``)."""
    found = []
    for batch in repeats:
        rows = await db.fetch(_SPAN, batch.run, batch.seq, batch.count)
        stored = [
            (type_, name, datetime.fromisoformat(occurred_at)) for type_, name, occurred_at in rows
        ]
        if len(stored) == batch.count and stored != (compared(batch) or stored):
            found.append(batch.name)
    return tuple(found)


async def client_ids(db: Database, told: Iterable[ToldRun]) -> dict[Program | None, int]:
    """Return the ids of the programs that send these runs, and count that they do."""
    counts = Counter(each.client for each in told if each.client is not None)
    rows = await run(db, _COUNT_MORE, [(*client, counts[client]) for client in sorted(counts)])
    return {Program(*texts): client_id for *texts, client_id in rows}


async def forget(db: Database, before: int, *, after: bytes, limit: int) -> ForgottenRuns:
    """See ``Upkeep.forget_runs``."""
    found = await db.fetch(_LAST_OF_PIECE, after, limit - 1)
    if not found:
        gone = await db.fetch(_FORGET_REST, after, before)
        return ForgottenRuns(await _without_clients(db, gone), None)
    last = bytes(found[0][0])
    gone = await db.fetch(_FORGET, after, last, before)
    return ForgottenRuns(await _without_clients(db, gone), last)


async def losses(db: Database, before: int, *, after: bytes, limit: int) -> LossPage:
    """See ``LossReader.losses``."""
    found = await db.fetch(_LAST_OF_PIECE, after, limit - 1)
    last = bytes(found[0][0]) if found else None
    if last is None:
        rows = await db.fetch(_LOST + _LOST_GROUPS, before, after)
    else:
        rows = await db.fetch(f"{_LOST} AND run <= $3 {_LOST_GROUPS}", before, after, last)
    return LossPage([Loss(*row) for row in rows], last)


async def keep_losses(db: Database, found: Sequence[Loss]) -> None:
    """See ``Rollups.keep_losses``; what only a player said who was erased meanwhile is left out."""
    await db.fetch("DELETE FROM rollup_losses")
    await run(db, _KEEP_LOSSES, found)
    await db.fetch(_DROP_LOSSES)


async def erase(db: Database, user_id: str, games: Iterable[str]) -> int:
    """Delete the runs of a player in these games; return how many there were.

    Which they are the keys tell only to who knows whose they are, so each look reads the table.
    """
    delete = f"DELETE {_OWNED} RETURNING client_id"
    gone = [row for game in games for row in await db.fetch(delete, run_owner(game, user_id))]
    erased = await _without_clients(db, gone)
    await db.fetch(_DROP_LOSSES)
    return erased


async def erase_these(db: Database, keys: Iterable[bytes]) -> int:
    """Delete runs by their keys; return how many there were."""
    gone = [row for key in dict.fromkeys(keys) for row in await db.fetch(_DELETE_ONE, key)]
    return await _without_clients(db, gone)


async def count(db: Database, user_id: str) -> int:
    """Return how many runs of a player there are."""
    counted = 0
    for (game_id,) in await db.fetch(_GAMES, user_id):
        ((found,),) = await db.fetch(f"SELECT count(*) {_OWNED}", run_owner(game_id, user_id))
        counted += found
    return counted


async def _without_clients(db: Database, gone: Sequence[Any]) -> int:
    """Count the ``client_id`` of runs that are gone off, and return how many those runs are."""
    counts = Counter(client_id for (client_id,) in gone if client_id is not None)
    rows = sorted(counts.items())
    await run(db, _COUNT_LESS, rows)
    await run(db, _DROP_CLIENTS, rows)
    return len(gone)
