"""A report event by event: days of any zone, by when it happened, of those who say so."""

from array import array
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import date, datetime, timedelta
from time import monotonic
from typing import Any, NamedTuple

import msgspec

from playsmart_gateway.events.batch import MAX_EVENTS_PER_BATCH, PLAYSMART, TEAK
from playsmart_gateway.questions.answers import (
    MAX_LEVELS,
    MAX_NAMES,
    RETAINED,
    Active,
    Cohort,
    Figures,
    Group,
    LevelRow,
    NameRow,
    Period,
    ReportAnswer,
)
from playsmart_gateway.questions.asked import MEANINGS, Report, Span, place
from playsmart_gateway.questions.purchases import Sold, add_up, largest
from playsmart_gateway.questions.said import Names, currency_of, level_of, number_of, price_of, said
from playsmart_gateway.questions.store import end_of_piece, ids_between
from playsmart_gateway.stores.rollups import Property
from playsmart_gateway.stores.sql.database import Transaction, keyed

EVENTS_PER_READ = 5_000
MAX_CUSTOMDATA = 65_536
"""Characters of it; of an event with more nothing is said, as a read of them must fit in memory."""

MAX_PLAYERS = 300_000
MAX_EVENTS = 20_000_000
"""Some 300 MB with their times; more are not looked at, and the answer says so."""

VISIT_SECONDS = 1_800
"""Events with less than that between them are of one visit."""

EARLY = timedelta(hours=27)
"""So much before a moment something may have come that is told to have happened then."""

_EVENTS = f"""
    SELECT events.event_id, events.source, events.game_id, events.user_id, events.type,
           events.custom_event_name, events.received_at, events.adjusted_at,
           CASE WHEN length(CAST(events.customdata AS TEXT)) <= {MAX_CUSTOMDATA}
               THEN events.customdata END,
           clients.platform, clients.app_version
    FROM events
    LEFT JOIN batches ON batches.batch_id = events.event_id / {MAX_EVENTS_PER_BATCH}
    LEFT JOIN runs ON runs.run = batches.run
    LEFT JOIN clients ON clients.client_id = runs.client_id
    WHERE events.event_id > $1 AND events.event_id <= $2
          AND events.game_id = coalesce($3, events.game_id)
    ORDER BY events.event_id
"""  # noqa: S608 - built from our own constants
_FIRST_DAYS = """
    SELECT user_id, first_day FROM json_each($1) CROSS JOIN rollup_players
    WHERE user_id = value ->> 0 AND game_id = $2
"""
_PROPERTIES = "SELECT game_id, meaning, name FROM game_properties"
_EPOCH = date(1970, 1, 1)
_FAILED = {"levelfailed", "fail"}


class Event(NamedTuple):
    """A row of what is read."""

    event_id: int
    source: str
    game_id: str
    user_id: str
    type: str
    name: str | None
    received_at: str
    adjusted_at: str
    customdata: str | None
    platform: str | None
    app_version: str | None


class Looked:
    """How far events were looked at."""

    def __init__(self) -> None:
        self.events = 0
        self.upto: str | None = None
        self.complete = False


def early(when: str) -> str:
    """Return from when on something may have come that happened then: of a clock ahead."""
    return f"{datetime.fromisoformat(when) - EARLY:%Y-%m-%dT%H:%M:%S}.000000Z"


async def events_of(
    reading: Transaction, span: Span, until: float, looked: Looked
) -> AsyncIterator[Event]:
    """Yield the events that may be in a span, till the monotonic clock says ``until``."""
    last = None if span.by == "happened" else span.moments[-1]
    first = span.moments[0]
    if span.by == "happened":
        first = early(first)
    after, end = await ids_between(reading, first, last)
    while after < end and monotonic() < until and looked.events < MAX_EVENTS:
        async with reading() as db:
            upto = await end_of_piece(db, after, end, EVENTS_PER_READ)
            rows = await db.fetch(_EVENTS, after, upto, span.game)
        for row in rows:
            event = Event(*row)
            yield event
            looked.upto = event.received_at
        looked.events += len(rows)
        after = upto
    looked.complete = after >= end


class _Player:
    """What is known of one player; times are seconds since the epoch."""

    __slots__ = ("days", "levels", "times", "what")

    def __init__(self) -> None:
        self.days: set[int] = set()
        self.times = array("q")
        self.levels: set[str] = set()
        self.what: dict[str, str] = {}


class Tally:
    """Counts events into the periods of a span."""

    def __init__(self, asked: Report, names: Names) -> None:
        self.players: dict[str, _Player] = {}
        self.is_full = False
        self.periods = [Period(start=f"{day}") for day in asked.days[:-1]]
        self.names: Counter[tuple[str, str | None]] = Counter()
        self.sold: list[Sold] = []
        self.levels: defaultdict[str, dict[str, LevelRow]] = defaultdict(dict)
        self._asked = asked
        self._names = names
        self._received = asked.by == "received"

    def add(self, event: Event) -> None:
        """Count one event, if it is in the span and of those who are asked for."""
        asked = self._asked
        when = event.received_at if self._received else event.adjusted_at
        day = place(asked.day_moments, when)
        if day is None or not event.user_id:
            return
        player = self.players.get(event.user_id)
        if player is None:
            if len(self.players) >= MAX_PLAYERS:
                self.is_full = True
                return
            player = self.players[event.user_id] = _Player()
        tells = bool(asked.where) or event.type in _TELLING or _is_failure(event.name)
        data = self._data(event) if tells else {}
        names = self._names.of(event.game_id)
        for meaning in MEANINGS:
            value = (data and said(data, names, meaning)) or getattr(event, meaning, None)
            if value:
                player.what[meaning] = value
        if any(player.what.get(meaning) != value for meaning, value in asked.where.items()):
            return
        period = asked.period_of[day]
        figures = self.periods[period]
        player.days.add(day)
        player.times.append(_seconds(when))
        figures.events += 1
        self.names[event.type, event.name] += 1
        if event.source == TEAK:
            figures.sessions += event.type == "Played"
        if event.source != PLAYSMART:
            return
        if event.type == "AppOpen":
            figures.sessions += 1
        elif event.type == "AdImpression":
            figures.ads += 1
        elif event.type == "IAPPurchase":
            self._sell(event, data, names, period)
        else:
            self._play(event, data, player)

    def _data(self, event: Event) -> Mapping[str, Any]:
        try:
            found = msgspec.json.decode(event.customdata or "null")
        except (msgspec.DecodeError, UnicodeError):
            return {}
        return found if isinstance(found, dict) else {}

    def _sell(self, event: Event, data: Mapping[str, Any], names: Names, period: int) -> None:
        price = price_of(data.get(names["price"]))
        country, platform, version = (
            said(data, names, meaning) or getattr(event, meaning, None) or "unknown"
            for meaning in ("country", "platform", "app_version")
        )
        self.sold.append(
            Sold(
                period, event.user_id, currency_of(data.get(names["currency"])),
                country, platform, version, 1, int(price is None), price or 0.0,
            )
        )  # fmt: skip

    def _play(self, event: Event, data: Mapping[str, Any], player: _Player) -> None:
        done = event.type == "LevelCompleted"
        lost = (event.type == "GameEnd" and data.get("reason") != "completed") or (
            event.type == "Custom" and _is_failure(event.name)
        )
        if not (done or lost) or (level := level_of(data.get("level"))) is None:
            return
        row = self.levels[event.game_id].setdefault(level, LevelRow(level, 0, 0, 0, 0, 0.0))
        row.attempts += 1
        row.failures += lost
        if done:
            key = f"{event.game_id}\0{level}"
            if key not in player.levels:
                player.levels.add(key)
                row.players += 1
            seconds = number_of(data.get("duration_seconds"))
            if seconds is not None and 0 <= seconds <= 86_400:
                row.timed += 1
                row.seconds += seconds


_TELLING = {"IAPPurchase", "LevelCompleted", "GameEnd", "AppOpen"}
"""Types whose customdata is looked at in any case."""


def _is_failure(name: str | None) -> bool:
    return name is not None and name.replace("_", "").lower() in _FAILED


def _seconds(when: str) -> int:
    return int(datetime.fromisoformat(when[:19] + "+00:00").timestamp())


async def report(reading: Transaction, asked: Report, until: float) -> ReportAnswer:
    """Return it, of what is looked at until the monotonic clock says so.

    Raises:
        SinkUnavailable: the store cannot be read.
    """
    looked = Looked()
    names = await read_names(reading)
    tally, tally_before = Tally(asked, names), Tally(_before(asked), names)
    whole = msgspec.structs.replace(asked, first=asked.before.first)
    async for event in events_of(reading, whole, until, looked):
        tally.add(event)
        tally_before.add(event)
    new = await _new_players(reading, asked, tally.players)
    new_before = await _new_players(reading, _before(asked), tally_before.players)
    total, groups = _close(asked, tally, new)
    total_before, _ = _close(_before(asked), tally_before, new_before)
    levels_game = max(
        tally.levels, key=lambda game: sum(e.attempts for e in tally.levels[game].values()),
        default=None,
    )  # fmt: skip
    levels = sorted(tally.levels.get(levels_game or "", {}).values(), key=_number)
    common = sorted(tally.names, key=lambda key: -tally.names[key])[:MAX_NAMES]
    return ReportAnswer(
        source="events",
        counted_up_to=looked.upto,
        complete=looked.complete and not tally.is_full and not tally_before.is_full,
        looked_at=looked.events,
        periods=tally.periods,
        before=tally_before.periods,
        total=total,
        total_before=total_before,
        active=_active(asked, tally.players, tally_before.players),
        cohorts=_cohorts(asked, tally.players, new),
        levels_game=levels_game,
        levels=levels[:MAX_LEVELS],
        groups=largest(groups),
        names=[NameRow(*key, tally.names[key]) for key in common],
        names_complete=looked.complete,
        versions=[],
        coins_given=0,
        coins_taken=0,
        coins_held=0,
        coin_players=0,
    )


def _before(asked: Report) -> Report:
    before = asked.before
    assert isinstance(before, Report)
    return before


async def read_names(reading: Transaction) -> Names:
    """Return how games name their properties."""
    async with reading() as db:
        return Names([Property(*row) for row in await db.fetch(_PROPERTIES)])


async def _new_players(reading: Transaction, asked: Report, players: Iterable[str]) -> set[str]:
    """Return those of whom nothing was stored before the UTC day on which the span begins."""
    listed, first = list(players), (asked.days[0] - _EPOCH).days
    found = set()
    for n in range(0, len(listed), EVENTS_PER_READ):
        some = keyed([[each] for each in listed[n : n + EVENTS_PER_READ]])
        async with reading() as db:
            rows = await db.fetch(_FIRST_DAYS, some, asked.game or "")
        found |= {user_id for user_id, day in rows if day >= first}
    return found


def _close(asked: Report, tally: Tally, new: set[str]) -> tuple[Figures, list[Group]]:
    """Finish the figures of periods; return those of all, and the groups."""
    total = Figures(visits=0, visit_seconds=0.0)
    groups = {(g.meaning, g.value): g for g in add_up(tally.sold, tally.periods, total)}
    begins = [_seconds(moment) for moment in asked.moments]
    for period in tally.periods:
        period.visits, period.visit_seconds = 0, 0.0
    for user_id, player in tally.players.items():
        if not player.days:
            continue
        total.players += 1
        in_periods = {asked.period_of[day] for day in player.days}
        for n in in_periods:
            tally.periods[n].players += 1
        if user_id in new:
            tally.periods[min(in_periods)].new_players += 1
        for meaning, value in player.what.items():
            group = groups.setdefault((meaning, value), Group(meaning, value))
            group.players = (group.players or 0) + 1
        for began, ended in _visits(player.times):
            n = bisect_right(begins, began) - 1
            each = tally.periods[n]
            each.visits = (each.visits or 0) + 1
            each.visit_seconds = (each.visit_seconds or 0.0) + ended - began
    for period in tally.periods:
        for name in ("new_players", "sessions", "events", "ads", "visits", "visit_seconds"):
            setattr(total, name, getattr(total, name) + getattr(period, name))
    return total, list(groups.values())


def _visits(times: Iterable[int]) -> Iterable[tuple[int, int]]:
    began = ended = None
    for when in sorted(times):
        if began is None or ended is None:
            began = when
        elif when - ended >= VISIT_SECONDS:
            yield began, ended
            began = when
        ended = when
    if began is not None and ended is not None:
        yield began, ended


def _number(row: LevelRow) -> tuple[float, str]:
    try:
        return float(row.level), row.level
    except ValueError:
        return 0.0, row.level


def _active(
    asked: Report, players: Mapping[str, _Player], before: Mapping[str, _Player]
) -> list[Active]:
    """Players of each day; of a week or month as far as the span and the one before go."""
    count = len(asked.day_moments) - 1
    gone = (asked.days[0] - asked.before.days[0]).days
    changes: list[Counter[int]] = [Counter(), Counter(), Counter()]
    for user_id in {**before, **players}:
        days = {n - gone for n in before[user_id].days} if user_id in before else set()
        days |= players[user_id].days if user_id in players else set()
        for length, sums in zip((1, 7, 30), changes, strict=True):
            active = {d for day in days for d in range(day, day + length) if 0 <= d < count}
            sums.update(active)
    found = []
    for n in range(count):
        today, week, month = (sums[n] for sums in changes)
        if today:
            day = asked.days[0] + timedelta(days=n)
            found.append(Active(f"{day}", today, week, month))
    return found


def _cohorts(asked: Report, players: Mapping[str, _Player], new: set[str]) -> list[Cohort]:
    cohorts = [Cohort(f"{day}", 0, [[0, 0] for _ in RETAINED]) for day in asked.days[:-1]]
    today = (datetime.now(asked.tz).date() - asked.days[0]).days
    ends = min(len(asked.day_moments) - 1, today)
    for user_id in new:
        if not (days := players[user_id].days):
            continue
        first = min(days)
        cohort = cohorts[asked.period_of[first]]
        cohort.players += 1
        for after, sums in zip(RETAINED, cohort.back, strict=True):
            if first + after < ends:
                sums[0] += 1
                sums[1] += first + after in days
    return cohorts
