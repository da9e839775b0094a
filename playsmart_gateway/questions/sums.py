"""A report from the sums: days are those of UTC, by receipt, and nobody is filtered out."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from time import monotonic
from typing import Any

import msgspec

from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.events.batch import PLAYSMART
from playsmart_gateway.questions.answers import (
    AROUND,
    MAX_LEVELS,
    MAX_NAMES,
    RETAINED,
    Active,
    Cohort,
    Figures,
    Group,
    LevelRow,
    NameRow,
    NamesAnswer,
    Period,
    ReportAnswer,
    VersionRow,
    judged,
)
from playsmart_gateway.questions.asked import Mark, Report, Span, place
from playsmart_gateway.questions.looking import events_of, needed, read_names, wanted_of
from playsmart_gateway.questions.purchases import Sold, add_up, largest
from playsmart_gateway.questions.sources import Looked, Query, Sources, pieces
from playsmart_gateway.questions.tally import sold_of

MAX_SOLD = 1_000_000
"""Rows of purchases, each some hundred bytes; of more there is no report."""

NAMES_PER_STEP = 200_000
NAMES_SECONDS = 5.0
"""How long events are counted by name: everything else is there at once."""

Ask = Callable[..., Awaitable[Sequence[Any]]]
"""Runs a query with its parameters."""

_EPOCH = date(1970, 1, 1)
_PURCHASES = f"""
    SELECT substr(received_at, 1, 10), user_id, currency, country, platform, app_version,
           count(*), count(*) - count(price), coalesce(sum(price), 0)
    FROM v_purchases
    WHERE received_at >= $1 AND received_at < $2 AND game_id = coalesce($3, game_id)
    GROUP BY substr(received_at, 1, 10), user_id, currency, country, platform, app_version
    LIMIT {MAX_SOLD + 1}
"""  # noqa: S608 - built from our own constants
_DAILY = """
    SELECT day, players, new_players, sessions, events, ads, coins FROM v_daily
    WHERE game_id = $1 AND day >= $2 AND day < $3
"""
_ACTIVE = """
    SELECT day, players_day, players_week, players_month FROM v_active
    WHERE game_id = $1 AND day >= $2 AND day < $3 ORDER BY day
"""
_COHORTS = """
    SELECT first_day, new_players, day_1, day_3, day_7, day_14, day_30 FROM v_retention
    WHERE game_id = $1 AND first_day >= $2 AND first_day < $3 ORDER BY first_day
"""
_LEVELS_GAME = """
    SELECT game_id FROM v_levels WHERE day >= $1 AND day < $2 AND game_id = coalesce($3, game_id)
    GROUP BY game_id ORDER BY sum(attempts) DESC, game_id LIMIT 1
"""
_LEVELS = f"""
    SELECT level, CAST(sum(players) AS BIGINT), CAST(sum(attempts) AS BIGINT),
           CAST(sum(failures) AS BIGINT), CAST(sum(timed) AS BIGINT), sum(seconds)
    FROM v_levels WHERE day >= $1 AND day < $2 AND game_id = $3
    GROUP BY level, level_number ORDER BY level_number, level LIMIT {MAX_LEVELS + AROUND}
"""  # noqa: S608 - built from our own constants
_VERSIONS = """
    SELECT app_version, platform, CAST(sum(events) AS BIGINT) AS numbered,
           CAST(sum(lost) AS BIGINT)
    FROM v_versions WHERE day >= $1 AND day < $2 AND game_id = coalesce($3, game_id)
    GROUP BY app_version, platform ORDER BY numbered DESC, app_version, platform LIMIT 100
"""
_COINS = """
    SELECT CAST(coalesce(sum(given), 0) AS BIGINT), CAST(coalesce(sum(taken), 0) AS BIGINT)
    FROM v_coins WHERE day >= $1 AND day < $2
"""
_HELD = """
    SELECT CAST(coalesce(sum(coins_balance), 0) AS BIGINT), count(*) FROM players
    WHERE coins_balance <> 0
"""
_COUNTED = "SELECT counted_up_to FROM v_counted"
_NAMES = """
    SELECT type, custom_event_name, count(*) FROM events
    WHERE event_id > $1 AND event_id <= $2 AND game_id = coalesce($3, game_id)
    GROUP BY type, custom_event_name
"""


async def report(sources: Sources, asked: Report, until: float) -> ReportAnswer:
    """Return it; names are counted until then by the monotonic clock, or for a while.

    Purchases and names are read of the lake, if there is one, as it may have what the store has
    deleted.

    Raises:
        SinkUnavailable: the store cannot be read, or has more purchases than fit.
        LakeError: the lake cannot be read.
    """
    before, reading = asked.before, sources.reading
    first, last = f"{asked.days[0]}", f"{asked.days[-1]}"

    async def ask(query: str, *parameters: Any) -> Sequence[Any]:
        # A read for each: while one goes on nothing is moved out of the write-ahead log.
        async with reading() as db:
            return await db.fetch(query, *parameters)

    ((counted,),) = await ask(_COUNTED)
    if sources.lake is None:
        rows = await ask(_PURCHASES, before.moments[0], asked.moments[-1], asked.game)
    else:
        rows = await _purchases(sources, asked, until)
    if len(rows) > MAX_SOLD:
        raise SinkUnavailable("there are too many purchases", hint="Ask for a shorter time.")
    periods, total, groups = await _figures(ask, asked, rows)
    periods_before, total_before, _ = await _figures(ask, before, rows)
    active = await ask(_ACTIVE, asked.game or "", first, last)
    cohorts = await ask(_COHORTS, asked.game or "", first, last)
    busiest = await ask(_LEVELS_GAME, first, last, asked.game)
    levels_game = busiest[0][0] if busiest else None
    levels = await ask(_LEVELS, first, last, levels_game)
    versions = await ask(_VERSIONS, first, last, asked.game)
    ((given, taken),) = await ask(_COINS, first, last)
    ((held, holders),) = await ask(_HELD)
    named = await count_names(sources, asked, until)
    return ReportAnswer(
        source="sums",
        from_lake=sources.lake is not None,
        counted_up_to=counted,
        periods=periods,
        before=periods_before,
        total=total,
        total_before=total_before,
        active=[Active(*row) for row in active],
        cohorts=_cohorts(asked, cohorts),
        levels_game=levels_game,
        levels=judged([LevelRow(*row) for row in levels])[:MAX_LEVELS],
        groups=largest(groups),
        names=named.names,
        names_complete=named.complete,
        versions=[VersionRow(*row) for row in versions],
        coins_given=given,
        coins_taken=taken,
        coins_held=held,
        coin_players=holders,
    )


async def _figures(
    ask: Ask, span: Span, purchases: Sequence[Any]
) -> tuple[list[Period], Figures, list[Group]]:
    first, last = f"{span.days[0]}", f"{span.days[-1]}"
    days = [f"{day}" for day in span.days]
    periods = [Period(start=day, coins=0) for day in days[:-1]]
    total = Figures(coins=0)
    for day, players, new, sessions, events, ads, coins in await ask(
        _DAILY, span.game or "", first, last
    ):
        where = place(days, day)
        assert where is not None
        if span.period == "day":
            periods[where].players = players
        for each in (periods[where], total):
            each.new_players += new
            each.sessions += sessions
            each.events += events
            each.ads += ads
            each.coins = (each.coins or 0) + coins
    for where, players in await ask(_distinct(span), span.game or ""):
        if where is None:
            total.players = players
        else:
            periods[where].players = players
    placed = [(place(days, day), rest) for day, *rest in purchases]
    sold = [Sold(where, *rest) for where, rest in placed if where is not None]
    return periods, total, add_up(sold, periods, total)


def _distinct(span: Span) -> str:
    """Return a query of the players in each period, and under no period those in all."""
    numbers = [(day - _EPOCH).days for day in span.days]
    played = f"""
        FROM rollup_player_days JOIN rollup_players USING (player_id)
        WHERE game_id = $1 AND day >= {numbers[0]} AND day < {numbers[-1]}
    """  # numbers of our own
    everybody = f"SELECT NULL AS period, count(DISTINCT player_id) AS players {played}"
    if span.period == "day":
        return everybody
    cases = " ".join(f"WHEN day < {end} THEN {n}" for n, end in enumerate(numbers[1:]))
    return f"""
        {everybody} UNION ALL
        SELECT period, count(DISTINCT player_id)
        FROM (SELECT CASE {cases} END AS period, player_id {played}) AS played GROUP BY period
    """  # noqa: S608 - built from our own constants


def _cohorts(asked: Report, rows: Sequence[Sequence[Any]]) -> list[Cohort]:
    days = [f"{day}" for day in asked.days]
    found = [Cohort(day, 0, [[0, 0] for _ in RETAINED]) for day in days[:-1]]
    for first_day, players, *back in rows:
        cohort = found[place(days, first_day) or 0]
        cohort.players += players
        for sums, came in zip(cohort.back, back, strict=True):
            if came is not None:
                sums[0] += players
                sums[1] += came
    return found


async def _purchases(sources: Sources, asked: Report, until: float) -> list[tuple[Any, ...]]:
    """Return what the view has of purchases, of the lake and what is behind it."""
    names, looked = await read_names(sources.reading), Looked(until)
    whole = msgspec.structs.replace(asked, first=asked.before.first)
    wanted = wanted_of(whole, needed(names))
    found: list[tuple[Any, ...]] = []
    async for event in events_of(sources, wanted, looked, [Mark("IAPPurchase")]):
        if event.source == PLAYSMART and len(found) <= MAX_SOLD:
            sold = sold_of(event, event.data(), names, 0)
            found.append((event.received_at[:10], *sold[1:]))
    if not looked.complete:
        raise SinkUnavailable("there are too many purchases", hint="Ask for a shorter time.")
    return found


async def count_names(sources: Sources, span: Span, until: float) -> NamesAnswer:
    """Return the events of each type and name, counted until then, or for a while.

    Raises:
        SinkUnavailable: the store cannot be read.
        LakeError: the lake cannot be read.
    """
    counts: dict[tuple[str, str | None], int] = {}
    looked = Looked(min(until, monotonic() + NAMES_SECONDS))
    query = Query(_NAMES, _NAMES, NAMES_PER_STEP)
    async for piece in pieces(sources, query, wanted_of(span), looked):
        for kind, name, events in piece.rows:
            counts[kind, name] = counts.get((kind, name), 0) + events
    names = sorted(counts, key=lambda key: -counts[key])[:MAX_NAMES]
    return NamesAnswer(
        from_lake=sources.lake is not None,
        counted_up_to=looked.upto,
        complete=looked.complete,
        names=[NameRow(*key, counts[key]) for key in names],
    )
