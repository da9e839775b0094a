"""Keeps a lake close behind its store: a step, a rest, until it is told to end."""

import asyncio
import contextlib
import gc
import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from playsmart_gateway.catalogue.definitions import Definitions, read_definitions
from playsmart_gateway.errors import GatewayError, where
from playsmart_gateway.lake.job import Job
from playsmart_gateway.lake.place import open_place, require_folder
from playsmart_gateway.lake.process import Told
from playsmart_gateway.lake.writer import Writer, Written, lag_between
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stores.readers import LakeReader
from playsmart_gateway.tasks import heed_cancellation

logger = logging.getLogger(__name__)

NICENESS = 15
"""Of a process that follows: requests come first where processors are few."""

TROUBLED_SECONDS = 5.0
MOST_TROUBLED_SECONDS = 300.0
"""After what nobody has foreseen: tried again ever later."""

RESTS = 1
"""While there is more it rests as long as it has worked: half a core at most."""


async def follow(job: Job, tell: Callable[[Told], None], stop: asyncio.Event) -> None:
    """Write what is stored until ``stop`` is set, and ``tell`` after each step.

    Raises:
        ConfigError: there can be no lake, or no store, by these URLs; or a mistake is in the file
            of the definitions.
    """
    place = open_place(job.lake_url)
    store = open_store(job.database_url)
    definitions = _definitions(job)
    logged, failures = set[str](), 0
    position: int | None = None
    gc.disable()  # a step makes a million objects, of which next to none are in circles
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(gc.enable)
        reader = await stack.enter_async_context(store.reader())
        writer = Writer(place, reader, definitions=definitions)
        while not stop.is_set():
            started = time.monotonic()
            try:
                require_folder(place)
                done = await writer.step()
            except Exception as error:  # noqa: BLE001 - whatever it is, it may be over later
                heed_cancellation()
                is_known = isinstance(error, GatewayError)
                found = f"{error}" if is_known else where(error)
                if (kind := "known" if is_known else found) not in logged:
                    logger.warning("the lake does not follow the store: %s", found)
                logged.add(kind)
                failures += 1
                rest = TROUBLED_SECONDS if is_known else _pause(failures)
                tell(Told(await _lag(reader, position), failed=True))
            else:
                failures, position = 0, done.position
                logged.clear()
                took = time.monotonic() - started
                rest = RESTS * took if done.more else job.interval_seconds
                tell(Told(done.lag_batches, done.files))
            gc.collect()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), rest)


def _definitions(job: Job) -> Definitions:
    file = job.definitions_file
    return {} if file is None else read_definitions(Path(file))


def _pause(failures: int) -> float:
    """Return how long to rest after so many failures that nobody has foreseen."""
    return min(TROUBLED_SECONDS * 2.0 ** min(failures - 1, 10), MOST_TROUBLED_SECONDS)


async def _lag(reader: LakeReader, position: int | None) -> int | None:
    """Return how far a lake that went up to there is behind; None if that cannot be known now."""
    if position is None:
        return None
    try:
        return lag_between(position, await reader.newest_event_id())
    except GatewayError:
        return None


async def write_all(job: Job) -> Written:
    """Write all that is stored now, and return how far the lake is.

    Raises:
        GatewayError: it cannot be done.
    """
    place, events = open_place(job.lake_url), 0
    definitions = _definitions(job)
    async with open_store(job.database_url).reader() as reader:
        await reader.newest_event_id()  # a store that is not there makes no lake
        require_folder(place)
        writer = Writer(place, reader, definitions=definitions)
        while True:
            done = await writer.step()
            events += done.events
            if not done.more:
                return msgspec.structs.replace(done, events=events)
