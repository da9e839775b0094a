"""What a batch is called and what it counts for."""

from playsmart_gateway.events.batch import BATCH_OVERHEAD_BYTES, first_event_id, last_event_id
from tests.support.doubles import make_batch


def test_a_batch_is_called_by_its_journal_and_its_place_there() -> None:
    batch = make_batch(7)
    assert batch.name == "11" * 16 + "-7"
    assert batch.key == ("11" * 16, 7)


def test_a_batch_weighs_its_rows_and_what_it_costs_beside_them() -> None:
    batch = make_batch(1)
    assert batch.size == len(batch.rows) + BATCH_OVERHEAD_BYTES


def test_ids_of_events_follow_each_other_and_no_two_batches_share_one() -> None:
    assert first_event_id(0) == 0
    assert last_event_id(0) == 255
    for batch_id in (0, 1, 41):
        assert first_event_id(batch_id + 1) == last_event_id(batch_id) + 1
