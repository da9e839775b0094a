"""The way from the phones to the gateway: each request meets one of ten fates."""

import asyncio
import contextlib
import gzip
from collections import Counter, defaultdict
from random import Random
from typing import Self

import msgspec

from tests.support.players import close

FATES = {
    "pass": 44,
    "refuse": 5,
    "cut the request": 8,
    "swallow the answer": 14,
    "come too late": 6,
    "cut the answer": 6,
    "send twice at once": 6,
    "busy": 4,
    "bad gateway after taking it": 4,
    "captive portal": 3,
}
"""Of a hundred requests, so many each. What comes too late does so while the next request of its
player is under way, who has hung up in the meantime."""

_ACCEPTED = b"HTTP/1.1 202 "
_END_OF_HEAD = b"\r\n\r\n"
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"
_BAD_GATEWAY = (
    b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 9\r\n\r\n<h1>502<!"
)
_PORTAL = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 15\r\n\r\n<html>Wifi!</h>"


class _Upload(msgspec.Struct):
    user_id: str
    run: str
    events: list[msgspec.Raw]


class Proxy:
    """Listens on ``port`` while entered, and forwards to ``upstream``.

    ``calm`` lets all pass; else, while it ``loses_answers``, that is the fate of all requests.

    For each run, by its name: how many events the gateway said it has taken (``taken``, copies
    among them), and how many it may have taken, as it got them and did not refuse (``sent``).
    """

    def __init__(self, upstream: int, seed: int) -> None:
        self.calm = False
        self.loses_answers = False
        self.met: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self._upstream = upstream
        self._chance = Random(f"proxy {seed}")
        self._deck = list(FATES)
        self._chance.shuffle(self._deck)
        self._late: defaultdict[str, list[bytes]] = defaultdict(list)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def settled(self) -> None:
        """Wait until nothing is on the way, and what was late has come."""
        for user_id in list(self._late):
            await self._release(self._late.pop(user_id))
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._meet_fate(reader, writer)
        finally:
            await close(writer)

    async def _meet_fate(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw, upload = await _read_request(reader)
        late = self._late.pop(upload.user_id, [])
        fate = self._draw()
        self.met[fate] += 1
        answer = b""
        if fate in ("pass", "swallow the answer", "cut the answer", "bad gateway after taking it"):
            answer = await self._forward(raw, upload)
        elif fate == "send twice at once":
            both = self._forward(raw, upload), self._forward(raw, upload)
            answer, _ = await asyncio.gather(*both)
        elif fate == "cut the request":
            await self._forward_a_part(raw)
        elif fate == "come too late":
            await reader.read()  # to the end: nobody waits any more
            self._late[upload.user_id].append(raw)
        writer.write(self._seen(fate, answer))
        await writer.drain()
        await self._release(late)

    def _seen(self, fate: str, answer: bytes) -> bytes:
        """What the phone sees of an answer."""
        if fate == "cut the answer":
            return answer[: self._chance.randrange(1, max(2, len(answer) - 1))]
        if fate in ("pass", "send twice at once"):
            return answer
        seen = {
            "busy": _BUSY,
            "bad gateway after taking it": _BAD_GATEWAY,
            "captive portal": _PORTAL,
        }
        return seen.get(fate, b"")

    def _draw(self) -> str:
        """As from a deck of cards, so that each comes as often as is said; at first once each."""
        if self.calm:
            return "pass"
        if self.loses_answers:
            return "swallow the answer"
        if not self._deck:
            self._deck = [fate for fate, times in FATES.items() for _ in range(times)]
            self._chance.shuffle(self._deck)
        return self._deck.pop()

    async def _release(self, late: list[bytes]) -> None:
        for raw in late:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._forward(raw, _decode(raw))

    async def _forward(self, raw: bytes, upload: _Upload) -> bytes:
        """Return what came of an answer; the phone asked that the connection be closed then."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        count = len(upload.events)
        self.sent[upload.run] += count
        answer = b""
        try:
            writer.write(raw)
            answer = await reader.read()
        finally:
            await close(writer)
        if answer.startswith(_ACCEPTED):
            self.taken[upload.run] += count
        elif answer:
            self.sent[upload.run] -= count
        return answer

    async def _forward_a_part(self, raw: bytes) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        writer.write(raw[: self._chance.randrange(1, len(raw))])
        await close(writer)


async def _read_request(reader: asyncio.StreamReader) -> tuple[bytes, _Upload]:
    head = await reader.readuntil(_END_OF_HEAD)
    length = int(head.partition(b"\r\nContent-Length: ")[2].partition(b"\r\n")[0])
    raw = head + await reader.readexactly(length)
    return raw, _decode(raw)


def _decode(raw: bytes) -> _Upload:
    head, _, body = raw.partition(_END_OF_HEAD)
    if b"content-encoding: gzip" in head:
        body = gzip.decompress(body)
    return msgspec.json.decode(body, type=_Upload)
