"""Telling what watchers were given: to a browser, or to a sibling whose browser it is.

A watch at one worker is a watch at all of them. Whoever has the browser tells its siblings of it
again and again; each of them has a watcher of its own for it, with the same bounds, and sends what
that is given as letters. So what is masked is masked where it was seen, and a request that nobody
watches costs the same as ever. A letter that does not fit is a request that was dropped.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from playsmart_gateway.console.inspector.hub import (
    Inspector,
    TooManyWatchers,
)
from playsmart_gateway.console.inspector.redact import Redactor
from playsmart_gateway.console.inspector.watcher import (
    MAX_QUEUED_BYTES,
    Fate,
    Interest,
    Watcher,
)
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.peers.peer import (
    Ask,
    News,
    Peer,
    Started,
    Unwatch,
    Watch,
)
from playsmart_gateway.stores.models import Outcome
from playsmart_gateway.stores.readers import CoinReader

PAUSE_SECONDS = 0.2
"""Between two looks at the queue: what comes meanwhile is sent together."""

RENEW_SECONDS = 5.0
LEASE_SECONDS = 30.0
"""A watch that was not renewed for so long is over: its worker died."""

MAX_ASKED = 8
"""Questions of siblings that are being answered; others are not."""

ANSWER = "answer"

Tell = Callable[[str, bytes], Awaitable[None]]
"""Sends an event of the stream: its name, and JSON."""

encode = msgspec.json.Encoder().encode


class Source(NamedTuple):
    """What is needed to tell about requests; only batches of ``coins_source`` can earn coins."""

    inspector: Inspector
    redactor: Redactor
    reader: CoinReader
    coins_source: str
    worker: int = 0

    @property
    def prefix(self) -> str:
        """What is put before the numbers of requests, so that those of all processes differ."""
        return f"{self.worker}.{self.inspector.life}."


class Teller:
    """Tells what one watcher was given; ``dropped`` is how many requests it did not get."""

    def __init__(self, source: Source, watcher: Watcher) -> None:
        self._source = source
        self._watcher = watcher
        self._told_dropped = 0

    async def tell_news(self, tell: Tell) -> bool:
        """Tell what there is; fates last, as they may be those of requests before them."""
        watcher, prefix = self._watcher, self._source.prefix
        fates = watcher.take_fates()
        any_news = bool(fates)
        while not watcher.closed and (seen := watcher.take()) is not None:
            started = time.thread_time()
            shown = self._source.redactor.message(seen)
            shown["id"] = f"{prefix}{seen.number}"
            part = encode(shown)
            watcher.spend(time.thread_time() - started)
            await tell("request", part)
            await asyncio.sleep(0)
            any_news = True
        if fates:
            outcomes = await outcomes_of(self._source, [fate.batch for fate in fates])
            told = [_fate(fate, outcomes.get(fate.batch.key), prefix) for fate in fates]
            await tell("fate", encode(told))
        if watcher.dropped != self._told_dropped:
            self._told_dropped = watcher.dropped
            await tell("dropped", encode(self._told_dropped))
        return any_news


async def outcomes_of(source: Source, batches: Sequence[Batch]) -> dict[tuple[str, int], Outcome]:
    """Return what became of stored batches, of those of which it is of interest and known."""
    earns = source.coins_source
    names = [each.key for each in batches if each.run or each.source == earns]
    try:
        return await source.reader.outcomes(names) if names else {}
    except SinkUnavailable:
        return {}  # they are in the store; this is only a look at it


def _fate(fate: Fate, outcome: Outcome | None, prefix: str) -> dict[str, object]:
    """Return what is told of it; a batch of a run has duplicates, if it is known how many."""
    told: dict[str, object] = {
        "id": f"{prefix}{fate.number}",
        "state": fate.state,
        "coins": outcome.coins if outcome else 0,
    }
    if fate.batch.run and outcome is not None:
        told["duplicates"] = fate.batch.count - outcome.events
    return told


class Away:
    """What the siblings have for a watcher here, until ``close``."""

    def __init__(self, worker: Peer, number: int, interest: Interest, watcher: Watcher) -> None:
        self._worker = worker
        self._watch = Watch(worker.number, number, tuple(interest))
        self._watcher = watcher
        self._parts: deque[News] = deque()
        self._bytes = 0
        self._dropped: dict[int, int] = {}
        self._renewed_at = 0.0

    def renew(self, *, at_once: bool = False) -> None:
        """Tell the siblings that somebody still watches, if it is time to."""
        now = time.monotonic()
        if at_once or now - self._renewed_at >= RENEW_SECONDS:
            self._renewed_at = now
            self._worker.tell(self._watch)

    def close(self) -> None:
        """Tell them that nobody does any more."""
        self._worker.tell(Unwatch(self._watch.worker, self._watch.watch))

    def put(self, news: News) -> None:
        """Keep what came, unless too much waits already."""
        if news.name == "dropped":
            now = msgspec.json.decode(news.data, type=int)
            self._watcher.dropped += now - self._dropped.get(news.worker, 0)
            self._dropped[news.worker] = now
        elif self._bytes + len(news.data) > MAX_QUEUED_BYTES:
            self._watcher.dropped += news.name == "request"
        else:
            self._parts.append(news)
            self._bytes += len(news.data)
        self._watcher.stirred.set()

    async def tell_news(self, tell: Tell) -> bool:
        """Tell what has come."""
        any_news = bool(self._parts)
        while self._parts:
            news = self._parts.popleft()
            self._bytes -= len(news.data)
            await tell(news.name, news.data)
        return any_news


class Forwarder:
    """Has watchers of siblings here, and watchers of ours there; asks and answers them, too."""

    def __init__(self, worker: Peer, source: Source) -> None:
        self._worker = worker
        self._source = source
        self._number = 0
        self._ours: dict[int, Away] = {}
        self._theirs: dict[tuple[int, int], float] = {}
        self._tasks: dict[tuple[int, int], asyncio.Task[None]] = {}
        self._asked: dict[int, dict[int, bytes]] = {}
        self._heard_answer = asyncio.Event()
        self._answers: dict[str, Callable[[bytes], Awaitable[bytes]]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        worker.on(Ask, self._begin_to_answer)
        worker.on(Watch, self._watch)
        worker.on(Unwatch, self._unwatch)
        worker.on(News, self._heard)
        worker.on(Started, self._renew)

    @contextlib.contextmanager
    def watching(self, interest: Interest, watcher: Watcher) -> Iterator[Away]:
        """Have the siblings watch for ``watcher``, too, while entered."""
        self._number += 1
        number = self._number
        away = self._ours[number] = Away(self._worker, number, interest, watcher)
        try:
            yield away
        finally:
            del self._ours[number]
            away.close()

    def knows(self, worker: str) -> bool:
        """Whether there is a sibling of that number."""
        numbers = set(range(self._worker.count)) - {self._worker.number}
        return worker in map(str, numbers)

    def answers(self, what: str, answer: Callable[[bytes], Awaitable[bytes]]) -> None:
        """Have siblings that ask for ``what`` told what ``answer`` returns."""
        self._answers[what] = answer

    async def ask(
        self, what: str, data: bytes, seconds: float, worker: int | None = None
    ) -> list[bytes | None]:
        """Ask all siblings, or one ``worker``; None stands for one that says nothing in time."""
        self._number += 1
        number = self._number
        mine = self._worker.number
        asked = [each for each in range(self._worker.count) if each != mine]
        asked = asked if worker is None else [worker]
        heard = self._asked[number] = {}
        try:
            self._worker.tell(Ask(mine, number, what, data), worker)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while len(heard) < len(asked):
                        self._heard_answer.clear()
                        await self._heard_answer.wait()
        finally:
            del self._asked[number]
        return [heard.get(each) for each in asked]

    def _begin_to_answer(self, asked: Ask) -> None:
        if (answer := self._answers.get(asked.what)) is None or len(self._answering) >= MAX_ASKED:
            return
        task = asyncio.create_task(self._answer(asked, answer), name="answer to a sibling")
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, asked: Ask, answer: Callable[[bytes], Awaitable[bytes]]) -> None:
        data = await answer(asked.data)
        self._worker.tell(News(self._worker.number, asked.watch, ANSWER, data), asked.worker)

    def _renew(self, _: Started) -> None:
        for away in self._ours.values():
            away.renew(at_once=True)

    def _heard(self, news: News) -> None:
        if news.name == ANSWER:
            if (heard := self._asked.get(news.watch)) is not None:
                heard[news.worker] = news.data
                self._heard_answer.set()
        elif (away := self._ours.get(news.watch)) is not None:
            away.put(news)

    def _watch(self, watch: Watch) -> None:
        key = watch.worker, watch.watch
        self._theirs[key] = time.monotonic() + LEASE_SECONDS
        if key not in self._tasks:
            task = asyncio.create_task(self._tell(watch), name="forwarder")
            self._tasks[key] = task
            task.add_done_callback(lambda _: self._tasks.pop(key))

    def _unwatch(self, watch: Unwatch) -> None:
        self._theirs.pop((watch.worker, watch.watch), None)

    async def _tell(self, watch: Watch) -> None:
        """Be the watcher of a sibling until it leaves, or is not heard of any more."""
        key = watch.worker, watch.watch
        try:
            watcher = self._source.inspector.watch(Interest(*watch.interest))
        except TooManyWatchers:
            return  # it will be asked for again

        async def tell(name: str, data: bytes) -> None:
            news = News(self._worker.number, watch.watch, name, data)
            if not self._worker.tell(news, watch.worker) and name == "request":
                watcher.dropped += 1

        teller = Teller(self._source, watcher)
        try:
            while not watcher.closed and time.monotonic() < self._theirs.get(key, 0.0):
                watcher.stirred.clear()
                if not await teller.tell_news(tell):
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(1.0):
                            await watcher.stirred.wait()
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._source.inspector.leave(watcher)
            self._theirs.pop(key, None)
