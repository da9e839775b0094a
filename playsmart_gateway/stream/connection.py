"""One connection to one node, lost at the first error.

nats-py could reconnect by itself. Then it would keep what is published meanwhile and send it
afterwards, and nobody could tell what became of it. So it is told not to: a connection that fails
is lost with all that was under way on it, whoever waited comes back, and ``link`` makes another.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from playsmart_gateway.stream.options import (
    JetStreamOptions,
    Server,
    tls_context,
)

CONNECT_SECONDS = 2.0
"""A node that has not answered by then is passed over: it may be stopped, or cut off."""

ANSWER_SECONDS = 5.0
"""A question or a window of messages that is not answered by then is given up."""

CLOSE_SECONDS = 1.0
PING_SECONDS = 2.0
WINDOW = 500
"""Messages that may be under way at once: enough to hide the way there and back."""


class ConnectionLost(NatsError):
    """The connection ended while somebody waited for an answer."""

    def __str__(self) -> str:
        """Say what happened."""
        return "the connection is lost"


class PlainText(NatsError):
    """The URL insists on TLS, and the server does not speak it."""

    def __str__(self) -> str:
        """Say what happened."""
        return "TLS is not spoken there"


class Message(NamedTuple):
    """What is published: where to, by which name it is known for ever, and what."""

    subject: str
    name: str
    body: bytes


class _Error(msgspec.Struct):
    description: str = ""
    err_code: int = 0


class Ack(msgspec.Struct):
    """What the stream says to a message: kept, kept before (``duplicate``), or ``error``."""

    seq: int = 0
    duplicate: bool = False
    error: _Error | None = None


_decode_ack = msgspec.json.Decoder(Ack).decode


class _Window:
    """Messages under way and their acks, in the same order."""

    def __init__(self, size: int) -> None:
        self.acks: list[Ack | None] = [None] * size
        self.left = size
        self.settled = asyncio.Event()


class Connection:
    """A connection that is up until it ``is_lost``. Made by ``open``."""

    def __init__(self, client: Client) -> None:
        self.is_lost = False
        self._client = client
        self._when_lost: list[Callable[[], None]] = []
        self._inbox = ""
        self._subscriptions: dict[str, Subscription] = {}
        self._windows: dict[str, _Window] = {}
        self._published = 0

    @classmethod
    async def open(cls, server: Server, options: JetStreamOptions) -> "Connection":
        """Connect to one node.

        Raises what the network and the driver raise.
        """
        client = Client()
        connection = cls(client)

        async def ended(*_: object) -> None:
            connection._lose()

        def require_tls() -> None:
            # The driver would go on in plain text with a server that does not ask for TLS.
            if server.insists_on_tls and not client._server_info.get("tls_required"):
                raise PlainText

        def user() -> str:
            require_tls()  # called when who we are is about to be sent
            return server.user or ""

        try:
            async with asyncio.timeout(2 * CONNECT_SECONDS):
                await client.connect(
                    [server.url],
                    user=user if server.user is not None else None,
                    password=server.password,
                    user_credentials=options.credentials_file,
                    tls=tls_context(options),
                    name="playsmart-gateway",
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=CONNECT_SECONDS,  # type: ignore[arg-type] # fractions are fine
                    ping_interval=PING_SECONDS,  # type: ignore[arg-type]
                    pending_size=0,  # keep nothing for later
                    skip_subject_validation=True,  # they are ours
                    error_cb=ended,
                    disconnected_cb=ended,
                    closed_cb=ended,
                )
            connection.is_lost = client.is_closed  # an attempt that failed is no loss
            require_tls()
            connection._inbox = await connection.subscribe(connection._heard, many=True)
        except BaseException:
            await connection.close()
            raise
        return connection

    @property
    def max_payload(self) -> int:
        """Most bytes of headers and body together."""
        return self._client.max_payload

    @property
    def is_clustered(self) -> bool:
        """Whether the node is one of several."""
        return bool(self._client._server_info.get("cluster"))

    @property
    def streams(self) -> Any:
        """What asks JetStream about streams and consumers, in the driver's words."""
        return self._client.jsm(timeout=ANSWER_SECONDS)

    def when_lost(self, tell: Callable[[], None]) -> None:
        """Have ``tell`` called when the connection ends by itself."""
        self._when_lost.append(tell)

    async def subscribe(self, heard: Callable[[Msg], None], *, many: bool = False) -> str:
        """Return a subject of our own; ``heard`` is called with what is sent there.

        With ``many`` it is a prefix: what is sent to ``PREFIX.x`` is heard, for any x.
        """
        subject = self._client.new_inbox()

        async def tell(message: Msg) -> None:
            heard(message)

        heard_on = f"{subject}.*" if many else subject
        self._subscriptions[subject] = await self._client.subscribe(heard_on, cb=tell)
        return subject

    async def unsubscribe(self, subject: str) -> None:
        """Hear no more of what is sent there; returns when the node knows."""
        await self._subscriptions.pop(subject).unsubscribe()
        await self.settle()

    async def send(self, subject: str, body: bytes = b"", reply: str = "") -> None:
        """Send something for which no ack comes."""
        await self._client.publish(subject, body, reply)

    async def settle(self) -> None:
        """Return when the node has everything that was sent."""
        # The driver's PING goes ahead of what it has not written yet. When it is answered all
        # that is written, and only a second one comes after it.
        for _ in range(2):
            await self._client.flush(ANSWER_SECONDS)  # type: ignore[arg-type]

    async def publish(self, messages: Sequence[Message]) -> list[Ack]:
        """Publish, and return what the stream says to each, which may be an error.

        Raises ``TimeoutError`` when a window of them is not answered in time, and ``NatsError``
        when the connection is lost; some of them may then be kept nevertheless.
        """
        acks: list[Ack] = []
        for start in range(0, len(messages), WINDOW):
            acks += await self._publish(messages[start : start + WINDOW])
        return acks

    async def close(self) -> None:
        """Hang up, whatever state the connection is in."""
        self._when_lost.clear()
        self._lose()
        if self._client.is_connected:
            with contextlib.suppress(NatsError, TimeoutError, OSError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self.settle()  # acks on their way
        self._abort()
        with contextlib.suppress(NatsError, TimeoutError, OSError):
            async with asyncio.timeout(CLOSE_SECONDS):  # a failed handshake has no end by itself
                await self._client.close()
        for task in self._tasks():
            task.cancel()

    async def _publish(self, messages: Sequence[Message]) -> list[Ack]:
        if self.is_lost:
            raise ConnectionLost
        window = _Window(len(messages))
        self._published += 1
        key = str(self._published)
        self._windows[key] = window
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                for place, (subject, name, body) in enumerate(messages):
                    reply = f"{self._inbox}.{key}-{place}"
                    await self._client.publish(subject, body, reply, {"Nats-Msg-Id": name})
                await window.settled.wait()
        finally:
            del self._windows[key]
        if window.left:
            raise ConnectionLost
        return [ack for ack in window.acks if ack is not None]

    def _heard(self, message: Msg) -> None:
        key, _, place = message.subject.rpartition(".")[2].partition("-")
        if (window := self._windows.get(key)) is None:
            return  # too late
        # Nobody takes messages of that subject: then there is a status instead of a body.
        ack = _decode_ack(message.data) if message.data else Ack(error=_Error("no stream answers"))
        if window.acks[int(place)] is None:
            window.acks[int(place)] = ack
            window.left -= 1
            if not window.left:
                window.settled.set()

    def _lose(self) -> None:
        if self.is_lost:
            return
        self.is_lost = True
        for window in self._windows.values():
            window.settled.set()
        for tell in self._when_lost:
            tell()

    def _abort(self) -> None:
        """Drop the socket: a peer that stands still would hold up an orderly end for ever."""
        self._client._pending.clear()
        self._client._pending_data_size = 0
        writer = getattr(self._client._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()

    def _tasks(self) -> list["asyncio.Task[None]"]:
        """Return what the driver leaves running when its own end comes from within."""
        client = self._client
        tasks = [client._reading_task, client._ping_interval_task, client._flusher_task]
        tasks += [subscription._wait_for_msgs_task for subscription in client._subs.values()]
        return [task for task in tasks if task is not None]
