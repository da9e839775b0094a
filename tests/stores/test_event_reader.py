"""``EventReader``: events are read back, the same from every store."""

import json

import pytest

from playsmart_gateway.stores.models import (
    EVERYTHING,
    EventFilter,
    StoredEvent,
)
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stores.readers import EventReader
from playsmart_gateway.stores.sql import events as sql_events
from tests.support.event_batches import make_batches


async def read_all(
    reader: EventReader, wanted: EventFilter = EVERYTHING, *, limit: int, backwards: bool = False
) -> list[StoredEvent]:
    """Everything that is wanted, page by page."""
    found: list[StoredEvent] = []
    after, upto = 0, await reader.newest_event_id()
    while after < upto:
        page = await reader.events(
            wanted, after=after, upto=upto, limit=limit, newest_first=backwards
        )
        assert len(page.events) <= limit
        found += page.events
        after, upto = (after, page.position - 1) if backwards else (page.position, upto)
    return found


async def test_an_empty_store_has_no_events(url: str) -> None:
    async with open_store(url) as sink, sink.reader() as reader:
        assert await reader.newest_event_id() == 0
        assert await reader.events(upto=10, limit=5) == ([], 10)
        assert await reader.events(upto=10, limit=5, newest_first=True) == ([], 1)


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_pages_of_any_size_give_every_event_once_and_in_order(url: str, limit: int) -> None:
    async with open_store(url) as sink, sink.reader() as reader:
        await sink.write(make_batches())
        forwards = await read_all(reader, limit=limit)
        assert len(forwards) == 10
        assert [event.event_id for event in forwards] == sorted(e.event_id for e in forwards)
        assert await read_all(reader, limit=limit, backwards=True) == forwards[::-1]
        first, *_ = forwards
        assert first[1:7] == (
            *("playsmart", "stack", "ada", "AppOpen", None),
            "2026-04-01T00:00:00.000000Z",
        )
        assert (first.received_at, first.customdata) == ("2026-04-22T14:30:00.000002Z", None)
        assert json.loads(forwards[1].customdata or "")["n"] == 2**70 + 1


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (EventFilter(game_id="stack"), 5),
        (EventFilter(user_id="ada"), 6),
        (EventFilter(user_id="eve"), 2),
        (EventFilter(type="Custom"), 4),
        (EventFilter(source="teak"), 4),
        (EventFilter(since="2026-04-03T00:00:00.000000Z"), 3),
        (EventFilter(until="2026-04-03T00:00:00.000000Z"), 7),
        (EventFilter("stack", "ada", "Custom", "playsmart"), 1),
        (EventFilter(custom_event_name="j"), 4),
        (EventFilter(custom_event_name="Custom"), 0),
        (EventFilter("nowhere"), 0),
    ],
)
async def test_a_filter_keeps_what_is_meant(url: str, wanted: EventFilter, count: int) -> None:
    async with open_store(url) as sink, sink.reader() as reader:
        await sink.write(make_batches())
        assert len(await read_all(reader, wanted, limit=3)) == count
        assert len(await read_all(reader, wanted, limit=3, backwards=True)) == count
        counted = await reader.count_events(wanted, upto=10_000, limit=100)
        assert sum(each.events for each in counted.counts) == count


async def test_a_page_of_large_events_ends_early(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page is held in memory, and an event may be a megabyte."""
    monkeypatch.setattr(sql_events, "PAGE_BYTES", 20_000)
    monkeypatch.setattr(sql_events, "FIRST_FETCH", 2)
    async with open_store(database_url) as sink, sink.reader() as reader:
        await sink.write(make_batches(pad="x" * 10_000))
        page = await reader.events(upto=10_000, limit=10)
        assert 2 <= len(page.events) <= 5
        assert page.position == page.events[-1].event_id
        assert len(await read_all(reader, limit=10)) == 10
        assert len(await read_all(reader, limit=10, backwards=True)) == 10


async def test_counts_are_by_game_type_name_and_day(url: str) -> None:
    async with open_store(url) as sink, sink.reader() as reader:
        await sink.write(make_batches())
        first = await reader.count_events(upto=10_000, limit=4)
        rest = await reader.count_events(after=first.position, upto=10_000, limit=100)
        assert sorted(first.counts, key=lambda each: (each.source, each.type)) == [
            ("playsmart", "stack", "AppOpen", None, "2026-04-01", 2),
            ("playsmart", "stack", "Custom", "j", "2026-04-01", 1),
            ("teak", "spin", "AppOpen", None, "2026-04-02", 1),
        ]
        assert sum(each.events for each in rest.counts) == 6
        assert rest.position == 10_000
