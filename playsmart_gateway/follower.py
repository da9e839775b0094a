"""The figures beside ingest: they follow what is stored, close behind it and off its path.

Like the auditor it takes a small share of the time: a large backlog, be it of a busy hour or of a
store from before there were figures, is counted slowly rather than at the expense of ingest.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from playsmart_gateway.errors import SinkError
from playsmart_gateway.sinks import FigureKeeper

logger = logging.getLogger(__name__)

EVENTS_PER_STEP = 5_000
"""What one step counts; the store's connection is busy for the time of adding its sums."""

PAUSES_PER_STEP = 49
"""How many times as long as a step took it rests: a fiftieth of one core at most.
A tenth took a twentieth of the requests at saturation."""

IDLE_SECONDS = 1.0
TROUBLED_SECONDS = 5.0


class Follower:
    """Has ``figures`` follow the store for ever."""

    def __init__(
        self,
        figures: FigureKeeper,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._figures = figures
        self._clock = clock
        self._sleep = sleep
        self._failing = False

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            await self._sleep(await self.step())

    async def step(self) -> float:
        """Count a piece, and return how many seconds to rest."""
        started = self._clock()
        try:
            followed = await self._figures.follow(EVENTS_PER_STEP)
        except SinkError as error:
            if not self._failing:
                logger.warning("the figures of the dashboard cannot follow the store: %s", error)
            self._failing = True
            return TROUBLED_SECONDS
        self._failing = False
        if followed.position < followed.end:
            return PAUSES_PER_STEP * (self._clock() - started)
        return IDLE_SECONDS
