"""The way from the phones to the gateway: each request for events meets one of ten fates.

It closes a connection behind each answer, and lets everything else that a client asks for pass.
"""

import asyncio
import contextlib
import gzip
from collections import Counter, defaultdict
from random import Random
from typing import NamedTuple, Self

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


class _Request(NamedTuple):
    """``raw`` is what is sent on, and ``upload`` what of it is counted, if it is events."""

    raw: bytes
    upload: _Upload | None


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
        self._late: defaultdict[str, list[_Request]] = defaultdict(list)
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
        request = await _read_request(reader, writer)
        if request.upload is None:
            writer.write(await self._forward(request))
            await writer.drain()
            return
        late = self._late.pop(request.upload.user_id, [])
        fate = self._draw()
        self.met[fate] += 1
        answer = b""
        if fate in ("pass", "swallow the answer", "cut the answer", "bad gateway after taking it"):
            answer = await self._forward(request)
        elif fate == "send twice at once":
            both = self._forward(request), self._forward(request)
            answer, _ = await asyncio.gather(*both)
        elif fate == "cut the request":
            await self._forward_a_part(request.raw)
        elif fate == "come too late":
            await reader.read()  # to the end: nobody waits any more
            self._late[request.upload.user_id].append(request)
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

    async def _release(self, late: list[_Request]) -> None:
        for request in late:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._forward(request)

    async def _forward(self, request: _Request) -> bytes:
        """Return what came of an answer, behind which the gateway was asked to hang up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        run, count = "", 0
        if request.upload is not None:
            run, count = request.upload.run, len(request.upload.events)
        self.sent[run] += count
        answer = b""
        try:
            writer.write(request.raw)
            answer = await reader.read()
        finally:
            await close(writer)
        if answer.startswith(_ACCEPTED):
            self.taken[run] += count
        elif answer:
            self.sent[run] -= count
        return answer

    async def _forward_a_part(self, raw: bytes) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        writer.write(raw[: self._chance.randrange(1, len(raw))])
        await close(writer)


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> _Request:
    """Read a request as any client may send it; it is sent on with a length, and a ``close``."""
    first, *lines = (await reader.readuntil(_END_OF_HEAD)).splitlines()
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in lines if line)
    }
    if headers.pop(b"expect", b"").lower() == b"100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if headers.pop(b"transfer-encoding", b"").lower() == b"chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get(b"content-length", b"0")))
    headers |= {b"connection": b"close", b"content-length": str(len(body)).encode()}
    head = b"\r\n".join([first, *(b"%b: %b" % each for each in headers.items())])
    raw = head + _END_OF_HEAD + body
    if not first.startswith(b"POST /ingest/events "):
        return _Request(raw, None)
    if headers.get(b"content-encoding") == b"gzip":
        body = gzip.decompress(body)
    return _Request(raw, msgspec.json.decode(body, type=_Upload))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body
