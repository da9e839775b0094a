"""The double leaves nothing open for the garbage collector to find in another test."""

import asyncio

from tests.load.fake_server import FakeServer


async def test_a_connection_that_came_as_the_server_left_is_closed_as_well() -> None:
    async with FakeServer() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
