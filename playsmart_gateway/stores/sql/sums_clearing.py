"""Takes a game and made-up players out of the sums beside the events, inside one transaction.

Sums of the game go. Where others count players as well, in other games and in all games together
(the game ``''``), those who go are taken off again, day by day: what is left is what would have
been counted without them.
"""

from collections import Counter

from playsmart_gateway.stores.clearing import Traces
from playsmart_gateway.stores.sql.database import Database, keyed

_MADE = "user_id >= $1 AND user_id < $2"
_GUESTS = "game_id = '' AND user_id IN (SELECT value ->> 0 FROM json_each($1))"
_PLAYED = "rollup_players JOIN rollup_player_days USING (player_id)"
SUMS_OF_THE_GAME = (
    "rollup_counts",
    "rollup_days",
    "rollup_levels",
    "rollup_coins",
    "rollup_actions",
)
SUMS_OF_PLAYERS = ("rollup_player_days", "rollup_player_levels", "rollup_players")
_OTHER_DAY = """
    SELECT 1 FROM rollup_players AS own JOIN rollup_player_days AS other
    ON other.player_id = own.player_id
    WHERE own.user_id = rollup_players.user_id AND own.game_id <> ''
    AND other.day = rollup_player_days.day
"""
_ONLY_HERE = f"{_GUESTS} AND NOT EXISTS ({_OTHER_DAY})"
_NOWHERE_ELSE = f"""{_GUESTS} AND NOT EXISTS (
    SELECT 1 FROM rollup_players AS own
    WHERE own.user_id = rollup_players.user_id AND own.game_id <> ''
)"""  # noqa: S608 - built from our own constants
_NAMES = f"""
    SELECT DISTINCT user_id FROM rollup_players WHERE game_id = $1 AND NOT ({
    _MADE.replace("$2", "$3").replace("$1", "$2")
})
"""  # noqa: S608 - built from our own constants
_FIRST_DAYS = f"""
    UPDATE rollup_players SET first_day = (
        SELECT min(own.first_day) FROM rollup_players AS own
        WHERE own.user_id = rollup_players.user_id AND own.game_id <> ''
    ) WHERE {_GUESTS}
"""  # noqa: S608 - built from our own constants


async def clear_sums(db: Database, traces: Traces) -> Counter[str]:
    """Do it, and return how many rows went, by table."""
    cleared = Counter[str]()
    bounds = traces.bounds
    guests = [tuple(each) for each in await db.fetch(_NAMES, traces.game_id, *bounds)]
    await _count_off_levels(db, bounds)
    await _count_new(db, _MADE, bounds, "-")
    await _count_off_days(db, _MADE, bounds)
    await _drop(db, _MADE, bounds, cleared)
    await _drop(db, "game_id = $1", (traces.game_id,), cleared)
    for table in SUMS_OF_THE_GAME:
        delete = f"DELETE FROM {table} WHERE game_id = $1 RETURNING 1"  # noqa: S608 - constants
        cleared[table] += len(await db.fetch(delete, traces.game_id))
    if guests:
        names = (keyed(guests),)
        await _count_new(db, _GUESTS, names, "-")
        await _count_off_days(db, _ONLY_HERE, names)
        days = f"""
            DELETE FROM rollup_player_days WHERE (player_id, day) IN (
                SELECT player_id, day FROM {_PLAYED} WHERE {_ONLY_HERE}
            )
        """  # noqa: S608 - built from our own constants
        await db.fetch(days, *names)
        await _drop(db, _NOWHERE_ELSE, names, cleared)
        await db.fetch(_FIRST_DAYS, *names)
        await _count_new(db, _GUESTS, names, "+")
    await db.fetch("DELETE FROM rollup_days WHERE players <= 0 AND new_players <= 0")
    return cleared


async def _drop(
    db: Database, condition: str, parameters: tuple[str, ...], cleared: Counter[str]
) -> None:
    """Delete the players, and their days and levels."""
    theirs = f"SELECT player_id FROM rollup_players WHERE {condition}"  # noqa: S608 - constants
    for table in SUMS_OF_PLAYERS:
        delete = f"DELETE FROM {table} WHERE player_id IN ({theirs}) RETURNING 1"  # noqa: S608
        cleared[table] += len(await db.fetch(delete, *parameters))


async def _count_new(db: Database, condition: str, parameters: tuple[str, ...], sign: str) -> None:
    """Count players off, or on again, on their first days: that they came, and came back."""
    new = f"""
        UPDATE rollup_days SET new_players = new_players {sign} counted
        FROM (
            SELECT game_id AS game, first_day, count(*) AS counted FROM rollup_players
            WHERE {condition} GROUP BY game_id, first_day
        ) AS theirs WHERE game_id = game AND day = first_day
    """  # noqa: S608 - built from our own constants
    await db.fetch(new, *parameters)
    back = f"""
        UPDATE rollup_days
        SET retained_1 = retained_1 {sign} after_1, retained_7 = retained_7 {sign} after_7
        FROM (
            SELECT game_id AS game, first_day,
                   sum(CASE day - first_day WHEN 1 THEN 1 ELSE 0 END) AS after_1,
                   sum(CASE day - first_day WHEN 7 THEN 1 ELSE 0 END) AS after_7
            FROM {_PLAYED} WHERE {condition} GROUP BY game_id, first_day
        ) AS theirs WHERE game_id = game AND day = first_day
    """  # noqa: S608 - built from our own constants
    await db.fetch(back, *parameters)


async def _count_off_days(db: Database, condition: str, parameters: tuple[str, ...]) -> None:
    """Count players off on the days on which they played."""
    statement = f"""
        UPDATE rollup_days SET players = players - counted
        FROM (
            SELECT game_id AS game, day AS played_on, count(*) AS counted
            FROM {_PLAYED} WHERE {condition} GROUP BY game_id, day
        ) AS theirs WHERE game_id = game AND day = played_on
    """  # noqa: S608 - built from our own constants
    await db.fetch(statement, *parameters)


async def _count_off_levels(db: Database, bounds: tuple[str, str]) -> None:
    """Count made-up players off on the levels that they completed in other games."""
    statement = f"""
        UPDATE rollup_levels SET players = players - counted
        FROM (
            SELECT game_id AS game, day AS done_on, level AS done, count(*) AS counted
            FROM rollup_players JOIN rollup_player_levels USING (player_id)
            WHERE {_MADE} GROUP BY game_id, day, level
        ) AS theirs WHERE game_id = game AND day = done_on AND level = done
    """  # noqa: S608 - built from our own constants
    await db.fetch(statement, *bounds)
