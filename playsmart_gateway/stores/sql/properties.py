"""By which names the events of a game say what is asked of them: for the views, in SQL."""

from collections.abc import Sequence

from playsmart_gateway.stores.rollups import Property
from playsmart_gateway.stores.sql.database import Database, run

_KNOWN = "SELECT game_id, meaning, name FROM game_properties ORDER BY game_id, meaning"
_NAME = """
    INSERT INTO game_properties (game_id, meaning, name)
    SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1)
"""


async def known_properties(db: Database) -> list[Property]:
    """Return those that are named otherwise than all games name them, in order."""
    return [Property(*row) for row in await db.fetch(_KNOWN)]


async def name_properties(db: Database, properties: Sequence[Property]) -> None:
    """See ``PropertyNames``."""
    if await known_properties(db) != sorted(properties):
        await db.fetch("DELETE FROM game_properties")
        await run(db, _NAME, properties)
