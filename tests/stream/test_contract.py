"""The suite of the sinks, end to end: published to a stream, stored by a worker behind it."""

from pathlib import Path

import pytest

from playsmart_gateway.stores.open import open_store
from tests.stores.test_contract import (
    dead_letters,
    stored_rows,
    test_a_buried_batch_is_kept_once_with_its_reason,
    test_a_cancelled_write_leaves_all_or_nothing_and_can_be_repeated,
    test_any_text_comes_back_as_it_was,
    test_equal_sequences_of_two_journals_are_two_batches,
    test_more_batches_than_one_statement_takes_keep_their_order,
    test_new_batches_beside_known_ones_are_stored,
    test_rows_come_back_as_they_were,
    test_syncing_is_possible_at_any_time,
    test_the_same_batches_again_are_a_no_op,
    test_writing_nothing_stores_nothing,
)
from tests.stream.pipeline import PipedSink
from tests.support.doubles import make_batch
from tests.support.engines.nats import NatsServers
from tests.support.stores import MakeEventSink, store_url

__all__ = [
    "test_a_buried_batch_is_kept_once_with_its_reason",
    "test_a_cancelled_write_leaves_all_or_nothing_and_can_be_repeated",
    "test_any_text_comes_back_as_it_was",
    "test_equal_sequences_of_two_journals_are_two_batches",
    "test_more_batches_than_one_statement_takes_keep_their_order",
    "test_new_batches_beside_known_ones_are_stored",
    "test_rows_come_back_as_they_were",
    "test_syncing_is_possible_at_any_time",
    "test_the_same_batches_again_are_a_no_op",
    "test_writing_nothing_stores_nothing",
]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The database behind the worker."""
    return store_url(request.param, request, tmp_path)


@pytest.fixture
def make_sink(nats_server: NatsServers, url: str) -> MakeEventSink:
    return lambda: PipedSink(nats_server.url, open_store(url), open_store(url))


async def test_rows_that_are_not_json_are_buried_by_the_worker_and_their_neighbours_stored(
    make_sink: MakeEventSink, url: str
) -> None:
    bad = make_batch(2)
    bad.rows = b"[[oops"
    async with make_sink() as sink:
        await sink.write([make_batch(1), bad, make_batch(3)])
        assert [row[3]["n"] for row in await stored_rows(sink, url)] == ["1.0", "3.0"]
        ((_, user_id, count, rows),) = await dead_letters(sink, url)
        assert (user_id, count, rows) == (bad.user_id, 1, b"[[oops")
