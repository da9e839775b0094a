"""What stores tell: events, players, coins, points and statistics, and what a check found."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Literal, NamedTuple

import msgspec

from playsmart_gateway.economy.coins import (
    Rule,
    Trigger,
)

_EXACT = Context(prec=21_000)
"""Numbers have at most 256 characters and exponents of four digits, so between the first digit of
the largest and the last of the smallest are less than 20,520, and no sum of theirs is rounded."""


MAX_SKEW_MS = 60_000
"""A clock that is wrong by less may as well be right: requests take their time."""

AHEAD_HOURS = 26
"""Between the two time zones that are farthest apart: who is ahead more has no wrong zone."""

FIRST_YEAR = 2007
"""Before it there was no smartphone; clocks that lost their time show 1970, 1980, 2000 or 2001."""


class Written(msgspec.Struct, frozen=True):
    """What became of the events of one ``write``: newly stored, or already there.

    ``conflicts`` are the names of batches that gave numbers of a run to other events than before.
    """

    stored: int
    duplicate: int
    conflicts: tuple[str, ...] = ()


class ForgottenRuns(NamedTuple):
    """How many runs were forgotten in a piece of the table, and its last key; None at the end."""

    runs: int
    position: bytes | None


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


class Account(msgspec.Struct, frozen=True):
    """Who may have tokens; times are seconds since the epoch.

    ``password`` is a hash (see ``auth.passwords``). A player who never gave an email has neither.
    Tokens that were issued before ``tokens_not_before`` are not believed.
    """

    user_id: str
    email: str | None
    password: str | None
    created_at: int
    tokens_not_before: int

    def __repr__(self) -> str:
        """Show nothing of it: what is printed gets into logs."""
        return "Account(...)"


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


# ---- Events ------------------------------------------------------------------------------------


class StoredEvent(NamedTuple):
    """One row of the relation ``events``; ``customdata`` is JSON text as it is stored.

    ``adjusted_at`` is ``occurred_at`` by the gateway's clock, where that of the run was wrong by
    more than ``MAX_SKEW_MS``. ``clock`` is ``future`` if that is more than ``AHEAD_HOURS`` later
    than ``received_at``, and ``past`` if it is before ``FIRST_YEAR``.
    """

    event_id: int
    source: str
    game_id: str
    user_id: str
    type: str
    custom_event_name: str | None
    occurred_at: str
    received_at: str
    customdata: str | None
    adjusted_at: str
    clock: str | None


class EventFilter(msgspec.Struct, frozen=True):
    """Which events are meant: those for which all that is given holds.

    ``since`` (included) and ``until`` (not included) compare with ``occurred_at``; UTC text of 27
    characters, as all times.
    """

    game_id: str | None = None
    user_id: str | None = None
    type: str | None = None
    source: str | None = None
    since: str | None = None
    until: str | None = None
    custom_event_name: str | None = None


EVERYTHING = EventFilter()


class EventPage(NamedTuple):
    """Events in the order asked for, and the id up to which all events were looked at."""

    events: list[StoredEvent]
    position: int


class EventCount(NamedTuple):
    """How many events of one type and name a game had on one day (``YYYY-MM-DD``, UTC)."""

    source: str
    game_id: str
    type: str
    custom_event_name: str | None
    day: str
    events: int


class CountPage(NamedTuple):
    """Counts in no order, and the id up to which all events were looked at."""

    counts: list[EventCount]
    position: int


MAX_NAMED = 10
"""Of batches with a wrong time that one step names."""

NEVER = "9999-12-31T23:59:59.999999Z"
"""Later than any time of receipt."""

CLOCK_TOLERANCE = timedelta(seconds=60)


def latest_sane() -> str:
    """Return the time up to which a time of receipt can be right: now, and a bit."""
    return f"{datetime.now(UTC) + CLOCK_TOLERANCE:%Y-%m-%dT%H:%M:%S.%fZ}"


class Expired(msgspec.Struct, frozen=True):
    """One step of deleting old events, up to the batch ``position`` of now ``end``.

    ``uncounted``: it is done because the dashboard's sums have not counted what follows, or because
    it was to go no further.
    ``ahead`` are the first batches it met, at most ``MAX_NAMED``, whose time of receipt is yet to
    come: the clock was wrong. Batches behind them tell how old they are.
    """

    events: int
    position: int
    end: int
    done: bool
    uncounted: bool = False
    ahead: tuple[int, ...] = ()


class StoreHealth(msgspec.Struct, frozen=True):
    """What a look at the whole store found; ``problems`` are in the store's own words."""

    schema_version: int
    known_version: int
    problems: tuple[str, ...] = ()
    ahead: int = 0
    first_ahead: int = 0
    """Batches whose time of receipt is yet to come, and the id of the first one."""


# ---- Points ------------------------------------------------------------------------------------

EntryType = Literal["event", "streak_milestone"]


class Entry(msgspec.Struct, frozen=True):
    """One line of a user's history; ``source_id`` is an event, or the streak of a milestone."""

    id: int
    type: EntryType
    source_id: str
    points: int
    timestamp_ms: int


class StreakFigures(msgspec.Struct, frozen=True):
    """How a streak does: how many users ever had it, and how many of them have it now.

    ``longest`` is the longest that anybody ever had, ``total`` the sum of the current counts, and
    ``users_by_count`` how many users stand at each of them, at most ``MAX_COUNTS`` of them, the
    smallest.
    """

    users: int = 0
    active: int = 0
    longest: int = 0
    total: int = 0
    users_by_count: dict[int, int] = {}


MAX_COUNTS = 1_000


# ---- Batches -----------------------------------------------------------------------------------


class StoredBatch(msgspec.Struct, frozen=True):
    """A batch that was stored, and the ids of those of its events that are still there.

    Events go by ``retention`` and ``erase``; their batch stays, so that it is not stored twice.
    ``user_id`` is empty where it has events of many players, or of one who was erased.
    """

    batch_id: int
    source: str
    game_id: str
    user_id: str
    received_at: str
    event_ids: tuple[int, ...]


class Outcome(NamedTuple):
    """What became of a batch that was stored: how many events were new, and the coins for them."""

    events: int
    coins: int


# ---- Dead letters ------------------------------------------------------------------------------


class DeadLetter(msgspec.Struct, frozen=True):
    """A batch that was buried, without its rows, which are ``size`` bytes.

    ``user_id`` is empty where the batch has events of many players. Times are UTC text.
    """

    journal: str
    sequence: int
    reason: str
    source: str
    game_id: str
    user_id: str
    received_at: str
    event_count: int
    size: int
    buried_at: str

    @property
    def name(self) -> str:
        """How people call it."""
        return f"{self.journal}-{self.sequence}"
