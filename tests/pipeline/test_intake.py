import asyncio
from collections.abc import Callable, Coroutine, Sequence

import pytest

from playsmart_gateway.errors import Closing, JournalUnavailable, Overloaded
from playsmart_gateway.events.batch import (
    BATCH_OVERHEAD_BYTES,
    Batch,
)
from playsmart_gateway.metrics import Stats
from playsmart_gateway.pipeline.buffer import Buffer
from playsmart_gateway.pipeline.intake import (
    MAX_RETRY_AFTER_SECONDS,
    MAX_WAITERS,
    MAX_WAITING_BYTES,
    Intake,
)
from playsmart_gateway.pipeline.origin import Fsync, MemoryOnly
from tests.support.doubles import FakeClock, make_batch


class WitnessJournal(MemoryOnly):
    """Notes the groups it is given; fails when told; syncs when let."""

    def __init__(self, fsync: Fsync = "never") -> None:
        super().__init__()
        self.fsync = fsync
        self.groups: list[list[int]] = []
        self.undone = 0
        self.fails = False
        self.sync_may_end = asyncio.Event()

    def write(self, batches: Sequence[Batch]) -> None:
        if self.fails:
            raise JournalUnavailable
        super().write(batches)
        self.groups.append([batch.sequence for batch in batches])

    async def sync(self) -> None:
        await self.sync_may_end.wait()
        if self.fails:
            raise JournalUnavailable

    def undo(self) -> None:
        self.undone += 1


class Door:
    """An intake over a small buffer."""

    def __init__(
        self,
        *,
        wait: float = 0,
        fsync: Fsync = "never",
        max_events: int = 5,
        max_bytes: int = 100_000,
    ) -> None:
        self.journal = WitnessJournal(fsync)
        self.stats = Stats()
        self.buffer = Buffer(
            max_events=max_events, max_bytes=max_bytes, ripe_events=5, ripe_bytes=max_bytes
        )
        self.intake = Intake(
            self.journal,
            self.buffer,
            self.stats,
            wait_for_room_seconds=wait,
            clock=FakeClock(1_700_000_000.5),
        )

    async def request(self, count: int, body_bytes: int = 0) -> int:
        """Ask for room and send a batch, as a dialect does; return the depth of the buffer."""
        await self.intake.room_for(body_bytes or 40 * (count - 1))
        return (await self.intake.accept(make_batch(count=count))).buffered

    def store(self, batches: int) -> None:
        """Do what the flusher does when the sink took the oldest batches."""
        stored = self.buffer.head(10**6, 10**6)[:batches]
        self.stats.stored += sum(batch.count for batch in stored)
        self.buffer.drop(batches)
        self.intake.room_came()

    def assert_law(self) -> None:
        assert self.stats.unaccounted(self.buffer.events) == 0
        assert self.intake.arriving == 0
        assert self.buffer.has_room(self.buffer.max_events - self.buffer.events, 0), "leaked room"


async def turns(count: int = 10) -> None:
    """Let the event loop turn, as often as a request takes that waits for nothing."""
    for _ in range(count):
        await asyncio.sleep(0)


class SteppedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands until it is told to move."""

    now = 0.0

    def time(self) -> float:
        return self.now


def run_stepped(scenario: Callable[[SteppedLoop], Coroutine[None, None, None]]) -> None:
    loop = SteppedLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(scenario(loop))


# ---- Refusals ----------------------------------------------------------------------------------


async def test_events_that_do_not_fit_are_refused_and_leave_nothing() -> None:
    door = Door()
    await door.request(4)
    for _ in range(2):
        with pytest.raises(Overloaded):
            await door.request(2)
    assert (door.buffer.events, door.stats.rejected["buffer_full"]) == (4, 4)
    assert door.journal.groups == [[1]]
    door.assert_law()


async def test_a_full_buffer_refuses_any_body_before_decoding() -> None:
    door = Door()
    await door.request(5)
    with pytest.raises(Overloaded):
        await door.intake.room_for(1)
    assert door.stats.received == 5


async def test_a_closed_door_refuses_with_the_first_reason() -> None:
    door = Door()
    door.intake.close("store_is_gone")
    door.intake.close("something_else")
    with pytest.raises(Closing, match="store_is_gone") as refusal:
        await door.intake.room_for(1)
    assert refusal.value.retry_after_seconds == 1
    with pytest.raises(Closing, match="store_is_gone"):
        await door.intake.accept(make_batch())
    door.assert_law()


async def test_what_the_journal_does_not_take_is_refused_and_not_in_the_buffer() -> None:
    door = Door()
    door.journal.fails = True
    with pytest.raises(JournalUnavailable) as refusal:
        await door.request(2)
    assert refusal.value.retry_after_seconds is not None
    assert door.buffer.events == 0
    door.assert_law()
    door.journal.fails = False
    assert await door.request(5) == 5


async def test_all_that_shared_a_write_is_refused_and_counted_when_the_journal_fails() -> None:
    door = Door()
    door.journal.fails = True
    outcomes = await asyncio.gather(
        *(door.request(count) for count in (1, 2)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [JournalUnavailable] * 2
    assert door.stats.rejected["journal_unavailable"] == 3
    assert door.buffer.stirred.is_set(), "the flusher may make room on the disk"
    door.assert_law()


async def test_room_is_asked_for_the_most_events_that_a_body_can_hold() -> None:
    door = Door()
    await door.request(3)
    assert door.intake.has_room_for(79, 500), "two events of 40 bytes at most"
    assert not door.intake.has_room_for(80, 500)
    assert door.intake.has_room_for(10_000, 2), "its dialect takes two at most"
    assert not door.intake.has_room_for(10_000, 3)


async def test_a_body_that_may_be_larger_than_the_buffer_is_decoded_when_the_buffer_is_empty() -> (
    None
):
    door = Door()
    assert door.intake.has_room_for(10**6, 10**6)
    await door.request(1)
    assert not door.intake.has_room_for(10**6, 10**6)


async def test_what_cannot_be_synced_is_taken_back_and_refused() -> None:
    door = Door(fsync="always")
    request = asyncio.create_task(door.request(2))
    await turns()
    door.journal.fails = True
    door.journal.sync_may_end.set()
    with pytest.raises(JournalUnavailable):
        await request
    assert door.journal.undone == 1
    door.assert_law()


# ---- The promise -------------------------------------------------------------------------------


async def test_the_receipt_counts_this_batch_and_the_whole_buffer() -> None:
    door = Door()
    await door.request(2)
    await door.intake.room_for(1)
    receipt = await door.intake.accept(make_batch(count=3))
    assert (receipt.accepted, receipt.buffered) == (3, 5)
    assert door.stats.accepted == 5


async def test_requests_of_one_turn_share_a_write_and_keep_their_order() -> None:
    door = Door(max_events=100)
    depths = await asyncio.gather(*(door.request(count) for count in (1, 2, 3)))
    assert depths == [1, 3, 6]
    assert door.journal.groups == [[1, 2, 3]]
    assert [batch.count for batch in door.buffer.head(100, 10**6)] == [1, 2, 3]


async def test_with_fsync_always_answers_wait_for_the_sync_and_later_requests_share_the_next() -> (
    None
):
    door = Door(fsync="always", max_events=100)
    first = asyncio.create_task(door.request(1))
    await turns()
    later = [asyncio.create_task(door.request(1)) for _ in range(3)]
    await turns()
    assert not first.done()
    assert door.buffer.events == 0
    assert door.journal.groups == [[1]]
    door.journal.sync_may_end.set()
    await asyncio.gather(first, *later)
    assert door.journal.groups == [[1], [2, 3, 4]]
    await door.request(1)
    assert door.journal.groups == [[1], [2, 3, 4], [5]]
    door.assert_law()


async def test_it_is_settled_when_all_that_was_let_in_is_in_the_buffer() -> None:
    door = Door(fsync="always", max_events=100)
    first = asyncio.create_task(door.request(1))
    await turns()
    next_group = asyncio.create_task(door.request(2))
    await turns()
    assert door.intake.arriving == 3
    settled = asyncio.create_task(door.intake.settled())
    await turns()
    assert not settled.done()
    door.journal.sync_may_end.set()
    await settled
    assert door.buffer.events == 3
    assert [await first, await next_group] == [1, 3]


async def test_it_is_settled_at_once_without_anything_to_sync() -> None:
    door = Door()
    await door.intake.settled()
    request = asyncio.create_task(door.request(2))
    await asyncio.sleep(0)
    await door.intake.settled()
    assert door.buffer.events == 2
    assert await request == 2


async def test_a_client_that_hangs_up_changes_nothing_for_the_others() -> None:
    door = Door(max_events=100)
    requests = [asyncio.create_task(door.request(1)) for _ in range(3)]
    await asyncio.sleep(0)
    requests[1].cancel()
    results = await asyncio.gather(*requests, return_exceptions=True)
    assert isinstance(results[1], asyncio.CancelledError)
    assert door.buffer.events == 3
    door.assert_law()


async def test_accepted_batches_are_named_and_stamped() -> None:
    door = Door()
    await door.request(1)
    await door.request(1)
    waiting = door.buffer.head(100, 100_000)
    assert [batch.sequence for batch in waiting] == [1, 2]
    assert len({batch.journal for batch in waiting}) == 1
    assert {batch.received_at for batch in waiting} == {1_700_000_000_500_000}


async def test_a_batch_is_charged_for_more_than_its_rows() -> None:
    door = Door()
    await door.request(1)
    (batch,) = door.buffer.head(1, 1)
    assert door.buffer.bytes == len(batch.rows) + BATCH_OVERHEAD_BYTES


# ---- Waiting for room --------------------------------------------------------------------------


async def test_who_waits_too_long_is_refused_and_leaves_nothing() -> None:
    door = Door(wait=0.01)
    await door.request(5)
    with pytest.raises(Overloaded):
        await door.request(1)
    door.store(1)
    assert await door.request(5) == 5
    door.assert_law()


async def test_those_who_wait_are_let_in_oldest_first_as_room_comes() -> None:
    door = Door(wait=5)
    await door.request(3)
    await door.request(2)
    order: list[str] = []

    async def wait(name: str, count: int) -> None:
        await door.request(count)
        order.append(name)

    waiting = [asyncio.create_task(wait(name, count)) for name, count in (("a", 3), ("b", 2))]
    await turns()
    door.store(1)
    await turns()
    assert order == ["a"]
    door.store(1)
    await asyncio.gather(*waiting)
    assert order == ["a", "b"]
    door.assert_law()


async def test_a_newcomer_does_not_overtake_those_who_wait() -> None:
    door = Door(wait=5)
    await door.request(4)
    first = asyncio.create_task(door.request(3))
    await turns()
    newcomer = asyncio.create_task(door.request(1))
    await turns()
    assert not newcomer.done()
    door.store(1)
    depths = await asyncio.gather(first, newcomer)
    assert list(depths) == [3, 4]


async def test_room_that_was_given_to_a_waiter_is_not_taken_before_it_runs() -> None:
    door = Door(wait=5)
    await door.request(5)
    waiting = asyncio.create_task(door.request(5))
    await turns()
    door.store(1)  # the waiter is let in and runs at the next turn; somebody comes before that
    assert not door.buffer.has_room(1, 0)
    assert await waiting == 5
    door.assert_law()


async def test_room_given_to_one_who_hangs_up_goes_to_the_next() -> None:
    door = Door(wait=5)
    await door.request(5)
    leaving = asyncio.create_task(door.request(5))
    staying = asyncio.create_task(door.request(5))
    await turns()
    door.store(1)
    leaving.cancel()
    await turns()
    assert leaving.cancelled()
    assert staying.result() == 5
    door.assert_law()


def test_who_gives_up_waiting_no_longer_stands_before_those_who_fit() -> None:
    async def scenario(loop: SteppedLoop) -> None:
        door = Door(wait=5)
        await door.request(4)
        large = asyncio.create_task(door.request(3))
        await turns()
        loop.now += 3
        small = asyncio.create_task(door.request(1))
        await turns()
        assert (large.done(), small.done(), door.intake.waiting) == (False, False, 2)
        loop.now += 2
        await turns()
        assert isinstance(large.exception(), Overloaded)
        assert small.result() == 5
        assert door.intake.waiting == 0
        door.assert_law()

    run_stepped(scenario)


def test_room_that_comes_in_the_moment_of_giving_up_goes_to_the_next() -> None:
    async def scenario(loop: SteppedLoop) -> None:
        door = Door(wait=5)
        await door.request(5)
        late = asyncio.create_task(door.request(5))
        await turns()
        loop.now += 3
        in_time = asyncio.create_task(door.request(5))
        await turns()
        loop.call_at(4.9, door.store, 1)
        loop.now = 5
        await turns()
        assert isinstance(late.exception(), Overloaded)
        assert in_time.result() == 5
        door.assert_law()

    run_stepped(scenario)


def test_who_gives_up_while_there_is_some_room_may_try() -> None:
    async def scenario(loop: SteppedLoop) -> None:
        door = Door(wait=5)
        await door.request(4)
        guessed_too_large = asyncio.create_task(door.request(1, body_bytes=1_000))
        await turns()
        loop.now += 5
        await turns()
        assert guessed_too_large.result() == 5
        door.assert_law()

    run_stepped(scenario)


async def test_room_that_was_guessed_too_large_goes_to_the_next() -> None:
    door = Door(wait=5)
    await door.request(3)
    await door.request(2)
    guessed_three = asyncio.create_task(door.request(1, body_bytes=80))
    two = asyncio.create_task(door.request(2))
    await turns()
    door.store(1)
    await turns()
    assert (guessed_three.result(), two.result()) == (3, 5)
    door.assert_law()


async def test_closing_wakes_everybody_who_waits() -> None:
    door = Door(wait=5)
    await door.request(5)
    waiting = [asyncio.create_task(door.request(1)) for _ in range(3)]
    await turns()
    door.intake.close("shutting_down")
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(result) for result in results} == {Closing}
    door.assert_law()


async def test_only_so_many_may_wait() -> None:
    door = Door(wait=5)
    await door.request(5)
    waiting = [asyncio.create_task(door.request(1)) for _ in range(MAX_WAITERS)]
    await turns()
    assert door.intake.waiting == MAX_WAITERS
    one_more = asyncio.create_task(door.request(1))
    await turns()
    assert isinstance(one_more.exception(), Overloaded)
    door.intake.close("done")
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_those_who_wait_hold_only_so_many_bytes_and_give_them_back() -> None:
    half = MAX_WAITING_BYTES // 2
    door = Door(wait=5, max_bytes=half)
    await door.request(5)
    for _ in range(2):
        waiting = [asyncio.create_task(door.intake.room_for(half)) for _ in range(2)]
        await turns()
        assert door.intake.waiting == 2
        one_more = asyncio.create_task(door.intake.room_for(1))
        await turns()
        assert isinstance(one_more.exception(), Overloaded)
        for each in waiting:
            each.cancel()
        await turns()


async def test_a_request_larger_than_the_buffer_does_not_block_the_queue_for_ever() -> None:
    door = Door(wait=5)
    await door.request(1)
    huge = asyncio.create_task(door.request(6, body_bytes=10**6))
    await turns()
    door.store(1)
    with pytest.raises(Overloaded):
        await huge
    assert await door.request(5) == 5


# ---- Retry-After -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pace", "seconds"),
    [
        (None, 1),
        (0.0, MAX_RETRY_AFTER_SECONDS),
        (1_000.0, 1),
        (2.0, 3),
        (0.01, MAX_RETRY_AFTER_SECONDS),
    ],
)
async def test_retry_after_is_the_time_that_the_store_needs_at_its_pace(
    pace: float | None, seconds: int
) -> None:
    door = Door()
    await door.request(5)
    door.stats.events_per_second = pace
    with pytest.raises(Overloaded) as refusal:
        await door.request(1)
    assert refusal.value.retry_after_seconds == seconds
