"""Counts events into the periods of a span: what players did, bought, and completed."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping
from datetime import datetime
from typing import Any

from playsmart_gateway.events.batch import PLAYSMART, TEAK
from playsmart_gateway.questions.answers import RETAINED, Cohort, LevelRow, Period
from playsmart_gateway.questions.asked import Report, Span, place
from playsmart_gateway.questions.looking import Company, Event
from playsmart_gateway.questions.purchases import Sold
from playsmart_gateway.questions.said import Names, currency_of, level_of, number_of, price_of, said

MAX_PLAYERS = 300_000
_FAILED = {"levelfailed", "fail"}
_TELLING = {"IAPPurchase", "LevelCompleted", "GameEnd", "AppOpen"}
"""Types whose customdata is looked at in any case."""


class Player:
    """What is known of one player; times are seconds since the epoch."""

    __slots__ = ("days", "levels", "times")

    def __init__(self) -> None:
        self.days: set[int] = set()
        self.times = array("q")
        self.levels: set[str] = set()


class Tally:
    """Counts events into the periods of a span."""

    def __init__(self, asked: Report, names: Names) -> None:
        self.players: dict[str, Player] = {}
        self.is_full = False
        self.periods = [Period(start=f"{day}") for day in asked.days[:-1]]
        self.names: Counter[tuple[str, str | None]] = Counter()
        self.sold: list[Sold] = []
        self.levels: defaultdict[str, dict[str, LevelRow]] = defaultdict(dict)
        self.company = Company(asked.where, names)
        self._asked = asked
        self._names = names

    def add(self, event: Event) -> None:
        """Count one event, if it is in the span and of those who are asked for."""
        asked = self._asked
        when = event.at(asked)
        day = place(asked.day_moments, when)
        if day is None or not event.user_id:
            return
        player = self.players.get(event.user_id)
        if player is None:
            if len(self.players) >= MAX_PLAYERS:
                self.is_full = True
                return
            player = self.players[event.user_id] = Player()
        tells = bool(asked.where) or event.type in _TELLING or _is_failure(event.name)
        data = event.data() if tells else {}
        if not self.company.has(event, data):
            return
        period = asked.period_of[day]
        figures = self.periods[period]
        player.days.add(day)
        player.times.append(seconds_of(when))
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
            self.sold.append(sold_of(event, data, self._names, period))
        else:
            self._play(event, data, player)

    def _play(self, event: Event, data: Mapping[str, Any], player: Player) -> None:
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


def _is_failure(name: str | None) -> bool:
    return name is not None and name.replace("_", "").lower() in _FAILED


def seconds_of(when: str) -> int:
    """Return a time as it is stored in seconds since the epoch."""
    return int(datetime.fromisoformat(when[:19] + "+00:00").timestamp())


def cohorts_of(span: Span, came: Iterable[tuple[int, Container[int]]]) -> list[Cohort]:
    """Return who came back: of each player the first day in the span, and days, by their places."""
    cohorts = [Cohort(f"{day}", 0, [[0, 0] for _ in RETAINED]) for day in span.days[:-1]]
    today = (datetime.now(span.tz).date() - span.days[0]).days
    ends = min(len(span.day_moments) - 1, today)
    for first, days in came:
        cohort = cohorts[span.period_of[first]]
        cohort.players += 1
        for after, sums in zip(RETAINED, cohort.back, strict=True):
            if first + after < ends:
                sums[0] += 1
                sums[1] += first + after in days
    return cohorts


def sold_of(event: Event, data: Mapping[str, Any], names: Names, period: int) -> Sold:
    """Return what a purchase says of itself."""
    own = names.of(event.game_id)
    price = price_of(data.get(own["price"]))
    country, platform, version = (
        said(data, own, meaning) or getattr(event, meaning, None) or "unknown"
        for meaning in ("country", "platform", "app_version")
    )
    return Sold(
        period, event.user_id, currency_of(data.get(own["currency"])),
        country, platform, version, 1, int(price is None), price or 0.0,
    )  # fmt: skip
