"""Slow clients: how much do 32 that send a few bytes at a time cost 8 that send normally?

Alone and beside the slow ones take turns, so that a noisy machine hits both alike.
"""

import asyncio
import contextlib
import statistics
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from random import Random

from tests.support.players import (
    Client,
    Ledger,
    close,
    load,
    read_answer,
    request,
)
from tests.support.target import Target

SLOW = 32
NORMAL = 8
PIECE_BYTES = 64
PIECE_SECONDS = 0.05


@dataclass
class Latencies:
    """Seconds to the answer, of the normal clients."""

    alone: list[float] = field(default_factory=list)
    beside_slow: list[float] = field(default_factory=list)
    slow_accepted: int = 0

    @property
    def ratio(self) -> float:
        """How many times longer the p99 is beside the slow clients."""
        return p99(self.beside_slow) / p99(self.alone)


def p99(seconds: list[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(seconds, n=100)[98]


async def dribble(name: str, port: int, ledger: Ledger, stop: asyncio.Event) -> None:
    """Send requests whole, but a few bytes at a time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    chance = Random(name)
    number = 0
    try:
        while not stop.is_set():
            number += 1
            content = request(name, number, 10)
            ledger.batches[name, number] = (10, "unknown")
            for start in range(0, len(content), PIECE_BYTES):
                writer.write(content[start : start + PIECE_BYTES])
                await asyncio.sleep(chance.uniform(0, 2 * PIECE_SECONDS))
            status, _ = await read_answer(reader)
            ledger.batches[name, number] = (10, "accepted" if status == 202 else "refused")
            ledger.statuses.append(status)
    finally:
        await close(writer)


@contextlib.asynccontextmanager
async def dribbling(
    phase: str, port: int, ledger: Ledger, *, ahead_seconds: float
) -> AsyncIterator[None]:
    """Have the slow clients send while entered; each finishes its request on the way out."""
    stop = asyncio.Event()
    names = [f"slow-{phase}-{place}" for place in range(SLOW)]
    tasks = [asyncio.create_task(dribble(name, port, ledger, stop)) for name in names]
    try:
        await asyncio.sleep(ahead_seconds)  # until they are out of step
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def measure(
    target: Target,
    ledger: Ledger,
    *,
    turns: int = 4,
    turn_seconds: float = 2.0,
    ahead_seconds: float = 1.0,
) -> Latencies:
    """Measure on a target that is up."""
    latencies = Latencies()
    clients = [
        Client(f"normal-{place}", target.port, ledger, pause=0.01, size=lambda _: 20)
        for place in range(NORMAL)
    ]
    async with load(clients):
        await asyncio.sleep(ahead_seconds / 2)
        for turn in range(turns):
            for client in clients:
                client.latencies.clear()
            await asyncio.sleep(turn_seconds)
            for client in clients:
                latencies.alone += client.latencies
            slow = Ledger()
            async with dribbling(str(turn), target.port, slow, ahead_seconds=ahead_seconds):
                for client in clients:
                    client.latencies.clear()
                await asyncio.sleep(turn_seconds)
                for client in clients:
                    latencies.beside_slow += client.latencies
            latencies.slow_accepted += slow.statuses.count(202)
            ledger.batches |= slow.batches
            ledger.statuses += slow.statuses
    return latencies
