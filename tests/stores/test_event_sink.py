"""``EventSink``: what takes events, be it a database or not, keeps these promises."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from playsmart_gateway.errors import SinkRejected
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.models import Written
from tests.support.doubles import make_batch
from tests.support.sinks import SINKS, TriedDatabase
from tests.support.stores import for_all

JOURNAL = "0f" * 16


@pytest.fixture(params=SINKS)
def tried(request: pytest.FixtureRequest, tmp_path: Path) -> TriedDatabase:
    """Each kind of sink in turn, with nothing in it."""
    return SINKS[request.param](request, tmp_path, request.param)


def _padded(time: str) -> str:
    return time if len(time) == 27 else f"{time[:19]}.000000Z"


async def test_rows_that_are_not_json_are_refused_or_buried_and_never_stored(
    tried: TriedDatabase,
) -> None:
    bad = make_batch(2)
    bad.rows = b"[[oops"
    async with tried.make() as sink:
        try:
            await sink.write([make_batch(1), bad])
        except SinkRejected:
            assert await tried.rows() == [], "all of them, or none"
            assert await sink.write([make_batch(1)]) == Written(stored=1, duplicate=0)
        else:
            assert [letter[-1] for letter in await tried.dead_letters()] == [b"[[oops"]
        assert [row[3]["n"] for row in await tried.rows()] == ["1.0"]


async def test_the_same_batches_again_are_a_no_op(tried: TriedDatabase) -> None:
    batches = [make_batch(1, count=2), make_batch(2, count=3)]
    async with tried.make() as sink:
        assert await sink.write(batches) == Written(stored=5, duplicate=0)
        assert await sink.write(batches) == Written(stored=0, duplicate=5)
        assert len(await tried.rows()) == 5


async def test_new_batches_beside_known_ones_are_stored(tried: TriedDatabase) -> None:
    async with tried.make() as sink:
        await sink.write([make_batch(2)])
        written = await sink.write([make_batch(1), make_batch(2), make_batch(3)])
        assert written == Written(stored=2, duplicate=1)
        names = [row[3]["n"] for row in await tried.rows()]
        assert sorted(names) == ["1.0", "2.0", "3.0"]


async def test_equal_sequences_of_two_journals_are_two_batches(tried: TriedDatabase) -> None:
    one, other = make_batch(1), make_batch(1)
    other.journal = "22" * 16
    async with tried.make() as sink:
        assert await sink.write([one, other]) == Written(stored=2, duplicate=0)
        assert await sink.write([other]) == Written(stored=0, duplicate=1)


async def test_a_buried_batch_is_kept_once_with_its_reason(tried: TriedDatabase) -> None:
    batch = make_batch(7, count=2)
    async with tried.make() as sink:
        await sink.bury(batch, "does not fit")
        await sink.bury(batch, "does not fit")
        assert await tried.rows() == []
        assert await tried.dead_letters() == [("does not fit", "player-1", 2, batch.rows)]


async def test_syncing_is_possible_at_any_time(tried: TriedDatabase) -> None:
    async with tried.make() as sink:
        await sink.sync()
        await sink.write([make_batch(1)])
        await sink.sync()


async def test_a_cancelled_write_leaves_all_or_nothing_and_can_be_repeated(
    tried: TriedDatabase,
) -> None:
    batches = [make_batch(sequence, count=50) for sequence in range(1, 40)]
    async with tried.make() as sink:
        for pause in (0, 0.0005, 0.002, 0.005):
            writing = asyncio.ensure_future(sink.write(batches))
            await asyncio.sleep(pause)
            writing.cancel()
            await asyncio.wait([writing])
        await sink.write(batches)
        assert len(await tried.rows()) == 50 * len(batches)


async def test_writing_nothing_stores_nothing(tried: TriedDatabase) -> None:
    async with tried.make() as sink:
        assert await sink.write([]) == Written(stored=0, duplicate=0)


async def test_more_batches_than_one_statement_takes_keep_their_order(tried: TriedDatabase) -> None:
    batches = [make_batch(sequence, count=1 + sequence % 3) for sequence in range(1, 702)]
    async with tried.make() as sink:
        await sink.write(batches)
        names = [row[3]["n"] for row in await tried.rows()]
    assert names == [f"{b.sequence}.{place}" for b in batches for place in range(b.count)]


@pytest.mark.parametrize(
    "text",
    ["", "'; DROP TABLE batches; --", "é漢😀", "a" * 100_000, '"\\', "\u2028"],
)
async def test_any_text_comes_back_as_it_was(tried: TriedDatabase, text: str) -> None:
    row = ["Custom", text or "x", "2026-04-22T14:30:00Z", {text: [text, None, 1.5, True, {}]}]
    batch = Batch(
        "playsmart", text[:256], text[:256] or "u", 1, msgspec.json.encode([row]), JOURNAL, 1, 1
    )
    async with tried.make() as sink:
        await sink.write([batch])
        assert await tried.rows() == [[*row[:2], _padded(str(row[2])), row[3]]]


any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | any_text,
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
times = st.sampled_from(
    ["0001-01-01T00:00:00Z", "2026-04-22T14:30:00Z", "2026-04-22T14:30:00.000001Z",
     "9999-12-31T23:59:59.999999Z"]
)  # fmt: skip
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
rows = st.tuples(
    st.sampled_from(["Custom", "AppOpen"]),
    st.none()
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
    times,
    st.none() | st.dictionaries(any_text, json_values),
)


@for_all(60, requests=st.lists(st.lists(rows, min_size=1, max_size=5), min_size=1, max_size=5))
async def test_rows_come_back_as_they_were(tried: TriedDatabase, requests: list[list[Any]]) -> None:
    """Flushing twice with different boundaries, and reopening, change nothing either."""
    await tried.empty()
    batches = [
        Batch("playsmart", "g", "u", len(each), msgspec.json.encode(each), JOURNAL, place + 1, 1)
        for place, each in enumerate(requests)
    ]
    expected = [
        [kind, name, _padded(time), data] for each in requests for kind, name, time, data in each
    ]
    async with tried.make() as sink:
        await sink.write(batches[:1])
        await sink.write(batches[1:])
        await sink.write(batches)
        assert await tried.rows() == expected
