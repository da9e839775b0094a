"""Long work in steps: who gets in between, and when."""

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import count

import pytest

from playsmart_gateway.errors import Overcrowded
from playsmart_gateway.http.turns import (
    LONG_STEP_SECONDS,
    MAX_REST_SECONDS,
    TURN_SECONDS,
    LongWork,
    Steps,
    Turns,
    at_once,
)
from tests.support.doubles import FakeClock


def each_step_is_long() -> Callable[[], float]:
    return partial(next, count(0.0, TURN_SECONDS))


def steps(name: str, done: list[str]) -> Steps[str]:
    for _ in range(3):
        done.append(name)
        yield
    return name.upper()


async def test_between_two_steps_others_have_so_many_rounds_of_the_loop() -> None:
    done: list[str] = []
    turns = Turns(4)
    turns.put(asyncio.get_running_loop(), lambda: None)  # the turn in which the work begins
    work = asyncio.create_task(LongWork(turns, each_step_is_long()).run(steps("a", done)))
    while not work.done():
        await asyncio.sleep(0)
        done.append("-")
    gaps = "".join(done).strip("-").split("a")[1:-1]
    assert all(len(gap) >= 4 for gap in gaps)
    assert done.count("a") == 3
    assert await work == "A"


async def test_the_steps_of_several_share_the_turns() -> None:
    done: list[str] = []
    turns = Turns(2)
    turns.put(asyncio.get_running_loop(), lambda: None)
    work = LongWork(turns, each_step_is_long())
    found = await asyncio.gather(work.run(steps("a", done)), work.run(steps("b", done)))
    assert list(found) == ["A", "B"]
    assert "".join(done) == "ababab"


async def test_who_is_cancelled_at_its_turn_leaves_the_turns_to_the_others() -> None:
    done: list[str] = []
    work = LongWork(Turns(2), each_step_is_long())
    left = asyncio.create_task(work.run(steps("a", done)))
    stays = asyncio.create_task(work.run(steps("b", done)))
    await asyncio.sleep(0)
    left.cancel()
    assert await stays == "B"
    with pytest.raises(asyncio.CancelledError):
        await left
    assert done.count("b") == 3


async def test_short_steps_share_a_turn() -> None:
    """Or a body of many would take as many turns, and be answered long after it is decoded."""
    processor = Processor()
    waits: list[bool] = []
    turns = Turns(2)

    class Counted(Turns):
        def put(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
            waits.append(True)
            turns.put(loop, call)

    await LongWork(Counted(), processor).run(processor.steps(*[TURN_SECONDS / 4] * 10))
    assert len(waits) == 2


async def test_with_seconds_between_the_second_call_waits_for_a_timer() -> None:
    called: list[int] = []
    loop = asyncio.get_running_loop()
    spaced = Turns(seconds=3_600)
    spaced.put(loop, partial(called.append, 1))
    spaced.put(loop, partial(called.append, 2))
    for _ in range(20):
        await asyncio.sleep(0)
    assert called == [1]


def test_at_once_does_all_the_steps() -> None:
    done: list[str] = []
    assert at_once(steps("a", done)) == "A"
    assert done == ["a"] * 3


class Processor:
    """A processor clock that is told how long each step takes."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def steps(self, *seconds: float) -> Steps[None]:
        for each in seconds:
            self.now += each
            yield


async def rest_of(work: LongWork, processor: Processor, sender: str) -> float:
    """How long the next work of a sender waits before it begins."""
    loop = asyncio.get_running_loop()
    asked = loop.time()
    began: list[float] = []

    def steps() -> Steps[None]:
        began.append(loop.time())
        yield

    await work.run(steps(), sender)
    return began[0] - asked


async def test_who_held_up_the_loop_rests_before_the_next_work_and_nobody_else_does() -> None:
    processor = Processor()
    work = LongWork(Turns(1), processor)
    await work.run(processor.steps(0.0015, LONG_STEP_SECONDS + 0.001), "heavy")
    assert await rest_of(work, processor, "other") < 0.1
    assert await rest_of(work, processor, "heavy") > 0.1
    assert await rest_of(work, processor, "heavy") < 0.1, "it has rested"


async def test_steps_that_are_short_cost_their_sender_no_rest_and_no_rest_is_for_ever() -> None:
    processor = Processor()
    work = LongWork(Turns(1), processor)
    await work.run(processor.steps(*[LONG_STEP_SECONDS] * 5), "plain")
    assert await rest_of(work, processor, "plain") < 0.1
    await work.run(processor.steps(60.0), "stuck")
    assert await rest_of(work, processor, "stuck") < MAX_REST_SECONDS + 0.5


async def test_many_senders_take_no_more_memory_than_some() -> None:
    processor = Processor()
    work = LongWork(Turns(1), processor)
    for number in range(1_030):
        await work.run(processor.steps(0.1), f"sender {number}")
    assert await rest_of(work, processor, "sender 0") < 0.1, "forgotten for a newer one"


async def test_an_error_of_one_is_not_the_end_of_all_turns() -> None:
    called: list[int] = []
    told: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(str(context["exception"])))
    turns = Turns()
    turns.put(loop, partial(called.append, 1))

    def fails() -> None:
        raise RuntimeError("closed meanwhile")

    turns.put(loop, fails)
    turns.put(loop, partial(called.append, 2))
    for _ in range(5):
        await asyncio.sleep(0)
    assert (called, told) == ([1, 2], ["closed meanwhile"])
    turns.put(loop, partial(called.append, 3))
    assert called[-1] == 3


async def test_one_body_of_a_sender_rests_and_more_of_it_are_refused() -> None:
    processor = Processor()
    work = LongWork(Turns(1), processor)
    await work.run(processor.steps(0.01), "heavy")
    found = await asyncio.gather(
        *(work.run(processor.steps(0.001), "heavy") for _ in range(5)), return_exceptions=True
    )
    assert [type(each) for each in found].count(Overcrowded) == 4
    assert found[0] is None


async def test_the_longer_a_round_was_the_more_are_called_in_the_next_one() -> None:
    called: list[int] = []
    loop = asyncio.get_running_loop()
    clock = FakeClock()
    turns = Turns(each_seconds=2.0, clock=clock)
    for number in range(40):
        turns.put(loop, partial(called.append, number))
    assert called == [0], "who comes alone does not wait"
    counts = []
    for seconds in (0.0, 1.9, 4.0, 0.5, 20.0, 0.0):
        clock.now += seconds
        before = len(called)
        await asyncio.sleep(0)
        counts.append(len(called) - before)
    assert counts == [1, 1, 3, 1, 11, 1]
    assert called == [*range(len(called))]


async def test_a_pause_in_which_nobody_came_is_no_long_round() -> None:
    called: list[int] = []
    loop = asyncio.get_running_loop()
    clock = FakeClock()
    turns = Turns(each_seconds=2.0, clock=clock)
    turns.put(loop, partial(called.append, 0))
    await asyncio.sleep(0)
    clock.now += 3_600
    for number in range(1, 4):
        turns.put(loop, partial(called.append, number))
    await asyncio.sleep(0)
    assert called == [0, 1, 2]


async def test_an_error_of_one_costs_no_turn_of_those_in_the_same_round() -> None:
    called: list[int] = []
    told: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    clock = FakeClock()
    turns = Turns(each_seconds=1.0, clock=clock)
    turns.put(loop, partial(called.append, 0))

    def fails() -> None:
        raise ValueError

    turns.put(loop, fails)
    turns.put(loop, partial(called.append, 1))
    clock.now += 1.0
    await asyncio.sleep(0)
    assert called == [0, 1]
    assert [type(each) for each in told] == [ValueError]
