"""The sink of a gateway that publishes: a batch is a message, and workers store it."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

from nats.errors import Error as NatsError

from playsmart_gateway.errors import SinkRejected, SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.codec import encode
from playsmart_gateway.stores.models import Written
from playsmart_gateway.stream.connection import (
    Connection,
    ConnectionLost,
    Message,
)
from playsmart_gateway.stream.link import Link, reason
from playsmart_gateway.stream.options import JetStreamOptions
from playsmart_gateway.stream.topology import (
    ensure_stream,
    subject_of,
)

logger = logging.getLogger(__name__)

_TOO_LARGE = 10_054
HEADER_BYTES = 128
"""Room for the headers of a message beside its body; ours take less."""

Bury = Callable[[Batch, str], Awaitable[None]]
"""``EventSink.bury`` of whoever has a place for dead letters."""


class JetStreamSink:
    """Publishes batches to the stream at ``url``; what that can never take goes to ``bury``.

    A batch is one message with a name, by which the stream knows it again within its duplicate
    window; behind that the database of the workers does.
    """

    def __init__(self, url: str, options: JetStreamOptions, bury: Bury) -> None:
        self._bury = bury
        self._stream = options.stream
        self._options = options
        self._link = Link(url, options, self._prepare)
        self._takes = 0

    async def __aenter__(self) -> Self:
        """Connect, and see to the stream. See ``EventSink``."""
        await self._link.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        await self._link.close()

    async def write(self, batches: Sequence[Batch]) -> Written:
        """Publish; return when the stream has acknowledged every message. See ``EventSink.write``.

        Not one transaction: after an error some may be there. They are known by their names when
        they come again.
        """
        messages = [self._message(batch) for batch in batches]
        async with self._link.connection() as connection:
            self._require_room(messages)
            acks = await connection.publish(messages)
        for ack in acks:
            if ack.error is not None:
                if ack.error.err_code == _TOO_LARGE:  # somebody changed the stream meanwhile
                    raise SinkRejected(f"NATS: {ack.error.description}", certain=True)
                hint = f"Look at the stream {self._stream} and the servers' disks."
                raise SinkUnavailable(f"NATS: {ack.error.description}", hint=hint)
        duplicate = sum(
            batch.count for batch, ack in zip(batches, acks, strict=True) if ack.duplicate
        )
        return Written(sum(batch.count for batch in batches) - duplicate, duplicate)

    async def bury(self, batch: Batch, reason: str) -> None:
        """Hand it to whoever has a place for it: a stream has none."""
        await self._bury(batch, reason)

    async def sync(self) -> None:
        """What the stream has acknowledged is as durable as its servers are."""

    async def backlog(self) -> int:
        """Return how many messages no worker has stored yet. A write never waits for it.

        Raises:
            SinkUnavailable: that cannot be asked now.
        """
        try:
            if (connection := self._link.current) is None:
                raise ConnectionLost
            state = (await connection.streams.stream_info(self._stream)).state
        except (NatsError, TimeoutError, OSError) as error:  # whoever publishes finds out, too
            raise SinkUnavailable(f"NATS: {reason(error)}") from error
        return int(state.messages)

    async def _prepare(self, connection: Connection) -> None:
        self._takes = await ensure_stream(connection, self._options) - HEADER_BYTES
        largest = self._options.largest_batch_bytes
        if self._takes < largest:
            logger.warning(
                "NATS takes messages of %d bytes, requests may have %d: what is larger is buried; "
                "raise max_payload and the stream's limits, or lower server.max_body_bytes",
                self._takes, largest,
            )  # fmt: skip

    def _require_room(self, messages: Sequence[Message]) -> None:
        largest = max((len(message.body) for message in messages), default=0)
        if largest > self._takes:
            problem = f"{largest} bytes are more than NATS takes ({self._takes})"
            raise SinkRejected(problem, certain=True)

    def _message(self, batch: Batch) -> Message:
        return Message(subject_of(self._stream, batch.game_id), batch.name, b"".join(encode(batch)))
