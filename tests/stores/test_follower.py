"""The figures beside ingest."""

from typing import Self

import pytest

from playsmart_gateway.errors import SinkRejected, SinkUnavailable
from playsmart_gateway.metrics import Stats
from playsmart_gateway.stores.follower import (
    IDLE_SECONDS,
    follower,
)
from playsmart_gateway.stores.rollups import (
    Figures,
    Followed,
)
from playsmart_gateway.tasks import TROUBLED_SECONDS


class ScriptedFigures:
    """Figures that follow as they are told to."""

    def __init__(self, *script: Followed | Exception | None, rests: int = 4) -> None:
        self.rests = rests
        self.asked: list[int] = []
        self._script = list(script)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def follow(self, max_events: int) -> Followed | None:
        self.asked.append(max_events)
        return self._next()

    async def skip(self) -> Followed:
        self.asked.append(0)
        followed = self._next()
        assert followed is not None
        return followed

    def _next(self) -> Followed | None:
        outcome = self._script.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def read(self, game_id: str | None, seconds: int, now: float) -> Figures:
        raise AssertionError("nobody looks")


async def test_it_goes_on_until_it_is_there() -> None:
    steps = follower(ScriptedFigures(Followed(3, 9), Followed(9, 9)), Stats())
    assert await steps.once() < IDLE_SECONDS
    assert await steps.once() == IDLE_SECONDS


async def test_it_waits_while_somebody_else_follows() -> None:
    steps = follower(ScriptedFigures(None, Followed(3, 9)), Stats())
    assert await steps.once() == IDLE_SECONDS
    assert await steps.once() < IDLE_SECONDS


@pytest.mark.parametrize("rests", [0, 4, 49])
async def test_the_store_says_how_long_it_rests(rests: int) -> None:
    figures = ScriptedFigures(Followed(3, 9), rests=rests)
    times = iter((10.0, 10.5))
    assert await follower(figures, Stats(), clock=lambda: next(times)).once() == rests * 0.5


async def test_it_goes_on_behind_a_batch_that_it_left_out(caplog: pytest.LogCaptureFixture) -> None:
    odd = SinkRejected("malformed")
    figures = ScriptedFigures(*[odd] * 5, Followed(4, 9), Followed(5, 9), Followed(9, 9))
    stats = Stats()
    steps = follower(figures, stats)
    assert await steps.once() < TROUBLED_SECONDS
    assert (stats.figures_skipped, stats.figures_lag) == (1, 5)
    assert "leave out batch 4: malformed" in caplog.text
    await steps.once()
    await steps.once()
    assert figures.asked == [5_000, 625, 78, 9, 1, 0, 1, 8]
    assert stats.figures_lag == 0
    assert not stats.side_failures


async def test_sums_that_take_nothing_leave_nothing_out() -> None:
    odd = SinkRejected("a trigger")
    figures = ScriptedFigures(*[odd] * 6, SinkUnavailable("gone"))
    stats = Stats()
    steps = follower(figures, stats)
    assert [await steps.once() for _ in range(2)] == [TROUBLED_SECONDS] * 2
    assert stats.figures_skipped == 0
    assert stats.side_failures == {"figures": 2}
