"""Long work in steps: who gets in between, and when."""

import asyncio
from functools import partial

import pytest

from playsmart_gateway.http.turns import Spaced, Steps, at_once


def steps(name: str, done: list[str]) -> Steps[str]:
    for _ in range(3):
        done.append(name)
        yield
    return name.upper()


async def test_between_two_steps_others_have_so_many_rounds_of_the_loop() -> None:
    done: list[str] = []
    turns = Spaced(4)
    turns.put(asyncio.get_running_loop(), lambda: None)  # the turn in which the work begins
    work = asyncio.create_task(turns.run(steps("a", done)))
    while not work.done():
        await asyncio.sleep(0)
        done.append("-")
    gaps = "".join(done).strip("-").split("a")[1:-1]
    assert all(len(gap) >= 4 for gap in gaps)
    assert done.count("a") == 3
    assert await work == "A"


async def test_the_steps_of_several_share_the_turns() -> None:
    done: list[str] = []
    turns = Spaced(2)
    turns.put(asyncio.get_running_loop(), lambda: None)
    found = await asyncio.gather(turns.run(steps("a", done)), turns.run(steps("b", done)))
    assert list(found) == ["A", "B"]
    assert "".join(done) == "ababab"


async def test_who_is_cancelled_at_its_turn_leaves_the_turns_to_the_others() -> None:
    done: list[str] = []
    turns = Spaced(2)
    left = asyncio.create_task(turns.run(steps("a", done)))
    stays = asyncio.create_task(turns.run(steps("b", done)))
    await asyncio.sleep(0)
    left.cancel()
    assert await stays == "B"
    with pytest.raises(asyncio.CancelledError):
        await left
    assert done.count("b") == 3


async def test_with_seconds_between_the_second_call_waits_for_a_timer() -> None:
    called: list[int] = []
    loop = asyncio.get_running_loop()
    spaced = Spaced(seconds=3_600)
    spaced.put(loop, partial(called.append, 1))
    spaced.put(loop, partial(called.append, 2))
    for _ in range(20):
        await asyncio.sleep(0)
    assert called == [1]


def test_at_once_does_all_the_steps() -> None:
    done: list[str] = []
    assert at_once(steps("a", done)) == "A"
    assert done == ["a"] * 3
