"""What may be asked, and which moments it is about."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Literal, Self, get_args
from zoneinfo import ZoneInfo

import msgspec

from playsmart_gateway.errors import ConfigError

MAX_PERIODS = 120
MAX_STEPS = 6
MAX_WITHIN_DAYS = 90
MAX_WHERE = 5

Text = Annotated[str, msgspec.Meta(max_length=256)]
Meaning = Literal["platform", "app_version", "country"]
MEANINGS: tuple[Meaning, ...] = get_args(Meaning)
PeriodName = Literal["day", "week", "month"]


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event by its type, and if there is one, the name of a custom event."""

    type: Text
    name: Text | None = None


class Span(msgspec.Struct, kw_only=True, frozen=True, dict=True, forbid_unknown_fields=True):
    """Whole periods of a ``zone`` from that of the day ``first`` to that of the day ``last``.

    A week begins on Monday. Events are in them ``by`` when they were received, or happened. Only
    those count ``where`` something is said: by their player of a meaning, by themselves of any
    other property.
    """

    first: date
    last: date
    period: PeriodName = "day"
    zone: Annotated[str, msgspec.Meta(max_length=64)] = "UTC"
    by: Literal["received", "happened"] = "received"
    game: Text | None = None
    where: Annotated[dict[Text, Text], msgspec.Meta(max_length=MAX_WHERE)] = {}

    def require(self) -> None:
        """Require that it makes sense.

        Raises:
            ConfigError: it does not.
        """
        problem = None
        if self.first > self.last:
            problem = "first: is after last"
        elif not date(2000, 1, 1) <= self.first <= self.last < date(2200, 1, 1):
            problem = "first, last: are no days of games"
        elif (self.last - self.first).days > 31 * MAX_PERIODS or len(self.days) - 1 > MAX_PERIODS:
            problem = f"last: is more than {MAX_PERIODS} periods after first"
        else:
            try:
                _ = self.tz
            except (ValueError, KeyError, OSError):
                problem = "zone: is no time zone that is known here"
        if problem:
            raise ConfigError([problem])

    @cached_property
    def tz(self) -> ZoneInfo:
        """The zone whose days are meant."""
        return ZoneInfo(self.zone)

    @cached_property
    def days(self) -> list[date]:
        """The first days of the periods; one more is the end of the last."""
        begins = [_begin(self.first, self.period)]
        while begins[-1] <= self.last and len(begins) <= 2 * MAX_PERIODS:
            begins.append(_next(begins[-1], self.period))
        return begins

    @cached_property
    def moments(self) -> list[str]:
        """The beginnings of ``days`` as times are stored: UTC, 27 characters."""
        return [moment(day, self.tz) for day in self.days]

    @cached_property
    def day_moments(self) -> list[str]:
        """The same of every day in all periods, and one more."""
        count = (self.days[-1] - self.days[0]).days
        return [moment(self.days[0] + timedelta(days=n), self.tz) for n in range(count + 1)]

    @cached_property
    def period_of(self) -> list[int]:
        """Which period each day is in, by its place."""
        lengths = [(end - begin).days for begin, end in pairwise(self.days)]
        return [n for n, length in enumerate(lengths) for _ in range(length)]

    @property
    def before(self) -> Self:
        """As many periods, just before."""
        first = self.days[0]
        for _ in self.days[1:]:
            first = _begin(first - timedelta(days=1), self.period)
        last = self.days[0] - timedelta(days=1)
        return msgspec.structs.replace(self, first=first, last=last)


class Report(Span, frozen=True, tag="report"):
    """Everything at once; ``one_by_one`` event by event, though there are sums."""

    one_by_one: bool = False

    @property
    def has_sums(self) -> bool:
        """Whether sums can answer it."""
        is_plain = self.zone == "UTC" and self.by == "received"
        return is_plain and not self.where and not self.one_by_one


class Funnel(Span, frozen=True, tag="funnel"):
    """How many players did the ``steps`` in this order, the last within so long after the first."""

    steps: Annotated[tuple[Mark, ...], msgspec.Meta(min_length=2, max_length=MAX_STEPS)]
    within_days: Annotated[int, msgspec.Meta(ge=1, le=MAX_WITHIN_DAYS)] = 7


class Return(Span, frozen=True, tag="return"):
    """Of those whose first ``start`` is in a period, how many did ``again`` so many days later.

    Without one that is any event.
    """

    start: Mark | None = None
    again: Mark | None = None


class Values(Span, frozen=True, tag="values"):
    """What events with a ``mark``, or all, say in a ``property``, and ``beside`` it in another."""

    property: Text
    mark: Mark | None = None
    beside: Text | None = None


class Names(Span, frozen=True, tag="names"):
    """How often events of each type and name came: of all players, by when they were received."""

    def require(self) -> None:
        """Require that it makes sense.

        Raises:
            ConfigError: it does not.
        """
        super().require()
        if self.where or self.by != "received":
            raise ConfigError(["where, by: names are counted of all, by when events came"])


Asked = Report | Funnel | Return | Values | Names


def moment(day: date, zone: ZoneInfo) -> str:
    """Return when a day begins in a zone, as times are stored."""
    begins = datetime.combine(day, time(), zone).astimezone(UTC)
    return f"{begins:%Y-%m-%dT%H:%M:%S}.000000Z"


def place(moments: Sequence[str], when: str) -> int | None:
    """Return in which of the spans between ``moments`` a time is; None if in none."""
    found = bisect_right(moments, when) - 1
    return found if 0 <= found < len(moments) - 1 else None


def _begin(day: date, period: PeriodName) -> date:
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


def _next(day: date, period: PeriodName) -> date:
    if period == "month":
        return (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return day + timedelta(days=7 if period == "week" else 1)
