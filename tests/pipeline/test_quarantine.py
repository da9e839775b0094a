"""What is not as defined is kept apart before it is stored, and counted: the law holds."""

import logging
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from playsmart_gateway.catalogue.definitions import Definition, Wanted
from playsmart_gateway.catalogue.judging import PREFIX, Standard
from playsmart_gateway.errors import SinkRejected, SinkUnavailable
from playsmart_gateway.events.batch import PLAYSMART, Batch
from playsmart_gateway.metrics import Stats
from playsmart_gateway.pipeline.buffer import Buffer
from playsmart_gateway.pipeline.flush_options import FlushOptions
from playsmart_gateway.pipeline.flusher import Flusher
from playsmart_gateway.pipeline.machine import Machine
from playsmart_gateway.pipeline.observers import Observers
from playsmart_gateway.pipeline.origin import MemoryOnly
from playsmart_gateway.pipeline.quarantine import LOG_SECONDS
from tests.support.doubles import FakeClock, TroubledSink
from tests.support.learning import GAME, key

STANDARD = Standard(
    {key("LevelCompleted"): Definition({"level": Wanted(frozenset({"integer"}), True)}, False)},
    [GAME],
)


def batch(sequence: int, level: Any, count: int = 2) -> Batch:
    rows = [["LevelCompleted", None, "2026-04-22T12:00:00Z", {"level": level}]] * count
    made = Batch(PLAYSMART, GAME, "ada", count, msgspec.json.encode(rows), "77" * 16, sequence)
    made.received_at = 1_776_859_200_000_000
    return made


class Line:
    """A flusher that holds what it stores to ``STANDARD``."""

    def __init__(self, sink: TroubledSink) -> None:
        self.sink = sink
        self.clock = FakeClock()
        self.stats = Stats()
        self.buried: list[int] = []
        line = self

        class Noting:
            """Notes what was buried."""

            def accepted(self, batch: Batch) -> None:
                """Not of interest."""

            def buried(self, batch: Batch) -> None:
                line.buried.append(batch.sequence)

            def left_the_buffer(self, batches: Sequence[Batch]) -> None:
                """Not of interest."""

        self.buffer = Buffer(
            max_events=1_000, max_bytes=1_000_000, ripe_events=10, ripe_bytes=1_000_000,
            clock=self.clock,
        )  # fmt: skip
        options = FlushOptions(
            interval_seconds=1.0, max_events=1_000, max_bytes=1_000_000, standard=STANDARD
        )
        self.flusher = Flusher(
            self.buffer, MemoryOnly(), sink, self.stats, options,
            observers=Observers({"noting": Noting()}), machine=Machine(clock=self.clock),
        )  # fmt: skip

    def put(self, *batches: Batch) -> None:
        for each in batches:
            self.stats.received += each.count
            self.buffer.put(each)


async def test_what_does_not_fit_is_a_dead_letter_and_the_rest_is_stored() -> None:
    line = Line(TroubledSink())
    line.put(batch(1, 1), batch(2, "1"), batch(3, 3), batch(4, None))
    await line.flusher.flush()
    assert {name[1] for name in line.sink.batches} == {1, 3}
    reasons = {name[1]: reason for name, (_, reason) in line.sink.dead_letters.items()}
    problem = f"{PREFIX}LevelCompleted: expected integer, got"
    assert reasons == {2: f"{problem} text - at `$.level`", 4: f"{problem} null - at `$.level`"}
    assert line.buried == [2, 4]
    assert (line.stats.stored, line.stats.rejected) == (4, {"quarantined": 4})
    assert line.stats.unaccounted(line.buffer.events) == 0


async def test_where_nothing_fits_the_buffer_empties_too() -> None:
    line = Line(TroubledSink())
    line.put(*(batch(sequence, "x") for sequence in range(1, 9)))
    await line.flusher.flush()
    assert (line.buffer.events, line.stats.rejected["quarantined"]) == (0, 16)
    assert line.stats.unaccounted(0) == 0


async def test_a_store_that_is_away_between_the_two_counts_nothing_twice() -> None:
    line = Line(TroubledSink(SinkUnavailable("away"), SinkUnavailable("away")))
    line.put(batch(1, 1), batch(2, "1"))
    for _ in range(2):
        with pytest.raises(SinkUnavailable):
            await line.flusher.flush()
        assert line.stats.unaccounted(line.buffer.events) == 0
    await line.flusher.flush()
    assert (line.stats.stored, line.stats.rejected) == (2, {"quarantined": 2})
    assert len(line.sink.dead_letters) == 1
    assert line.buried == [2]


async def test_what_the_store_refuses_beside_it_is_buried_alone() -> None:
    line = Line(TroubledSink(poison=[3]))
    line.put(batch(1, 1), batch(2, "1"), batch(3, 3), batch(4, 4))
    while line.buffer.events:
        await line.flusher.flush()
    assert {name[1] for name in line.sink.batches} == {1, 4}
    assert line.stats.rejected == {"quarantined": 2, "buried": 2}
    assert line.stats.unaccounted(0) == 0


async def test_dead_letters_that_are_refused_leave_it_in_the_buffer() -> None:
    class Full(TroubledSink):
        """Takes no dead letter."""

        async def bury(self, batch: Batch, reason: str) -> None:
            raise SinkRejected("no such table")

    line = Line(Full())
    line.put(batch(1, "1"))
    with pytest.raises(SinkUnavailable, match="dead letters are refused: no such table"):
        await line.flusher.flush()
    assert line.buffer.events == 2


async def test_it_is_logged_once_a_minute_and_without_what_was_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    line = Line(TroubledSink())
    for sequence in range(1, 5):
        line.put(batch(sequence, "secret"))
        await line.flusher.flush()
    assert [each.split(";")[0] for each in caplog.messages] == [
        "quarantined 2 events that are not as defined"
    ]
    line.clock.advance(LOG_SECONDS)
    line.put(batch(9, "secret"))
    await line.flusher.flush()
    assert len(caplog.messages) == 2
    assert "secret" not in caplog.text
