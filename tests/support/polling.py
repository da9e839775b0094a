"""Waiting for a condition; nothing is asserted about being faster."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_SECONDS = 30.0
"""How long anything may take before a test fails; nothing is asserted about being faster."""


def wait_until(probe: Callable[[], T | None]) -> T:
    """Ask ``probe`` until it finds something, hundreds of times a second."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := probe()) is None:
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.003)
    return found


async def eventually(probe: Callable[[], T | None]) -> T:
    """Like ``wait_until``, while the event loop goes on."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := probe()) is None:
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.001)
    return found


async def until(
    condition: Callable[[], Awaitable[bool]], what: str, *, seconds: float = 60
) -> None:
    """Poll until the condition holds; ``AssertionError`` if it does not in time."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        await asyncio.sleep(0.005)
