"""The contract that every sink keeps."""

import math
from collections.abc import Collection, Mapping, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Literal, Protocol, Self

import msgspec

from playsmart_gateway.event import Batch
from playsmart_gateway.loyalty import Award
from playsmart_gateway.rewards import Rule, Trigger
from playsmart_gateway.sinks.events import EventReader, Expired
from playsmart_gateway.sinks.figures import FigureKeeper
from playsmart_gateway.sinks.loyalty import LoyaltyReader

_EXACT = Context(prec=21_000)
"""Numbers have at most 256 characters and exponents of four digits, so between the first digit of
the largest and the last of the smallest are less than 20,520, and no sum of theirs is rounded."""


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


Channel = Literal["email", "push", "sms"]
OptOutState = Literal["opt_in", "opt_out"]
OPT_OUT_STATES: Mapping[Channel, OptOutState] = MappingProxyType(
    {"email": "opt_in", "push": "opt_in", "sms": "opt_out"}
)
"""Of a new player (contract ``teak.md`` section 10)."""

PropertyValue = str | Decimal


class AppPlayer(msgspec.Struct, frozen=True):
    """What is stored of one player of one app.

    The country is that of the latest session, empty if unknown, and None before the first one.
    """

    country_code: str | None = None
    opt_out_states: Mapping[Channel, OptOutState] = OPT_OUT_STATES
    properties: Mapping[str, PropertyValue] = {}


class Statistics(msgspec.Struct):
    """Sums over analytics events, exact, and what follows from them for one occurrence.

    An event stands for ``event_count`` occurrences; ``value`` is the sum of their values and
    ``sum_of_squares`` of the squares. So with N occurrences the mean is sum(value) / N, and the
    variance is the mean of the squares less the square of the mean (of the whole population, not
    estimated from a sample).
    """

    events: int = 0
    occurrences: int = 0
    value: Decimal = Decimal(0)
    squares: Decimal = Decimal(0)

    def add(self, occurrences: int, value: Decimal, squares: Decimal, events: int = 1) -> None:
        """Add events; nothing is rounded."""
        self.events += events
        self.occurrences += occurrences
        self.value = _EXACT.add(self.value, value)
        self.squares = _EXACT.add(self.squares, squares)

    @property
    def mean(self) -> float:
        """The value of an occurrence."""
        return _float(Fraction(self.value) / self.occurrences)

    @property
    def variance(self) -> float:
        """The variance of the value of an occurrence; NaN if no values have these squares."""
        mean = Fraction(self.value) / self.occurrences
        variance = Fraction(self.squares) / self.occurrences - mean * mean
        return _float(variance) if variance >= 0 else math.nan

    @property
    def deviation(self) -> float:
        """The standard deviation of the value of an occurrence."""
        return math.sqrt(self.variance)


def _float(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


class ActionStatistics(msgspec.Struct, frozen=True):
    """The statistics of one action type in one country; empty if unknown."""

    action_type: str
    country_code: str
    statistics: Statistics


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


class Reader(EventReader, Protocol):
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

    async def coins_earned(self, names: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Return, of these batches (by journal and sequence), what those earned that earned any."""
        ...

    async def audit(self, max_events: int) -> Audited:
        """Check the coins of the next ``max_events`` events or so.

        A reader begins at the beginning, and once more after it lost its connection.
        """
        ...

    async def countries(self, app_id: str, user_ids: Collection[str]) -> dict[str, str]:
        """Return, of these players of an app, those who are known with their latest country."""
        ...

    async def app_player(self, app_id: str, user_id: str) -> AppPlayer:
        """Return what is stored of one player of an app, be it nothing."""
        ...

    async def action_statistics(self, app_id: str) -> list[ActionStatistics]:
        """Return the statistics of an app, ordered by action type and country; reads all of it."""
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

    async def sync(self) -> None:
        """Return when everything written so far would survive a power cut.

        Raises:
            SinkUnavailable: it may not.
        """
        ...


class Store(Sink, Protocol):
    """A sink with what is kept beside events, and can be read back and corrected.

    Every method may be called beside ``write``; each is a transaction of its own and raises
    ``SinkUnavailable`` when nothing was changed.
    """

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

    def reader(self) -> Reader:
        """Return a reader of this store; the sink itself need not be open."""
        ...

    def figures(self) -> FigureKeeper | None:
        """Return what keeps the figures of this store while it is open; None if nothing does."""
        ...

    async def set_properties(
        self, app_id: str, user_id: str, values: Mapping[str, PropertyValue]
    ) -> dict[str, PropertyValue]:
        """Set properties of a player of an app; return those that had a value before, with it."""
        ...

    async def exclude(self, app_id: str, user_id: str, expire_at: str | None) -> None:
        """Forget how to contact a player, and record no contact until ``expire_at`` (UTC text).

        None is until ``include``.
        """
        ...

    async def include(self, app_id: str, user_id: str) -> bool:
        """End an exclusion; False if there was none."""
        ...

    async def set_opt_out(
        self, app_id: str, user_id: str, channel: Channel, state: OptOutState
    ) -> bool:
        """Set whether a player may be contacted on a channel; False if the player is unknown."""
        ...

    async def erase(self, user_id: str, *, dry_run: bool = False) -> dict[str, int]:
        """Remove all that is stored of a player in every game; return the rows by table.

        Batches of the player stay known by journal and sequence, so a replay does not bring them
        back. No gateway may run: what it holds in memory would be stored afterwards. With
        ``dry_run`` rows are only counted.
        """
        ...

    async def expire(
        self,
        before: str,
        *,
        game_id: str | None = None,
        type_: str | None = None,
        after_batch: int = 0,
        max_events: int,
        dry_run: bool = False,
    ) -> Expired:
        """Delete about ``max_events`` events that were received before then, the oldest first.

        It begins behind ``after_batch``, and is done at the first batch that was received later.
        What they earned, and their players, stay. With ``dry_run`` they are only counted.
        """
        ...
