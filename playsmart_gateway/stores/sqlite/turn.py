"""A turn that one process at a time has: the lock of a file beside the database.

The database itself is not locked: whoever has the turn may take his time. The kernel gives it back
when a process dies.
"""

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.private import create_if_missing

LOOK_SECONDS = 0.05
HINT = "It is writing the lake, or erases from it: try again."


@contextlib.asynccontextmanager
async def turn(database: Path, patience_seconds: float) -> AsyncIterator[None]:
    """See ``Turns.turn``."""
    path = database.with_name(f"{database.name}-turn")
    try:
        create_if_missing(path)
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise SinkUnavailable(f"cannot open {path}: {error.strerror}") from error
    try:
        deadline = time.monotonic() + patience_seconds
        while not _locked(file):
            if time.monotonic() > deadline:
                raise SinkUnavailable("another process copies what is stored", hint=HINT)
            await asyncio.sleep(LOOK_SECONDS)
        yield
    finally:
        os.close(file)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
