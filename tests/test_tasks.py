"""Work beside ingest: it rests in proportion, and outlives a store in trouble."""

import asyncio

import pytest

from playsmart_gateway.errors import SinkRejected, SinkUnavailable
from playsmart_gateway.tasks import (
    LAST_PAUSE_SECONDS,
    TROUBLED_SECONDS,
    Background,
    PacedTask,
    cancel,
    heed_cancellation,
)
from tests.support.doubles import FakeClock
from tests.support.polling import PATIENCE_SECONDS

Step = bool | Exception


def scripted(*script: Step) -> PacedTask:
    """Takes two seconds a step, idles for seven."""
    clock, steps = FakeClock(), list(script)

    async def step() -> bool:
        clock.advance(2.0)
        outcome = steps.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return PacedTask(step, "cannot work", rests=9, idle_seconds=7.0, clock=clock)


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

    working = asyncio.create_task(PacedTask(step, "", rests=0, idle_seconds=0.0).run())
    await third.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working


async def test_a_bug_is_not_taken_for_trouble() -> None:
    with pytest.raises(ZeroDivisionError):
        await scripted(ZeroDivisionError()).once()


class Pauses:
    """Takes down the pauses, and ends them at once; ``enough`` is set after some."""

    def __init__(self, count: int) -> None:
        self.taken: list[float] = []
        self.enough = asyncio.Event()
        self._count = count

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        if len(self.taken) == self._count:
            self.enough.set()
        await asyncio.sleep(0 if len(self.taken) < self._count else 3600)


async def test_what_fails_beside_is_started_again_after_ever_longer_pauses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pauses, failed, died = Pauses(8), list[str](), list[str]()
    background = Background(died=lambda: died.append("x"), failed=failed.append, sleep=pauses)

    async def broken() -> None:
        raise KeyError("a payload")

    async with background.beside(broken, "audit"):
        await pauses.enough.wait()
    assert pauses.taken == [1, 2, 4, 8, 16, 32, LAST_PAUSE_SECONDS, LAST_PAUSE_SECONDS]
    assert failed == ["audit"] * 8
    assert "audit failed and is started again" in caplog.text
    assert "payload" not in caplog.text
    assert not died
    assert not background.has_died


async def test_what_ends_beside_is_not_started_again() -> None:
    runs, ended = 0, asyncio.Event()
    background = Background(died=lambda: None)

    async def once() -> None:
        nonlocal runs
        runs += 1
        ended.set()

    async with background.beside(once, "audit"):
        await ended.wait()
        await asyncio.sleep(0)
    assert runs == 1


async def test_what_is_needed_dies_loudly_and_once(caplog: pytest.LogCaptureFixture) -> None:
    died: list[str] = []
    background = Background(died=lambda: died.append("x"))

    async def broken() -> None:
        raise ZeroDivisionError

    task = background.start(broken(), "flusher")
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert background.has_died
    assert died == ["x"]
    assert "task flusher died, shutting down: ZeroDivisionError" in caplog.text
    await cancel(task)


async def test_what_is_cancelled_did_not_die() -> None:
    background = Background(died=pytest.fail)
    async with background.running(asyncio.sleep(3600), "flusher"):
        await asyncio.sleep(0)
    assert not background.has_died


class Driver:
    """Takes a cancellation for a failure of its own, as drivers do now and then."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def ask(self) -> bool:
        self.asked.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            raise SinkUnavailable("gone") from None
        return False


async def test_work_whose_driver_swallows_the_cancellation_ends_all_the_same() -> None:
    driver = Driver()
    work = PacedTask(driver.ask, "cannot work", rests=0, idle_seconds=0.0)
    background = Background(died=pytest.fail, failed=pytest.fail)
    async with asyncio.timeout(PATIENCE_SECONDS), background.beside(work.run, "audit"):
        await driver.asked.wait()


async def test_who_was_not_cancelled_goes_on() -> None:
    heed_cancellation()
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.sleep(3600)
        heed_cancellation()
