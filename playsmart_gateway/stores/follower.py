"""The figures beside ingest: they follow what is stored, close behind it and off its path.

A batch that cannot be counted, as somebody damaged its rows, is found by ever smaller steps, left
out and told of. The sums show first that they take something else, or all would be left out.
"""

import logging
import time
from collections.abc import Callable
from functools import partial

from playsmart_gateway.errors import SinkRejected
from playsmart_gateway.metrics import Stats
from playsmart_gateway.stores.contract import Rollups
from playsmart_gateway.stores.rollups import Followed
from playsmart_gateway.tasks import PacedTask

logger = logging.getLogger(__name__)

EVENTS_PER_STEP = 5_000
"""What one step counts; the store's connection is busy for the time of adding its sums."""

IDLE_SECONDS = 1.0
NARROWING = 8


def follower(
    figures: Rollups, stats: Stats, clock: Callable[[], float] = time.monotonic
) -> PacedTask:
    """Return what has ``figures`` follow the store, and notes in ``stats`` how far it is."""
    max_events = EVENTS_PER_STEP

    async def follow() -> Followed | None:
        nonlocal max_events
        try:
            followed = await figures.follow(max_events)
        except SinkRejected as error:
            if max_events > 1:
                max_events = max(max_events // NARROWING, 1)
                return await follow()
            followed = await figures.skip()
            stats.figures_skipped += 1
            logger.error("the figures leave out batch %d: %s", followed.position, error)
        else:
            max_events = min(max_events * NARROWING, EVENTS_PER_STEP)
        return followed

    async def step() -> bool:
        followed = await follow()
        stats.figures_lag = 0 if followed is None else followed.end - followed.position
        return stats.figures_lag > 0

    trouble = "the figures of the dashboard cannot follow the store"
    failed = partial(stats.count_side_failure, "figures")
    return PacedTask(
        step, trouble, rests=figures.rests, idle_seconds=IDLE_SECONDS, clock=clock, failed=failed
    )
