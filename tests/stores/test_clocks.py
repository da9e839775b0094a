"""The time of an event by the gateway's clock, as the relation ``events`` has it in every store."""

from datetime import UTC, datetime, timedelta
from itertools import count, pairwise

import msgspec
from hypothesis import strategies as st

from playsmart_gateway.events.about import About
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.contract import Store
from playsmart_gateway.stores.memory.events import clock_of, repaired
from playsmart_gateway.stores.models import StoredEvent
from playsmart_gateway.stores.open import open_store
from tests.support.numbered import numbered
from tests.support.stores import MakeSink, for_all

RECEIVED = datetime(2026, 4, 22, 14, 30, tzinfo=UTC)
FIRST = datetime(1, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def batch_of(
    sequence: int, first: int, times: list[datetime], offset_ms: int | None = None
) -> Batch:
    """Of a run whose phone's clock is behind by ``offset_ms``, if it says that."""
    batch = numbered(sequence, first, first + len(times))
    rows = msgspec.json.decode(batch.rows)
    for row, when in zip(rows, times, strict=True):
        row[2] = f"{when.isoformat().removesuffix('+00:00')}Z"
    batch.rows = msgspec.json.encode(rows)
    batch.received_at = (RECEIVED - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)
    if offset_ms is not None:
        batch.about = About(sent_at=batch.received_at - 1_000 * offset_ms)
    return batch


async def stored(store: Store, *batches: Batch) -> list[StoredEvent]:
    async with store.reader() as reader:
        before = await reader.newest_event_id()
        await store.write(batches)
        upto = await reader.newest_event_id()
        return (await reader.events(after=before, upto=upto, limit=999)).events


def parsed(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_a_clock_that_is_wrong_by_more_than_a_minute_is_repaired_for_all_of_its_run(
    make_sink: MakeSink,
) -> None:
    year_behind, tick = RECEIVED - timedelta(days=365), timedelta(microseconds=1)
    cases = [
        (None, RECEIVED, RECEIVED), (60_000, RECEIVED, RECEIVED), (-60_000, RECEIVED, RECEIVED),
        (60_001, RECEIVED, RECEIVED + timedelta(seconds=60)),
        (-3_599_999, RECEIVED, RECEIVED - timedelta(seconds=3_599)),
        (365 * 86_400_000 + 999, year_behind + tick, RECEIVED + tick),
    ]  # fmt: skip
    async with make_sink() as store:
        for n, (offset, when, expected) in enumerate(cases):
            batches = [batch_of(2 * n, 10, [when]), batch_of(2 * n + 1, 11, [when], offset)]
            for batch in batches:
                batch.run = bytes([n]) * 24
            events = await stored(store, *batches)
            assert [parsed(event.occurred_at) for event in events] == [when] * 2
            assert [parsed(event.adjusted_at) for event in events] == [expected] * 2, offset
            assert [event.clock for event in events] == [None] * 2
        (bare,) = await stored(store, msgspec.structs.replace(batches[0], run=b"", sequence=99))
        assert bare.adjusted_at == bare.occurred_at


async def test_a_time_that_cannot_be_right_is_flagged_and_not_moved(make_sink: MakeSink) -> None:
    late = RECEIVED + timedelta(hours=26)
    tick = timedelta(microseconds=1)
    first = datetime(2007, 1, 1, tzinfo=UTC)
    flags = {
        late: None, late + tick: "future", LAST: "future", RECEIVED: None,
        first: None, first - tick: "past", datetime(1970, 1, 1, tzinfo=UTC): "past", FIRST: "past",
    }  # fmt: skip
    async with make_sink() as store:
        events = await stored(store, batch_of(1, 0, list(flags)))
        assert {parsed(event.adjusted_at): event.clock for event in events} == flags
        wrong = batch_of(2, 0, [RECEIVED - timedelta(days=20_000)], 20_000 * 86_400_000)
        wrong.run = b"w" * 24
        (event,) = await stored(store, wrong)
        assert (parsed(event.adjusted_at), event.clock) == (RECEIVED, None), "it was repaired"


examples = count(1)
times = st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None), timezones=st.just(UTC))
offsets = st.none() | st.integers(-250_000_000_000_000, 250_000_000_000_000).filter(
    lambda ms: FIRST < RECEIVED - timedelta(milliseconds=ms) < LAST if abs(ms) < 2**47 else False
)


@for_all(
    60,
    when=st.lists(times | st.datetimes(RECEIVED.replace(tzinfo=None)).map(
        lambda time: time.replace(tzinfo=UTC)), min_size=1, max_size=8),
    spoken=st.lists(offsets | st.integers(-200_000, 200_000), min_size=1, max_size=3),
)  # fmt: skip
async def test_the_order_of_a_run_never_changes_and_every_store_repairs_it_alike(
    database_url: str, when: list[datetime], spoken: list[int | None]
) -> None:
    example = next(examples)
    batches = [batch_of(n, n * len(when), when, offset) for n, offset in enumerate(spoken, 1)]
    for batch in batches:
        batch.run, batch.journal = example.to_bytes(24, "big"), f"{example:032x}"
    said = [ms for ms in spoken if ms is not None]
    offset = min(said, default=None)
    async with open_store(database_url) as store:
        events = await stored(store, *batches)
        await store.forget_runs(2**62, after=b"", limit=99)
    assert len({event.event_id for event in events}) == len(when) * len(spoken)
    for event in events:
        expected = repaired(parsed(event.occurred_at), offset)
        assert parsed(event.adjusted_at) == expected
        assert event.clock == clock_of(expected, batches[0].received_at)
    in_order = sorted(events, key=lambda event: event.occurred_at)
    assert all(a.adjusted_at <= b.adjusted_at for a, b in pairwise(in_order))


async def test_of_a_run_that_is_forgotten_the_raw_time_is_left(database_url: str) -> None:
    batch = batch_of(1, 0, [RECEIVED], 90_000)
    async with open_store(database_url) as store:
        (event,) = await stored(store, batch)
        assert event.adjusted_at > event.occurred_at
        await store.forget_runs(batch.received_at + 1, after=b"", limit=9)
        async with store.reader() as reader:
            ((again,), _) = await reader.events(upto=event.event_id, limit=9)
        assert again == event._replace(adjusted_at=event.occurred_at)
