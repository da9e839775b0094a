"""A wire between a client and a server that can be cut, or go dead, at a chosen moment."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal, Self

Fault = Literal["cut before", "cut after", "dead"]


class Wire:
    """Forwards TCP to ``port`` of 127.0.0.1; listens on ``self.port`` while entered.

    ``arm`` makes it fail once, at the next bytes from a client that hold ``trigger``: it is cut
    before the server gets them, or after it has answered them and before the client knows, or
    nothing passes any more in this connection.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._fault: Fault | None = None
        self._trigger = b""
        self._tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for writer in self._tasks.values():  # a task that had not begun has left its open
            writer.transport.abort()
        await self._server.wait_closed()
        await asyncio.sleep(0)  # they are closed in the next turn of the loop

    def arm(self, fault: Fault, trigger: bytes) -> None:
        self._fault, self._trigger = fault, trigger

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks[asyncio.ensure_future(self._serve(reader, writer))] = writer

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            async with _closing(writer):
                there = await asyncio.open_connection("127.0.0.1", self._target)
                async with _closing(there[1]):
                    answers = asyncio.create_task(_pump(there[0], writer))
                    try:
                        await self._forward(reader, there[1], answers)
                    finally:
                        answers.cancel()
                        await asyncio.wait([answers])

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        server: asyncio.StreamWriter,
        answers: asyncio.Task[None],
    ) -> None:
        while data := await reader.read(65_536):
            if self._fault is not None and self._trigger in data:
                fault, self._fault = self._fault, None
                if fault == "cut before":
                    return
                answers.cancel()
                await asyncio.wait([answers])
                if fault == "dead":
                    await asyncio.Event().wait()
                server.write(data)
                await server.drain()
                await asyncio.sleep(0.3)  # the server has done it by then; if not, it is done later
                return
            server.write(data)
            await server.drain()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
