import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from playsmart_gateway.buffer import Buffer
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.event import Batch
from playsmart_gateway.flusher import Flusher
from playsmart_gateway.journal import NoJournal
from playsmart_gateway.lane import Lane
from playsmart_gateway.sinks import Written
from playsmart_gateway.stats import Stats
from tests.doubles import TroubledSink, make_batch


class Line:
    """A ring, a sink and the flusher between them."""

    def __init__(
        self,
        sink: TroubledSink | None = None,
        *,
        interval: float = 3600,
        ripe_events: int = 10,
        patience: float = 60.0,
    ) -> None:
        self.stats = Stats()
        self.sink = sink or TroubledSink()
        self.buffer = Buffer(
            max_events=1_000, max_bytes=10**6, ripe_events=ripe_events, ripe_bytes=50_000
        )
        self.lane = Lane(self.stats, wake=self.buffer.stirred.set, patience_seconds=patience)
        self.journal = NoJournal()
        self.room_came = 0
        self.flusher = Flusher(
            self.buffer,
            self.journal,
            self.sink,
            self.stats,
            lane=self.lane,
            room_came=self._count_room,
            interval_seconds=interval,
            max_events=ripe_events,
            max_bytes=50_000,
            jitter=lambda: -0.5,  # no pause between retries
        )
        self.sequence = 0

    def _count_room(self) -> None:
        self.room_came += 1

    def put(self, count: int = 1, pad: int = 0) -> None:
        self.sequence += 1
        self.stats.received += count
        self.buffer.put(make_batch(self.sequence, count, pad=pad))

    async def settle(self) -> None:
        """Let the loop run until the ring is empty."""
        async with asyncio.timeout(5):
            while len(self.buffer):  # noqa: ASYNC110 - the ring has no event for "empty"
                await asyncio.sleep(0)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.flusher.run())
        yield
        self.flusher.stop()
        async with asyncio.timeout(5):
            await task
        assert self.stats.unaccounted(self.buffer.events) == 0


async def test_a_failed_flush_leaves_everything_in_the_ring() -> None:
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
    assert [row[3]["n"] for row in line.sink.stored.rows] == [
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


async def test_a_batch_that_can_never_be_stored_is_buried_and_its_neighbours_are_stored() -> None:
    line = Line(TroubledSink(poison=[3, 7]), interval=0.01)
    async with line.running():
        for _ in range(10):
            line.put(1)
        await line.settle()
    assert [batch.sequence for batch, _ in line.sink.stored.dead_letters.values()] == [3, 7]
    assert [row[3]["n"] for row in line.sink.stored.rows] == [
        f"{sequence}.0" for sequence in (1, 2, 4, 5, 6, 8, 9, 10)
    ]
    assert line.stats.rejected == {"buried": 2}


async def test_room_is_announced_whenever_batches_leave_the_ring() -> None:
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


async def test_an_explicit_flush_of_an_empty_ring_is_nothing() -> None:
    line = Line()
    assert await line.flusher.flush() == 0
    assert line.sink.attempts == 0
