"""A turn that one process at a time has: an advisory lock of a session of its own.

There is no transaction: whoever has the turn may take his time, and holds up no VACUUM. The server
gives it back when the session ends.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import asyncpg

from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.stores.postgres.connection import Connection

LOOK_SECONDS = 0.1
HINT = "It is writing the lake, or erases from it: try again."
TURN_LOCK = 0x706C_6179_736D_6C6B
"""Ours among the advisory locks of the database."""


@contextlib.asynccontextmanager
async def turn(url: str, patience_seconds: float) -> AsyncIterator[None]:
    """See ``Turns.turn``."""

    async def take(db: asyncpg.Connection) -> None:
        deadline = time.monotonic() + patience_seconds
        while not await db.fetchval(f"SELECT pg_try_advisory_lock({TURN_LOCK})"):
            if time.monotonic() > deadline:
                raise SinkUnavailable("another process copies what is stored", hint=HINT)
            await asyncio.sleep(LOOK_SECONDS)

    connection = Connection(url, take)
    await connection.open()
    try:
        yield
    finally:
        await connection.close()
