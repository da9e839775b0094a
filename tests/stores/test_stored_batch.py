"""A batch is found by its name in every store, also when its events are gone."""

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
