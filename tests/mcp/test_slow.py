"""Who sends the head of a request slowly keeps no connection of the assistants' server."""

import asyncio
import contextlib

import pytest
from starlette.responses import Response

from playsmart_gateway.mcp import http

HEAD = b"POST /mcp HTTP/1.1\r\nhost: here\r\ncontent-length: 0\r\n\r\n"


async def drip(port: int) -> None:
    """Send a head that never ends, a byte at a time, until the connection is closed."""
    reader, writer = await asyncio.open_connection(http.HOST, port)
    closed = asyncio.create_task(reader.read())
    writer.write(HEAD[:20])
    while not closed.done():
        writer.write(b"x")
        await asyncio.sleep(0.02)
    assert closed.exception() is not None or closed.result() == b""
    writer.close()


async def exchange(port: int, times: int) -> None:
    """Have requests answered on one connection."""
    reader, writer = await asyncio.open_connection(http.HOST, port)
    for _ in range(times):
        writer.write(HEAD)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
    writer.close()


async def test_a_head_that_does_not_end_in_time_ends_the_connection_and_others_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http, "HEAD_SECONDS", 0.5)
    listening = http.listen(0)
    port = listening.getsockname()[1]
    serving = asyncio.create_task(http.serve(Response(status_code=204), listening))
    try:
        async with asyncio.timeout(60):
            await asyncio.gather(*(drip(port) for _ in range(3)), exchange(port, 3))
            await exchange(port, 1)
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        listening.close()
