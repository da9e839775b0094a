"""The contract that every sink keeps."""

from collections.abc import Sequence
from typing import Literal, Protocol, Self

import msgspec

from playsmart_gateway.event import Batch
from playsmart_gateway.loyalty import Award
from playsmart_gateway.rewards import Rule, Trigger
from playsmart_gateway.sinks.loyalty import LoyaltyReader


class Written(msgspec.Struct, frozen=True):
    """What became of the events of one ``write``: newly stored, or already there."""

    stored: int
    duplicate: int


class Player(msgspec.Struct, frozen=True):
    """What is known of one player; times are UTC text, null for one who was never seen."""

    user_id: str
    coins_balance: int = 0
    total_games_played: int = 0
    sessions: int = 0
    best_score: float | None = None
    last_score: float | None = None
    first_seen_at: str | None = None
    last_seen_at: str | None = None


class CoinTransaction(msgspec.Struct, frozen=True):
    """One entry of the ledger (contract section 9); ``amount`` is positive, ``type`` has the sign.

    ``game_id``, ``trigger`` and ``event_id`` are null, and ``reason`` is not, for an adjustment.
    """

    id: int
    user_id: str
    game_id: str | None
    type: Literal["earn", "deduct"]
    trigger: Trigger | None
    amount: int
    balance_before: int
    balance_after: int
    event_id: int | None
    created_at: str
    reason: str | None


class Cause(msgspec.Struct, frozen=True):
    """Why there is a grant: the event, the rule then in force, and the draw if chance decided."""

    type: str
    name: str | None
    occurred_at: str
    draw: int | None
    rule: Rule


class Violation(msgspec.Struct, frozen=True):
    """Something that an audit found wrong."""

    kind: str
    text: str


class Audited(msgspec.Struct, frozen=True):
    """One step of an audit, from ``start`` (0: the beginning) to ``position``, of now ``end``."""

    start: int
    position: int
    end: int
    violations: tuple[Violation, ...] = ()


class Reader(Protocol):
    """Reads what a sink wrote, on a connection of its own, opened when first used.

    Every method raises ``SinkUnavailable`` when the store cannot be read now. What ``commit``
    stored is read through ``loyalty``.
    """

    @property
    def loyalty(self) -> LoyaltyReader:
        """Read points, streaks and statistics, on the same connection."""
        ...

    async def __aenter__(self) -> Self:
        """Nothing is opened yet."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Let go of the connection; another call would open another."""
        ...

    async def player(self, user_id: str) -> Player | None:
        """Return one player; None if no event of theirs was stored yet."""
        ...

    async def coin_transactions(
        self, user_id: str, *, before: int | None = None, limit: int
    ) -> list[CoinTransaction]:
        """Return the newest ``limit`` entries of a player whose ``id`` is less than ``before``."""
        ...

    async def causes(self, entry_ids: Sequence[int]) -> dict[int, Cause]:
        """Return the cause of each of these ledger entries that is a grant."""
        ...

    async def audit(self, max_events: int) -> Audited:
        """Check the coins of the next ``max_events`` events or so.

        A reader begins at the beginning, and once more after it lost its connection.
        """
        ...


class Sink(Protocol):
    """A store that takes flushes.

    Entering it opens it (creating what is missing), leaving it closes it. Entering raises
    ``ConfigError`` when no restart without a change could help, ``SinkUnavailable`` otherwise.
    """

    async def __aenter__(self) -> Self:
        """Open the store."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Close the store."""
        ...

    async def write(self, batches: Sequence[Batch]) -> Written:
        """Store all of ``batches`` in one transaction, or none of them.

        A batch whose journal and sequence are in the store already is a no-op and counts as
        duplicate. Does not retry or sleep beyond a bounded lock wait; may be called again with
        the same batches after any error, and after a cancellation.

        Raises:
            SinkUnavailable: the same call may work later.
            SinkRejected: it never will.
        """
        ...

    async def commit(self, batches: Sequence[Batch]) -> list[Award]:
        """Store ``batches`` of one event each and return what each is awarded, in their order.

        One transaction holds events, points, completions, streaks, history and statistics, or none
        of them. The events are awarded one after the other, by the program that the sink was made
        with. For a batch that is in the store already, nothing is stored or counted, and what it
        was awarded then is returned. May be called again as ``write`` may.

        Raises:
            SinkUnavailable: the same call may work later.
            SinkRejected: it never will; an event that is not defined is one reason.
        """
        ...

    async def bury(self, batch: Batch, reason: str) -> None:
        """Keep a batch that can never be stored among the dead letters, once, with the reason.

        Raises:
            SinkUnavailable: the same call may work later.
        """
        ...

    async def adjust(
        self, user_id: str, amount: int, reason: str, *, force: bool = False
    ) -> CoinTransaction:
        """Add ``amount`` coins, or take them if it is negative, with an entry in the ledger.

        Raises:
            AdjustmentRefused: the player is unknown, or the balance would go below zero and it is
                not forced.
            SinkUnavailable: nothing was changed.
        """
        ...

    def reader(self) -> "Reader":
        """Return a reader of this store; the sink itself need not be open."""
        ...

    async def sync(self) -> None:
        """Return when everything written so far would survive a power cut.

        Raises:
            SinkUnavailable: it may not.
        """
        ...
