"""The fan-out of requests to those who watch; it knows no HTTP.

Ingest comes first. While nobody watches, a request costs one look at ``watched``; while somebody
does, a few comparisons for each watcher (see ``watcher``). What is taken is decoded and masked by
the watcher's own reader (see ``redact``), outside of any request.

A batch is followed until it is stored or buried; batches leave the buffer in the order of their
journal, so the name of the last one tells about all of them.
"""

import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

import msgspec

from playsmart_gateway.console.inspector.watcher import (
    EVERYTHING,
    MAX_SHOWN_BYTES,
    Interest,
    Seen,
    State,
    Watcher,
    is_up_to,
)
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.http.endpoint import Answer

MAX_WATCHERS = 8
"""At once; fewer where the gateway takes fewer than ten times as many connections."""

NAP_SECONDS = 0.02
"""When nobody can be given anything more, requests are only counted for so long."""

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class TooManyWatchers(Exception):
    """There are as many as there may be, or the gateway stops."""


class Heard:
    """A request while it is answered: ``receive`` is what to read it with."""

    __slots__ = ("_parts", "_receive", "receive", "size")

    def __init__(self, receive: Receive, *, keeps_body: bool) -> None:
        self._receive = receive
        self._parts: list[bytes] = []
        self.size = 0
        self.receive: Receive = self._listen if keeps_body else receive

    @property
    def body(self) -> bytes | None:
        """What was read of it; None if it is too large."""
        return b"".join(self._parts) if self.size <= MAX_SHOWN_BYTES else None

    async def _listen(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        part = message.get("body", b"")
        self.size += len(part)
        if self.size <= MAX_SHOWN_BYTES:
            self._parts.append(part)
        return message


class Inspector:
    """Tells everybody who watches about each request, and what became of its batch.

    ``shows_bodies`` keeps the bodies of requests without a batch; ``clock`` measures, and
    ``wall_clock`` tells the time of day, both in seconds.
    """

    def __init__(
        self,
        *,
        max_watchers: int = MAX_WATCHERS,
        shows_bodies: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.watched = False
        self.shows_bodies = shows_bodies
        self._max_watchers = max_watchers
        self._clock = clock
        self._wall_clock = wall_clock
        self._watchers: list[Watcher] = []
        self._closed = False
        self._number = 0
        self._nap_until = 0.0
        self._missed = 0
        self._last_gone = ("", 0)
        self._buried: tuple[str, int] | None = None

    def watch(self, interest: Interest = EVERYTHING) -> Watcher:
        """Begin to watch; call ``leave`` at the end.

        Raises:
            TooManyWatchers: there are as many as there may be, or the gateway stops.
        """
        if self._closed or len(self._watchers) >= self._max_watchers:
            raise TooManyWatchers
        watcher = Watcher(interest, self._clock)
        self._count_missed()
        self._watchers.append(watcher)
        self.watched = True
        self._nap_until = 0.0
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """Watch no more."""
        self._watchers.remove(watcher)
        self.watched = bool(self._watchers)

    def forget(self, user_id: str) -> None:
        """Show nothing more of what a player has sent so far."""
        for watcher in self._watchers:
            watcher.forget(user_id)

    def close(self) -> None:
        """End every watch; nobody can begin another."""
        self._closed = True
        for watcher in self._watchers:
            watcher.close()

    def hear(self, receive: Receive) -> Heard:
        """Listen to a request that begins while somebody watches."""
        return Heard(receive, keeps_body=self.shows_bodies)

    def saw(
        self,
        heard: Heard,
        *,
        path: str,
        request_id: bytes,
        authorization: bytes,
        answer: Answer,
        seconds: float,
    ) -> None:
        """Tell about a request that was answered."""
        now = self._clock()
        if now < self._nap_until:
            self._missed += 1
            return
        self._count_missed()
        batch = answer.batch
        accepted = answer.status < 400
        whole, size = heard.body, heard.size
        if self.shows_bodies and answer.inflated is not None:
            whole, size = answer.inflated, len(answer.inflated) or size
        body = b"" if batch is not None or size > MAX_SHOWN_BYTES else whole or b""
        wanted = [each for each in self._watchers if each.wants(accepted, batch, body)]
        if not wanted:
            if all(watcher.is_sated for watcher in self._watchers):
                self._nap_until = now + NAP_SECONDS
            return
        self._number += 1
        seen = Seen(
            number=self._number,
            at=self._wall_clock(),
            path=path,
            request_id=request_id,
            status=answer.status,
            answer=answer.body,
            seconds=seconds,
            authorization=authorization,
            batch=None,
            rows=None,
            body=body or None,
            body_bytes=size,
            state=None,
            points=answer.points,
            rejected=answer.rejected,
            problems=answer.problems,
        )
        if batch is not None:
            gone = answer.is_stored or is_up_to(self._last_gone, batch.key)
            seen.state = "stored" if gone else "buffered"
            seen.rows = batch.rows if len(batch.rows) <= MAX_SHOWN_BYTES else None
            seen.batch = msgspec.structs.replace(batch, rows=b"")
        for watcher in wanted:
            watcher.offer(seen)

    def _count_missed(self) -> None:
        if self._missed:
            for watcher in self._watchers:
                watcher.dropped += self._missed
            self._missed = 0

    def buried(self, batch: Batch) -> None:
        """Take note that a batch can never be stored, before it leaves the buffer."""
        self._buried = batch.journal, batch.sequence

    def left_the_buffer(self, batches: Sequence[Batch]) -> None:
        """Take note that these are stored, or buried."""
        self._count_missed()
        last = batches[-1]
        self._last_gone = last.journal, last.sequence
        state: State = "buried" if self._last_gone == self._buried else "stored"
        for watcher in self._watchers:
            watcher.settle(self._last_gone, state)
