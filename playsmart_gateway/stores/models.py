"""What sinks tell: records of players, coins and statistics, and what an audit found."""

import math
from collections.abc import Mapping
from decimal import Context, Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Literal

import msgspec

from playsmart_gateway.economy.coins import (
    Rule,
    Trigger,
)

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
    """One step of an audit, from ``start`` (0: the beginning) to ``position``, of now ``end``.

    ``capped`` awards were paid in part or not at all, as a game's cap of a day says.
    """

    start: int
    position: int
    end: int
    violations: tuple[Violation, ...] = ()
    capped: int = 0
