"""The commit queue: what becomes of a request that waits for its commit, the failures first."""

import asyncio

import pytest

from playsmart_gateway.economy.points import Award
from playsmart_gateway.errors import (
    Closing,
    Overloaded,
    Refused,
    StoreUnavailable,
    Unstorable,
)
from playsmart_gateway.metrics import Stats
from playsmart_gateway.pipeline.commit_queue import (
    MAX_WAITING_BYTES,
    CommitQueue,
)
from playsmart_gateway.stores.memory.store import MemorySink
from tests.support.doubles import make_batch


def award(points: int) -> Award:
    return Award(points, (), ())


class Door:
    """A commit queue, and those who submit to it."""

    def __init__(self, *, max_waiting: int = 10, patience: float = 60.0) -> None:
        self.stats = Stats()
        self.woken = 0
        self.commit_queue = CommitQueue(
            self.stats,
            MemorySink(),
            wake=self._wake,
            max_waiting=max_waiting,
            patience_seconds=patience,
        )

    def _wake(self) -> None:
        self.woken += 1

    async def submit(self, count: int = 1, size: int = 0) -> list["asyncio.Task[Award]"]:
        tasks = [
            asyncio.create_task(self.commit_queue.submit(make_batch(pad=size)))
            for _ in range(count)
        ]
        await asyncio.sleep(0)
        return tasks

    def check_law(self) -> None:
        assert self.stats.unaccounted(self.commit_queue.events) == 0


async def refusal(task: "asyncio.Task[Award]") -> Refused:
    with pytest.raises(Refused) as caught:
        await task
    return caught.value


# --- who is not let in ---------------------------------------------------------------------------


async def test_more_than_may_wait_are_refused_at_once() -> None:
    door = Door(max_waiting=2)
    first = await door.submit(2)
    error = await refusal((await door.submit())[0])
    assert isinstance(error, Overloaded)
    assert error.retry_after_seconds == 1
    taken = door.commit_queue.take(1, 10**9)
    assert isinstance(await refusal((await door.submit())[0]), Overloaded), "one is being written"
    door.commit_queue.stored(taken, [award(1)])
    await door.submit()
    assert (await first[0]).points == 1
    assert door.stats.rejected == {"buffer_full": 2}
    door.check_law()
    door.commit_queue.abandon("over")
    door.check_law()


async def test_more_bytes_than_may_wait_are_refused_too() -> None:
    door = Door()
    await door.submit(2, MAX_WAITING_BYTES // 2 - 1_000)
    assert isinstance(await refusal((await door.submit(1, 2_000))[0]), Overloaded)
    taken = door.commit_queue.take(1, 1)
    door.commit_queue.stored(taken, [award(1)])
    await door.submit(1, 2_000)
    assert door.commit_queue.events == 2


async def test_a_closed_commit_queue_lets_nobody_in_and_keeps_who_is() -> None:
    door = Door()
    (inside,) = await door.submit()
    door.commit_queue.close("shutting_down")
    door.commit_queue.close("another reason")
    error = await refusal((await door.submit())[0])
    assert (type(error), error.message) == (Closing, "shutting_down")
    door.commit_queue.stored(door.commit_queue.take(9, 10**9), [award(3)])
    assert (await inside).points == 3
    assert (door.stats.received, door.stats.accepted, door.stats.stored) == (2, 1, 1)
    door.check_law()


async def test_who_waits_in_an_abandoned_queue_is_told_so_and_who_is_written_its_outcome() -> None:
    door = Door()
    written, *tasks = await door.submit(3)
    taken = door.commit_queue.take(1, 10**9)
    door.commit_queue.abandon("internal_error")
    for task in tasks:
        assert (await refusal(task)).message == "internal_error"
    assert door.stats.rejected == {"closing": 2}
    door.commit_queue.stored(taken, [award(4)])
    assert (await written).points == 4
    assert (door.commit_queue.events, len(door.commit_queue)) == (0, 0)
    door.check_law()


# --- who gives up --------------------------------------------------------------------------------


async def test_who_waits_too_long_leaves_the_commit_queue() -> None:
    door = Door(patience=0.01)
    (task,) = await door.submit()
    error = await refusal(task)
    assert isinstance(error, StoreUnavailable)
    assert error.retry_after_seconds == 1
    assert door.commit_queue.take(9, 10**9) == []
    assert door.stats.rejected == {"store_unavailable": 1}
    door.check_law()


async def test_who_is_being_written_waits_for_the_outcome() -> None:
    door = Door(patience=0.01)
    good, bad = await door.submit(2)
    taken = door.commit_queue.take(9, 10**9)
    await asyncio.sleep(0.03)
    assert not good.done()
    assert door.stats.rejected == {}
    door.commit_queue.stored(taken[:1], [award(5)])
    assert (await good).points == 5
    door.commit_queue.put_back(taken[1:])
    assert isinstance(await refusal(bad), StoreUnavailable)
    assert door.commit_queue.events == 0
    door.check_law()


async def test_who_is_put_back_in_time_waits_again_before_those_who_came_later() -> None:
    door = Door()
    await door.submit(3)
    taken = door.commit_queue.take(2, 10**9)
    door.commit_queue.put_back(taken)
    assert [each.batch.sequence for each in door.commit_queue.take(9, 10**9)] == [1, 2, 3]


async def test_a_client_that_leaves_changes_nothing() -> None:
    door = Door()
    gone, lost, stays = await door.submit(3)
    gone.cancel()
    lost.cancel()
    await asyncio.sleep(0)
    taken = door.commit_queue.take(9, 10**9)
    assert len(taken) == 3
    door.commit_queue.stored([taken[0], taken[2]], [award(1), award(2)])
    door.commit_queue.refused(taken[1], Unstorable())
    assert (await stays).points == 2
    assert (door.stats.stored, door.stats.rejected) == (2, {"unstorable": 1})
    door.check_law()


# --- who is served -------------------------------------------------------------------------------


async def test_each_batch_has_a_name_that_no_other_commit_queue_gives() -> None:
    names = set()
    for _ in range(2):
        door = Door()
        await door.submit(3)
        names |= {
            (each.batch.journal, each.batch.sequence) for each in door.commit_queue.take(9, 10**9)
        }
    assert len(names) == 6
    assert door.woken == 3


async def test_awards_come_in_the_order_of_the_batches() -> None:
    door = Door()
    tasks = await door.submit(4)
    taken = door.commit_queue.take(3, 10**9)
    assert len(door.commit_queue) == 1
    door.commit_queue.stored(taken, [award(points) for points in (7, 8, 9)])
    assert [(await task).points for task in tasks[:3]] == [7, 8, 9]
    assert not tasks[3].done()
    door.commit_queue.abandon("over")


async def test_one_is_taken_whatever_its_size_and_others_within_the_limit() -> None:
    door = Door()
    await door.submit(3, 1_000)
    taken = door.commit_queue.take(9, 10)
    assert len(taken) == 1
    door.commit_queue.put_back(taken)
    assert len(door.commit_queue.take(9, 3_000)) == 2


async def test_who_was_answered_in_time_is_forgotten() -> None:
    door = Door(patience=0.01)
    (task,) = await door.submit()
    door.commit_queue.stored(door.commit_queue.take(9, 10**9), [award(1)])
    assert (await task).points == 1
    await asyncio.sleep(0.03)
    assert door.stats.rejected == {}
    door.check_law()
