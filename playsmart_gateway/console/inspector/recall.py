"""What is remembered, told to who asks for it: a page at a time, newest first, filtered and masked.

Decoding and masking is done here, for who looks, one request between two turns of the loop, and
one page at a time in a process. With several workers each tells a page of its own, and who was
asked merges them.
"""

import asyncio
import heapq
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from playsmart_gateway.console.inspector.forward import Forwarder, Source, encode, outcomes_of
from playsmart_gateway.console.inspector.watcher import Interest, Seen
from playsmart_gateway.stores.models import Outcome

MAX_PAGE = 100
"""Requests in one page."""

MAX_PAGE_BYTES = 131_072
"""Of JSON; a page that is full before has fewer requests, and one that is larger no contents."""

MAX_WAITING = 4
"""Pages that are asked for at once; others are refused."""

Position = tuple[int, int, str]
"""When a request came, in microseconds, its number, and whose that is: they are told in this order,
backwards."""

LOOK_SECONDS = 0.002
"""Of looking through memory between two turns of the loop."""

ASK_SECONDS = 2.0
"""How long siblings have for an answer."""


class Query(msgspec.Struct, frozen=True, array_like=True):
    """What is asked for; times are in milliseconds since the epoch, 0 is no limit.

    ``before`` is the position behind which to go on.
    """

    interest: tuple[str, ...] = ()
    since: int = 0
    until: int = 0
    before: Position | None = None
    limit: int = MAX_PAGE

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "Query":
        """Read the query of a URL.

        Raises:
            ValueError: something in it is not what it should be; the text names it.
        """
        numbers = {}
        for name, least, most, default in (
            ("since", 0, 2**53, 0),
            ("until", 0, 2**53, 0),
            ("limit", 1, MAX_PAGE, MAX_PAGE),
        ):
            text = query.get(name, "")
            if text and not (text.isascii() and text.isdigit() and len(text) <= 16):
                raise ValueError(name)
            numbers[name] = int(text) if text else default
            if not least <= numbers[name] <= most:
                raise ValueError(name)
        if query.get("outcome", "") not in ("", "accepted", "refused"):
            raise ValueError("outcome")
        before = None
        if text := query.get("before", ""):
            if (match := _cursor(text)) is None:
                raise ValueError("before")
            before = int(match[1]), int(match[2]), match[3]
        interest = tuple(query.get(name, "") for name in Interest._fields)
        return cls(interest, before=before, **numbers)


_cursor = re.compile(r"([0-9]{1,18})-([0-9]{1,18})-([0-9a-f.]{1,40})").fullmatch


class Remembered(msgspec.Struct, array_like=True):
    """One request, as JSON, and its position."""

    position: Position
    shown: bytes


class Page(msgspec.Struct, array_like=True):
    """What a process remembers of what was asked for; ``is_last`` if there is nothing behind it."""

    requests: list[Remembered]
    is_last: bool
    taken: int
    refused: int
    left_out: int
    held: tuple[int, int]
    """Requests that it remembers, taken and refused."""

    bytes: int
    reasons: dict[str, int]


class Whole(NamedTuple):
    """What all workers remember of what was asked for."""

    requests: list[Remembered]
    pages: list[Page]
    is_last: bool
    silent: int
    """Workers that did not answer in time."""

    def encode(self, about: Mapping[str, Any], now: float) -> bytes:
        """Return it as JSON, with what is said ``about`` it; ``now`` is in seconds."""
        last = self.requests[-1].position if self.requests and not self.is_last else None
        reasons: dict[str, int] = {}
        for page in self.pages:
            for reason, count in page.reasons.items():
                reasons[reason] = reasons.get(reason, 0) + count
        head = {
            "next": last and "-".join(map(str, last)),
            "totals": {
                "taken": sum(page.taken for page in self.pages),
                "refused": sum(page.refused for page in self.pages),
                "left_out": sum(page.left_out for page in self.pages),
                "reasons": dict(sorted(reasons.items(), key=lambda each: -each[1])),
            },
            "remembered": {
                "taken": sum(page.held[0] for page in self.pages),
                "refused": sum(page.held[1] for page in self.pages),
                "bytes": sum(page.bytes for page in self.pages),
            },
            "workers": {"asked": len(self.pages) + self.silent, "silent": self.silent},
            "now": int(now * 1_000),
            **about,
            "requests": [msgspec.Raw(each.shown) for each in self.requests],
        }
        return encode(head)


def merged(pages: Sequence[Page | None], limit: int) -> Whole:
    """Return the newest of what several told; what is behind the end of one page waits for it."""
    told = [page for page in pages if page is not None]
    ends = [page.requests[-1].position for page in told if page.requests and not page.is_last]
    end = max(ends, default=None)
    all_requests = sorted(
        (each for page in told for each in page.requests if end is None or each.position >= end),
        key=lambda each: each.position,
        reverse=True,
    )
    is_last = end is None and len(all_requests) <= limit
    return Whole(all_requests[:limit], told, is_last, len(pages) - len(told))


RECALL = "recall"
_encode = msgspec.msgpack.Encoder().encode
_decode_query = msgspec.msgpack.Decoder(Query).decode
_decode_page = msgspec.msgpack.Decoder(Page).decode


class Busy(Exception):
    """So many pages are asked for already."""


class Recall:
    """Tells what ``source`` remembers; with a ``forwarder`` what its siblings do, too."""

    def __init__(self, source: Source, forwarder: Forwarder | None = None) -> None:
        self._source = source
        self._forwarder = forwarder
        if forwarder is not None:
            forwarder.answers(RECALL, self._answer)
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def whole(self, query: Query) -> Whole:
        """Return a page of all workers.

        Raises:
            Busy: too many are asked for at once.
        """
        own = self.page(query)
        if self._forwarder is None:
            return merged([await own], query.limit)
        asked = self._forwarder.ask(RECALL, _encode(query), ASK_SECONDS)
        mine, others = await asyncio.gather(own, asked)
        return merged(
            [mine, *(_decode_page(each) if each else None for each in others)], query.limit
        )

    async def _answer(self, asked: bytes) -> bytes:
        try:
            return _encode(await self.page(_decode_query(asked)))
        except Busy:
            return b""

    async def page(self, query: Query) -> Page:
        """Return a page of this process.

        Raises:
            Busy: too many are asked for at once.
        """
        if self._waiting >= MAX_WAITING:
            raise Busy
        self._waiting += 1
        try:
            async with self._turn:
                return await self._page(query)
        finally:
            self._waiting -= 1

    def now(self) -> float:
        """Return the time of day by which requests are dated, in seconds."""
        return self._source.inspector.wall_clock()

    def id_of(self, seen: Seen) -> str:
        """Return by what a request is known among those of all processes."""
        return f"{self._source.prefix}{seen.number}"

    async def _page(self, query: Query) -> Page:
        memory = self._source.inspector.memory
        found, is_last = await self._found(query)
        outcomes = await self._outcomes(found)
        told: list[Remembered] = []
        size = 0
        for seen in found:
            shown = self._shown(seen, outcomes)
            size += len(shown)
            if told and size > MAX_PAGE_BYTES:
                is_last = False
                break
            told.append(Remembered(self._position(seen), shown))
            await asyncio.sleep(0)
        totals = memory.totals()
        return Page(
            told,
            is_last,
            totals.taken,
            totals.refused,
            totals.left_out,
            (len(memory.taken.entries), len(memory.refused.entries)),
            memory.taken.bytes + memory.refused.bytes,
            totals.reasons,
        )

    async def _found(self, query: Query) -> tuple[list[Seen], bool]:
        """Return what fits, and whether that is all."""
        memory = self._source.inspector.memory
        interest = Interest(*query.interest)
        entries = heapq.merge(
            *(shelf.entries[::-1] for shelf in (memory.taken, memory.refused)),
            key=lambda seen: -seen.number,
        )
        found: list[Seen] = []
        looked_at = time.thread_time()
        for seen in list(entries):
            if time.thread_time() - looked_at > LOOK_SECONDS:
                await asyncio.sleep(0)
                looked_at = time.thread_time()
            if query.before is not None and self._position(seen) >= query.before:
                continue
            at = int(seen.at * 1_000)
            if at < query.since or (query.until and at > query.until) or not interest.fits(seen):
                continue
            if len(found) == query.limit:
                return found, False
            found.append(seen)
        return found, True

    async def _outcomes(self, found: Sequence[Seen]) -> dict[tuple[str, int], Outcome]:
        state_of = self._source.inspector.state_of
        batches = [each.batch for each in found if each.batch and state_of(each) == "stored"]
        return await outcomes_of(self._source, batches)

    def _shown(self, seen: Seen, outcomes: Mapping[tuple[str, int], Outcome]) -> bytes:
        source = self._source
        message = source.redactor.message(seen)
        message["id"] = self.id_of(seen)
        if (state := source.inspector.state_of(seen)) is not None and seen.batch is not None:
            message["state"] = state
            if (outcome := outcomes.get(seen.batch.key)) is not None:
                message["coins"] = outcome.coins
                if seen.batch.run:
                    message["duplicates"] = seen.batch.count - outcome.events
        shown = encode(message)
        if len(shown) > MAX_PAGE_BYTES:
            for name in ("events", "body", "sent"):
                message.pop(name, None)
            message |= {"let_go": True, "answer": ""}
            shown = encode(message)
        return shown

    def _position(self, seen: Seen) -> Position:
        return int(seen.at * 1_000_000), seen.number, self._source.prefix
