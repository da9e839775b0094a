"""A report event by event: days of any zone, by when it happened, of those who say so."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, timedelta

import msgspec

from playsmart_gateway.questions.answers import (
    MAX_LEVELS,
    MAX_NAMES,
    Active,
    Figures,
    Group,
    LevelRow,
    NameRow,
    ReportAnswer,
    judged,
)
from playsmart_gateway.questions.asked import Report
from playsmart_gateway.questions.looking import events_of, needed, read_names, wanted_of
from playsmart_gateway.questions.purchases import add_up, largest
from playsmart_gateway.questions.sources import Looked, Sources
from playsmart_gateway.questions.tally import Player, Tally, cohorts_of, seconds_of
from playsmart_gateway.stores.sql.database import Transaction, keyed

PLAYERS_PER_READ = 5_000
VISIT_SECONDS = 1_800
"""Events with less than that between them are of one visit."""

_FIRST_DAYS = """
    SELECT user_id, first_day FROM json_each($1) CROSS JOIN rollup_players
    WHERE user_id = value ->> 0 AND game_id = $2
"""
_EPOCH = date(1970, 1, 1)
_begins_with_number = re.compile(r" *([-+]?[0-9]{1,40}(?:\.[0-9]*)?(?:e\+[0-9]{2})?)").match


async def report(sources: Sources, asked: Report, until: float) -> ReportAnswer:
    """Return it, of what is looked at until the monotonic clock says so.

    Raises:
        SinkUnavailable: the store cannot be read.
        LakeError: the lake cannot be read.
    """
    looked, reading = Looked(until), sources.reading
    names = await read_names(reading)
    before = asked.before
    tally, tally_before = Tally(asked, names), Tally(before, names)
    whole = msgspec.structs.replace(asked, first=before.first)
    wanted = wanted_of(whole, needed(names, asked.where))
    async for event in events_of(sources, wanted, looked):
        tally.add(event)
        tally_before.add(event)
    new = await _new_players(reading, asked, tally.players)
    new_days = [tally.players[user_id].days for user_id in new]
    new_before = await _new_players(reading, before, tally_before.players)
    total, groups = _close(asked, tally, new)
    total_before, _ = _close(before, tally_before, new_before)
    levels_game = max(
        tally.levels, key=lambda game: sum(e.attempts for e in tally.levels[game].values()),
        default=None,
    )  # fmt: skip
    levels = sorted(tally.levels.get(levels_game or "", {}).values(), key=_number)
    common = sorted(tally.names, key=lambda key: -tally.names[key])[:MAX_NAMES]
    return ReportAnswer(
        source="events",
        from_lake=sources.lake is not None,
        counted_up_to=looked.upto,
        complete=looked.complete and not tally.is_full and not tally_before.is_full,
        looked_at=looked.events,
        periods=tally.periods,
        before=tally_before.periods,
        total=total,
        total_before=total_before,
        active=_active(asked, tally.players, tally_before.players),
        cohorts=cohorts_of(asked, ((min(days), days) for days in new_days if days)),
        levels_game=levels_game,
        levels=judged(levels)[:MAX_LEVELS],
        groups=largest(groups),
        names=[NameRow(*key, tally.names[key]) for key in common],
        names_complete=looked.complete,
        versions=[],
        coins_given=0,
        coins_taken=0,
        coins_held=0,
        coin_players=0,
    )


async def _new_players(reading: Transaction, asked: Report, players: Iterable[str]) -> set[str]:
    """Return those of whom nothing was stored before the UTC day on which the span begins."""
    listed, first = list(players), (asked.days[0] - _EPOCH).days
    found = set()
    for n in range(0, len(listed), PLAYERS_PER_READ):
        some = keyed([[each] for each in listed[n : n + PLAYERS_PER_READ]])
        async with reading() as db:
            rows = await db.fetch(_FIRST_DAYS, some, asked.game or "")
        found |= {user_id for user_id, day in rows if day >= first}
    return found


def _close(asked: Report, tally: Tally, new: set[str]) -> tuple[Figures, list[Group]]:
    """Finish the figures of periods; return those of all, and the groups."""
    total = Figures(visits=0, visit_seconds=0.0)
    groups = {(g.meaning, g.value): g for g in add_up(tally.sold, tally.periods, total)}
    begins = [seconds_of(moment) for moment in asked.moments]
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
        for meaning, value in tally.company.said[user_id].items():
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
    """As ``level_number`` of the view: the number that its text begins with, 0 if with none."""
    found = _begins_with_number(row.level)
    return float(found[1]) if found else 0.0, row.level


def _active(
    asked: Report, players: Mapping[str, Player], before: Mapping[str, Player]
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
