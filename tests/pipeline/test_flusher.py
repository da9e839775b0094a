import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from playsmart_gateway.economy.points import (
    Award,
    EventDefinition,
    Program,
)
from playsmart_gateway.errors import SinkUnavailable, StoreUnavailable, Unstorable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.metrics import Stats
from playsmart_gateway.pipeline.buffer import Buffer
from playsmart_gateway.pipeline.commit_queue import CommitQueue
from playsmart_gateway.pipeline.flusher import Flusher, FlushOptions
from playsmart_gateway.pipeline.machine import Machine
from playsmart_gateway.pipeline.origin import MemoryOnly
from playsmart_gateway.stores.models import Written
from tests.support.doubles import TroubledSink, data_of, make_batch
from tests.support.polling import PATIENCE_SECONDS


class Line:
    """A buffer, a sink and the flusher between them."""

    def __init__(
        self,
        sink: TroubledSink | None = None,
        *,
        interval: float = 3600,
        ripe_events: int = 10,
        patience: float = 60.0,
        max_bytes: int = 50_000,
        syncs_commits: bool = False,
    ) -> None:
        self.stats = Stats()
        self.sink = sink or TroubledSink()
        self.buffer = Buffer(
            max_events=1_000, max_bytes=10**6, ripe_events=ripe_events, ripe_bytes=50_000
        )
        self.commit_queue = CommitQueue(
            self.stats, self.sink, wake=self.buffer.stirred.set, patience_seconds=patience
        )
        self.origin = MemoryOnly()
        self.room_came = 0
        self.flusher = Flusher(
            self.buffer,
            self.origin,
            self.sink,
            self.stats,
            FlushOptions(
                interval_seconds=interval,
                max_events=ripe_events,
                max_bytes=max_bytes,
                syncs_commits=syncs_commits,
            ),
            commit_queue=self.commit_queue,
            machine=Machine(chance=lambda: -0.5),  # no pause between retries
        )
        self.buffer.room_came = self._count_room
        self.sequence = 0

    def _count_room(self) -> None:
        self.room_came += 1

    def put(self, count: int = 1, pad: int = 0) -> None:
        self.sequence += 1
        self.stats.received += count
        self.buffer.put(make_batch(self.sequence, count, pad=pad))

    async def settle(self) -> None:
        """Let the loop run until the buffer is empty."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.buffer):  # noqa: ASYNC110 - the buffer has no event for "empty"
                await asyncio.sleep(0)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.flusher.run())
        yield
        self.flusher.stop()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await task
        assert self.stats.unaccounted(self.buffer.events + self.commit_queue.events) == 0


async def test_a_failed_flush_leaves_everything_in_the_buffer() -> None:
    line = Line(TroubledSink(SinkUnavailable("disk full")))
    line.put(3)
    with pytest.raises(SinkUnavailable):
        await line.flusher.flush()
    assert line.buffer.events == 3
    assert line.stats.stored == 0


async def test_a_store_that_comes_back_gets_every_event_once_and_in_order() -> None:
    line = Line(TroubledSink(*[SinkUnavailable("locked")] * 4), ripe_events=2)
    async with line.running():
        for _ in range(5):
            line.put(2)
        await line.settle()
    assert [data_of(row)["n"] for row in line.sink.stored.rows] == [
        f"{batch}.{place}" for batch in range(1, 6) for place in range(2)
    ]
    assert line.stats.flush_failures["unavailable"] == 4


async def test_trouble_is_told_while_it_lasts_and_forgotten_after() -> None:
    sink = TroubledSink(SinkUnavailable("locked"))
    line = Line(sink, ripe_events=1)
    told = []

    async def note_and_write(batches: Sequence[Batch]) -> Written:
        told.append(str(line.flusher.last_error))
        return await TroubledSink.write(sink, batches)

    sink.write = note_and_write  # type: ignore[method-assign]
    async with line.running():
        line.put()
        await line.settle()
    assert told == ["None", "locked"]
    assert line.flusher.last_error is None


async def test_lines_of_the_log_name_what_was_stored_and_what_was_buried(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    line = Line(TroubledSink(poison=[5]))
    for _ in range(3):
        line.put()
    other = make_batch(7, 1)
    other.journal = "22" * 16
    line.stats.received += 1
    line.buffer.put(other)
    assert await line.flusher.flush() == 4
    one, two = "11" * 16, "22" * 16
    assert caplog.messages[-1].endswith(f" first={one}-1 last={one}-3 first={two}-7 last={two}-7")
    line.sequence = 4
    line.put()
    assert await line.flusher.flush() == 1
    assert caplog.messages[-1].endswith(f" batch={one}-5")


async def test_a_batch_that_can_never_be_stored_is_buried_and_its_neighbours_are_stored() -> None:
    line = Line(TroubledSink(poison=[3, 7]), interval=0.01)
    async with line.running():
        for _ in range(10):
            line.put(1)
        await line.settle()
    assert [batch.sequence for batch, _ in line.sink.stored.dead_letters.values()] == [3, 7]
    assert [data_of(row)["n"] for row in line.sink.stored.rows] == [
        f"{sequence}.0" for sequence in (1, 2, 4, 5, 6, 8, 9, 10)
    ]
    assert line.stats.rejected == {"buried": 2}


async def test_room_is_announced_whenever_batches_leave_the_buffer() -> None:
    line = Line(TroubledSink(SinkUnavailable("locked"), poison=[1]))
    line.put()
    line.put()
    with pytest.raises(SinkUnavailable):
        await line.flusher.flush()
    assert line.room_came == 0
    for left in (2, 1, 0):  # rejected together, buried alone, stored
        await line.flusher.flush()
        assert line.buffer.events == left
    assert line.room_came == 2


async def test_an_unexpected_error_ends_the_run_and_keeps_the_events() -> None:
    line = Line(TroubledSink(ZeroDivisionError()), ripe_events=1)
    line.put()
    with pytest.raises(ZeroDivisionError):
        await line.flusher.run()
    assert line.buffer.events == 1


async def test_nothing_is_written_before_there_is_a_reason() -> None:
    line = Line()
    async with line.running():
        line.put()
        for _ in range(50):
            await asyncio.sleep(0)
        assert line.sink.attempts == 0
    assert line.stats.flushes == {"drain": 1}


@pytest.mark.parametrize(
    ("trigger", "interval", "count", "pad"),
    [("events", 3600, 10, 0), ("bytes", 3600, 1, 60_000), ("age", 0.01, 1, 0)],
)
async def test_each_trigger_flushes_and_is_named(
    trigger: str, interval: float, count: int, pad: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    line = Line(interval=interval)
    async with line.running():
        line.put(count, pad)
        await line.settle()
    assert line.stats.flushes == {trigger: 1}
    assert f"trigger={trigger}" in caplog.text


async def test_stopping_drains_in_as_many_transactions_as_the_limit_needs() -> None:
    line = Line(ripe_events=4)
    for _ in range(3):
        line.put(3)
    async with line.running():
        pass
    assert len(line.sink.stored.rows) == 9
    assert line.sink.attempts == 3


async def test_stopping_wakes_a_flusher_that_has_nothing_to_do() -> None:
    line = Line()
    async with line.running():
        await asyncio.sleep(0)
    assert line.sink.attempts == 0


async def test_an_explicit_flush_of_an_empty_buffer_is_nothing() -> None:
    line = Line()
    assert await line.flusher.flush() == 0
    assert line.sink.attempts == 0


# --- the commit queue ----------------------------------------------------------------------------

PROGRAM = Program([EventDefinition(id="login", kind="fix", points=10)])


def login(user: str = "ada") -> Batch:
    row = b'[["login",null,"2026-04-22T14:30:00Z",null]]'
    return Batch("lynes", "demo", user, 1, row, received_at=1_776_868_200_000_000)


class SlowSink(TroubledSink):
    """Writes when it is told to, and notes in what order."""

    def __init__(self) -> None:
        super().__init__(program=PROGRAM)
        self.order: list[str] = []
        self.go_on = asyncio.Event()

    async def write(self, batches: Sequence[Batch]) -> Written:
        self.order.append(f"buffer {len(batches)}")
        await self.go_on.wait()
        return await super().write(batches)

    async def commit(self, batches: Sequence[Batch]) -> list[Award]:
        self.order.append(f"commit_queue {len(batches)}")
        await self.go_on.wait()
        return await super().commit(batches)


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def send(line: Line, count: int = 1) -> list["asyncio.Task[Award]"]:
    return [asyncio.create_task(line.commit_queue.submit(login(f"u{n}"))) for n in range(count)]


async def test_a_poisonous_event_fails_alone_and_the_commit_queue_goes_on() -> None:
    line = Line(TroubledSink(poison=[3], program=PROGRAM))
    async with line.running():
        tasks = send(line, 5)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        later = send(line, 2)
        assert [(await task).points for task in later] == [10, 10]
    assert [isinstance(each, Unstorable) for each in outcomes] == [False, False, True, False, False]
    assert [each.points for each in outcomes if isinstance(each, Award)] == [10] * 4
    assert line.stats.rejected == {"unstorable": 1}
    assert line.sink.attempts == 1 + 5 + 1, "all, one by one, and all again"


async def test_a_store_that_is_gone_is_asked_again_until_it_is_back() -> None:
    line = Line(TroubledSink(*[SinkUnavailable("gone")] * 3, program=PROGRAM))
    async with line.running():
        (task,) = send(line)
        assert (await task).points == 10
        assert line.flusher.last_error is None
    assert line.stats.flush_failures == {"unavailable": 3}
    assert line.stats.flushes == {"commit": 1}
    assert line.stats.commit_batches.counts[0] == 1
    assert line.stats.events_per_second == 0.0, "a commit says nothing about the pace of the buffer"


async def test_who_gave_up_is_not_written_when_the_store_is_back() -> None:
    line = Line(TroubledSink(*[SinkUnavailable("gone")] * 10**6, program=PROGRAM), patience=0.01)
    async with line.running():
        tasks = send(line, 2)
        for task in tasks:
            with pytest.raises(StoreUnavailable):
                await task
        line.sink.errors.clear()
        assert len(line.commit_queue) == 0
    assert line.sink.points.states == {}
    assert line.stats.rejected == {"store_unavailable": 2}


async def test_a_commit_queue_that_fails_does_not_keep_the_buffer_waiting() -> None:
    class LaneFails(TroubledSink):
        async def commit(self, batches: Sequence[Batch]) -> list[Award]:
            raise SinkUnavailable("no such table")

    line = Line(LaneFails(), ripe_events=1)
    async with line.running():
        (task,) = send(line)
        await turns()
        line.put()
        await line.settle()
        line.commit_queue.abandon("over")
        with pytest.raises(Exception, match="over"):
            await task


async def test_a_commit_that_is_cancelled_leaves_its_batches_in_the_commit_queue() -> None:
    line = Line(SlowSink())
    tasks = send(line, 2)
    running = asyncio.create_task(line.flusher.run())
    await turns()
    running.cancel()
    await asyncio.wait([running])
    assert len(line.commit_queue) == 2
    line.commit_queue.abandon("over")
    await asyncio.wait(tasks)
    assert all(task.exception() for task in tasks)


async def test_who_comes_during_a_transaction_shares_the_next_one() -> None:
    sink = SlowSink()
    line = Line(sink, max_bytes=10**6)
    async with line.running():
        first = send(line)
        await turns()
        others = send(line, 300)
        await turns()
        sink.go_on.set()
        assert len(await asyncio.gather(*first, *others)) == 301
    assert sink.order == ["commit_queue 1", "commit_queue 256", "commit_queue 44"]
    assert line.stats.flushes == {"commit": 3}


async def test_commit_queue_and_buffer_take_turns() -> None:
    """A buffer always ripe and a commit queue never empty: neither waits for two turns."""
    sink = SlowSink()
    line = Line(sink, ripe_events=1)
    async with line.running():
        await turns()
        tasks = []
        for _ in range(3):
            tasks += send(line)
            await turns(2)
            line.put()
        sink.go_on.set()
        await asyncio.gather(*tasks)
        await line.settle()
    assert sink.order[:4] == ["commit_queue 1", "buffer 1", "commit_queue 2", "buffer 1"]


async def test_nobody_in_the_commit_queue_waits_for_the_interval_and_the_buffer_does() -> None:
    line = Line(TroubledSink(program=PROGRAM))
    async with line.running():
        line.put()
        (task,) = send(line)
        await task
        assert line.buffer.events == 1
    assert line.stats.flushes == {"commit": 1, "drain": 1}


async def test_stopping_empties_the_commit_queue_before_it_ends() -> None:
    line = Line(TroubledSink(program=PROGRAM))
    line.put()
    tasks = send(line, 3)
    await turns(1)
    line.commit_queue.close("shutting_down")
    line.flusher.stop()
    await line.flusher.run()
    assert [(await task).points for task in tasks] == [10, 10, 10]
    assert len(line.buffer) == 0


async def test_an_empty_commit_queue_commits_nothing() -> None:
    line = Line()
    assert await line.flusher.commit() == 0
    assert line.sink.attempts == 0


async def test_an_answer_waits_for_the_sync_if_the_journal_syncs_always() -> None:
    class Syncing(TroubledSink):
        synced = 0

        async def sync_commits(self) -> None:
            self.synced += 1
            if self.synced == 1:
                raise SinkUnavailable("cannot sync")

    sink = Syncing(program=PROGRAM)
    line = Line(sink, syncs_commits=True)
    async with line.running():
        (task,) = send(line)
        assert (await task).points == 10
    assert sink.synced == 2
    assert sink.points.states["demo", "u0"].points == 10, "committed twice and awarded once"
    assert line.stats.unaccounted(0) == 0
    quick = Syncing(program=PROGRAM)
    async with (other := Line(quick)).running():
        await asyncio.gather(*send(other))
    assert quick.synced == 0


async def test_it_ends_when_it_is_cancelled_though_the_store_takes_that_for_a_failure() -> None:
    class Swallows(TroubledSink):
        begun = asyncio.Event()

        async def write(self, batches: Sequence[Batch]) -> Written:
            self.begun.set()
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                raise SinkUnavailable("gone") from None
            return await super().write(batches)

    sink = Swallows()
    line = Line(sink, ripe_events=1)
    line.put()
    flushing = asyncio.create_task(line.flusher.run())
    await sink.begun.wait()
    flushing.cancel()
    done, _ = await asyncio.wait([flushing], timeout=PATIENCE_SECONDS)
    assert done
    assert flushing.cancelled()
    assert line.buffer.events == 1
