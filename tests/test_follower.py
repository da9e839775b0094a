"""The figures beside ingest."""

from playsmart_gateway.follower import IDLE_SECONDS, follower
from playsmart_gateway.sinks import FigureKeeper, Followed
from playsmart_gateway.sinks.sqlite.figures import SqliteFigures


class ScriptedFigures(SqliteFigures):
    """Figures that follow as they are told to."""

    def __init__(self, *script: Followed) -> None:
        self._script = list(script)

    async def follow(self, max_events: int) -> Followed:
        return self._script.pop(0)


async def test_it_goes_on_until_it_is_there() -> None:
    figures: FigureKeeper = ScriptedFigures(Followed(3, 9), Followed(9, 9))
    steps = follower(figures)
    assert await steps.once() < IDLE_SECONDS
    assert await steps.once() == IDLE_SECONDS
