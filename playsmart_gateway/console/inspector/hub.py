"""The fan-out of requests to those who watch, and to memory; it knows no HTTP.

Ingest comes first. While nobody watches, a request costs one look at ``watched`` and a comparison
with ``memory.rests_until`` (see ``memory``); while somebody does, a few comparisons for each
watcher (see ``watcher``). What is taken is decoded and masked by the watcher's own reader (see
``redact``), outside of any request.

A batch is followed until it is stored or buried; batches leave the buffer in the order of their
journal, so the name of the last one tells about all of them.
"""

import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any

import msgspec

from playsmart_gateway.console.inspector.memory import MAX_REMEMBERED, Memory
from playsmart_gateway.console.inspector.watcher import (
    EVERYTHING,
    MAX_SHOWN_BYTES,
    Interest,
    Seen,
    Sent,
    State,
    Watcher,
    is_up_to,
)
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.http.answered import Passed
from playsmart_gateway.http.endpoint import Answer
from playsmart_gateway.http.error_body import CODES, Problems

MAX_WATCHERS = 8
"""At once; fewer where the gateway takes fewer than ten times as many connections."""

NAP_SECONDS = 0.02
"""When nobody can be given anything more, requests are only counted for so long."""

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class TooManyWatchers(Exception):
    """There are as many as there may be, or the gateway stops."""


SENT_HEADERS = (
    *(b"authorization", b"x-forwarded-authorization", b"x-api-key", b"x-operator-token"),
    *(b"content-type", b"content-encoding", b"idempotency-key", b"prefer", b"origin"),
)
"""Those that decide what becomes of a request."""

MAX_TARGET_LENGTH = 1_024
"""Characters of a path that reached no endpoint; a stranger chose it."""

MAX_JOURNALS = 8


class Heard:
    """A request while it is answered: ``receive`` is what to read it with.

    With ``headers`` it can be sent once more, if its ``body`` is here as a ``whole``.
    """

    __slots__ = ("_parts", "_receive", "headers", "receive", "size", "whole")

    def __init__(
        self, receive: Receive, *, keeps_body: bool, headers: Mapping[bytes, bytes] | None = None
    ) -> None:
        self._receive = receive
        self._parts: list[bytes] = []
        self.size = 0
        self.whole = False
        self.headers = headers
        self.receive: Receive = self._listen if keeps_body else receive

    @property
    def body(self) -> bytes | None:
        """What was read of it; None if it is too large."""
        return b"".join(self._parts) if self.size <= MAX_SHOWN_BYTES else None

    def take(self, body: bytes) -> None:
        """Have heard a body that was here as a whole."""
        self._parts, self.size, self.whole = [body], len(body), True

    async def _listen(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        part = message.get("body", b"")
        self.size += len(part)
        if self.size <= MAX_SHOWN_BYTES:
            self._parts.append(part)
        self.whole = message["type"] == "http.request" and not message.get("more_body", False)
        return message


class Replay:
    """A request that is sent once more; ``seen`` is how that went."""

    __slots__ = ("of", "seen")

    def __init__(self, of: str) -> None:
        self.of = of
        self.seen: Seen | None = None


class Inspector:
    """Tells everybody who watches about each request, and what became of its batch.

    It remembers some of them in ``memory``, which says when a request that was taken is only to be
    counted. ``shows_bodies`` keeps the bodies of requests without a
    batch, and what is needed to send one once more; ``clock`` measures, and ``wall_clock`` tells
    the time of day, both in seconds.
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
        self.memory = Memory()
        self.life = f"{int(wall_clock() * 1_000):x}"
        """Names this process among all, so that numbers of requests differ after a restart."""

        self.replays: dict[bytes, Replay] = {}
        """Those that are under way, by request id."""

        self._max_watchers = max_watchers
        self._clock = clock
        self.wall_clock = wall_clock
        self._watchers: list[Watcher] = []
        self._closed = False
        self._number = 0
        self._nap_until = 0.0
        self._missed = 0
        self._last_gone = ("", 0)
        self._gone: dict[str, int] = {}
        self._buried: deque[tuple[str, int]] = deque(maxlen=MAX_REMEMBERED)

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
        """Show nothing more of what a player has sent so far, and remember nothing of it."""
        self.memory.forget(user_id)
        for watcher in self._watchers:
            watcher.forget(user_id)

    def close(self) -> None:
        """End every watch; nobody can begin another."""
        self._closed = True
        for watcher in self._watchers:
            watcher.close()

    def hear(self, receive: Receive, headers: Mapping[bytes, bytes] | None = None) -> Heard:
        """Listen to a request that begins while somebody watches, or bodies are shown."""
        return Heard(receive, keeps_body=self.shows_bodies, headers=headers)

    def heard(self, headers: Mapping[bytes, bytes], body: bytes) -> Heard:
        """Return a request that was here as a whole, where bodies are shown."""
        heard = Heard(_nothing, keeps_body=True, headers=headers)
        heard.take(body)
        return heard

    def saw(
        self,
        heard: Heard | None,
        *,
        path: str,
        request_id: bytes,
        authorization: bytes,
        answer: Answer,
        seconds: float,
        at: float | None = None,
    ) -> None:
        """Tell about a request that was answered ``at`` a time of the clock of who tells.

        Nobody listened to it if it was not ``heard``.
        """
        now = self._clock()
        reason = _reason_of(answer)
        is_kept = self.memory.wants(reason, now if reason or at is None else at)
        replay = self.replays.get(request_id)
        if not self._is_wanted(is_kept or replay is not None, now):
            return
        batch = answer.batch
        whole, size = (heard.body, heard.size) if heard is not None else (None, 0)
        if self.shows_bodies and answer.inflated is not None:
            whole, size = answer.inflated, len(answer.inflated) or size
        body = b"" if batch is not None or size > MAX_SHOWN_BYTES else whole or b""
        self._number += 1
        seen = Seen(
            number=self._number,
            at=self.wall_clock(),
            path=path,
            request_id=request_id,
            status=answer.status,
            answer=answer.body,
            seconds=seconds,
            authorization=authorization,
            batch=batch,
            rows=None,
            body=body or None,
            body_bytes=size,
            state=None,
            points=answer.points,
            rejected=answer.rejected,
            problems=answer.problems,
            reason=reason,
            told=answer.told,
            sent=self._sent(heard, answer),
        )
        if replay is not None:
            seen.replay_of, replay.seen = replay.of, seen
        wanted = self._wanted(seen, now)
        if batch is not None:
            gone = answer.is_stored or is_up_to(self._last_gone, batch.key)
            seen.state = "stored" if gone else "buffered"
            seen.rows = batch.rows if len(batch.rows) <= MAX_SHOWN_BYTES else None
            seen.batch = msgspec.structs.replace(batch, rows=b"")
        self._give(seen, is_kept or replay is not None, wanted)

    def passed(self, request: Passed) -> None:
        """Tell about a request that reached no endpoint, and was refused."""
        now = self._clock()
        is_kept = self.memory.wants(request.reason, now)
        if not self._is_wanted(is_kept, now):
            return
        self._number += 1
        seen = Seen(
            number=self._number,
            at=self.wall_clock(),
            path=request.target.partition("?")[0][:MAX_TARGET_LENGTH],
            request_id=request.request_id,
            status=request.status,
            answer=request.answer[:MAX_TARGET_LENGTH],
            seconds=request.seconds,
            authorization=b"",
            batch=None,
            rows=None,
            body=None,
            body_bytes=0,
            state=None,
            problems=Problems(CODES.get(request.status, ""), request.reason),
            method=request.method,
            reason=request.reason,
            told=request.told,
        )
        self._give(seen, is_kept, self._wanted(seen, now))

    def state_of(self, seen: Seen) -> State | None:
        """Return what became of the batch of a request by now; None if it has none."""
        if seen.batch is None or seen.state == "stored":
            return seen.state
        journal, sequence = key = seen.batch.key
        if key in self._buried:
            return "buried"
        return "stored" if sequence <= self._gone.get(journal, -1) else "buffered"

    def _is_wanted(self, is_kept: bool, now: float) -> bool:
        if not self._watchers or now < self._nap_until:
            self._missed += bool(self._watchers)
            return is_kept
        self._count_missed()
        return True

    def _wanted(self, seen: Seen, now: float) -> list[Watcher]:
        if now < self._nap_until:
            return []
        wanted = [each for each in self._watchers if each.wants(seen)]
        if not wanted and self._watchers and all(each.is_sated for each in self._watchers):
            self._nap_until = now + NAP_SECONDS
        return wanted

    def _give(self, seen: Seen, is_kept: bool, wanted: Sequence[Watcher]) -> None:
        for watcher in wanted:
            watcher.offer(seen)
        if is_kept:
            self.memory.keep(seen)

    def _sent(self, heard: Heard | None, answer: Answer) -> Sent | None:
        """Return what was heard so that it can be sent once more, if it is all there."""
        if not self.shows_bodies or heard is None or heard.headers is None or not heard.whole:
            return None
        body, headers = heard.body, heard.headers
        if body is None:
            return None
        kept = tuple((name, headers[name]) for name in SENT_HEADERS if name in headers)
        return Sent(kept, body, body if answer.inflated is None else answer.inflated)

    def _count_missed(self) -> None:
        if self._missed:
            for watcher in self._watchers:
                watcher.dropped += self._missed
            self._missed = 0

    def buried(self, batch: Batch) -> None:
        """Take note that a batch can never be stored, before it leaves the buffer."""
        self._buried.append(batch.key)

    def left_the_buffer(self, batches: Sequence[Batch]) -> None:
        """Take note that these are stored, or buried."""
        self._count_missed()
        last = batches[-1]
        self._last_gone = last.key
        self._gone[last.journal] = last.sequence
        if len(self._gone) > MAX_JOURNALS:
            del self._gone[next(iter(self._gone))]
        state: State = "buried" if self._last_gone in self._buried else "stored"
        for watcher in self._watchers:
            watcher.settle(self._last_gone, state)


def _reason_of(answer: Answer) -> str:
    """Return why a request was refused; empty if it was not."""
    return (answer.reason or str(answer.status)) if answer.status >= 400 else ""


async def _nothing() -> MutableMapping[str, Any]:
    return {"type": "http.disconnect"}
