"""The commit queue: events whose answer tells what they earned, so it waits for their commit.

A batch in the commit queue is in no journal. What is not committed has not been promised, so its
client waits for the transaction that stores it: what that brought is the answer, and until then
there is none. Whoever comes while a transaction is under way shares the next one.

The flusher takes what waits, oldest first, and says what became of it: ``stored``, ``put_back``
when the store was not to be had, or ``refused``. One event loop owns the commit_queue.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Sequence

from playsmart_gateway.economy.points import Award
from playsmart_gateway.errors import Closing, Overloaded, Refused, StoreUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.metrics import Stats
from playsmart_gateway.stores.contract import Awarding

MAX_WAITING = 4_096
MAX_WAITING_BYTES = 33_554_432
"""Requests that may be in the commit queue at once, and the memory that their batches may hold."""

PATIENCE_SECONDS = 5.0
"""A request whose batch could not be stored for so long is answered 503."""

RETRY_AFTER_SECONDS = 1


class Ticket:
    """A batch in the commit queue and the promise of its award."""

    __slots__ = ("batch", "is_being_written", "is_late", "outcome", "timer")

    def __init__(self, batch: Batch, outcome: "asyncio.Future[Award]") -> None:
        self.batch = batch
        self.outcome = outcome
        self.is_being_written = False
        self.is_late = False
        self.timer: asyncio.TimerHandle | None = None


class CommitQueue:
    """A bounded queue of batches whose requests wait until ``store`` has committed them.

    It gives each batch its name: the commit queue has an identity, one a process, and numbers them.
    It calls ``wake`` when a batch came, and counts in ``stats``: every batch as received, and then
    as accepted and stored, or a duplicate, or as rejected.
    """

    def __init__(
        self,
        stats: Stats,
        store: Awarding,
        *,
        wake: Callable[[], None],
        max_waiting: int = MAX_WAITING,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.store = store
        self._stats = stats
        self._wake = wake
        self._max_waiting = max_waiting
        self._patience_seconds = patience_seconds
        self._identity = uuid.uuid4().hex
        self._sequence = 0
        self._waiting: deque[Ticket] = deque()
        self._being_written: list[Ticket] = []
        self._bytes = 0
        self.events = 0
        self.closed_because: str | None = None

    def __len__(self) -> int:
        """How many batches wait to be taken."""
        return len(self._waiting)

    @property
    def newest(self) -> int:
        """The number of the batch that came last."""
        return self._sequence

    def holds(self, upto: int) -> bool:
        """Whether one of the batches up to that number is here still."""
        here = (*self._being_written, *self._waiting)
        return any(ticket.batch.sequence <= upto for ticket in here)

    async def submit(self, batch: Batch) -> Award:
        """Return what the event of ``batch`` earned, once that is stored.

        A caller that is cancelled changes nothing: the batch is stored all the same.

        Raises:
            Closing: the door is closed, or closed for good while the batch waited.
            Overloaded: too many wait.
            StoreUnavailable: the store was not to be had for ``patience_seconds``, and the batch
                has left the commit_queue. One that was being written then waits for the outcome.
            Unstorable: the store will never take it.
        """
        stats = self._stats
        stats.received += batch.count
        try:
            if self.closed_because is not None:
                raise _closed(self.closed_because)
            waiting = len(self._waiting) + len(self._being_written)
            if waiting >= self._max_waiting or self._bytes + batch.size > MAX_WAITING_BYTES:
                raise Overloaded(
                    "too_many_waiting",
                    retry_after_seconds=RETRY_AFTER_SECONDS,
                    told=f"{waiting:,} requests wait for their commit",
                )
        except Refused as refusal:
            stats.rejected[refusal.tag] += batch.count
            raise
        self._sequence += 1
        batch.journal, batch.sequence = self._identity, self._sequence
        loop = asyncio.get_running_loop()
        ticket = Ticket(batch, loop.create_future())
        ticket.timer = loop.call_later(self._patience_seconds, self._lose_patience, ticket)
        self._waiting.append(ticket)
        self._bytes += batch.size
        self.events += batch.count
        self._wake()
        return await ticket.outcome

    def take(self, max_batches: int, max_bytes: int) -> list[Ticket]:
        """Take the oldest that wait, within both limits, at least one if any, to be written."""
        assert not self._being_written, "what was taken before is settled"
        taken = self._being_written
        size = 0
        while self._waiting and len(taken) < max_batches:
            size += self._waiting[0].batch.size
            if taken and size > max_bytes:
                break
            ticket = self._waiting.popleft()
            ticket.is_being_written = True
            taken.append(ticket)
        return list(taken)

    def stored(self, tickets: Sequence[Ticket], awards: Sequence[Award]) -> None:
        """Answer these, which were taken and are stored, each with its award."""
        for ticket, award in zip(tickets, awards, strict=True):
            self._let_go(ticket)
            if award.is_repeated:
                self._stats.duplicate += ticket.batch.count
            else:
                self._stats.stored += ticket.batch.count
            self._stats.accepted += ticket.batch.count
            if not ticket.outcome.done():
                ticket.outcome.set_result(award)

    def put_back(self, tickets: Sequence[Ticket]) -> None:
        """Let these, which were taken, wait again before all others; the late ones give up."""
        for ticket in reversed(tickets):
            ticket.is_being_written = False
            self._being_written.remove(ticket)
            self._waiting.appendleft(ticket)
        for ticket in [each for each in tickets if each.is_late]:
            self._lose_patience(ticket)

    def refused(self, ticket: Ticket, refusal: Refused) -> None:
        """Answer one, taken or waiting, that it is not stored and never will be."""
        self._let_go(ticket)
        self._stats.rejected[refusal.tag] += ticket.batch.count
        if not ticket.outcome.done():
            ticket.outcome.set_exception(refusal)

    def close(self, because: str) -> None:
        """Let nobody in from now on; the first reason stays."""
        self.closed_because = self.closed_because or because

    def abandon(self, because: str) -> None:
        """Close, and answer all who wait that nobody will store their batches any more.

        Whose batch is being written is told the outcome by whoever writes it.
        """
        self.close(because)
        for ticket in list(self._waiting):
            self.refused(ticket, _closed(because))

    def _lose_patience(self, ticket: Ticket) -> None:
        if ticket.is_being_written:
            ticket.is_late = True  # whoever is writing it knows more in a moment
        else:
            told = f"no commit within {self._patience_seconds:g} s"
            refusal = StoreUnavailable(retry_after_seconds=RETRY_AFTER_SECONDS, told=told)
            self.refused(ticket, refusal)

    def _let_go(self, ticket: Ticket) -> None:
        (self._being_written if ticket.is_being_written else self._waiting).remove(ticket)
        self._bytes -= ticket.batch.size
        self.events -= ticket.batch.count
        assert ticket.timer is not None
        ticket.timer.cancel()


def _closed(because: str) -> Closing:
    return Closing(because, retry_after_seconds=RETRY_AFTER_SECONDS, told=because)
