"""The audit beside ingest: from the beginning at each start, then close behind what is stored.

It takes a small share of the time, so that a large store is audited slowly rather than ingest.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.sinks import Reader
from playsmart_gateway.stats import Stats

logger = logging.getLogger(__name__)

EVENTS_PER_STEP = 20_000
PAUSES_PER_STEP = 19
"""How many times as long as a step took it rests: a twentieth of one core at most."""

IDLE_SECONDS = 5.0


class Auditor:
    """Audits the store behind ``reader`` for ever, and counts what it finds in ``stats``."""

    def __init__(
        self,
        reader: Reader,
        stats: Stats,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._reader = reader
        self._stats = stats
        self._clock = clock
        self._sleep = sleep
        self._failing = False

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            await self._sleep(await self.step())

    async def step(self) -> float:
        """Audit a piece, and return how many seconds to rest."""
        started = self._clock()
        try:
            audited = await self._reader.audit(EVENTS_PER_STEP)
        except SinkUnavailable as error:
            if not self._failing:
                logger.warning("the audit cannot read the store: %s", error)
            self._failing = True
            return IDLE_SECONDS
        self._failing = False
        if audited.start == 0:
            self._stats.violations.clear()
        self._stats.audit_lag = audited.end - audited.position
        for violation in audited.violations:
            self._stats.violations[violation.kind] += 1
        if audited.violations:
            first = audited.violations[0]
            logger.error(
                "the audit found %d violations, the first: %s: %s; see playsmart-gateway audit",
                len(audited.violations), first.kind, first.text,
            )  # fmt: skip
        if self._stats.audit_lag:
            return PAUSES_PER_STEP * (self._clock() - started)
        return IDLE_SECONDS
