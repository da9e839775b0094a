import pytest

from playsmart_gateway.buffer import Buffer
from playsmart_gateway.errors import Closing, Overloaded
from playsmart_gateway.event import BATCH_OVERHEAD_BYTES
from playsmart_gateway.intake import Intake
from playsmart_gateway.stats import Stats
from tests.doubles import FakeClock, make_batch


@pytest.fixture
def buffer() -> Buffer:
    return Buffer(max_events=5, max_bytes=10_000, ripe_events=5, ripe_bytes=10_000)


@pytest.fixture
def stats() -> Stats:
    return Stats()


@pytest.fixture
def intake(buffer: Buffer, stats: Stats) -> Intake:
    return Intake(buffer, stats, retry_after_seconds=2, clock=FakeClock(1_700_000_000.5))


async def test_events_that_do_not_fit_are_refused_and_leave_nothing(
    intake: Intake, buffer: Buffer, stats: Stats
) -> None:
    await intake.accept(make_batch(count=4))
    with pytest.raises(Overloaded) as refusal:
        await intake.accept(make_batch(count=2))
    assert refusal.value.retry_after_seconds == 2
    assert (buffer.events, stats.rejected["buffer_full"]) == (4, 2)
    assert stats.unaccounted(buffer.events) == 0


async def test_a_body_that_is_larger_than_the_room_is_refused_before_decoding(
    intake: Intake,
) -> None:
    intake.require_room(10_000)
    with pytest.raises(Overloaded):
        intake.require_room(10_001)


async def test_a_full_ring_refuses_any_body_before_decoding(intake: Intake) -> None:
    await intake.accept(make_batch(count=5))
    with pytest.raises(Overloaded):
        intake.require_room(1)


async def test_a_closed_door_refuses_with_the_first_reason(
    intake: Intake, buffer: Buffer, stats: Stats
) -> None:
    intake.close("shutting_down")
    intake.close("something_else")
    with pytest.raises(Closing, match="shutting_down"):
        intake.require_room(1)
    with pytest.raises(Closing, match="shutting_down"):
        await intake.accept(make_batch())
    assert stats.unaccounted(buffer.events) == 0


async def test_the_receipt_counts_this_batch_and_the_whole_ring(intake: Intake) -> None:
    await intake.accept(make_batch(count=2))
    receipt = await intake.accept(make_batch(count=3))
    assert (receipt.accepted, receipt.buffered) == (3, 5)


async def test_accepted_batches_carry_rising_sequences_and_the_time_of_receipt(
    intake: Intake, buffer: Buffer
) -> None:
    for _ in range(3):
        await intake.accept(make_batch())
    waiting = buffer.head(100, 100_000)
    assert [batch.sequence for batch in waiting] == [1, 2, 3]
    assert {batch.received_at for batch in waiting} == {1_700_000_000_500_000}


async def test_a_batch_is_charged_for_more_than_its_rows(intake: Intake, buffer: Buffer) -> None:
    batch = make_batch()
    await intake.accept(batch)
    assert buffer.bytes == len(batch.rows) + BATCH_OVERHEAD_BYTES
