"""Players with a memory: each sends batches over one connection and notes what became of each.

An event says who sent it, in which batch and at which place (``c``, ``b``, ``n`` of its
customdata), so the store can be held against the ledger. A batch is sent once and never again,
whatever happens to it, unless the player numbers its events: then some are sent again.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Literal
from uuid import UUID

import msgspec

from playsmart_gateway.auth.tokens import mint
from tests.support.program import SECRET

ANSWER_SECONDS = 30
"""No answer after this long counts as a broken connection."""

REPEATED = 0.2
"""The share of batches that who numbers its events sends twice."""

Outcome = Literal["accepted", "refused", "unknown"]


@dataclass
class Ledger:
    """Every batch that was sent, by player and number, and every answer by its status."""

    batches: dict[tuple[str, int], tuple[int, Outcome]] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    refusals: set[tuple[str, str]] = field(default_factory=set)
    """``code`` and ``message`` of the answers that were no 202."""

    def events(self, outcome: Outcome) -> int:
        """How many events were in the batches that ended so."""
        return sum(size for size, what in self.batches.values() if what == outcome)


def any_size(chance: Random) -> int:
    """Mostly small batches, some of the largest."""
    return chance.choice((1, chance.randint(1, 10), chance.randint(10, 100), 200))


@cache
def token(name: str) -> str:
    """Return a token for a player."""
    return mint(name, secret=SECRET, ttl_seconds=86_400, now=time.time())


def request(
    name: str, number: int, size: int, pad: int = 0, numbers: Mapping[str, object] | None = None
) -> bytes:
    """Return a whole request of ``size`` events; ``numbers`` are its ``run`` and ``seq``."""
    events = [
        {
            "type": ("LevelCompleted", "GameEnd", "AppOpen")[number % 3],
            "timestamp": "2026-04-22T14:30:00Z",
            "customdata": {"c": name, "b": number, "n": place, "p": "x" * pad},
        }
        for place in range(size)
    ]
    upload = {"user_id": name, "game_id": "com.example.game", "events": events, **(numbers or {})}
    body = msgspec.json.encode(upload)
    return (
        b"POST /ingest/events HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        b"authorization: Bearer %b\r\ncontent-length: %d\r\n\r\n"
        % (token(name).encode(), len(body))
    ) + body


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return status and body; ``IncompleteReadError`` or ``OSError`` if there is no whole one."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    lengths = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
    return int(lines[0].split()[1]), await reader.readexactly(lengths[0])


async def fetch(port: int, path: str) -> tuple[int, str]:
    """GET one page over a connection of its own; ``OSError`` if there is no answer."""
    async with asyncio.timeout(ANSWER_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"GET %b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" % path.encode())
            status, body = await read_answer(reader)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError from error
        finally:
            await close(writer)
    return status, body.decode()


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection, whatever state it is in."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


class Client:
    """One player at ``port``; sends again as soon as it has its answer and has paused.

    While it ``numbers`` its events, a batch in ``REPEATED`` is sent twice, whatever its answer.
    """

    def __init__(
        self,
        name: str,
        port: int,
        ledger: Ledger,
        *,
        seed: int = 0,
        pause: float = 0.01,
        pad: int = 0,
        size: Callable[[Random], int] = any_size,
    ) -> None:
        self.name = name
        self.pause = pause
        self.pad = pad
        self.numbers = False
        self.latencies: list[float] = []
        self._port = port
        self._ledger = ledger
        self._chance = Random(f"{name} {seed}")
        self._size = size
        self._number = 0
        self._run, self._next = self._new_run(), 0
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Send until told to stop; a server that is not there is asked again."""
        try:
            while not stop.is_set():
                if await self.send(self._size(self._chance)) is None:
                    await asyncio.sleep(0.02)
                await asyncio.sleep(self._chance.uniform(0, 2 * self.pause))
        finally:
            await self.close()

    async def send(self, size: int) -> int | None:
        """Send one batch, note its outcome and return the status, or None if there was none."""
        if not await self._connected():
            return None
        self._number += 1
        key = (self.name, self._number)
        pad = self._chance.randint(0, self.pad)
        numbers = {"run": self._run, "seq": self._next} if self.numbers else None
        content = request(self.name, self._number, size, pad, numbers)
        self._ledger.batches[key] = (size, "unknown")
        status = await self._exchange(content)
        if status is not None:
            self._ledger.batches[key] = (size, "accepted" if status == 202 else "refused")
        if numbers is not None:
            self._next += size
            if self._chance.random() < REPEATED and await self._connected():
                again = await self._exchange(content)
                if again == 202:
                    self._ledger.batches[key] = (size, "accepted")
                elif again is None and status != 202:
                    self._ledger.batches[key] = (size, "unknown")
            if self._ledger.batches[key][1] != "accepted":  # or there were ever more gaps
                self._run, self._next = self._new_run(), 0
        return status

    async def _connected(self) -> bool:
        """See to it that there is a connection; return whether there is."""
        if self._connection is not None and self._connection[0].at_eof():
            await self.close()  # the server hung up on an idle connection, as it may
        if self._connection is None:
            try:
                self._connection = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                return False
        return True

    async def _exchange(self, content: bytes) -> int | None:
        """Send a request over the connection and return its status, or None if there was none."""
        assert self._connection is not None
        reader, writer = self._connection
        started = time.perf_counter()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                writer.write(content)
                status, body = await read_answer(reader)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            await self.close()
            return None
        self.latencies.append(time.perf_counter() - started)
        self._ledger.statuses.append(status)
        if status != 202:
            error = msgspec.json.decode(body)["error"]
            self._ledger.refusals.add((error["code"], error["message"]))
        return status

    def _new_run(self) -> str:
        return str(UUID(int=self._chance.getrandbits(128)))

    async def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            _, writer = self._connection
            self._connection = None
            await close(writer)


@contextlib.asynccontextmanager
async def load(clients: Collection[Client]) -> AsyncIterator[None]:
    """Have the clients send while entered; on the way out each finishes what it sends."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(client.run(stop)) for client in clients]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)
