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


class Seen(msgspec.Struct):
    """One request and its answer; ``body`` is there only if it may be shown, and fits."""

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

    @property
    def cost(self) -> int:
        """What it holds in memory, and what it takes to show it."""
        return REQUEST_COST_BYTES + len(self.answer) + len(self.rows or self.body or b"")


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

    def fits(self, accepted: bool, batch: Batch | None, body: bytes) -> bool:
        """Whether a request is wanted."""
        if self.outcome and (self.outcome == "accepted") != accepted:
            return False
        if batch is None:
            return all(text.encode() in body for text in self[:3])
        return (
            (self.player in batch.user_id or (not batch.user_id and _holds(batch, self.player)))
            and self.game in batch.game_id
            and (not self.type or _holds(batch, self.type))
        )


def _holds(batch: Batch, text: str) -> bool:
    return msgspec.json.encode(text)[1:-1] in batch.rows


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

    def wants(self, accepted: bool, batch: Batch | None, body: bytes) -> bool:
        """Whether a request is of interest and may be offered; one that may not is dropped."""
        if not self._everything and not self.interest.fits(accepted, batch, body):
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
        text = user_id.encode("utf-8", "replace")
        kept = [
            seen
            for seen in self._queue
            if not (seen.batch is not None and seen.batch.user_id == user_id)
            and text not in (seen.rows or seen.body or b"")
        ]
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
