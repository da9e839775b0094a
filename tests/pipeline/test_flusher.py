import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import Context
from typing import TypeVarTuple, Unpack

import pytest

from playsmart_gateway.economy.points import (
    Award,
    EventDefinition,
    Program,
)
from playsmart_gateway.errors import (
    SinkRejected,
    SinkUnavailable,
    StoreUnavailable,
    Unstorable,
)
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.metrics import Stats
from playsmart_gateway.pipeline.buffer import Buffer
from playsmart_gateway.pipeline.commit_queue import CommitQueue
from playsmart_gateway.pipeline.flush_options import FlushOptions
from playsmart_gateway.pipeline.flusher import CONFLICT_LOG_SECONDS, Flusher
from playsmart_gateway.pipeline.machine import Machine
from playsmart_gateway.pipeline.observers import Observers
from playsmart_gateway.pipeline.origin import MemoryOnly
from playsmart_gateway.stores.models import Written
from tests.support.doubles import FakeClock, TroubledSink, data_of, make_batch
from tests.support.polling import PATIENCE_SECONDS

PROGRAM = Program([EventDefinition(id="login", kind="fix", points=10)])

_Ts = TypeVarTuple("_Ts")


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
        origin: MemoryOnly | None = None,
        observers: Observers | None = None,
        chance: float = -0.5,  # no pause between retries
        age_clock: Callable[[], float] = time.monotonic,
        awarding: TroubledSink | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.stats = Stats()
        self.sink = sink or TroubledSink()
        self.buffer = Buffer(
            max_events=1_000,
            max_bytes=10**6,
            ripe_events=ripe_events,
            ripe_bytes=50_000,
            clock=age_clock,
        )
        self.commit_queue = CommitQueue(
            self.stats,
            awarding or self.sink,
            wake=self.buffer.stirred.set,
            patience_seconds=patience,
        )
        self.origin = origin or MemoryOnly()
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
            observers=observers or Observers({}),
            machine=Machine(clock=self.clock, chance=lambda: chance),
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


async def test_a_batch_waits_for_the_interval_and_not_longer() -> None:
    clock = FakeClock()
    line = Line(interval=10, age_clock=clock)
    async with line.running():
        line.put()
        for seconds, left in ((0, 1), (9.5, 1), (0.5, 0)):
            clock.advance(seconds)
            line.buffer.stirred.set()
            await turns()
            assert len(line.buffer) == left
    assert line.stats.flushes == {"age": 1}


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


class CountingSink(TroubledSink):
    """Notes how many batches each write has; a write takes a quarter of a second of ``clock``."""

    clock = FakeClock()

    def __init__(self, *errors: Exception, poison: Sequence[int] = ()) -> None:
        super().__init__(*errors, poison=poison, program=PROGRAM)
        self.sizes: list[int] = []

    async def write(self, batches: Sequence[Batch]) -> Written:
        self.sizes.append(len(batches))
        self.clock.advance(0.25)
        return await super().write(batches)

    async def commit(self, batches: Sequence[Batch]) -> list[Award]:
        self.sizes.append(len(batches))
        self.clock.advance(0.5)
        return await super().commit(batches)


class HastyLoop(asyncio.SelectorEventLoop):
    """Notes for how long somebody sleeps, and wakes him at once."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        self.pauses.append(delay)
        return super().call_later(0, callback, *args, context=context)


@pytest.mark.parametrize(("chance", "factor"), [(0.0, 0.5), (0.5, 1.0), (1.0, 1.5)])
def test_a_store_that_stays_away_is_asked_ever_more_rarely_but_at_least_every_few_seconds(
    chance: float, factor: float
) -> None:
    sink = TroubledSink(*[SinkUnavailable("gone")] * 9)
    loop = HastyLoop()

    async def twice_away() -> None:
        line = Line(sink, ripe_events=1, chance=chance)
        async with line.running():
            line.put()
            await line.settle()
            sink.errors = [SinkUnavailable("gone again")]
            line.put()
            await line.settle()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(twice_away())
    seconds = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5, 0.1]
    assert loop.pauses == pytest.approx([factor * each for each in seconds])


async def test_a_flush_that_is_rejected_is_halved_until_the_one_to_blame_stands_alone() -> None:
    line = Line(sink := CountingSink(poison=[7]))
    for _ in range(9):
        line.put()
    async with line.running():
        pass
    assert sink.sizes == [9, 4, 4, 2, 2, 1, 2], "then again as many as there are"


async def test_a_dead_letter_says_why_and_is_told_before_it_leaves(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[tuple[str, int, int]] = []

    class Follower:
        def buried(self, batch: Batch) -> None:
            told.append(("buried", batch.sequence, len(line.buffer)))

        def left_the_buffer(self, batches: Sequence[Batch]) -> None:
            told.append(("left", batches[0].sequence, len(line.buffer)))

    line = Line(TroubledSink(poison=[1]), observers=Observers({"follower": Follower()}))
    line.put(3)
    line.put(2)
    assert await line.flusher.flush() == 0, "both are rejected, and none is gone"
    assert [await line.flusher.flush() for _ in range(3)] == [3, 2, 0]
    assert told == [("buried", 1, 2), ("left", 1, 1), ("left", 2, 0)]
    ((batch, reason),) = line.sink.dead_letters.values()
    assert (batch.sequence, reason) == (1, "poison")
    assert caplog.messages[-1].startswith("buried one batch of 3 events as dead letters: poison ")


async def test_a_batch_stays_while_dead_letters_are_refused() -> None:
    class Full(TroubledSink):
        async def bury(self, batch: Batch, reason: str) -> None:
            raise SinkRejected("no such table")

    line = Line(Full(poison=[1]))
    line.put()
    with pytest.raises(SinkUnavailable, match="dead letters are refused: no such table"):
        await line.flusher.flush()
    assert len(line.buffer) == 1


async def test_the_next_in_line_shows_that_a_store_which_refuses_a_game_takes_others() -> None:
    class RefusesAGame(TroubledSink):
        async def trial(self, batches: Sequence[Batch]) -> None:
            if any(batch.game_id == "refused" for batch in batches):
                raise SinkRejected("game")

    line = Line(RefusesAGame(poison=[1]))
    first = make_batch(1, user_id="ada")
    first.game_id = "refused"
    line.buffer.put(first)
    line.buffer.put(make_batch(2, user_id="bob"))
    await line.flusher.flush()
    assert await line.flusher.flush() == 1
    assert list(line.sink.dead_letters) == [first.key]


async def test_those_in_line_who_are_tried_are_drawn_by_chance() -> None:
    tried: list[str] = []

    class TakesNone(TroubledSink):
        async def trial(self, batches: Sequence[Batch]) -> None:
            tried.extend(batch.user_id for batch in batches if batch.journal != "trial")
            await super().trial(batches)

    line = Line(TakesNone(poison=range(100)), chance=0.0, ripe_events=100)
    for sequence in range(100):
        line.buffer.put(make_batch(sequence, user_id=f"u{sequence}"))
    assert [await line.flusher.flush() for _ in range(6)] == [0] * 6, "halved until one is left"
    with pytest.raises(SinkUnavailable):
        await line.flusher.flush()
    assert tried == ["u1", "u2", "u3", "u4"]


async def test_who_awards_is_asked_whether_it_refuses_good_batches_and_not_the_sink() -> None:
    class RefusesAll(TroubledSink):
        async def trial(self, batches: Sequence[Batch]) -> None:
            raise SinkRejected("trigger")

    line = Line(awarding=RefusesAll(poison=[1], program=PROGRAM))
    (task,) = send(line)
    await turns()
    with pytest.raises(SinkUnavailable, match="the store refuses good batches: trigger"):
        await line.flusher.commit()
    assert len(line.commit_queue) == 1
    line.commit_queue.abandon("over")
    await asyncio.wait([task])


async def test_a_store_that_refused_good_batches_gets_as_many_as_ever_when_it_is_mended() -> None:
    class RefusesAll(CountingSink):
        async def trial(self, batches: Sequence[Batch]) -> None:
            raise SinkRejected("trigger")

    line = Line(sink := RefusesAll(poison=[0, 1, 2, 3, 4]))
    for _ in range(4):
        line.put()
    tasks = send(line, 3)
    await turns()
    for each, halvings in ((line.flusher.flush, 2), (line.flusher.commit, 1)):
        assert [await each() for _ in range(halvings)] == [0] * halvings
        with pytest.raises(SinkUnavailable):
            await each()
    sink.poison.clear()
    assert (await line.flusher.flush(), await line.flusher.commit()) == (4, 3)
    assert sink.sizes == [4, 2, 1, 3, 1, 4, 3]
    assert [award.points for award in await asyncio.gather(*tasks)] == [10] * 3


async def test_a_flush_counts_what_is_new_what_was_there_and_how_long_it_took(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    line = Line(sink := CountingSink())
    sink.clock = line.clock
    for again in (False, True, True):
        line.buffer.put(make_batch(1, 3))
        if again:
            line.buffer.put(make_batch(2 + line.stats.duplicate, 2))
        assert await line.flusher.flush() == (5 if again else 3)
    assert (line.stats.stored, line.stats.duplicate) == (7, 6)
    assert line.stats.flush_seconds.total == 0.75
    assert line.stats.flush_events.total == 13
    assert "flushed events=5 batches=2 trigger=explicit ms=250.0 left=0 " in caplog.text


async def test_conflicts_of_runs_are_counted_and_told_once_in_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    line = Line()
    for sequence in range(4):
        batch = make_batch(sequence, pad=9)
        batch.run = b"r" * 24
        batch.rows = batch.rows.replace(b"00Z", b"%02dZ" % sequence)
        line.buffer.put(batch)
        if sequence == 3:
            line.clock.now += CONFLICT_LOG_SECONDS
        await line.flusher.flush()
    assert line.stats.run_conflicts == 3
    told = [message for message in caplog.messages if "numbers of a run" in message]
    assert [message.rpartition("batch=")[2] for message in told] == [
        f"{'11' * 16}-1", f"{'11' * 16}-3",
    ]  # fmt: skip
    assert "x" * 9 not in caplog.text


async def test_who_waits_for_the_buffer_has_what_is_in_it_stored_at_once_and_no_more() -> None:
    line = Line()
    async with line.running(), asyncio.timeout(PATIENCE_SECONDS):
        for count in (1, 3):
            for _ in range(count):
                line.put()
            await asyncio.gather(line.flusher.settle(), line.flusher.settle())
            assert len(line.buffer) == 0
        await line.flusher.settle()
        line.put()
        await turns()
        assert len(line.buffer) == 1
    assert line.stats.flushes == {"age": 2, "drain": 1}


class Kept(MemoryOnly):
    """An origin that has these pieces still, and counts how often it was asked to let go."""

    def __init__(self, *pieces: list[Batch]) -> None:
        super().__init__()
        self.pieces = pieces
        self.told_stored: list[int] = []
        self.removals = 0
        self.keeps_stored = self.is_due = self.needs_room = False

    def stored(self, batches: int) -> None:
        self.told_stored.append(batches)

    async def once_more(self) -> AsyncIterator[list[Batch]]:
        for piece in self.pieces:
            yield piece

    async def remove_stored(self) -> None:
        self.removals += 1
        self.needs_room = False


class ReplacedSink(CountingSink):
    """One that may become another."""

    renewals = 0

    async def look(self) -> None:
        """It is there."""


async def test_a_store_that_became_another_one_is_given_once_more_what_the_journal_has(
    caplog: pytest.LogCaptureFixture,
) -> None:
    many = [make_batch(sequence, 2) for sequence in range(1, 301)]
    few = [make_batch(sequence, 2) for sequence in range(301, 304)]
    sink = ReplacedSink(SinkUnavailable("gone"), poison=[302])
    line = Line(sink, origin=Kept(many, few))
    async with line.running():
        await turns()
        assert sink.sizes == []
        sink.renewals = 1
        line.buffer.stirred.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "store is back" not in caplog.text:  # noqa: ASYNC110 - nothing else tells
                await asyncio.sleep(0)
    assert sink.sizes == [256, 256, 44, 3, 1, 1, 1], "begun anew after the store was gone"
    assert "the store is another one: it was given 604 events once more" in caplog.messages
    assert [(batch.sequence, why) for batch, why in sink.dead_letters.values()] == [(302, "poison")]
    assert line.stats.stored == 0, "it was counted when it was stored first"


async def test_a_store_that_becomes_another_one_meanwhile_is_given_all_of_it_again() -> None:
    class ReplacedMeanwhile(ReplacedSink):
        async def write(self, batches: Sequence[Batch]) -> Written:
            self.renewals = 2
            return await super().write(batches)

    line = Line(sink := ReplacedMeanwhile(), origin=Kept([make_batch(1)]))
    sink.renewals = 1
    async with line.running():
        await turns()
    assert sink.sizes == [1, 1]


async def test_what_is_stored_is_let_go_of_when_it_is_due_or_room_is_needed_and_at_the_end() -> (
    None
):
    origin = Kept()
    line = Line(origin=origin, ripe_events=1)
    async with line.running():
        line.put()
        await line.settle()
        await turns()
        assert origin.removals == 0
        origin.is_due = True
        line.put()
        await line.settle()
        await turns()
        assert origin.removals == 1
        origin.is_due, origin.needs_room = False, True
        line.buffer.stirred.set()
        await turns()
        assert origin.removals == 2
        origin.keeps_stored = True
    assert origin.removals == 3


async def test_the_origin_is_told_how_many_batches_left_stored_or_buried() -> None:
    line = Line(TroubledSink(poison=[3]), origin=(origin := Kept()))
    for _ in range(4):
        line.put(2)
    async with line.running():
        pass
    assert origin.told_stored == [2, 1, 1]


async def test_nothing_is_let_go_of_that_the_store_could_not_sync(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Unsynced(TroubledSink):
        async def sync(self) -> None:
            raise SinkUnavailable("cannot sync")

    origin = Kept()
    await Line(Unsynced(), origin=origin).flusher.trim()
    assert origin.removals == 0
    assert caplog.messages == ["the journal keeps what is stored already: cannot sync"]


async def test_a_store_that_went_away_is_asked_whether_it_is_back_though_nothing_waits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    line = Line(sink := CountingSink())
    line.flusher.note_failure(SinkUnavailable("locked", hint="Free it."))
    line.flusher.note_failure(SinkUnavailable("locked still"))
    assert str(line.flusher.last_error) == "locked still"
    async with line.running():
        await turns()
        assert line.flusher.last_error is None
    assert sink.sizes == [0]
    assert line.stats.flush_failures == {"unavailable": 2}
    assert caplog.messages == [
        "store unavailable, events wait: locked. Free it.",
        "store is back, left=0",
    ]


async def test_a_store_that_refuses_to_be_asked_whether_it_is_back_is_away_and_ends_nothing() -> (
    None
):
    line = Line(TroubledSink(SinkRejected("a trigger")))
    line.flusher.note_failure(SinkUnavailable("locked"))
    async with line.running():
        await turns()
        assert line.sink.attempts == 2
        assert line.flusher.last_error is None
    assert line.stats.flush_failures == {"unavailable": 2}


# --- the commit queue ----------------------------------------------------------------------------


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


@pytest.mark.parametrize(("sent", "wrong"), [(5, 3), (2, 2), (2, 1)])
async def test_a_poisonous_event_fails_alone_and_the_commit_queue_goes_on(
    sent: int, wrong: int, caplog: pytest.LogCaptureFixture
) -> None:
    line = Line(TroubledSink(poison=[wrong], program=PROGRAM))
    async with line.running():
        tasks = send(line, sent)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        later = send(line, 2)
        assert [(await task).points for task in later] == [10, 10]
    assert [place for place, each in enumerate(outcomes, 1) if isinstance(each, Unstorable)] == [
        wrong
    ]
    assert [each.points for each in outcomes if isinstance(each, Award)] == [10] * (sent - 1)
    assert line.stats.rejected == {"unstorable": 1}
    assert line.sink.attempts == 1 + sent + 1, "all, one by one, and all again"
    assert caplog.messages == ["the store rejects an event that a client waits for: poison"]


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


async def test_those_whose_client_waits_are_first_and_together() -> None:
    line = Line(sink := SlowSink(), ripe_events=1)
    sink.go_on.set()
    line.put()
    tasks = send(line, 2)
    await turns()
    async with line.running():
        await asyncio.gather(*tasks)
        await line.settle()
    assert sink.order == ["commit_queue 2", "buffer 1"]


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


async def test_a_commit_counts_how_many_it_was_and_how_long_it_took() -> None:
    line = Line(sink := CountingSink())
    sink.clock = line.clock
    tasks = send(line, 3)
    await turns()
    assert await line.flusher.commit() == 3
    await asyncio.gather(*tasks)
    assert (line.stats.commit_seconds.total, line.stats.commit_batches.total) == (0.5, 3)


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
