"""By which rules games pay coins, as the store wrote it down: the same in each that speaks SQL."""

from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.stores.sql.database import Database

_IN_FORCE = """
    SELECT game_id, min_amount, max_amount, level_millionths, trigger_threshold, trigger_millionths,
           max_per_day
    FROM game_rules
    WHERE rule_id IN (SELECT max(rule_id) FROM game_rules GROUP BY game_id)
"""


async def rules_in_force(db: Database) -> list[Rule]:
    """See ``CoinReader.rules_in_force``."""
    return [Rule(*row) for row in await db.fetch(_IN_FORCE)]
