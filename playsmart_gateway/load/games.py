"""What a player does in one session: the story behind the synthetic events."""

from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import NamedTuple

_LAST_MILLISECOND = 3_599_999
_LATEST_START_SECONDS = 600

_POWER_UPS = ("shield", "magnet", "double_score", "slow_motion")
_AD_UNITS = ("post_level_interstitial", "rewarded_continue", "menu_banner")
_PRODUCTS = (("coins_small", 0.99), ("coins_large", 4.99), ("remove_ads", 2.99))
_SCREENS = ("home", "shop", "leaderboard", "settings")


class Moment(NamedTuple):
    """One event: when, in milliseconds into the hour, what, and its customdata, never empty."""

    milliseconds: int
    type: str
    name: str | None
    data: dict[str, object]


def session(seed: int, variant: int, count: int) -> list[Moment]:
    """Return ``count`` (at least 2) moments in order of time, the same for the same arguments.

    It opens the app, plays, and ends the last game, all within one hour of the clock.
    """
    random = Random(f"{seed}/{variant}")  # noqa: S311 - a game, not a secret
    clock = random.uniform(0, _LATEST_START_SECONDS)
    opened = Moment(
        0, "AppOpen", None, {"app_version": f"2.{variant % 7}.0", "platform": "android"}
    )
    ended = Moment(2_000, "GameEnd", None, {"reason": "exit", "score": random.randint(0, 90_000)})
    moments = []
    for moment in (opened, *islice(_play(random), count - 2), ended):
        clock += moment.milliseconds / 1000
        moments.append(moment._replace(milliseconds=min(int(clock * 1000), _LAST_MILLISECOND)))
    return moments


def _play(random: Random) -> Iterator[Moment]:
    """Play for ever; ``milliseconds`` are those since the moment before."""
    level, score = random.randint(1, 40), 0
    while True:
        if random.random() < 0.35:
            name = random.choice(_POWER_UPS)
            yield _pause(random, "Custom", "PowerUpUsed", power_up=name, level=level)
        if random.random() < 0.2:
            screen = random.choice(_SCREENS)
            yield _pause(random, "Custom", "ScreenViewed", screen=screen, previous="game")
        seconds = random.randint(8, 30)
        score += 10 * random.randint(50, 480)
        done = {"level": level, "score": score, "duration_seconds": seconds}
        yield Moment(1000 * seconds, "LevelCompleted", None, dict(done))
        if random.random() < 0.45:
            unit = random.choice(_AD_UNITS)
            yield _pause(random, "AdImpression", None, ad_unit=unit, revenue_usd=0.004)
        if random.random() < 0.04:
            product, price = random.choice(_PRODUCTS)
            yield _pause(
                random, "IAPPurchase", None, product_id=product, price=price, currency="USD"
            )
        if random.random() < 0.15:
            yield _pause(random, "GameEnd", None, reason="failed", score=score, level=level)
            score = 0
        else:
            level += 1


def _pause(random: Random, kind: str, name: str | None, **data: object) -> Moment:
    return Moment(random.randint(400, 4_000), kind, name, data)
