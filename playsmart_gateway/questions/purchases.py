"""Purchases, added up by period, currency, and who says what."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from playsmart_gateway.questions.answers import MAX_GROUPS, Figures, Group, Period
from playsmart_gateway.questions.asked import MEANINGS


class Sold(NamedTuple):
    """Some purchases of one player that say the same."""

    period: int
    user_id: str
    currency: str
    country: str
    platform: str
    app_version: str
    purchases: int
    unpriced: int
    amount: float


def add_up(sold: Iterable[Sold], periods: list[Period], total: Figures) -> list[Group]:
    """Add purchases to the figures of their periods and of all; return who said what.

    The revenue of all has the currency of most purchases first: amounts of two do not compare.
    """
    payers: list[set[str]] = [set() for _ in periods]
    everybody: set[str] = set()
    priced: Counter[str] = Counter()
    groups: dict[tuple[str, str], Group] = {}
    paid: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for each in sold:
        for figures in (periods[each.period], total):
            figures.purchases += each.purchases
            figures.unpriced += each.unpriced
            _add(figures.revenue, each)
        priced[each.currency] += each.purchases - each.unpriced
        payers[each.period].add(each.user_id)
        everybody.add(each.user_id)
        for meaning in MEANINGS:
            key = meaning, getattr(each, meaning)
            group = groups.setdefault(key, Group(*key))
            group.purchases += each.purchases
            paid[key].add(each.user_id)
            _add(group.revenue, each)
    for period, who in zip(periods, payers, strict=True):
        period.payers = len(who)
    total.payers = len(everybody)
    total.revenue = {each: total.revenue[each] for each, n in priced.most_common() if n}
    for group in groups.values():
        group.payers = len(paid[group.meaning, group.value])
    return list(groups.values())


def largest(groups: Iterable[Group]) -> list[Group]:
    """Return the largest of each meaning, by purchases, then players."""
    ordered = sorted(groups, key=lambda each: (-each.purchases, -(each.players or 0), each.value))
    kept: dict[str, int] = dict.fromkeys(MEANINGS, 0)
    found = []
    for each in ordered:
        kept[each.meaning] += 1
        if kept[each.meaning] <= MAX_GROUPS:
            found.append(each)
    return found


def _add(revenue: dict[str, float], sold: Sold) -> None:
    if sold.unpriced < sold.purchases:
        revenue[sold.currency] = revenue.get(sold.currency, 0.0) + sold.amount
