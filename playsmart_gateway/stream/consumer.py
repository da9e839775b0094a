"""The durable consumer that all workers of a stream share, from the side of one of them.

It asks for messages and gets them as they come, with one request at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Self

import msgspec
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from typing_extensions import override

from playsmart_gateway.stream.connection import (
    Connection,
    ConnectionLost,
)
from playsmart_gateway.stream.link import Link
from playsmart_gateway.stream.options import JetStreamOptions
from playsmart_gateway.stream.source import (
    Delivery,
    Source,
    SourceState,
)
from playsmart_gateway.stream.topology import (
    DURABLE,
    ensure_consumer,
    ensure_stream,
)

EXPIRE_SECONDS = 2.0
"""A request that finds nothing waits so long for the first message."""

GRACE_SECONDS = 1.5
"""A request that is not answered so long after it has expired went to somebody who is gone."""

FETCH_BYTES = 8_388_608
_ACK, _NAK, _IN_PROGRESS, _TERM = b"+ACK", b"-NAK", b"+WPI", b"+TERM"
_NOBODY = "503"


class Consumer(Source):
    """Takes messages from the stream at ``url``; a ``Source``."""

    def __init__(self, url: str, options: JetStreamOptions) -> None:
        self.ack_wait_seconds = options.ack_wait_seconds
        self.max_deliveries = options.max_deliveries
        self._options = options
        self._link = Link(url, options, self._prepare)
        self._inbox = ""
        self._arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._ask = f"$JS.API.CONSUMER.MSG.NEXT.{options.stream}.{DURABLE}"

    async def __aenter__(self) -> Self:
        """Connect; see to stream and consumer. See ``Source``."""
        await self._link.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        await self._link.close()

    @override
    async def fetch(self, max_messages: int) -> AsyncIterator[Delivery]:
        async with self._link.connection() as connection:
            request = {
                "batch": max_messages,
                "max_bytes": max(FETCH_BYTES, 2 * connection.max_payload),
                "expires": int(EXPIRE_SECONDS * 1e9),
                "no_wait": True,  # once there was something, do not wait for more
            }
            arrived = self._arrived
            await connection.send(self._ask, msgspec.json.encode(request), self._inbox)
            left = max_messages
            while left:
                message = await _next(arrived)
                if message.reply:
                    left -= 1
                    yield _delivery(message)
                elif (message.headers or {}).get("Status") == _NOBODY:
                    raise NoRespondersError
                else:
                    return  # there is no more, or nothing at all

    @override
    async def acknowledge(self, acks: Sequence[str]) -> None:
        await self._answer(acks, _ACK)

    @override
    async def work_on(self, acks: Sequence[str]) -> None:
        await self._answer(acks, _IN_PROGRESS)

    @override
    async def discard(self, acks: Sequence[str]) -> None:
        await self._answer(acks, _TERM)

    @override
    async def give_back(self, acks: Sequence[str]) -> None:
        async with self._link.connection() as connection:
            await connection.unsubscribe(self._inbox)
        arrived = []
        while not self._arrived.empty():
            message = self._arrived.get_nowait()
            if message is not None and message.reply:
                arrived.append(message.reply)
        await self._answer([*acks, *arrived], _NAK)

    @override
    async def state(self) -> SourceState:
        async with self._link.connection() as connection:
            info = await connection.streams.consumer_info(self._options.stream, DURABLE)
            return SourceState(
                info.num_pending or 0, info.num_ack_pending or 0, info.num_redelivered or 0
            )

    async def _answer(self, acks: Sequence[str], answer: bytes) -> None:
        if not acks:
            return
        async with self._link.connection() as connection:
            for receipt in acks:
                await connection.send(receipt, answer)
            await connection.settle()

    async def _prepare(self, connection: Connection) -> None:
        await ensure_stream(connection, self._options)
        await ensure_consumer(connection, self._options)
        arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._arrived = arrived
        connection.when_lost(lambda: arrived.put_nowait(None))
        self._inbox = await connection.subscribe(arrived.put_nowait)


async def _next(arrived: "asyncio.Queue[Msg | None]") -> Msg:
    if arrived.empty():
        async with asyncio.timeout(EXPIRE_SECONDS + GRACE_SECONDS):
            message = await arrived.get()
    else:
        message = arrived.get_nowait()
    if message is None:
        raise ConnectionLost
    return message


def _delivery(message: Msg) -> Delivery:
    # $JS.ACK.<stream>.<consumer>.<times>.<sequence>.<...> or, with domain and account in front,
    # $JS.ACK.<domain>.<account>.<stream>.<consumer>.<times>.<sequence>.<...>
    tokens = message.reply.split(".")
    first = 4 if len(tokens) == 9 else 6
    return Delivery(int(tokens[first + 1]), int(tokens[first]), message.reply, message.data)
