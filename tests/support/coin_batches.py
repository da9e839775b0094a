"""Batches that earn coins, and what they come to."""

from typing import Any

import msgspec

from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.models import (
    CoinTransaction,
    Violation,
)
from playsmart_gateway.stores.readers import Reader

LEVELS = Rule("levels", 10, 10, 1_000_000)
CHANCE = Rule("chance", 5, 15, 1_500_000)
COUNTS = Rule("counts", 3, 3, 0, 4, 500_000)
BOTH = Rule("both", 2, 9, 333_333, 3, 2_000_000)
STOPPED = Rule("stopped")
RULES = (LEVELS, CHANCE, COUNTS, BOTH, STOPPED)
EVENTS: dict[str, list[Any]] = {
    "level": ["LevelCompleted", None, "2026-04-22T14:30:00Z", {"level": 5, "score": 4800}],
    "custom": ["Custom", "jump", "2026-04-22T14:30:00Z", None],
    "open": ["AppOpen", None, "2026-04-22T14:30:00Z", None],
    "ad": ["AdImpression", None, "2026-04-22T14:30:00Z", {"score": 7}],
}


def batch(
    sequence: int,
    *rows: list[Any],
    user: str = "ada",
    game: str = "levels",
    source: str = "playsmart",
) -> Batch:
    return Batch(
        source=source,
        game_id=game,
        user_id=user,
        count=len(rows),
        rows=msgspec.json.encode(rows),
        journal="22" * 16,
        sequence=sequence,
        received_at=1_776_868_200_000_000 + sequence,
    )


async def ledger(reader: Reader, user: str = "ada") -> list[CoinTransaction]:
    """A player's entries, the oldest first."""
    return (await reader.coin_transactions(user, limit=10_000))[::-1]


async def balance(reader: Reader, user: str = "ada") -> int:
    player = await reader.player(user)
    assert player is not None
    return player.coins_balance


async def complaints(reader: Reader, max_events: int = 3) -> list[Violation]:
    """All that an audit finds, in small steps."""
    found: list[Violation] = []
    while True:
        audited = await reader.audit(max_events)
        found += audited.violations
        if audited.position == audited.end:
            return found
