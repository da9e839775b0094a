"""Waiting for a condition; nothing is asserted about being faster."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

T = TypeVar("T")
PATIENCE_SECONDS = 30.0
"""How long anything may take before a test fails; nothing is asserted about being faster."""


def pauses() -> Iterator[float]:
    """Yield seconds to rest between two looks: soon at first, then less often, but often enough.

    To look is work for the gateway, too, and what takes long takes longer for it.
    """
    pause = 0.002
    while True:
        yield pause
        pause = min(1.25 * pause, 0.02)


def wait_until(probe: Callable[[], T | None]) -> T:
    """Ask ``probe`` until it finds something, at least fifty times a second."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = pauses()
    while (found := probe()) is None:
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(next(pause))
    return found


async def eventually(probe: Callable[[], T | None]) -> T:
    """Like ``wait_until``, while the event loop goes on."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = pauses()
    while (found := probe()) is None:
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(next(pause))
    return found


async def until(
    condition: Callable[[], Awaitable[bool]], what: str, *, seconds: float = 60
) -> None:
    """Poll until the condition holds; ``AssertionError`` if it does not in time."""
    deadline = time.monotonic() + seconds
    pause = pauses()
    while not await condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        await asyncio.sleep(next(pause))
