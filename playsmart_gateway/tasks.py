"""Work beside ingest: in small steps, with rests that leave the processor to the requests.

A large backlog, be it of a busy hour or of a store that is new to us, is worked off slowly rather
than at the expense of ingest.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from playsmart_gateway.errors import SinkError

logger = logging.getLogger(__name__)

TROUBLED_SECONDS = 5.0


class Throttled:
    """Takes ``step`` again and again, which does a piece of work and says whether there is more.

    It rests ``rests`` times as long as a step took, so it takes one part in ``rests + 1`` of a core
    at most; ``idle_seconds`` when there is no more to do, and ``TROUBLED_SECONDS`` after an error
    of the store, which is logged once, led by what then cannot be done (``trouble``), and of which
    ``failed`` is told each time.
    """

    def __init__(
        self,
        step: Callable[[], Awaitable[bool]],
        trouble: str,
        *,
        rests: int,
        idle_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._failed = failed
        self._step = step
        self._trouble = trouble
        self._rests = rests
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._failing = False

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            rest = await self.once()
            await asyncio.sleep(rest)

    async def once(self) -> float:
        """Take a step, and return how many seconds to rest."""
        started = self._clock()
        try:
            more = await self._step()
        except SinkError as error:
            if not self._failing:
                logger.warning("%s: %s", self._trouble, error)
            self._failing = True
            self._failed()
            return TROUBLED_SECONDS
        self._failing = False
        return self._rests * (self._clock() - started) if more else self._idle_seconds
