"""Forgetting runs, for their age or with their player: the same in every store that speaks SQL."""

from collections.abc import Iterable

from playsmart_gateway.events.batch import RUN_BYTES, run_owner
from playsmart_gateway.stores.models import ForgottenRuns
from playsmart_gateway.stores.sql.database import Database

_LAST_OF_PIECE = "SELECT run FROM runs WHERE run > $1 ORDER BY run LIMIT 1 OFFSET $2"
_FORGET = "DELETE FROM runs WHERE run > $1 AND run <= $2 AND seen_at < $3 RETURNING 1"
_FORGET_REST = "DELETE FROM runs WHERE run > $1 AND seen_at < $2 RETURNING 1"
_GAMES = """
    SELECT game_id FROM batches WHERE user_id = $1
    UNION SELECT game_id FROM dead_letters WHERE user_id = $1
"""
_OWNED = f"FROM runs WHERE substr(run, {RUN_BYTES + 1}) = $1"


async def forget(db: Database, before: int, *, after: bytes, limit: int) -> ForgottenRuns:
    """See ``Upkeep.forget_runs``."""
    found = await db.fetch(_LAST_OF_PIECE, after, limit - 1)
    if not found:
        return ForgottenRuns(len(await db.fetch(_FORGET_REST, after, before)), None)
    last = bytes(found[0][0])
    return ForgottenRuns(len(await db.fetch(_FORGET, after, last, before)), last)


async def erase(db: Database, user_id: str, games: Iterable[str]) -> int:
    """Delete the runs of a player in these games; return how many there were.

    Which they are the keys tell only to who knows whose they are, so each look reads the table.
    """
    delete = f"DELETE {_OWNED} RETURNING 1"
    return sum([len(await db.fetch(delete, run_owner(game, user_id))) for game in games])


async def count(db: Database, user_id: str) -> int:
    """Return how many runs of a player there are."""
    counted = 0
    for (game_id,) in await db.fetch(_GAMES, user_id):
        ((found,),) = await db.fetch(f"SELECT count(*) {_OWNED}", run_owner(game_id, user_id))
        counted += found
    return counted
