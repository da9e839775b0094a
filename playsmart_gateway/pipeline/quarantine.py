"""Sets aside, before they are stored, the batches that are not as their game's events are defined.

They become dead letters, so nothing is lost: ``dead-letters replay`` stores them once the
definitions say otherwise. A batch is judged whenever it is about to be stored, by the definitions
of then, so a process that dies in between leaves nothing undecided.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Sequence

from playsmart_gateway.catalogue.judging import Standard
from playsmart_gateway.errors import SinkRejected, SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.metrics import Stats
from playsmart_gateway.pipeline.observers import Observers
from playsmart_gateway.stores.contract import EventSink, Quarantining

logger = logging.getLogger(__name__)

EVENTS_AT_ONCE = 1_000
"""That are judged while requests wait: half a millisecond."""

LOG_SECONDS = 60.0
"""At least so long is between two log lines about it."""


class Quarantine:
    """Holds batches to a ``standard``, if there is one, and keeps others away from the ``sink``."""

    def __init__(
        self,
        standard: Standard | None,
        sink: EventSink,
        stats: Stats,
        observers: Observers,
        clock: Callable[[], float],
    ) -> None:
        self._standard = standard
        self._sink = sink
        self._stats = stats
        self._observers = observers
        self._clock = clock
        self._quiet_until = -math.inf

    async def sift(self, batches: Sequence[Batch]) -> tuple[Sequence[Batch], Sequence[Batch]]:
        """Return those that are to be stored, and those that are dead letters from now on.

        Raises:
            SinkUnavailable: the same call may work later.
        """
        if self._standard is None:
            return batches, ()
        letters, since = [], 0
        for batch in batches:
            if (reason := self._standard.misfit(batch)) is not None:
                letters.append((batch, reason))
            since += batch.count
            if since >= EVENTS_AT_ONCE:
                since = 0
                await asyncio.sleep(0)
        if not letters:
            return batches, ()
        await self._keep(letters)
        apart = {batch.key for batch, _ in letters}
        return [each for each in batches if each.key not in apart], [each for each, _ in letters]

    def count(self, batches: Sequence[Batch]) -> None:
        """Take note that these, which were sifted out, leave the buffer."""
        if not batches:
            return
        events = sum(batch.count for batch in batches)
        self._stats.rejected["quarantined"] += events
        for batch in batches:
            self._observers.buried(batch)
        if (now := self._clock()) >= self._quiet_until:
            self._quiet_until = now + LOG_SECONDS
            logger.warning(
                "quarantined %d events that are not as defined; see playsmart-gateway dead-letters "
                "list; batch=%s",
                events, batches[0].name,
            )  # fmt: skip

    async def _keep(self, letters: Sequence[tuple[Batch, str]]) -> None:
        try:
            if isinstance(self._sink, Quarantining):
                await self._sink.quarantine(letters)
            else:
                for batch, reason in letters:
                    await self._sink.bury(batch, reason)
        except SinkRejected as error:  # then they stay where they are
            raise SinkUnavailable(f"dead letters are refused: {error}") from error
