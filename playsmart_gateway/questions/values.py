"""What events say in a property: how often which value, and how numbers are spread."""

import math
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from statistics import fmean, median
from typing import Any

import msgspec

from playsmart_gateway.questions.answers import (
    MAX_BESIDE,
    MAX_VALUES,
    Bin,
    Numbers,
    ValueRow,
    ValuesAnswer,
)
from playsmart_gateway.questions.asked import MEANINGS, Values, place
from playsmart_gateway.questions.looking import (
    Company,
    Event,
    events_of,
    needed,
    read_names,
    wanted_of,
)
from playsmart_gateway.questions.said import Names, amount_of, text_of
from playsmart_gateway.questions.sources import Looked, Sources
from playsmart_gateway.questions.tally import MAX_PLAYERS

MAX_DISTINCT = 20_000
"""Values that are told apart; events with others are in no row."""

MAX_SIDES = 50
"""Values of the other property that are told apart beside each."""

MAX_SAYERS = 2_000_000
"""Players of all values together, some hundred bytes each; more are not looked at."""

BINS = 20
STEPS = (1, 2, 5, 10)
FINE = 1e-9
"""Bins are not finer than this part of what is in them: fractions are not exact."""


class _Value:
    """Who said one value, when, and what else."""

    __slots__ = ("events", "periods", "players", "sides")

    def __init__(self, periods: int) -> None:
        self.events = 0
        self.players: set[str] = set()
        self.periods = [0] * periods
        self.sides: Counter[str | None] = Counter()


class _Said:
    """What was said in one span."""

    def __init__(self, asked: Values, names: Names) -> None:
        self.events = 0
        self.is_full = False
        self.players: set[str] = set()
        self.values: dict[str | None, _Value] = {}
        self.numbers = array("d")
        self.sums = [[0.0, 0] for _ in asked.days[1:]]
        self._asked = asked
        self._company = Company(asked.where, names)
        self._sayers = 0

    def add(self, event: Event, data: Mapping[str, Any]) -> None:
        """Take an event, if it is in the span and of those who are asked for."""
        asked, told = self._asked, self._company.tells
        period = place(asked.moments, event.at(asked))
        if period is None or not event.user_id:
            return
        if not self._company.has(event, data) or not event.has(asked.mark):
            return
        if len(self.players) >= MAX_PLAYERS or self._sayers >= MAX_SAYERS:
            self.is_full = True
            return
        said = told(event, data, asked.property)
        self.events += 1
        self.players.add(event.user_id)
        if (number := amount_of(said)) is not None:
            self.numbers.append(number)
            self.sums[period][0] += number
            self.sums[period][1] += 1
        key = text_of(said)
        if (value := self.values.get(key)) is None:
            if len(self.values) >= MAX_DISTINCT:
                return
            value = self.values[key] = _Value(len(asked.days) - 1)
        value.events += 1
        value.periods[period] += 1
        self._sayers += event.user_id not in value.players
        value.players.add(event.user_id)
        if asked.beside is not None:
            side = text_of(told(event, data, asked.beside))
            if side in value.sides or len(value.sides) < MAX_SIDES:
                value.sides[side] += 1


async def values(sources: Sources, asked: Values, until: float) -> ValuesAnswer:
    """Return it, of what is looked at until the monotonic clock says so.

    Raises:
        SinkUnavailable: the store cannot be read.
        LakeError: the lake cannot be read.
    """
    looked, before = Looked(until), asked.before
    names = await read_names(sources.reading)
    now, then = _Said(asked, names), _Said(before, names)
    keys = {asked.property, asked.beside or asked.property, *asked.where}
    whole = msgspec.structs.replace(asked, first=before.first)
    # A player may say of what platform they are in an event of another kind.
    marks = () if asked.mark is None or not keys.isdisjoint(MEANINGS) else (asked.mark,)
    wanted = wanted_of(whole, needed(names, keys))
    async for event in events_of(sources, wanted, looked, marks):
        data = event.data()
        now.add(event, data)
        then.add(event, data)
    common = sorted(now.values.items(), key=lambda each: (-each[1].events, each[0] or ""))
    sides: Counter[str | None] = Counter()
    for _, value in common:
        sides.update(value.sides)
    beside = [side for side, _ in sides.most_common(MAX_BESIDE)]
    return ValuesAnswer(
        from_lake=sources.lake is not None,
        counted_up_to=looked.upto,
        complete=looked.complete and not now.is_full and not then.is_full,
        looked_at=looked.events,
        starts=[f"{day}" for day in asked.days[:-1]],
        events=now.events,
        events_before=then.events,
        players=len(now.players),
        players_before=len(then.players),
        distinct=len(now.values.keys() - {None}),
        rows=[
            ValueRow(
                key, value.events, len(value.players),
                then.values[key].events if key in then.values else 0,
                value.periods, [value.sides[side] for side in beside],
            )
            for key, value in common[:MAX_VALUES]
        ],
        beside=beside,
        numbers=_numbers(now, then),
    )  # fmt: skip


def _numbers(now: _Said, then: _Said) -> Numbers | None:
    """Return how numbers are spread, if most that is said is one."""
    silent = now.values[None].events if None in now.values else 0
    if not now.numbers or 2 * len(now.numbers) < now.events - silent:
        return None
    ordered = sorted(now.numbers)
    last = len(ordered) - 1
    edges = bins_between(ordered[last // 100], ordered[last - last // 100])
    counts = [[0, 0] for _ in edges[1:]]
    for which, said in enumerate((ordered, then.numbers)):
        for number in said:
            counts[min(max(bisect_right(edges, number) - 1, 0), len(counts) - 1)][which] += 1
    total = math.fsum(ordered)
    return Numbers(
        events=len(ordered), sum=total, mean=total / len(ordered), median=median(ordered),
        least=ordered[0], most=ordered[-1],
        mean_before=fmean(then.numbers) if then.numbers else None,
        means=[amount / count if count else None for amount, count in now.sums],
        bins=[Bin(edges[n], edges[n + 1], *each) for n, each in enumerate(counts)],
    )  # fmt: skip


def bins_between(least: float, most: float) -> list[float]:
    """Return the edges of ``BINS`` bins of a round width, or one more, that have all between."""
    far = max(abs(most), abs(least), 1.0)
    rough = max((most - least) / (BINS - 1) if most > least else 1.0, far * FINE)
    size = 10.0 ** math.floor(math.log10(rough))
    width = next(step * size for step in STEPS if step * size >= rough * (1 - 1e-9))
    if float(least).is_integer() and float(most).is_integer():
        width = max(width, 1.0)
    first = math.floor(least / width)
    count = max(math.floor(most / width) - first + 1, 1)
    return [float(f"{(first + n) * width:.12g}") for n in range(count + 1)]
