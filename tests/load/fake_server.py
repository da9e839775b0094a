"""A small HTTP server on loopback that misbehaves on order."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import NamedTuple, Self


class Request(NamedTuple):
    """What came in: over which connection (counted from 0), with which headers, and the body."""

    connection: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str:
        for line in self.head.decode().split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return ""


Answer = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


def response(status: int = 202, body: bytes = b"{}", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def accept(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(response())


class FakeServer:
    """``async with FakeServer(answer) as server``; ``answer`` writes what it likes, or hangs up."""

    def __init__(
        self, answer: Answer = accept, port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self._answer = answer
        self._port = port
        self._tls = tls
        self._talks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", self._port, ssl=self._tls
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._talks:
            task.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        for writer in self._talks.values():  # a talk that had not begun has left its open
            writer.transport.abort()
        await self._server.wait_closed()
        await asyncio.sleep(0)  # they are closed in the next turn of the loop

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: the one that asyncio makes complains when it is cancelled.
        self._talks[asyncio.ensure_future(self._talk(reader, writer))] = writer

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = self.connections
        self.connections += 1
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(Request(connection, head, b"").header("Content-Length"))
                request = Request(connection, head, await reader.readexactly(size))
                self.requests.append(request)
                await self._answer(request, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()
