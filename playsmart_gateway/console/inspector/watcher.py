"""One watcher of requests: what it wants to see, what waits for it, how much it did not get.

Each has a budget of bytes and a bounded queue; what does not fit is dropped, and counted, in the
moment in which it is offered, so a watcher that reads slowly costs ingest nothing. Nothing here
decodes, waits or copies.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Literal, NamedTuple

import msgspec

from playsmart_gateway.events.batch import Batch
from playsmart_gateway.http.error_body import NO_PROBLEMS, Problems
from playsmart_gateway.logs import shown

MAX_SHOWN_BYTES = 131_072
"""Of larger batches and bodies only the size is told."""

BYTES_PER_SECOND = 131_072
"""What one watcher is given to look at: some 60 small requests a second, or 5 of 200 events."""

MAX_SHARE = 0.01
"""Of the event loop's time that may go into showing requests to one watcher, in the long run."""

MAX_QUEUED_BYTES = 524_288
"""What one watcher may be given at once, and what may wait for it."""

REQUEST_COST_BYTES = 2_048
"""What a request counts for beside its bytes."""

MAX_FOLLOWED = 2_000
"""Batches of one watcher that wait for the store; the oldest is forgotten for one more."""

State = Literal["buffered", "stored", "buried"]


class Sent(NamedTuple):
    """A request as it came, to be sent once more: only where bodies may be shown."""

    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    text: bytes
    """The body inflated; the same object where it was not compressed."""


class Seen(msgspec.Struct):
    """One request and its answer; ``body`` is there only if it may be shown, and fits.

    ``reason`` is why it was refused, empty if it was not; ``told`` is what the operator is told
    beside that. Of one that ``was_let_go`` there were contents once. ``replay_of`` is the id of the
    request of which it is a repeat that was asked for here.
    """

    number: int
    at: float
    path: str
    request_id: bytes
    status: int
    answer: bytes
    seconds: float
    authorization: bytes
    batch: Batch | None
    rows: bytes | None
    body: bytes | None
    body_bytes: int
    state: State | None
    points: int = 0
    rejected: int = 0
    problems: Problems = NO_PROBLEMS
    method: str = "POST"
    reason: str = ""
    told: str = ""
    sent: Sent | None = None
    was_let_go: bool = False
    replay_of: str = ""

    @property
    def cost(self) -> int:
        """What it holds in memory, and what it takes to show it."""
        return REQUEST_COST_BYTES + len(self.answer) + len(self.rows or self.body or b"")

    @property
    def held_bytes(self) -> int:
        """What it holds in memory, at most."""
        texts = [self.path, self.request_id, self.authorization, self.answer, self.told]
        texts += [self.rows or b"", self.problems.message]
        for detail in self.problems.details:
            texts += [detail.path, detail.message]
        if self.sent is None:
            texts.append(self.body or b"")
        else:
            texts += [self.sent.body, b"" if self.sent.text is self.sent.body else self.sent.text]
            texts += [each for header in self.sent.headers for each in header]
        return REQUEST_COST_BYTES + sum(map(len, texts))

    def says(self, text: bytes) -> bool:
        """Whether a text is in its events, its answer or what is told of it; not in its body."""
        told = [self.path, self.told, self.problems.message]
        for detail in self.problems.details:
            told += [detail.path, detail.message]
        plain = [self.rows or b"", self.answer, self.request_id]
        return any(text in each for each in plain) or any(
            text in each.encode("utf-8", "replace") for each in told
        )

    def mentions(self, user_id: str) -> bool:
        """Whether a player has sent it, or is named in it, or could be: not all is readable.

        It may be a game, too.
        """
        if self.batch is not None and user_id in (self.batch.user_id, self.batch.game_id):
            return True
        if shown(user_id) in self.told:
            return True
        text = user_id.encode("utf-8", "replace")
        # As they were sent: what is escaped, or compressed, may be anybody.
        if self.says(text) or b"\\" in (self.rows or b""):
            return True
        bodies = [self.body or b""] if self.sent is None else [self.sent.text]
        return any(
            text in body or b"\\" in body or b"%" in body or body.startswith(_GZIP)
            for body in bodies
        )


_GZIP = b"\x1f\x8b"


class Fate(NamedTuple):
    """What became of a batch that was seen."""

    number: int
    state: State
    batch: Batch


class Interest(NamedTuple):
    """What a watcher wants to see; an empty text is anything.

    Texts are looked for, not compared, and of refused requests in the whole body: good enough to
    choose what is worth decoding. Who shows requests looks closer.
    """

    player: str = ""
    game: str = ""
    type: str = ""
    outcome: str = ""
    name: str = ""
    version: str = ""
    request_id: str = ""
    reason: str = ""

    def fits(self, seen: Seen) -> bool:
        """Whether a request is wanted."""
        batch = seen.batch
        if self.outcome and (self.outcome == "accepted") != (seen.status < 400):
            return False
        if self.reason and self.reason != seen.reason:
            return False
        if self.request_id.encode() not in seen.request_id:
            return False
        texts = self.type, self.name, self.version
        if batch is None:
            body = (seen.body or b"") if seen.sent is None else seen.sent.text
            return all(text.encode() in body for text in (self.player, self.game, *texts))
        rows = batch.rows or seen.rows or b""
        program = None if batch.about is None else batch.about.client
        return (
            (self.player in batch.user_id or (not batch.user_id and _holds(rows, self.player)))
            and self.game in batch.game_id
            and (not self.type or _holds(rows, self.type))
            and (not self.name or _holds(rows, self.name))
            and (
                not self.version
                or (program is not None and self.version in program.app_version)
                or _holds(rows, self.version)
            )
        )


def _holds(rows: bytes, text: str) -> bool:
    return msgspec.json.encode(text)[1:-1] in rows


EVERYTHING = Interest()


class Watcher:
    """One watcher: what waits for it, and how much it did not get.

    ``stirred`` is set when there is something to take, or to be told; ``ended`` when there will be
    nothing any more.
    """

    def __init__(self, interest: Interest, clock: Callable[[], float]) -> None:
        self.interest = interest
        self.stirred = asyncio.Event()
        self.ended = asyncio.Event()
        self.dropped = 0
        self._everything = interest == EVERYTHING
        self._clock = clock
        self._budget: float = MAX_QUEUED_BYTES
        self._budget_at = clock()
        self._queue: deque[Seen] = deque()
        self._queued_bytes = 0
        self._followed: deque[Fate] = deque(maxlen=MAX_FOLLOWED)
        self._fates: deque[Fate] = deque(maxlen=MAX_FOLLOWED)

    def wants(self, seen: Seen) -> bool:
        """Whether a request is of interest and may be offered; one that may not is dropped."""
        if not self._everything and not self.interest.fits(seen):
            return False
        if self._budget < REQUEST_COST_BYTES:
            now = self._clock()
            earned = (now - self._budget_at) * BYTES_PER_SECOND
            self._budget = min(self._budget + earned, MAX_QUEUED_BYTES)
            self._budget_at = now
            if self._budget < REQUEST_COST_BYTES:
                self.dropped += 1
                return False
        if self._queued_bytes >= MAX_QUEUED_BYTES:
            self.dropped += 1
            return False
        return True

    @property
    def is_sated(self) -> bool:
        """Whether it would drop whatever comes now."""
        return self._everything and self._budget < REQUEST_COST_BYTES

    def offer(self, seen: Seen) -> None:
        """Queue what it wants; the budget may go below zero, so that nothing is too large."""
        self._budget -= seen.cost
        self._queue.append(seen)
        self._queued_bytes += seen.cost
        if seen.batch is not None and seen.state == "buffered":
            self._followed.append(Fate(seen.number, "buffered", seen.batch))
        self.stirred.set()

    def spend(self, seconds: float) -> None:
        """Take off the budget what it took to show a request, but never more than half a second's.

        Whoever watches a burst goes on seeing something fresh.
        """
        worth = seconds / MAX_SHARE * BYTES_PER_SECOND
        self._budget = min(self._budget, max(self._budget - worth, -BYTES_PER_SECOND / 2))

    def settle(self, last: tuple[str, int], state: State) -> None:
        """Take note of what became of the batches up to ``last``."""
        while self._followed and is_up_to(last, self._followed[0].batch.key):
            self._fates.append(self._followed.popleft()._replace(state=state))
            self.stirred.set()

    def take(self) -> Seen | None:
        """Return the request that waits longest, if any."""
        if not self._queue:
            return None
        seen = self._queue.popleft()
        self._queued_bytes -= seen.cost
        return seen

    def forget(self, user_id: str) -> None:
        """Drop requests in which a player is, by batch or anywhere in it; they count as dropped."""
        kept = [seen for seen in self._queue if not seen.mentions(user_id)]
        self.dropped += len(self._queue) - len(kept)
        self._queue = deque(kept)
        self._queued_bytes = sum(seen.cost for seen in kept)

    def take_fates(self) -> list[Fate]:
        """Return what became of batches since the last call; some may wait to be taken yet."""
        fates = list(self._fates)
        self._fates.clear()
        return fates

    @property
    def closed(self) -> bool:
        """Whether nothing will come any more."""
        return self.ended.is_set()

    def close(self) -> None:
        """Tell the watcher that nothing will come."""
        self.ended.set()
        self.stirred.set()


def is_up_to(last: tuple[str, int], name: tuple[str, int]) -> bool:
    """Whether a batch of this journal and sequence is not after ``last``."""
    return name[0] == last[0] and name[1] <= last[1]
