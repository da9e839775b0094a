"""The way to the cluster: one connection at a time, and another when that is lost.

No text of the driver is logged or raised: it could quote what was sent, or who we are.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from nats.errors import Error as NatsError
from nats.js.errors import APIError, ServiceUnavailableError

from playsmart_gateway.errors import ConfigError, SinkUnavailable
from playsmart_gateway.stream.connection import (
    Connection,
    ConnectionLost,
    PlainText,
)
from playsmart_gateway.stream.options import (
    JetStreamOptions,
    Server,
    read_servers,
    tls_context,
)

logger = logging.getLogger(__name__)

START_SECONDS = 3.0
"""How long a start waits for a cluster that still elects its leaders; it goes on without."""

_HINT = "Look at the servers of storage.url and at their logs; it heals by itself."

Prepare = Callable[[Connection], Awaitable[None]]


class Link:
    """The way to the cluster: a connection that is made when it is needed.

    ``prepare`` sees each new one first. What goes wrong with it comes out as ``SinkUnavailable``.
    """

    def __init__(self, url: str, options: JetStreamOptions, prepare: Prepare) -> None:
        problems = options.problems()
        if problems:
            raise ConfigError(problems)
        tls_context(options)
        self._servers = read_servers(url)
        self._options = options
        self._prepare = prepare
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()

    async def open(self, patience_seconds: float = START_SECONDS) -> None:
        """Connect, with some patience.

        Raises:
            ConfigError: the stream is not as it should be, we are refused, or there is none.
            SinkUnavailable: nobody answers.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience_seconds
        while True:
            try:
                await self._connected()
            except SinkUnavailable:
                if loop.time() > deadline:
                    raise
                await asyncio.sleep(0.1)
            else:
                return

    async def close(self) -> None:
        """Hang up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Yield the connection; after an error while it was used there will be another.

        Raises:
            SinkUnavailable: there is none, or it failed.
        """
        try:
            connection = await self._connected()
        except ConfigError as error:  # somebody changed the stream
            raise SinkUnavailable(str(error)) from error
        try:
            yield connection
        except (NatsError, TimeoutError, OSError) as error:
            await self._drop(connection)
            raise SinkUnavailable(f"NATS: {reason(error)}", hint=_HINT) from error

    @property
    def current(self) -> Connection | None:
        """The connection that there is now, for who only looks: nothing is made, or dropped."""
        connection = self._connection
        return None if connection is None or connection.is_lost else connection

    async def _connected(self) -> Connection:
        async with self._turn:
            if self._connection is not None and self._connection.is_lost:
                await self._drop(self._connection)
            if self._connection is None:
                self._connection = await self._connect()
            return self._connection

    async def _connect(self) -> Connection:
        """Try each node once, the one that failed last at the end."""
        reasons = []
        for server in list(self._servers):
            try:
                return await self._connect_to(server)
            except (NatsError, TimeoutError, OSError, SinkUnavailable) as error:
                self._servers.append(self._servers.pop(0))
                if problem := _hopeless(error):
                    raise ConfigError([f"storage.url: {server.where} {problem}"]) from None
                reasons.append(f"{server.where}: {reason(error)}")
        raise SinkUnavailable(f"NATS: {'; '.join(reasons)}", hint=_HINT)

    async def _connect_to(self, server: Server) -> Connection:
        connection = await Connection.open(server, self._options)
        try:
            await self._prepare(connection)
        except ServiceUnavailableError as error:
            await connection.close()
            if error.err_code or connection.is_clustered:  # it, or those that have it, may come
                raise
            problem = "runs without JetStream; start it with one (nats-server -js)"
            raise ConfigError([f"storage.url: {server.where} {problem}"]) from None
        except BaseException:
            await connection.close()
            raise
        connection.when_lost(
            lambda: logger.warning("connection to NATS at %s is lost", server.where)
        )
        logger.info("connected to NATS at %s", server.where)
        return connection

    async def _drop(self, connection: Connection) -> None:
        if connection is self._connection:
            self._connection = None
            self._servers.append(self._servers.pop(0))
        await connection.close()


_NO_JETSTREAM = (10_039, 10_076)


def _hopeless(error: Exception) -> str | None:
    """Say what is wrong that no waiting mends; None if it may mend itself."""
    if isinstance(error, APIError) and error.err_code in _NO_JETSTREAM:
        return "has no JetStream for this account; enable it there"
    if isinstance(error, NatsError) and "authorization" in str(error).lower():
        return "refuses the user, the password or the credentials"
    return None


def reason(error: Exception) -> str:
    """Say what is wrong without quoting what was sent or configured."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, APIError):
        return error.description or "refused"
    if isinstance(error, OSError):
        return error.strerror or "cannot be reached"
    if isinstance(error, SinkUnavailable | ConnectionLost | PlainText):
        return str(error)
    text = str(error).lower()
    known = ("authorization violation", "authentication", "permissions violation", "tls")
    return next((each for each in known if each in text), type(error).__name__)
