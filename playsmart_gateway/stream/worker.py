"""One worker: takes what gateways published to the stream, and stores it.

It is a gateway without a door. What the intake is there, the puller is here; buffer, flusher and
sink are the same; and what stands in the journal's place are ``acks``. A message is acknowledged
after the transaction that stored it was synced, so whatever happens to a worker, its messages come
again, here or at another. That is harmless, as a batch has a name and the sink knows it.

A message that comes again and again may be what kills the workers that take it. So one that was
delivered more than ``TOGETHER_DELIVERIES`` times is written alone, with nothing else under way but
others of its kind, in random order: then of those who only stood beside it, half get through with
every try. One that was delivered more often than the consumer allows is buried untried.

A message that only a later version can read stays in the stream, and the worker ends.
"""

import asyncio
import contextlib
import hashlib
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

from playsmart_gateway.errors import ConfigError, Detail, SinkError, SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.codec import decode, is_of_later_version
from playsmart_gateway.pipeline.flusher import FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS
from playsmart_gateway.pipeline.wiring import Outlet
from playsmart_gateway.stores.contract import Condition, EventSink
from playsmart_gateway.stream.acks import Acks
from playsmart_gateway.stream.source import (
    Delivery,
    Source,
    SourceState,
)
from playsmart_gateway.tasks import Background, cancel, heed_cancellation

logger = logging.getLogger(__name__)

TOGETHER_DELIVERIES = 2
LINGER_SECONDS = 0.02
"""Short, as more come while a transaction is written anyhow."""

FETCH_MESSAGES = 1_000
IDLE_SECONDS = 0.01
"""Old servers answer a request at once that finds nothing."""

STATE_SECONDS = 1.0

_OF_LATER_VERSION = (
    "there is a message of a later version of this program; let workers of that version store what "
    "waits, then downgrade"
)


class StreamWorker:
    """One worker, and its life from start to drain; ``build.worker_for`` makes its parts.

    ``acks`` are the origin of what the flusher of ``outlet`` stores in ``sink``.
    ``on_fatal`` is called when it cannot go on. ``left_behind`` counts the events that the last
    drain could not store in time; they will be delivered again.
    """

    def __init__(
        self,
        source: Source,
        sink: EventSink,
        acks: Acks,
        outlet: Outlet,
        drain_timeout_seconds: float,
        *,
        shuffle: Callable[[list[Any]], None] = random.shuffle,
    ) -> None:
        self.stats, self.buffer, self.flusher = outlet
        self.acks = acks
        self.fetched = 0
        self.fetched_again = 0
        self.state: SourceState | None = None
        self.source_error: SinkUnavailable | None = None
        self.on_fatal: Callable[[], None] = lambda: None
        self._refusal: ConfigError | None = None
        self._background = Background(died=lambda: self.on_fatal())
        self.left_behind = 0
        self._source = source
        self._sink = sink
        self._drain_timeout_seconds = drain_timeout_seconds
        self._shuffle = shuffle
        self._room = asyncio.Event()
        self.buffer.room_came = self._room.set
        self._suspects: list[tuple[Delivery, Batch]] = []
        self._state: Literal["starting", "running", "stopping"] = "starting"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take and store messages while entered; drain on the way out.

        Raises:
            ConfigError: no waiting helps with the stream or the store, or, on the way out, a
                message is of a later version.
        """
        async with (
            self._open(self._sink, self.flusher.note_failure),
            self._open(self._source, self._note_source),
        ):
            start = self._background.start
            flushing = start(self.flusher.run(), "flusher")
            keeping = start(self._keep(), "acks")
            watching = start(self._watch(), "state")
            pulling = start(self._pull(), "puller")
            self._state = "running"
            try:
                yield
            finally:
                self._state = "stopping"
                await cancel(pulling)
                with contextlib.suppress(SinkUnavailable):  # then they come again a little later
                    await self._source.give_back([each.receipt for each, _ in self._suspects])
                self.flusher.stop()
                await asyncio.wait([flushing], timeout=self._drain_timeout_seconds)
                await cancel(flushing, keeping, watching)
                self.left_behind = self.buffer.events
                if self.left_behind:
                    logger.error("stopped with %d events not stored", self.left_behind)
            if self._refusal is not None:
                raise self._refusal

    @property
    def failed(self) -> bool:
        """Whether a part of it died of a bug."""
        return self._background.has_died

    @property
    def store_trouble(self) -> SinkUnavailable | None:
        """Why the store cannot be used, or should not be relied on."""
        damage = self._sink.damage if isinstance(self._sink, Condition) else None
        return self.flusher.last_error or damage

    def not_ready_because(self) -> list[Detail]:
        """Return the reasons; none when it takes messages and can store them."""
        reasons = []
        if self._state != "running":
            reasons.append(Detail("worker", self._state))
        if self.source_error is not None:
            reasons.append(Detail("nats", str(self.source_error)))
        if self.store_trouble is not None:
            reasons.append(Detail("store", str(self.store_trouble)))
        return reasons

    async def _pull(self) -> None:
        pause = FIRST_RETRY_SECONDS
        while True:
            await self._wait_for_room()
            fetched = self.fetched
            try:
                async for delivery in self._source.fetch(FETCH_MESSAGES):
                    await self._take(delivery)
                await self._try_suspects()
            except ConfigError as error:
                self._refusal = error
                self.on_fatal()
                return
            except SinkUnavailable as error:
                heed_cancellation()
                self._note_source(error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LAST_RETRY_SECONDS)
            else:
                self._note_source(None)
                pause = FIRST_RETRY_SECONDS
                if self.fetched == fetched:
                    await asyncio.sleep(IDLE_SECONDS)

    async def _take(self, delivery: Delivery) -> None:
        self.fetched += 1
        self.fetched_again += delivery.times > 1
        batch = decode(delivery.body)
        if batch is None and is_of_later_version(delivery.body):
            raise ConfigError([f"nats.stream: {_OF_LATER_VERSION}"])
        if batch is None:
            await self._bury(delivery, _as_it_came(delivery), "the message is not a batch")
        elif delivery.times > self._source.max_deliveries:
            reason = f"delivered {delivery.times - 1} times and never acknowledged"
            await self._bury(delivery, batch, reason)
        elif delivery.times > TOGETHER_DELIVERIES:
            self._suspects.append((delivery, batch))
        else:
            self._put(delivery, batch)

    def _put(self, delivery: Delivery, batch: Batch) -> None:
        self.stats.received += batch.count
        if self.acks.hold(batch, delivery):
            self.buffer.put(batch)
        else:
            self.stats.duplicate += batch.count

    async def _try_suspects(self) -> None:
        """Write each of them alone."""
        self._shuffle(self._suspects)
        while self._suspects:
            await self.acks.none_held.wait()
            self._put(*self._suspects.pop())
            await self.acks.none_held.wait()

    async def _bury(self, delivery: Delivery, batch: Batch, reason: str) -> None:
        pause = FIRST_RETRY_SECONDS
        while True:
            try:
                await self._sink.bury(batch, reason)
                break
            except SinkError:  # the flusher tells of it when it has something to store
                heed_cancellation()
                await asyncio.sleep(pause)
                pause = min(pause * 2, LAST_RETRY_SECONDS)
        self.stats.received += batch.count
        self.stats.rejected["buried"] += batch.count
        logger.error("buried a message of %d events as dead letters: %s", batch.count, reason)
        await self._source.discard([delivery.receipt])

    async def _wait_for_room(self) -> None:
        while not self.buffer.has_room(1, 0):
            self._room.clear()
            await self._room.wait()

    async def _keep(self) -> None:
        """Tell in time that what is held is worked on, however slow the store is."""
        while True:
            await asyncio.sleep(self._source.ack_wait_seconds / 3)
            held = [*self.acks, *(delivery.receipt for delivery, _ in self._suspects)]
            with contextlib.suppress(SinkUnavailable):
                await self._source.work_on(held)
            heed_cancellation()

    async def _watch(self) -> None:
        while True:
            try:
                self.state = await self._source.state()
            except SinkUnavailable:
                heed_cancellation()
                self.state = None
            await asyncio.sleep(STATE_SECONDS)

    def _note_source(self, error: SinkUnavailable | None) -> None:
        if error is not None and self.source_error is None:
            logger.warning("stream unavailable: %s. %s", error, error.hint)
        if error is None and self.source_error is not None:
            logger.warning("stream is back")
        self.source_error = error

    @asynccontextmanager
    async def _open(
        self, end: EventSink | Source, note: Callable[[SinkUnavailable], None]
    ) -> AsyncIterator[None]:
        """Hold one end open. One that is away is waited for, as one that goes away later is."""
        try:
            await end.__aenter__()
        except SinkUnavailable as error:
            note(error)
        try:
            yield
        finally:
            await end.__aexit__()


def _as_it_came(delivery: Delivery) -> Batch:
    """What is no batch, as one that can be buried, once however often it comes."""
    name = hashlib.blake2b(delivery.body, digest_size=16).hexdigest()
    return Batch("nats", "", "", 0, delivery.body, name, delivery.sequence)
