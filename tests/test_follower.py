"""The figures beside ingest."""

from typing import Self

import pytest

from playsmart_gateway.follower import IDLE_SECONDS, follower
from playsmart_gateway.sinks import Figures, Followed


class ScriptedFigures:
    """Figures that follow as they are told to."""

    def __init__(self, *script: Followed | None, rests: int = 4) -> None:
        self.rests = rests
        self._script = list(script)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def follow(self, max_events: int) -> Followed | None:
        return self._script.pop(0)

    async def read(self, game_id: str | None, seconds: int, now: float) -> Figures:
        raise AssertionError("nobody looks")


async def test_it_goes_on_until_it_is_there() -> None:
    steps = follower(ScriptedFigures(Followed(3, 9), Followed(9, 9)))
    assert await steps.once() < IDLE_SECONDS
    assert await steps.once() == IDLE_SECONDS


async def test_it_waits_while_somebody_else_follows() -> None:
    steps = follower(ScriptedFigures(None, Followed(3, 9)))
    assert await steps.once() == IDLE_SECONDS
    assert await steps.once() < IDLE_SECONDS


@pytest.mark.parametrize("rests", [0, 4, 49])
async def test_the_store_says_how_long_it_rests(rests: int) -> None:
    figures = ScriptedFigures(Followed(3, 9), rests=rests)
    times = iter((10.0, 10.5))
    assert await follower(figures, clock=lambda: next(times)).once() == rests * 0.5
