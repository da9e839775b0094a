import asyncio
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from playsmart_gateway.events.batch import (
    BATCH_OVERHEAD_BYTES,
    Batch,
)
from playsmart_gateway.pipeline.buffer import Buffer
from tests.support.doubles import FakeClock, make_batch


def make_buffer(clock: FakeClock | None = None, **limits: int) -> Buffer:
    defaults = {"max_events": 10, "max_bytes": 100_000, "ripe_events": 5, "ripe_bytes": 50_000}
    settings: dict[str, Any] = {**defaults, **limits}
    return Buffer(**settings, clock=clock or FakeClock())


def test_batches_of_a_journal_arrive_in_order_unless_that_is_not_asked() -> None:
    ordered, unordered = make_buffer(), make_buffer(ordered=False)
    for buffer in (ordered, unordered):
        buffer.put(make_batch(2))
    unordered.put(make_batch(1))
    assert [batch.sequence for batch in unordered.head(10, 10_000)] == [2, 1]
    with pytest.raises(AssertionError, match="in order"):
        ordered.put(make_batch(1))


def test_no_room_for_one_event_more_than_the_limit() -> None:
    buffer = make_buffer(max_events=3)
    buffer.put(make_batch(1, count=2))
    assert buffer.has_room(1, 0)
    assert not buffer.has_room(2, 0)


def test_no_room_for_one_byte_more_than_the_limit() -> None:
    batch = make_batch(1)
    buffer = make_buffer(max_bytes=2 * batch.size)
    buffer.put(batch)
    assert buffer.has_room(1, batch.size)
    assert not buffer.has_room(1, batch.size + 1)


def test_reserved_room_is_no_room_for_others_until_it_is_released() -> None:
    buffer = make_buffer(max_events=3)
    buffer.reserve(2, 0)
    assert not buffer.has_room(2, 0)
    buffer.release(2, 0)
    assert buffer.has_room(3, 0)


def test_each_of_several_reservations_counts_its_events_and_bytes_until_its_own_release() -> None:
    buffer = make_buffer(max_events=5, max_bytes=50)
    buffer.reserve(1, 10)
    buffer.reserve(2, 20)
    assert buffer.has_room(2, 20)
    assert not buffer.has_room(3, 20)
    assert not buffer.has_room(2, 21)
    buffer.release(1, 10)
    assert buffer.has_room(3, 30)
    assert not buffer.has_room(4, 30)
    assert not buffer.has_room(3, 31)


def test_releasing_what_was_never_reserved_is_our_mistake() -> None:
    with pytest.raises(AssertionError):
        make_buffer().release(1, 0)


def test_a_new_journal_may_begin_its_numbers_anew() -> None:
    buffer = make_buffer()
    buffer.put(make_batch(5))
    replayed = make_batch(1)
    replayed.journal = "22" * 16
    buffer.put(replayed)
    assert len(buffer) == 2


@pytest.mark.parametrize("sequence", [1, 2])
def test_a_batch_out_of_order_or_for_the_second_time_is_our_mistake(sequence: int) -> None:
    buffer = make_buffer()
    buffer.put(make_batch(2))
    with pytest.raises(AssertionError):
        buffer.put(make_batch(sequence))


def test_who_looks_through_it_meets_every_batch_oldest_first() -> None:
    buffer = make_buffer()
    for sequence in (1, 2, 3):
        buffer.put(make_batch(sequence))
    assert [batch.sequence for batch in buffer] == [1, 2, 3]


def test_looking_at_the_head_takes_nothing_away() -> None:
    buffer = make_buffer()
    buffer.put(make_batch(1, count=2))
    assert buffer.head(100, 100_000) == buffer.head(100, 100_000)
    assert buffer.events == 2


def test_the_head_stops_before_the_batch_that_would_exceed_a_limit() -> None:
    buffer = make_buffer()
    for sequence in (1, 2, 3):
        buffer.put(make_batch(sequence, count=2))
    assert [batch.sequence for batch in buffer.head(5, 100_000)] == [1, 2]
    assert [batch.sequence for batch in buffer.head(100, make_batch(1, count=2).size)] == [1]


def test_the_head_may_come_to_exactly_both_limits() -> None:
    buffer = make_buffer()
    for sequence in (1, 2, 3):
        buffer.put(make_batch(sequence, count=2))
    size = make_batch(1, count=2).size
    assert [batch.sequence for batch in buffer.head(4, 2 * size)] == [1, 2]


def test_the_head_holds_a_batch_that_is_larger_than_any_limit() -> None:
    buffer = make_buffer()
    buffer.put(make_batch(1, count=3))
    assert len(buffer.head(1, 1)) == 1


def test_an_empty_buffer_has_no_age_and_is_not_ripe() -> None:
    buffer = make_buffer()
    assert (buffer.oldest_age, buffer.ripe, buffer.head(1, 1)) == (0.0, None, [])


def test_it_is_ripe_by_events_and_by_bytes() -> None:
    ripe_by_events = make_buffer(ripe_events=2)
    reasons = []
    for sequence in (1, 2):
        ripe_by_events.put(make_batch(sequence))
        reasons.append(ripe_by_events.ripe)
    assert reasons == [None, "events"]
    ripe_by_bytes = make_buffer(ripe_bytes=1_000 + BATCH_OVERHEAD_BYTES)
    ripe_by_bytes.put(make_batch(1, pad=1_000))
    assert ripe_by_bytes.ripe == "bytes"


def test_it_is_nearly_full_when_two_more_lots_may_not_fit() -> None:
    size = make_batch(1).size
    for buffer in (
        make_buffer(max_events=5, ripe_events=2, ripe_bytes=size),
        make_buffer(max_events=100, max_bytes=5 * size, ripe_bytes=2 * size),
    ):
        buffer.put(make_batch(1))
        assert not buffer.is_nearly_full
        buffer.put(make_batch(2))
        assert buffer.is_nearly_full


def test_it_stirs_when_it_fills_from_empty_and_when_it_turns_ripe_but_not_between() -> None:
    buffer = make_buffer(ripe_events=3)
    stirred = []
    for sequence in (1, 2, 3):
        buffer.stirred.clear()
        buffer.put(make_batch(sequence))
        stirred.append(buffer.stirred.is_set())
    assert stirred == [True, False, True]


def test_the_batch_that_reaches_the_bytes_to_be_ripe_at_stirs_it() -> None:
    size = make_batch(1).size
    buffer = make_buffer(ripe_bytes=2 * size)
    buffer.put(make_batch(1))
    buffer.stirred.clear()
    buffer.put(make_batch(2))
    assert buffer.ripe == "bytes"
    assert buffer.stirred.is_set()


def test_age_counts_from_the_oldest_batch() -> None:
    clock = FakeClock()
    buffer = make_buffer(clock)
    buffer.put(make_batch(1))
    clock.advance(3)
    buffer.put(make_batch(2))
    assert buffer.oldest_age == 3


def test_after_a_full_flush_age_counts_at_most_from_the_last_look() -> None:
    clock = FakeClock()
    buffer = make_buffer(clock)
    buffer.put(make_batch(1))
    clock.advance(3)
    taken = buffer.head(100, 100_000)
    clock.advance(1)
    buffer.put(make_batch(2))  # arrives while the sink writes
    buffer.drop(len(taken))
    assert buffer.oldest_age == 1


def test_what_a_limited_flush_leaves_behind_keeps_its_age() -> None:
    clock = FakeClock()
    buffer = make_buffer(clock)
    buffer.put(make_batch(1))
    buffer.put(make_batch(2))
    clock.advance(3)
    buffer.drop(len(buffer.head(1, 100_000)))
    assert buffer.oldest_age == 3


class RingAgainstAList(RuleBasedStateMachine):
    """The buffer is a list with two sums; whatever happens, the sums and the order agree."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = make_buffer(max_events=50, max_bytes=20_000)
        self.model: list[Batch] = []
        self.reserved: list[Batch] = []
        self.sequence = 0

    @rule(count=st.integers(1, 20), pad=st.integers(0, 3_000))
    def put_if_there_is_room(self, count: int, pad: int) -> None:
        self.sequence += 1
        batch = make_batch(self.sequence, count, pad=pad)
        fits = self.fits(batch)
        assert self.buffer.has_room(count, batch.size) == fits
        if fits:
            self.buffer.put(batch)
            self.model.append(batch)

    @rule(count=st.integers(1, 20), pad=st.integers(0, 3_000))
    def reserve(self, count: int, pad: int) -> None:
        batch = make_batch(0, count, pad=pad)
        fits = self.fits(batch)
        assert self.buffer.reserve(count, batch.size) == fits
        if fits:
            self.reserved.append(batch)

    @precondition(lambda self: self.reserved)
    @rule(is_put=st.booleans())
    def use_what_is_reserved(self, is_put: bool) -> None:
        batch = self.reserved.pop(0)
        if is_put:
            self.sequence += 1
            batch.sequence = self.sequence
            self.buffer.put_reserved(batch, batch.size)
            self.model.append(batch)
        else:
            self.buffer.release(batch.count, batch.size)

    def fits(self, batch: Batch) -> bool:
        held = [*self.model, *self.reserved, batch]
        return sum(each.count for each in held) <= 50 and sum(each.size for each in held) <= 20_000

    @precondition(lambda self: self.model)
    @rule(max_events=st.integers(1, 60), max_bytes=st.integers(1, 30_000))
    def flush(self, max_events: int, max_bytes: int) -> None:
        head = self.buffer.head(max_events, max_bytes)
        assert head == self.model[: len(head)]
        assert head
        if len(head) > 1:
            assert sum(each.count for each in head) <= max_events
            assert sum(each.size for each in head) <= max_bytes
        self.buffer.drop(len(head))
        del self.model[: len(head)]

    @precondition(lambda self: self.model)
    @rule(looks=st.booleans(), share=st.floats(0, 1))
    def let_go_of_some(self, looks: bool, share: float) -> None:
        if looks:
            self.buffer.head(1_000, 1_000_000)
        count = round(share * len(self.model))
        self.buffer.drop(count)
        del self.model[:count]

    @invariant()
    def sums_agree(self) -> None:
        assert len(self.buffer) == len(self.model)
        assert self.buffer.events == sum(each.count for each in self.model)
        assert self.buffer.bytes == sum(each.size for each in self.model)


TestRingAgainstAList = RingAgainstAList.TestCase


async def test_the_flusher_is_woken_by_the_buffer() -> None:
    buffer = make_buffer()
    waiting = asyncio.create_task(buffer.stirred.wait())
    await asyncio.sleep(0)
    buffer.put(make_batch(1))
    assert await waiting
