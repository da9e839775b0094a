"""A batch is found by its name in every store, also when its events are gone."""

from datetime import UTC, datetime

import msgspec

from playsmart_gateway.stores.models import StoredBatch
from playsmart_gateway.stores.open import open_store
from tests.support.doubles import make_batch


async def test_a_batch_is_found_by_its_name_and_stays_when_its_events_go(url: str) -> None:
    journal = "11" * 16
    async with open_store(url) as sink, sink.reader() as reader:
        await sink.write([make_batch(3, 2, "ada"), make_batch(4, 1, "bob")])
        found = await reader.stored_batch(journal, 3)
        assert found is not None
        first = found.batch_id * 256
        assert found == StoredBatch(
            found.batch_id, "playsmart", "com.example.game", "ada", found.received_at,
            (first, first + 1),
        )  # fmt: skip
        page = await reader.events(upto=first + 1, limit=1)
        assert page.events[0].received_at == found.received_at
        assert await reader.stored_batch(journal, 5) is None
        assert await reader.stored_batch("22" * 16, 3) is None
        await sink.erase("ada")
        erased = await reader.stored_batch(journal, 3)
        assert erased is not None
        assert (erased.batch_id, erased.event_ids) == (found.batch_id, ())
        assert erased.user_id != "ada"
        other = await reader.stored_batch(journal, 4)
        assert other is not None
        assert other.user_id == "bob"


async def test_each_event_is_of_the_batch_that_brought_it_however_small_batches_are(
    url: str,
) -> None:
    batches = [
        make_batch(
            number,
            count=2 if number % 270 == 269 else 1,
            user_id=f"player-{number}",
            pad=2_000 if number % 280 == 279 else 0,
        )
        for number in range(1, 1_200)
    ]
    found = []
    async with open_store(url) as sink, sink.reader() as reader:
        await sink.write(batches[:1])
        await sink.write(batches[1:])
        upto, at = 2**62, 0
        while at < upto:
            page = await reader.events(after=at, upto=upto, limit=1_000)
            found += [(each.user_id, each.received_at, each.customdata) for each in page.events]
            at = page.position
    assert [(user, msgspec.json.decode(data or "")["n"]) for user, _, data in found] == [
        (each.user_id, f"{each.sequence}.{place}")
        for each in batches
        for place in range(each.count)
    ]
    received = datetime.fromtimestamp(batches[-1].received_at // 1_000_000, UTC)
    assert found[-1][1] == f"{received:%Y-%m-%dT%H:%M:%S}.{batches[-1].received_at % 1_000_000:06}Z"
