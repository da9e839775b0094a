"""The counts of a process that died, and of several together: the law holds in all of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.errors import Detail
from playsmart_gateway.metrics import (
    Addable,
    Gauges,
    Snapshot,
    Stats,
    Total,
    decode,
    encode,
)
from tests.support.gauges import make_gauges


def make_stats() -> Stats:
    stats = Stats(received=10, accepted=9, stored=5, duplicate=1)
    stats.rejected["buried"] += 2
    stats.observe_request("/ingest/events", 202, 0.002)
    stats.observe_flush("age", 5, 0.01)
    return stats


def test_a_snapshot_comes_out_as_it_went_in() -> None:
    snapshot = Snapshot(make_stats(), make_gauges(in_buffer=2), [Detail("store", "locked")])
    again = decode(encode(snapshot))
    assert again == snapshot
    again.stats.rejected["another"] += 1
    assert again.stats.rejected.total() == 3


def test_counts_add_up_and_the_pace_does_not() -> None:
    whole, other = make_stats(), make_stats()
    other.observe_request("/ingest/events", 202, 0.002)
    other.observe_request("/event", 200, 0.002)
    pace = whole.events_per_second
    whole.add(other)
    assert (whole.received, whole.stored, whole.rejected["buried"]) == (20, 10, 4)
    assert whole.requests["/ingest/events", 202].count == 3
    assert whole.requests["/event", 200].count == 1
    assert whole.flush_seconds.count == whole.flushes["age"] == 2
    assert whole.events_per_second == pace
    assert other.requests["/ingest/events", 202].count == 2, "the other is as it was"
    assert whole.unaccounted(4) == 0


def test_gauges_add_up_but_the_oldest_and_the_worst_hold() -> None:
    whole = make_gauges(in_buffer=1, in_commit_queue=2, arriving=3, oldest_age=1.5)
    whole.add(make_gauges(in_buffer=10, oldest_age=0.5, store_up=False))
    assert (whole.in_buffer, whole.waiting) == (11, 16)
    assert whole.connections == {"idle": 4}
    assert (whole.oldest_age, whole.store_up, whole.journal_up) == (1.5, False, True)


def test_a_new_gauge_must_say_how_it_is_added_up() -> None:
    with pytest.raises(TypeError, match=r"Silent\.loudness has 0 rules"):

        class Silent(Addable):
            said: Total
            loudness: float


@pytest.mark.parametrize("kind", [Stats, Gauges])
def test_every_field_has_a_rule(kind: type[Addable]) -> None:
    assert list(kind.rules()) == list(kind.__struct_fields__)


@pytest.mark.parametrize(
    ("replayed", "expected"),
    [
        (6, {"received": 20, "stored": 10, "rejected": 4, "replayed": 6}),  # exactly the buffer
        (4, {"received": 20, "stored": 12, "rejected": 4, "replayed": 4}),  # two were stored since
        (7, {"received": 20, "stored": 10, "rejected": 3, "replayed": 7}),  # one had arrived
        (9, {"received": 21, "stored": 10, "rejected": 2, "replayed": 9}),  # and one came later
    ],
)
def test_a_new_life_goes_on_from_the_last_counts(replayed: int, expected: dict[str, int]) -> None:
    """Of 20 events 10 were stored, 6 are in the buffer, 2 arriving, and 2 in the commit_queue."""
    stats = Stats(received=20, stored=10)
    stats.settle(replayed=replayed, in_buffer=6, arriving=2)
    found = {
        **{name: getattr(stats, name) for name in expected},
        "rejected": stats.rejected.total(),
    }
    assert found == expected
    assert stats.unaccounted(replayed) == 0


counts = st.integers(0, 50)


@given(counts, counts, counts, counts, counts, counts, counts)
def test_whatever_the_journal_had_the_law_holds_and_nothing_falls(
    stored: int,
    duplicate: int,
    rejected: int,
    in_buffer: int,
    arriving: int,
    in_commit_queue: int,
    found: int,
) -> None:
    received = stored + duplicate + rejected + in_buffer + arriving + in_commit_queue
    stats = Stats(received=received, stored=stored, duplicate=duplicate)
    stats.rejected["buried"] += rejected
    stats.settle(replayed=found, in_buffer=in_buffer, arriving=arriving)
    assert stats.unaccounted(found) == 0
    assert stats.received >= received
    assert stats.stored >= stored
    assert stats.rejected.total() >= rejected
