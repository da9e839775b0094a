"""The short form of the rounds that ``make crash`` plays a hundred times."""

import asyncio
from pathlib import Path

from tests.campaigns.crash.hands import (
    KINDS,
    Counts,
    play,
)


async def test_whatever_hands_do_nothing_is_lost_and_nothing_is_doubled(tmp_path: Path) -> None:
    counts = Counts()

    async def rounds(first: int) -> None:
        for number in range(first, len(KINDS) + 1, 2):
            await play(tmp_path / str(number), 1, number, counts)

    await asyncio.gather(rounds(1), rounds(2))
    assert set(counts.by_kind) == set(KINDS)
    assert counts.good, counts
    assert counts.accepted_events
