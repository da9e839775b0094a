"""``CoinReader``: what a batch earned is found by its name in the journal, in every store."""

from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.open import open_store

LEVEL = b'["LevelCompleted",null,"2026-04-22T14:30:00Z",null]'
OPEN = b'["AppOpen",null,"2026-04-22T14:30:00Z",null]'


async def test_each_batch_is_told_what_it_earned_and_adjustments_are_nobodys(url: str) -> None:
    rows = [[LEVEL, OPEN, LEVEL], [OPEN], [LEVEL], [LEVEL]]
    batches = [
        Batch("playsmart", "levels", "ada", len(each), b"[%b]" % b",".join(each), journal, sequence)
        for sequence, (each, journal) in enumerate(zip(rows, ("a", "a", "a", "b"), strict=True), 1)
    ]
    async with (
        open_store(url, [Rule("levels", 10, 10, 1_000_000)]) as sink,
        sink.reader() as reader,
    ):
        await sink.write(batches)
        await sink.adjust("ada", 500, "sorry")
        names = [("a", 1), ("a", 2), ("a", 3), ("a", 4), ("b", 3), ("c", 1)]
        found = {("a", 1): (3, 20), ("a", 2): (1, 0), ("a", 3): (1, 10)}
        assert await reader.outcomes(names) == found
        assert await reader.outcomes([("b", 4)]) == {("b", 4): (1, 10)}
        assert await reader.outcomes([]) == {}
