"""The figures beside ingest: they rest, and outlive a store in trouble."""

import pytest

from playsmart_gateway.errors import SinkRejected, SinkUnavailable
from playsmart_gateway.follower import IDLE_SECONDS, PAUSES_PER_STEP, TROUBLED_SECONDS, Follower
from playsmart_gateway.sinks import FigureKeeper, Followed
from playsmart_gateway.sinks.sqlite.figures import SqliteFigures
from tests.doubles import FakeClock

Step = Followed | Exception


class ScriptedFigures(SqliteFigures):
    """Figures that follow as they are told to, and take two seconds a step."""

    def __init__(self, clock: FakeClock, *script: Step) -> None:
        self._clock = clock
        self._script = list(script)

    async def follow(self, max_events: int) -> Followed:
        self._clock.advance(2.0)
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


async def test_it_rests_in_proportion_until_it_is_there() -> None:
    clock = FakeClock()
    figures: FigureKeeper = ScriptedFigures(clock, Followed(3, 9), Followed(9, 9))
    follower = Follower(figures, clock=clock)
    assert [await follower.step() for _ in range(2)] == [2.0 * PAUSES_PER_STEP, IDLE_SECONDS]


async def test_trouble_is_told_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    gone, odd = SinkUnavailable("gone"), SinkRejected("odd")
    follower = Follower(ScriptedFigures(clock, gone, odd, Followed(1, 1), gone), clock=clock)
    rests = [await follower.step() for _ in range(4)]
    assert rests == [TROUBLED_SECONDS, TROUBLED_SECONDS, IDLE_SECONDS, TROUBLED_SECONDS]
    assert [record.message for record in caplog.records] == [
        "the figures of the dashboard cannot follow the store: gone"
    ] * 2


async def test_it_goes_on_for_ever_with_rests_between() -> None:
    clock, rests = FakeClock(), []

    class Enough(Exception):
        pass

    async def sleep(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) == 3:
            raise Enough

    with pytest.raises(Enough):
        await Follower(
            ScriptedFigures(clock, *[Followed(1, 1)] * 3), clock=clock, sleep=sleep
        ).run()
    assert rests == [IDLE_SECONDS] * 3
