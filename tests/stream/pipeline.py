"""Gateway's end and worker's end of a stream in one process, for tests."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from itertools import count
from typing import Any

import nats
from nats.aio.client import Client

from playsmart_gateway.build import worker_for
from playsmart_gateway.config import Config
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.contract import Store
from playsmart_gateway.stores.models import Written
from playsmart_gateway.stream.consumer import Consumer
from playsmart_gateway.stream.options import JetStreamOptions
from playsmart_gateway.stream.sink import JetStreamSink
from playsmart_gateway.stream.source import Source
from playsmart_gateway.stream.worker import StreamWorker
from tests.support.polling import PATIENCE_SECONDS

_numbers = count(1)


def new_stream(**changes: Any) -> JetStreamOptions:
    """Options of a stream that nobody has used before."""
    return JetStreamOptions(**{"stream": f"test-{next(_numbers)}", **changes})


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    """A connection of the test's own."""
    client = await nats.connect(url.split(","), max_reconnect_attempts=0)
    try:
        yield client
    finally:
        await client.close()


def make_worker(
    source: Source, sink: Store, config: Config | None = None, **named: Any
) -> StreamWorker:
    """A worker that does not wait long for more to come."""
    return worker_for(config or Config(), source, sink, linger_seconds=0.001, **named)


@contextlib.asynccontextmanager
async def working(
    url: str,
    options: JetStreamOptions,
    sink: Store,
    **named: Any,
) -> AsyncIterator[StreamWorker]:
    """A worker of the stream in this process."""
    worker = make_worker(Consumer(url, options), sink, **named)
    async with worker.running():
        yield worker
    assert not worker.failed
    law(worker)


def law(worker: StreamWorker) -> None:
    """What was received is stored, known, buried or waits."""
    assert worker.stats.unaccounted(worker.buffer.events) == 0


async def settled(url: str, options: JetStreamOptions) -> None:
    """Wait until every message is stored or buried."""
    async with Consumer(url, options) as consumer:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (state := await consumer.state()).lag or state.ack_pending:
            assert time.monotonic() < deadline, f"waited in vain: {state}"
            await asyncio.sleep(0.002)


class PipedSink(JetStreamSink):
    """A sink that publishes, with a worker behind it; a write returns when that has stored it."""

    def __init__(self, url: str, database: Store, workers_database: Store) -> None:
        options = new_stream()
        super().__init__(url, options, database.bury)
        self.database = database
        self.url = url
        self.options = options
        self.workers_database = workers_database

    async def __aenter__(self) -> "PipedSink":
        await self.database.__aenter__()
        await super().__aenter__()
        self._working = working(self.url, self.options, self.workers_database)
        self.worker = await self._working.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._working.__aexit__(None, None, None)
        await super().__aexit__()
        await self.database.__aexit__()
        async with connected(self.url) as client:
            await client.jsm().delete_stream(self.options.stream)

    async def write(self, batches: Sequence[Batch]) -> Written:
        written = await super().write(batches)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not await self._is_stored():
            assert time.monotonic() < deadline, "waited in vain"
            await asyncio.sleep(0.002)
        return written

    async def _is_stored(self) -> bool:
        async with self._link.connection() as connection:
            info = await connection.streams.stream_info(self.options.stream)
            return not info.state.messages
