"""What players do, session by session: the story behind the synthetic events.

A ``Life`` begins at level 1 and climbs. Each level takes some attempts, hard ones more, and each
stops some players for good, so of all who begin fewer complete each further level: a funnel. Who
is stopped tries that level again and again, and plays the levels before it once more from the
first on, as people do; no level is ever completed more often than the one before it.

A life is known by its number; ``LIVES`` of them stand for all players. Which level is the last of
a life is its rank among them, so the funnel is the same for every seed, but who is stopped where is
the seed's to say.
"""

from collections.abc import Iterator
from itertools import count
from random import Random
from typing import NamedTuple

LIVES = 48
"""A multiple of the number of countries, so that nobody travels."""

MAX_LEVELS = 60
CLIMBING_SESSIONS = 3
"""After so many everybody has come as far as they will; from then on the last two are played in
turn."""

_LAST_MILLISECOND = 3_599_999
_LATEST_START_SECONDS = 600
_SITTING_EVENTS = (20, 60)
"""From the opening of the app to its end."""

_POWER_UPS = ("shield", "magnet", "double_score", "slow_motion")
_AD_UNITS = ("post_level_interstitial", "rewarded_continue", "menu_banner")
_PRODUCTS = (("coins_small", 1), ("coins_large", 5), ("remove_ads", 3))
_SCREENS = ("home", "shop", "leaderboard", "settings")
_PLATFORMS = ("android", "android", "ios")
_VERSIONS = ("2.0.3", "2.1.0", "2.1.0", "2.1.0", "2.1.1", "2.1.1")
_PAYS_EVERY = 16
"""One in so many lives buys something: some six in a hundred."""


class Country(NamedTuple):
    """Where a player is: the offset of the clock, what is paid in, and what one unit costs."""

    code: str
    zone: str
    currency: str
    unit: float


COUNTRIES = (
    Country("GB", "Z", "GBP", 0.99),
    Country("IS", "+00:00", "EUR", 1.09),
    Country("US", "-05:00", "USD", 0.99),
    Country("IN", "+05:30", "INR", 89.0),
)


class Moment(NamedTuple):
    """One event: when, in milliseconds into the hour, what, and its customdata, never empty."""

    milliseconds: int
    type: str
    name: str | None
    data: dict[str, object]


def session_number(hour: int) -> int:
    """Return which of its sessions a life plays in an hour; both are from 0."""
    over = hour - CLIMBING_SESSIONS
    return hour if over < 0 else CLIMBING_SESSIONS + over % 2


def last_level(rank: int) -> int:
    """Return the last level that one of ``LIVES`` completes, who comes so far in their order."""
    wanted, left = (rank + 0.5) / LIVES, 1.0
    for level in range(1, MAX_LEVELS + 1):
        left *= 1 - _stops(level)
        if left < wanted:
            return level - 1
    return MAX_LEVELS


def _stops(level: int) -> float:
    """Return which part of those who try a level is stopped by it."""
    return 0.1 if level == 1 or level % 5 == 0 else 0.04


class Life:
    """One player's sessions, the same for the same ``seed`` and ``number``, made as they are asked.

    Every session has ``events`` events (at least 2): it begins with the opening of the app, ends
    the last game, and lies within one hour of the clock.
    """

    def __init__(self, seed: int, number: int, events: int) -> None:
        ranks = list(range(LIVES))
        Random(f"{seed}/ranks").shuffle(ranks)  # noqa: S311 - a game, not a secret
        self._random = Random(f"{seed}/{number}")  # noqa: S311
        self._events = events
        self._last = last_level(ranks[number])
        self._pays = ranks[number] % _PAYS_EVERY == 0
        self._sessions: list[list[Moment]] = []
        self._level = 1
        self.country = COUNTRIES[number % len(COUNTRIES)]
        self._who: dict[str, object] = {
            "app_version": _VERSIONS[number % len(_VERSIONS)],
            "platform": _PLATFORMS[number // 2 % len(_PLATFORMS)],
            "country": self.country.code,
        }

    def session(self, number: int) -> list[Moment]:
        """Return one session, in order of time; ``number`` is one of ``session_number``."""
        while len(self._sessions) <= number:
            self._sessions.append(self._next())
        return self._sessions[number]

    def _next(self) -> list[Moment]:
        moments: list[Moment] = []
        attempts = self._attempts()
        while (left := self._events - len(moments)) > 0:
            size = min(self._random.randint(*_SITTING_EVENTS), left)
            if left - size < 2:  # no sitting of one event behind it
                size = left
            moments += self._sitting(size, attempts)
        clock = self._random.uniform(0, _LATEST_START_SECONDS)
        timed = []
        for each in moments:
            clock += each.milliseconds / 1000
            timed.append(each._replace(milliseconds=min(int(clock * 1000), _LAST_MILLISECOND)))
        return timed

    def _sitting(self, size: int, attempts: Iterator[Moment]) -> Iterator[Moment]:
        """Open the app, play, and end; ``milliseconds`` are those since the moment before."""
        yield self._pause("AppOpen", None, **self._who)
        for _, moment in zip(range(size - 2), attempts, strict=False):
            yield moment
        yield self._pause("GameEnd", None, reason="exit", score=self._random.randint(0, 90_000))

    def _attempts(self) -> Iterator[Moment]:
        """Climb from where the last session ended, then play what was played before, for ever."""
        while self._level <= self._last:
            level = self._level
            yield from self._fail(level, self._failures(level))
            self._level += 1
            yield self._completed(level)
            yield from self._between(level)
        for _ in count():
            for level in range(1, self._last + 1):
                if self._random.random() < 0.25:
                    yield from self._fail(level, 1)
                yield self._completed(level)
                yield from self._between(level)
            yield from self._fail(self._last + 1, self._random.randint(2, 5))

    def _failures(self, level: int) -> int:
        odds = min(0.2 + 10 * _stops(level) / 4, 0.6)
        failures = 0
        while failures < 6 and self._random.random() < odds:
            failures += 1
        return failures

    def _fail(self, level: int, times: int) -> Iterator[Moment]:
        for _ in range(times):
            score, seconds = self._random.randint(0, 20) * 100, self._random.randint(5, 25)
            data = {"level": level, "score": score, "duration_seconds": seconds}
            yield Moment(1000 * seconds, "GameEnd", None, {"reason": "failed", **data})
            if self._random.random() < 0.2:
                yield self._ad("rewarded_continue")

    def _completed(self, level: int) -> Moment:
        seconds = self._random.randint(8, 30)
        score = 10 * self._random.randint(50, 480)
        data = {"level": level, "score": score, "duration_seconds": seconds}
        return Moment(1000 * seconds, "LevelCompleted", None, dict(data))

    def _between(self, level: int) -> Iterator[Moment]:
        """Do what is done between two levels."""
        random = self._random
        if random.random() < 0.35:
            name = random.choice(_POWER_UPS)
            yield self._pause("Custom", "PowerUpUsed", power_up=name, level=level)
        if random.random() < 0.2:
            screen = random.choice(_SCREENS)
            yield self._pause("Custom", "ScreenViewed", screen=screen, previous="game")
        if random.random() < (0.1 if self._pays else 0.45):
            yield self._ad(random.choice(_AD_UNITS))
        if self._pays and random.random() < 0.2:
            product, units = random.choice(_PRODUCTS)
            price = round(units * self.country.unit, 2)
            bought = {"product_id": product, "price": price, "currency": self.country.currency}
            yield self._pause("IAPPurchase", None, **bought, **self._who)

    def _ad(self, unit: str) -> Moment:
        return self._pause("AdImpression", None, ad_unit=unit, revenue_usd=0.004)

    def _pause(self, kind: str, name: str | None, /, **data: object) -> Moment:
        return Moment(self._random.randint(400, 4_000), kind, name, data)
