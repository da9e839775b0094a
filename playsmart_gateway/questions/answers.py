"""What answers look like, and who finds them."""

import math
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

RETAINED = (1, 3, 7, 14, 30)
"""After how many days it is asked who came back."""

MAX_LEVELS = 200
MAX_NAMES = 200
MAX_GROUPS = 100
MAX_VALUES = 50
MAX_BESIDE = 8
"""Rows of one table, or columns; the largest are kept."""

MIN_ATTEMPTS = 30
"""Fewer say nothing of a level."""

AROUND = 3
"""Levels on either side that one is compared with."""


class Figures(msgspec.Struct):
    """What happened in a period; ``players`` and ``payers`` count once in it.

    ``visits`` are sessions of events with less than half an hour between them, and how long they
    took in all: known only of what is counted event by event. ``revenue`` is by currency; that of a
    total has the one of most purchases first.
    """

    players: int = 0
    new_players: int = 0
    sessions: int = 0
    events: int = 0
    ads: int = 0
    purchases: int = 0
    payers: int = 0
    unpriced: int = 0
    coins: int | None = None
    visits: int | None = None
    visit_seconds: float | None = None
    revenue: dict[str, float] = {}


class Period(Figures):
    """The same, of the period that begins on the day ``start``."""

    start: str = ""


class Active(msgspec.Struct):
    """Players of a day, and of the 7 and 30 days that end with it."""

    day: str
    players_day: int
    players_week: int
    players_month: int


class Cohort(msgspec.Struct):
    """Players whose first day is in a period.

    ``back`` has for each of ``RETAINED`` two numbers: of how many that day is over by now, and how
    many of them came.
    """

    start: str
    players: int
    back: list[list[int]]


class LevelRow(msgspec.Struct):
    """One level: ``players`` completed it for the first time, ``timed`` said how long it took.

    Whether its difficulty ``stands_out``: see ``judged``.
    """

    level: str
    players: int
    attempts: int
    failures: int
    timed: int
    seconds: float
    stands_out: bool = False


def judged(levels: Sequence[LevelRow]) -> list[LevelRow]:
    """Return levels in their order, those marked at which more attempts fail than around them.

    That is half as many again, and more than chance explains (three standard deviations), of
    ``MIN_ATTEMPTS`` at least; around a level are ``AROUND`` on either side.
    """
    rates = [
        each.failures / each.attempts if each.attempts >= MIN_ATTEMPTS else None for each in levels
    ]

    def stands_out(n: int) -> bool:
        rate, near = rates[n], rates[max(n - AROUND, 0) : n] + rates[n + 1 : n + 1 + AROUND]
        around = sorted(each for each in near if each is not None)
        if rate is None or len(around) < 2:
            return False
        middle = around[len(around) // 2]
        chance = math.sqrt(max(middle * (1 - middle), 0.01) / levels[n].attempts)
        return rate > max(1.5 * middle, middle + 3 * chance)

    return [replace(each, stands_out=stands_out(n)) for n, each in enumerate(levels)]


class Group(msgspec.Struct):
    """Purchases of those who say the same; ``meaning`` is what they say."""

    meaning: str
    value: str
    purchases: int = 0
    payers: int = 0
    revenue: dict[str, float] = {}
    players: int | None = None


class NameRow(msgspec.Struct):
    """Events of one type and name."""

    type: str
    name: str | None
    events: int
    players: int | None = None


class VersionRow(msgspec.Struct):
    """Of what an app version on a platform numbered, how much never came."""

    app_version: str
    platform: str
    events: int
    lost: int


class Counted(msgspec.Struct, kw_only=True):
    """How far an answer goes: all that was received up to then is in it.

    ``looked_at`` are events that were looked at one by one, those of the lake if it is
    ``from_lake``, and behind them those of the store. Not ``complete``, time or room ended first.
    """

    counted_up_to: str | None
    complete: bool = True
    looked_at: int = 0
    from_lake: bool = False


class ReportAnswer(Counted, kw_only=True):
    """See ``asked.Report``; ``source`` is ``sums`` or ``events``.

    ``levels`` are those of ``levels_game``: the game asked for, or else the busiest.
    ``names_complete`` says whether ``names`` are of the whole span.
    """

    source: str
    periods: list[Period]
    before: list[Period]
    total: Figures
    total_before: Figures
    active: list[Active]
    cohorts: list[Cohort]
    levels_game: str | None
    levels: list[LevelRow]
    groups: list[Group]
    names: list[NameRow]
    names_complete: bool
    versions: list[VersionRow]
    coins_given: int
    coins_taken: int
    coins_held: int
    coin_players: int


class StepRow(msgspec.Struct):
    """How many players got so far, and the median of the seconds since their first step."""

    players: int
    median_seconds: float | None


class FunnelAnswer(Counted, kw_only=True):
    """See ``asked.Funnel``."""

    steps: list[StepRow]


class ReturnAnswer(Counted, kw_only=True):
    """See ``asked.Return``."""

    cohorts: list[Cohort]


class NamesAnswer(Counted, kw_only=True):
    """See ``asked.Names``: the most frequent."""

    names: list[NameRow]


class ValueRow(msgspec.Struct):
    """Events that say one value, None if they say nothing; ``before`` are those of the time before.

    ``periods`` has those of each period, ``beside`` those that say each value of the other property
    that is listed.
    """

    value: str | None
    events: int
    players: int
    before: int
    periods: list[int]
    beside: list[int]


class Bin(msgspec.Struct):
    """Numbers from ``least`` on, below ``most``; the first and the last bin have all beyond."""

    least: float
    most: float
    events: int
    before: int


class Numbers(msgspec.Struct):
    """Of events that say one; ``means`` are of the periods, ``mean_before`` of those before."""

    events: int
    sum: float
    mean: float
    median: float
    least: float
    most: float
    mean_before: float | None
    means: list[float | None]
    bins: list[Bin]


class ValuesAnswer(Counted, kw_only=True):
    """See ``asked.Values``; ``starts`` are the first days of the periods.

    ``rows`` are the most frequent of ``distinct`` values; ``beside`` are the values of the other
    property that are told apart. There are ``numbers`` if most that say something say one.
    """

    starts: list[str]
    events: int
    events_before: int
    players: int
    players_before: int
    distinct: int
    rows: list[ValueRow]
    beside: list[str | None]
    numbers: Numbers | None


Answer = ReportAnswer | FunnelAnswer | ReturnAnswer | ValuesAnswer | NamesAnswer
