"""Many dead letters at once: each as ``bury`` keeps it, but of what is stored already nothing."""

import msgspec
import pytest

from playsmart_gateway.catalogue.definitions import Definition
from playsmart_gateway.catalogue.judging import Standard
from playsmart_gateway.events.batch import PLAYSMART, Batch
from playsmart_gateway.stores.contract import Quarantining, Store
from playsmart_gateway.stores.learned import EventKey
from playsmart_gateway.stores.open import open_store
from tests.support.doubles import make_batch
from tests.support.numbered import numbered

WHY = "not as defined: e: is not defined"


async def quarantine(store: Store, *batches: Batch) -> None:
    assert isinstance(store, Quarantining)
    await store.quarantine([(batch, WHY) for batch in batches])


async def test_what_is_quarantined_is_a_dead_letter_as_it_was_and_can_be_replayed(
    database_url: str,
) -> None:
    batches = [make_batch(sequence, 3, pad=sequence) for sequence in range(1, 40)]
    batches[3].rows = batches[3].rows.replace(b'"e0"', '"é\\u00e9🎮\\""'.encode())
    async with open_store(database_url) as store, store.reader() as reader:
        await quarantine(store, *batches)
        letters = await reader.buried()
        assert [(each.sequence, each.reason, each.event_count) for each in letters] == [
            (each.sequence, WHY, 3) for each in batches
        ]
        for batch in batches:
            found = await reader.buried_batch(*batch.key)
            assert found is not None
            assert (found.rows, found.received_at) == (batch.rows, batch.received_at)
            written = await store.replay(*batch.key)
            assert written is not None
            assert written.stored == 3
        assert await reader.buried() == []


@pytest.mark.parametrize("of_runs", [False, True])
async def test_twice_is_once_and_what_is_stored_stays_out(database_url: str, of_runs: bool) -> None:
    first, second = (
        numbered(each, 10 * each, 10 * each + 5) if of_runs else make_batch(each, 5)
        for each in (1, 2)
    )
    async with open_store(database_url) as store, store.reader() as reader:
        await store.write([first])
        for _ in range(2):
            await quarantine(store, first, second)
        assert [each.sequence for each in await reader.buried()] == [2]
        assert (await store.write([first])).duplicate == 5
        written = await store.replay(*second.key)
        assert written is not None
        assert (written.stored, written.duplicate) == (5, 0)


async def test_numbers_of_what_is_quarantined_have_come(database_url: str) -> None:
    async with open_store(database_url) as store, store.reader() as reader:
        await quarantine(store, numbered(1, 0, 5), numbered(2, 5, 8), make_batch(3))
        again = numbered(4, 0, 8)
        assert (await store.write([again])).duplicate == 8
        await quarantine(store, numbered(5, 3, 10))
        letters = {each.sequence: each.event_count for each in await reader.buried()}
        assert letters == {1: 5, 2: 3, 3: 1, 5: 2}


@pytest.mark.parametrize("name", ["\0", "\x1b[2J", "\n", "\u202e"])
async def test_a_property_of_any_name_that_is_not_defined_makes_a_dead_letter(
    name: str, database_url: str
) -> None:
    definitions = {EventKey(PLAYSMART, "g", "Custom", "e"): Definition({}, more=False)}
    rows = msgspec.json.encode([["Custom", "e", "2026-04-22T12:00:00Z", {name: 1}]])
    letter = Batch(PLAYSMART, "g", "ada", 1, rows, "11" * 16, 1)
    reason = Standard(definitions, ["g"]).misfit(letter)
    assert reason is not None
    async with open_store(database_url) as store, store.reader() as reader:
        assert isinstance(store, Quarantining)
        await store.quarantine([(letter, reason)])
        shown = name.encode("unicode_escape").decode()
        problem = f"not as defined: e: object contains unknown field `{shown}`"
        assert [each.reason for each in await reader.buried()] == [problem]
