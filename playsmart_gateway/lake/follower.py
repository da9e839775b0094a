"""Keeps a lake close behind its store: a step, a rest, until it is told to end."""

import asyncio
import contextlib
import gc
import logging
import time
from collections.abc import Callable

import msgspec

from playsmart_gateway.errors import GatewayError
from playsmart_gateway.lake.job import Job
from playsmart_gateway.lake.place import open_place, require_folder
from playsmart_gateway.lake.process import Told
from playsmart_gateway.lake.writer import Writer, Written
from playsmart_gateway.stores.open import open_store

logger = logging.getLogger(__name__)

NICENESS = 15
"""Of a process that follows: requests come first where processors are few."""

TROUBLED_SECONDS = 5.0
RESTS = 1
"""While there is more it rests as long as it has worked: half a core at most."""


async def follow(job: Job, tell: Callable[[Told], None], stop: asyncio.Event) -> None:
    """Write what is stored until ``stop`` is set, and ``tell`` after each step.

    Raises:
        ConfigError: there can be no lake, or no store, by these URLs.
    """
    place = open_place(job.lake_url)
    store = open_store(job.database_url)
    failing = False
    gc.disable()  # a step makes a million objects, of which next to none are in circles
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(gc.enable)
        reader = await stack.enter_async_context(store.reader())
        writer = Writer(place, reader)
        while not stop.is_set():
            started = time.monotonic()
            try:
                require_folder(place)
                done = await writer.step()
            except GatewayError as error:
                if not failing:
                    logger.warning("the lake does not follow the store: %s", error)
                failing, rest = True, TROUBLED_SECONDS
                tell(Told(failed=True))
            else:
                failing, took = False, time.monotonic() - started
                rest = RESTS * took if done.more else job.interval_seconds
                tell(Told(done.lag_batches, done.files))
            gc.collect()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), rest)


async def write_all(lake_url: str, database_url: str) -> Written:
    """Write all that is stored now, and return how far the lake is.

    Raises:
        GatewayError: it cannot be done.
    """
    place, events = open_place(lake_url), 0
    async with open_store(database_url).reader() as reader:
        await reader.newest_event_id()  # a store that is not there makes no lake
        require_folder(place)
        writer = Writer(place, reader)
        while True:
            done = await writer.step()
            events += done.events
            if not done.more:
                return msgspec.structs.replace(done, events=events)
