"""A worker between a log and a store that do as they are told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from playsmart_gateway.config import Buffer, Config, Server
from playsmart_gateway.errors import ConfigError, SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.codec import MARK, encode
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.models import Written
from playsmart_gateway.stream.source import (
    SourceState,
)
from playsmart_gateway.stream.worker import StreamWorker
from tests.stream.fake_source import FakeSource
from tests.stream.pipeline import make_worker
from tests.support.doubles import TroubledSink, make_batch
from tests.support.polling import eventually

RECORDED = Path(__file__).parent.parent / "events" / "recorded"


class RecordingSink(TroubledSink):
    """Remembers each write; ``gate`` holds them up while it is clear."""

    def __init__(self, *errors: Exception, log: list[str], **named: Any) -> None:
        super().__init__(*errors, **named)
        self.log = log
        self.writes: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def write(self, batches: Sequence[Batch]) -> Written:
        await self.gate.wait()
        written = await super().write(batches)
        self.writes.append([batch.sequence for batch in batches])
        self.log.append("write")
        return written

    async def sync(self) -> None:
        self.log.append("sync")


@pytest.fixture
def source() -> FakeSource:
    return FakeSource()


@contextlib.asynccontextmanager
async def running(
    source: FakeSource, sink: MemorySink, **named: Any
) -> AsyncIterator[StreamWorker]:
    worker = make_worker(source, sink, **named)
    async with worker.running():
        yield worker
    assert worker.stats.unaccounted(worker.buffer.events) == 0


def told(source: FakeSource, what: str, number: int) -> Callable[[], bool | None]:
    return lambda: True if len(source.told[what]) >= number else None


async def test_a_message_is_acknowledged_behind_the_commit_and_the_sync(source: FakeSource) -> None:
    sink = RecordingSink(log=source.log)
    source.deliver(make_batch(1, count=2), make_batch(2))
    async with running(source, sink) as worker:
        await eventually(told(source, "ack", 2))
    assert source.log == ["write", "sync", "ack"]
    assert source.told["ack"] == ["1x1", "2x1"]
    assert (worker.fetched, worker.stats.stored, len(sink.rows)) == (2, 3, 3)


async def test_what_is_no_batch_is_buried_as_it_came_and_never_delivered_again(
    source: FakeSource,
) -> None:
    sink = MemorySink()
    async with running(source, sink) as worker:
        source.deliver(b"garbage", make_batch(1), b"garbage")
        await eventually(told(source, "term", 2))
        await eventually(told(source, "ack", 1))
    assert [batch.rows for batch, _ in sink.dead_letters.values()] == [b"garbage", b"garbage"]
    assert source.told["term"] == ["1x1", "3x1"]
    assert worker.stats.stored == 1


async def test_a_message_of_a_later_version_ends_the_worker_and_stays_in_the_stream(
    source: FakeSource,
) -> None:
    body = bytearray(b"".join(encode(make_batch(1)))[12:])
    body[16 + 8 + 8 + 4] = 99
    frame = MARK + len(body).to_bytes(4, "little") + crc32(body).to_bytes(4, "little")
    sink = MemorySink()
    source.deliver(make_batch(2), frame + body, make_batch(3))
    ended = asyncio.Event()
    worker = make_worker(source, sink)
    worker.on_fatal = ended.set

    async def run_until_it_ends() -> None:
        async with worker.running():
            await asyncio.wait_for(ended.wait(), 10)

    with pytest.raises(ConfigError, match=r"nats\.stream: .* then downgrade"):
        await run_until_it_ends()
    assert source.told["ack"] == ["1x1"], "what came before it is stored"
    assert source.told["term"] == []
    assert not sink.dead_letters
    assert not worker.failed


async def test_messages_without_a_kind_are_stored_as_those_before_them_were(
    source: FakeSource,
) -> None:
    sink = MemorySink()
    messages = [(RECORDED / f"{name}.message").read_bytes() for name in ("session", "drawn")]
    async with running(source, sink):
        source.deliver(*messages)
        await eventually(told(source, "ack", 2))
    assert sorted(row.type for row in sink.rows) == [
        "AdImpression", "IAPPurchase", "Installed", "LevelCompleted", "LevelCompleted", "Played",
    ]  # fmt: skip
    assert {email for email in sink.emails.values() if email} == {"ada@example.org"}


async def test_the_same_garbage_is_buried_once(source: FakeSource) -> None:
    sink = MemorySink()
    async with running(source, sink):
        source.deliver(b"garbage")
        source.deliver(b"garbage", times=2)
        await eventually(told(source, "term", 2))
    assert len(sink.dead_letters) == 1


async def test_burying_waits_for_the_store(source: FakeSource) -> None:
    class NotYet(MemorySink):
        attempts = 0

        async def bury(self, batch: Batch, reason: str) -> None:
            self.attempts += 1
            if self.attempts < 3:
                raise SinkUnavailable("not yet")
            await super().bury(batch, reason)

    sink = NotYet()
    async with running(source, sink):
        source.deliver(b"garbage")
        await eventually(told(source, "term", 1))
    assert len(sink.dead_letters) == 1


async def test_a_message_that_was_delivered_too_often_is_buried_untried(source: FakeSource) -> None:
    sink = RecordingSink(log=source.log)
    async with running(source, sink) as worker:
        source.deliver(make_batch(1), times=6)
        source.deliver(make_batch(2), first=2)
        await eventually(told(source, "term", 1))
        await eventually(told(source, "ack", 1))
    ((buried, reason),) = sink.dead_letters.values()
    assert (buried.sequence, reason) == (1, "delivered 5 times and never acknowledged")
    assert sink.writes == [[2]]
    assert worker.stats.rejected["buried"] == 1


async def test_messages_that_come_again_and_again_are_written_alone(source: FakeSource) -> None:
    sink = RecordingSink(log=source.log)
    shuffled: list[int] = []

    def backwards(suspects: list[Any]) -> None:
        suspects.reverse()
        shuffled.append(len(suspects))

    async with running(source, sink, shuffle=backwards):
        source.deliver(make_batch(1), make_batch(2))
        source.deliver(make_batch(3), make_batch(4), make_batch(5), first=3, times=3)
        await eventually(told(source, "ack", 5))
    assert sink.writes == [[1, 2], [3], [4], [5]]
    assert max(shuffled) == 3


async def test_a_message_that_the_store_rejects_is_buried_and_its_neighbours_stored(
    source: FakeSource,
) -> None:
    sink = RecordingSink(log=source.log, poison=[3])
    async with running(source, sink) as worker:
        source.deliver(*(make_batch(sequence) for sequence in range(1, 6)))
        await eventually(told(source, "ack", 5))
    assert len(sink.rows) == 4
    assert [batch.sequence for batch, _ in sink.dead_letters.values()] == [3]
    assert worker.stats.rejected["buried"] == 1


async def test_a_batch_that_comes_again_while_it_is_held_is_written_once(
    source: FakeSource,
) -> None:
    """Delivered again too early, or published twice: both acks are acknowledged."""
    sink = RecordingSink(log=source.log)
    sink.gate.clear()
    async with running(source, sink) as worker:
        source.deliver(make_batch(1, count=3))
        await eventually(lambda: worker.buffer.events or None)
        source.deliver(make_batch(1, count=3), times=2)
        source.deliver(make_batch(1, count=3), first=9)
        await eventually(lambda: worker.stats.duplicate == 6 or None)
        sink.gate.set()
        await eventually(told(source, "ack", 2))
    assert source.told["ack"] == ["1x2", "9x1"]
    assert sink.writes == [[1]]


async def test_messages_out_of_order_are_taken_as_they_come(source: FakeSource) -> None:
    sink = RecordingSink(log=source.log)
    async with running(source, sink):
        source.deliver(make_batch(5), make_batch(2), make_batch(9))
        await eventually(told(source, "ack", 3))
    assert sink.writes == [[5, 2, 9]]


async def test_what_a_slow_store_holds_up_is_said_to_be_worked_on(source: FakeSource) -> None:
    source.ack_wait_seconds = 0.01
    sink = RecordingSink(log=source.log)
    sink.gate.clear()
    async with running(source, sink):
        source.deliver(make_batch(1))
        source.deliver(make_batch(2), first=2, times=3)
        await eventually(told(source, "work", 6))
        assert set(source.told["work"]) == {"1x1", "2x3"}
        assert source.told["ack"] == []
        sink.gate.set()
        await eventually(told(source, "ack", 2))


async def test_a_store_that_fails_is_told_of_and_waited_for(source: FakeSource) -> None:
    sink = RecordingSink(SinkUnavailable("no disk"), log=source.log)
    async with running(source, sink) as worker:
        assert worker.not_ready_because() == []
        source.deliver(make_batch(1))
        reasons = await eventually(lambda: worker.not_ready_because() or None)
        assert [(each.path, each.message) for each in reasons] == [("store", "no disk")]
        await eventually(told(source, "ack", 1))
        await eventually(lambda: None if worker.not_ready_because() else True)
    assert worker.not_ready_because()[0].message == "stopping"


async def test_a_log_that_cannot_be_had_is_told_of_once_and_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = FakeSource(*(SinkUnavailable("nobody there") for _ in range(3)))
    async with running(source, MemorySink()) as worker:
        reasons = await eventually(lambda: worker.not_ready_because() or None)
        assert reasons[0].path == "nats"
        source.deliver(make_batch(1))
        await eventually(told(source, "ack", 1))
    lines = [record.getMessage() for record in caplog.records]
    assert sum("stream unavailable: nobody there" in line for line in lines) == 1
    assert "stream is back" in lines


async def test_an_ack_that_fails_is_left_to_the_next_delivery(source: FakeSource) -> None:
    class Deaf(FakeSource):
        async def acknowledge(self, acks: Sequence[str]) -> None:
            await super().acknowledge(acks)
            if len(self.told["ack"]) == 1:
                raise SinkUnavailable("lost")

    source = Deaf()
    async with running(source, MemorySink()) as worker:
        source.deliver(make_batch(1))
        await eventually(told(source, "ack", 1))
        source.deliver(make_batch(1), times=2)
        await eventually(told(source, "ack", 2))
    assert (worker.stats.stored, worker.stats.duplicate) == (1, 1)


async def test_more_is_fetched_only_when_there_is_room(source: FakeSource) -> None:
    sink = RecordingSink(log=source.log)
    sink.gate.clear()
    async with running(source, sink, config=Config(buffer=Buffer(flush_max_events=2))) as worker:
        source.deliver(*(make_batch(sequence) for sequence in range(1, 9)))
        await eventually(lambda: worker.buffer.events == 8 or None)
        source.deliver(make_batch(9), first=9)
        await asyncio.sleep(0.02)
        assert worker.fetched == 8
        sink.gate.set()
        await eventually(told(source, "ack", 9))


async def test_a_stop_stores_what_is_held_and_gives_the_rest_back(source: FakeSource) -> None:
    sink = RecordingSink(log=source.log)
    sink.gate.clear()
    async with running(source, sink) as worker:
        source.deliver(make_batch(1))
        source.deliver(make_batch(2), first=2, times=3)
        await eventually(lambda: worker.buffer.events or None)
        await asyncio.sleep(0.01)
        asyncio.get_running_loop().call_later(0.05, sink.gate.set)
    assert source.told["ack"] == ["1x1"]
    assert source.told["nak"] == ["2x3"]
    assert worker.left_behind == 0


async def test_a_stop_does_not_wait_for_ever(
    source: FakeSource, caplog: pytest.LogCaptureFixture
) -> None:
    sink = RecordingSink(log=source.log)
    sink.gate.clear()
    async with running(
        source, sink, config=Config(server=Server(drain_timeout_seconds=0.05))
    ) as worker:
        source.deliver(make_batch(1, count=7))
        await eventually(lambda: worker.buffer.events or None)
    assert worker.left_behind == 7
    assert source.told["ack"] == []
    assert "7 events not stored" in caplog.text


async def test_a_part_that_dies_of_a_bug_ends_the_worker(
    source: FakeSource, caplog: pytest.LogCaptureFixture
) -> None:
    fatal = asyncio.Event()
    async with running(source, TroubledSink(ZeroDivisionError("secret"))) as worker:
        worker.on_fatal = fatal.set
        source.deliver(make_batch(1))
        await asyncio.wait_for(fatal.wait(), 10)
    assert worker.failed
    assert "flusher died" in caplog.text
    assert "secret" not in caplog.text


async def test_the_state_of_the_log_is_watched_and_unknown_when_it_cannot_be_had(
    source: FakeSource,
) -> None:
    class Blind(FakeSource):
        async def state(self) -> SourceState:
            raise SinkUnavailable("nobody there")

    async with running(source, MemorySink()) as worker:
        assert await eventually(lambda: worker.state) == SourceState(0, 0, 0)
    async with running(Blind(), MemorySink()) as worker:
        await asyncio.sleep(0.01)
        assert worker.state is None


async def test_damage_in_the_store_makes_a_worker_not_ready(source: FakeSource) -> None:
    sink = MemorySink()
    async with running(source, sink) as worker:
        assert not [each for each in worker.not_ready_because() if each.path == "store"]
        sink.damage = SinkUnavailable("the database is damaged: malformed")
        (reason,) = [each for each in worker.not_ready_because() if each.path == "store"]
        assert reason.message == "the database is damaged: malformed"
