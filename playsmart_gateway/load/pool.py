"""Keeping connections open for as long as a run wants them."""

import asyncio
import ssl
from collections import Counter
from collections.abc import Sequence

from playsmart_gateway.errors import GatewayError
from playsmart_gateway.load.client import Connection
from playsmart_gateway.load.options import LoadOptions

_CONNECTING_AT_ONCE = 128
_FIRST_BACKOFF_SECONDS = 0.05
_LAST_BACKOFF_SECONDS = 1.0


class Unreachable(GatewayError):
    """Not one connection could be opened, so nothing was sent."""


class Pool:
    """Opens connections, opens them again when they are lost, and closes them all at the end.

    ``errors`` counts attempts that failed. ``open`` is how many connections are open.
    """

    def __init__(self, options: LoadOptions, errors: Counter[str]) -> None:
        self.open = 0
        self._reached = False
        self._options = options
        self._errors = errors
        self._closing = False
        self._all_closed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_CONNECTING_AT_ONCE)
        self._tls = options.tls()
        self._last_problem = self._hint = ""

    async def connect(self, connections: Sequence[Connection]) -> None:
        """Open them all. Raises ``Unreachable`` when not one opens; the others are tried on."""
        await asyncio.gather(*(self._connect(connection, 0.0) for connection in connections))
        if not self._reached:
            raise Unreachable(
                f"cannot connect to {self._options.url}: {self._last_problem}; {self._hint}"
            )

    def opened(self) -> None:
        """Count a connection that is open now."""
        self.open += 1
        self._reached = True

    def closed(self, connection: Connection) -> None:
        """Open it again: at once if it was of use, after a moment if the server just hangs up."""
        self.open -= 1
        if not self.open:
            self._all_closed.set()
        self._connect_later(connection, 0.0 if connection.proven else _FIRST_BACKOFF_SECONDS)

    async def close(self, connections: Sequence[Connection]) -> None:
        """Drop them all and wait until they are gone."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._all_closed.clear()
        for connection in connections:
            connection.abort()
        if self.open:
            await self._all_closed.wait()

    def _connect_later(self, connection: Connection, delay: float) -> None:
        if not self._closing:
            task = asyncio.ensure_future(self._connect(connection, delay))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self, connection: Connection, delay: float) -> None:
        """Connect after ``delay`` seconds, and if that fails again after twice as long."""
        host, port = self._options.address
        loop = asyncio.get_running_loop()
        await asyncio.sleep(delay)
        try:
            async with self._slots, asyncio.timeout(self._options.timeout_seconds):
                await loop.create_connection(lambda: connection, host, port, ssl=self._tls)
        except OSError as error:  # TimeoutError is one
            refused = isinstance(error, ConnectionRefusedError)
            self._errors["connect_refused" if refused else "connect_failed"] += 1
            self._last_problem, self._hint = _told(error)
            longer = min(max(2 * delay, _FIRST_BACKOFF_SECONDS), _LAST_BACKOFF_SECONDS)
            self._connect_later(connection, longer)


def _told(error: OSError) -> tuple[str, str]:
    """Return what is wrong, and what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        problem = f"its certificate is not trusted ({error.verify_message})"
        return problem, "name who signed it with --ca FILE, or trust anybody with --insecure"
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "unknown").replace("_", " ").lower()
        return f"it does not speak TLS as we do ({reason})", "is it http:// and not https://?"
    problem = error.strerror or str(error) or "no answer in time"
    return problem, "start the gateway with `make run`, or say where it is with --url"
