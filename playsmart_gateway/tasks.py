"""The tasks in the background: what a service cannot do without, and what goes on beside it.

A task that the service needs is loud when it dies: it died of a bug, and the service stops. What
goes on beside it (audit, sums, a look at the store) is started again, after ever longer pauses.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from playsmart_gateway.errors import SinkError, where

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 1.0
LAST_PAUSE_SECONDS = 60.0
"""Before what goes on beside is started again after it failed."""

TROUBLED_SECONDS = 5.0

Task = asyncio.Task[None]
Work = Callable[[], Coroutine[Any, Any, None]]


class Background:
    """The tasks of one service.

    ``died`` is called when one that it needs ended with an error, which is logged; ``has_died``
    says so from then on. ``failed`` is called with the name of one beside each time that it failed.
    """

    def __init__(
        self,
        *,
        died: Callable[[], None],
        failed: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.has_died = False
        self._died = died
        self._failed = failed
        self._sleep = sleep

    def start(self, work: Coroutine[Any, Any, None], name: str) -> Task:
        """Start what the service cannot do without."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        return task

    @asynccontextmanager
    async def running(self, work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
        """Do what the service cannot do without, while entered."""
        task = self.start(work, name)
        try:
            yield
        finally:
            await cancel(task)

    @asynccontextmanager
    async def beside(self, work: Work, name: str) -> AsyncIterator[None]:
        """Do what must not take the service down, while entered; again, when it fails."""
        task = asyncio.create_task(self._keep_up(work, name), name=name)
        try:
            yield
        finally:
            await cancel(task)

    async def _keep_up(self, work: Work, name: str) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return await work()
            except Exception as error:  # noqa: BLE001 - whatever it is, the service goes on
                heed_cancellation()
                self._failed(name)
                logger.error("%s failed and is started again: %s", name, where(error))
            await self._sleep(pause)
            pause = min(2 * pause, LAST_PAUSE_SECONDS)

    def _ended(self, task: Task) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        self.has_died = True
        logger.critical("task %s died, shutting down: %s", task.get_name(), where(error))
        self._died()


def heed_cancellation() -> None:
    """End this task if it was cancelled: a driver may take that for one more failure.

    For loops that go on after any failure; they would go on for ever.

    Raises:
        CancelledError: it was.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel them one after the other, each when the one before has ended."""
    for task in tasks:
        task.cancel()
        await asyncio.wait([task])


class PacedTask:
    """Work in small steps, with rests that leave the processor to the requests.

    It takes ``step`` again and again, which does a piece of work and says whether there is more. A
    large backlog, be it of a busy hour or of a store that is new to us, is worked off slowly rather
    than at the expense of ingest.

    It rests ``rests`` times as long as a step took, so it takes one part in ``rests + 1`` of a core
    at most: as ``busy`` tells, of the seconds in which a core was, or else by the ``clock``. It
    rests ``idle_seconds`` when there is no more to do, and ``TROUBLED_SECONDS`` after an error of
    the store, which is logged once, led by what then cannot be done (``trouble``), and of which
    ``failed`` is told each time.
    """

    def __init__(
        self,
        step: Callable[[], Awaitable[bool]],
        trouble: str,
        *,
        rests: float,
        idle_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        busy: Callable[[], float] | None = None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._failed = failed
        self._step = step
        self._trouble = trouble
        self._rests = rests
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._busy = busy or clock
        self._failing = False

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            rest = await self.once()
            await asyncio.sleep(rest)

    async def once(self) -> float:
        """Take a step, and return how many seconds to rest."""
        started, busy_before = self._clock(), self._busy()
        try:
            more = await self._step()
        except SinkError as error:
            heed_cancellation()
            if not self._failing:
                logger.warning("%s: %s", self._trouble, error)
            self._failing = True
            self._failed()
            return TROUBLED_SECONDS
        self._failing = False
        if not more:
            return self._idle_seconds
        busy, took = self._busy() - busy_before, self._clock() - started
        return max(0.0, (self._rests + 1) * busy - took)
