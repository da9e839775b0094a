"""Work beside ingest: it rests in proportion, and outlives a store in trouble."""

import asyncio

import pytest

from playsmart_gateway.errors import SinkRejected, SinkUnavailable
from playsmart_gateway.tasks import (
    TROUBLED_SECONDS,
    Throttled,
)
from tests.doubles import FakeClock

Step = bool | Exception


def scripted(*script: Step) -> Throttled:
    """Takes two seconds a step, idles for seven."""
    clock, steps = FakeClock(), list(script)

    async def step() -> bool:
        clock.advance(2.0)
        outcome = steps.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return Throttled(step, "cannot work", rests=9, idle_seconds=7.0, clock=clock)


async def test_it_rests_in_proportion_until_there_is_no_more_to_do() -> None:
    work = scripted(True, True, False)
    assert [await work.once() for _ in range(3)] == [18.0, 18.0, 7.0]


async def test_trouble_with_the_store_is_told_once_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gone, odd = SinkUnavailable("gone"), SinkRejected("odd")
    work = scripted(gone, odd, True, gone)
    rests = [await work.once() for _ in range(4)]
    assert rests == [TROUBLED_SECONDS, TROUBLED_SECONDS, 18.0, TROUBLED_SECONDS]
    assert [record.message for record in caplog.records] == ["cannot work: gone"] * 2


async def test_it_goes_on_until_it_is_cancelled() -> None:
    steps = 0
    third = asyncio.Event()

    async def step() -> bool:
        nonlocal steps
        steps += 1
        if steps == 3:
            third.set()
        return False

    working = asyncio.create_task(Throttled(step, "", rests=0, idle_seconds=0.0).run())
    await third.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working


async def test_a_bug_is_not_taken_for_trouble() -> None:
    with pytest.raises(ZeroDivisionError):
        await scripted(ZeroDivisionError()).once()
