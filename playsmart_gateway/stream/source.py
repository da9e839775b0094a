"""What a worker takes messages from: a log that delivers each until it is acknowledged."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol, Self


class Delivery(NamedTuple):
    """A message, the ``sequence``-th of the log, that is delivered for the ``times``-th time.

    ``receipt`` is what to answer with.
    """

    sequence: int
    times: int
    receipt: str
    body: bytes


class SourceState(NamedTuple):
    """How many messages were never delivered yet, are delivered and not done, and of those again.

    It is that of all workers together.
    """

    lag: int
    ack_pending: int
    redelivered: int


class Source(Protocol):
    """A log from the side of one of its workers.

    A message is delivered again, to any worker, when it is neither acknowledged nor said to be
    worked on for ``ack_wait_seconds``; one that was delivered ``max_deliveries`` times is not to be
    tried again. Every method raises ``SinkUnavailable`` when the log is not to be had.
    """

    ack_wait_seconds: float
    max_deliveries: int

    async def __aenter__(self) -> Self:
        """Connect. Raises as ``EventSink.__aenter__`` does."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        ...

    def fetch(self, max_messages: int) -> AsyncIterator[Delivery]:
        """Yield what is there, at most so many, or wait a while for the first."""
        ...

    async def acknowledge(self, acks: Sequence[str]) -> None:
        """Say that these are stored; returns when the log knows."""
        ...

    async def work_on(self, acks: Sequence[str]) -> None:
        """Say that these are worked on: the time to their next delivery begins anew."""
        ...

    async def discard(self, acks: Sequence[str]) -> None:
        """Say that these are never to be delivered again."""
        ...

    async def give_back(self, acks: Sequence[str]) -> None:
        """Fetch no more; let others have these at once, and what was delivered and not yielded."""
        ...

    async def state(self) -> SourceState:
        """Return how things stand."""
        ...
