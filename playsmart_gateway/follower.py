"""The figures beside ingest: they follow what is stored, close behind it and off its path."""

import time
from collections.abc import Callable

from playsmart_gateway.sinks import FigureKeeper
from playsmart_gateway.throttle import Throttled

EVENTS_PER_STEP = 5_000
"""What one step counts; the store's connection is busy for the time of adding its sums."""

IDLE_SECONDS = 1.0


def follower(figures: FigureKeeper, clock: Callable[[], float] = time.monotonic) -> Throttled:
    """Return what has ``figures`` follow the store."""

    async def step() -> bool:
        followed = await figures.follow(EVENTS_PER_STEP)
        return followed is not None and followed.position < followed.end

    trouble = "the figures of the dashboard cannot follow the store"
    return Throttled(step, trouble, rests=figures.rests, idle_seconds=IDLE_SECONDS, clock=clock)
