"""The judge notices each thing that can be wrong, and nothing where nothing is."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from playsmart_gateway.economy.coins import MILLION, Rule
from playsmart_gateway.events.batch import Batch, run_key
from playsmart_gateway.stores.open import open_store
from tests.campaigns.phones.judge import Seen, Verdict, judge
from tests.campaigns.phones.scene import COINS_A_LEVEL, GAME

LIFE = 1
RUN = bytes(range(16))
NAME = "00010203-0405-0607-0809-0a0b0c0d0e0f"
PAYS = Rule(GAME, COINS_A_LEVEL, COINS_A_LEVEL, MILLION)


def batch(sequence: int, places: Sequence[int], *, seq: int, run: bytes = RUN) -> Batch:
    rows = [
        ["LevelCompleted", None, "2026-04-22T14:30:00Z", {"life": LIFE, "n": place}]
        for place in places
    ]
    key = run_key(run, GAME, "phone")
    return Batch(
        *("playsmart", GAME, "phone", len(rows), msgspec.json.encode(rows), "11" * 16),
        *(sequence, 1_776_868_200_000_000 + sequence),
        run=key,
        seq=seq,
    )


class Tables:
    """A database that phones have written to."""

    def __init__(self, folder: Path) -> None:
        self._url = f"sqlite:///{folder}/playsmart.db"

    async def write(self, *batches: Batch, rules: Sequence[Rule] = (PAYS,)) -> None:
        async with open_store(self._url, rules) as store:
            for each in batches:
                await store.write([each])

    async def bury(self, batch: Batch) -> None:
        async with open_store(self._url) as store:
            await store.bury(batch, "it was poison")

    async def judged(
        self, kept: int = 3, *, taken: int = 3, sent: int = 3, conflicts: int = 0
    ) -> Verdict:
        seen = Seen({LIFE: kept}, {NAME: taken}, {NAME: sent}, conflicts)
        return await judge(self._url, seen)

    async def judged_as_of_an_old_gateway(self, kept: int) -> Verdict:
        return await judge(self._url, Seen({LIFE: kept}, {}, {}), is_once=False)


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(tmp_path)


async def test_all_is_well_if_each_event_is_there_once(tables: Tables) -> None:
    await tables.write(batch(1, [0, 1], seq=0), batch(2, [1, 2], seq=1))
    verdict = await tables.judged(taken=4, sent=4)
    assert verdict == Verdict(kept_events=3, stored_events=3, duplicate_events=1, coins=30)
    assert verdict.good


async def test_a_phone_may_have_kept_more_than_it_could_answer_for(tables: Tables) -> None:
    await tables.write(batch(1, [0, 1, 2], seq=0))
    assert (await tables.judged(kept=1)).good


async def test_what_is_lost_is_noticed_at_the_end_and_in_the_middle(tables: Tables) -> None:
    await tables.write(batch(1, [0, 2], seq=0))
    assert (await tables.judged(3, taken=2, sent=2)).lost_events == 1
    assert (await tables.judged(5, taken=2, sent=2)).lost_events == 3


async def test_a_life_of_which_nothing_came_is_noticed(tables: Tables) -> None:
    await tables.write()
    assert (await tables.judged(3, taken=0, sent=0)).lost_events == 3


async def test_what_is_doubled_is_noticed_and_so_are_its_coins(tables: Tables) -> None:
    await tables.write(batch(1, [0, 1, 2], seq=0), batch(2, [2], seq=3))
    verdict = await tables.judged(taken=4, sent=4)
    assert (verdict.doubled_events, verdict.wrong_coins) == (1, COINS_A_LEVEL)


async def test_with_a_gateway_that_does_not_know_what_comes_twice_a_loss_alone_is_wrong(
    tables: Tables,
) -> None:
    await tables.write(batch(1, [0, 1, 2], seq=0), batch(2, [1, 2], seq=3))
    verdict = await tables.judged_as_of_an_old_gateway(3)
    assert (verdict.good, verdict.doubled_events, verdict.coins) == (True, 2, 5 * COINS_A_LEVEL)
    assert (await tables.judged_as_of_an_old_gateway(4)).lost_events == 1


async def test_coins_that_were_not_paid_are_noticed(tables: Tables) -> None:
    await tables.write(batch(1, [0, 1, 2], seq=0), rules=())
    assert (await tables.judged()).wrong_coins == 3 * COINS_A_LEVEL


async def test_what_is_out_of_order_is_noticed(tables: Tables) -> None:
    await tables.write(batch(1, [0, 2, 1], seq=0))
    assert (await tables.judged()).disordered_events == 1


async def test_a_gap_is_noticed(tables: Tables) -> None:
    await tables.write(batch(1, [0, 1], seq=0), batch(2, [2], seq=3))
    assert (await tables.judged(taken=4, sent=4)).false_gaps == 1


async def test_repeats_that_are_counted_too_few_or_too_many_are_noticed(tables: Tables) -> None:
    await tables.write(batch(1, [0, 1, 2], seq=0), batch(2, [0, 1], seq=0))
    assert (await tables.judged(taken=5, sent=5)).good
    assert (await tables.judged(taken=3, sent=8)).good
    assert (await tables.judged(taken=6, sent=8)).miscounted_runs == 1
    assert (await tables.judged(taken=3, sent=4)).miscounted_runs == 1


async def test_a_dead_letter_is_noticed(tables: Tables) -> None:
    await tables.bury(batch(1, [0, 1, 2], seq=0))
    assert (await tables.judged()).buried_batches == 1


async def test_a_conflict_of_runs_is_noticed(tables: Tables) -> None:
    await tables.write(batch(1, [0, 1, 2], seq=0))
    assert (await tables.judged(conflicts=1)).run_conflicts == 1
