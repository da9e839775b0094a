"""Reads the figures: bounded, indexed queries over the sums that ``sql_rollup`` keeps."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from playsmart_gateway.events.batch import PLAYSMART, TEAK
from playsmart_gateway.stores.rollups import (
    DAY,
    DAYS_SHOWN,
    SPANS,
    Action,
    ActiveGame,
    Count,
    Day,
    Field,
    Figures,
    GameCoins,
    Level,
    ProgramLoss,
    RolledUp,
)

MAX_ROWS = 10_000
"""Of one query; more would be no picture."""

MAX_LEVELS = 200
MAX_PROGRAMS = 100
NEWEST_BATCHES = 20_000
NEWEST_OF_LYNES = 1_000
"""Its distributions are of so many batches among the newest of all: ``batches`` has no index."""


class Query(NamedTuple):
    """A query of at most ``MAX_ROWS`` rows, and what it calls its columns.

    The parameters are the names of its ``$1``, ``$2`` and so on.
    """

    sql: str
    columns: str
    parameters: tuple[str, ...]


Fetch = Callable[[Query, Sequence[Any]], Awaitable[Sequence[Sequence[Any]]]]
"""Runs a query with its parameters."""

_GAMES = Query(
    f"""
    SELECT game_id, CAST(sum(events) AS BIGINT) AS n FROM rollup_counts
    WHERE span = {DAY} AND start >= $1 * {DAY} GROUP BY game_id ORDER BY n DESC, game_id
    LIMIT {MAX_ROWS}
    """,  # noqa: S608 - built from our own constants
    "game_id, n",
    ("month",),
)
_COUNTS = Query(
    f"""
    SELECT start, source, type, CAST(sum(events) AS BIGINT) AS n FROM rollup_counts
    WHERE span = $1 AND start >= $2 AND game_id = coalesce($3, game_id)
    GROUP BY start, source, type ORDER BY start, source, type LIMIT {MAX_ROWS}
    """,  # noqa: S608 - built from our own constants
    "start, source, type, n",
    ("span", "since", "game"),
)
_ACTIVE = Query(
    f"""
    SELECT day, players, new_players, retained_1, retained_7 FROM rollup_days
    WHERE game_id = coalesce($1, '') AND day >= $2 ORDER BY day LIMIT {MAX_ROWS}
    """,  # noqa: S608 - built from our own constants
    "day, players, new_players, retained_1, retained_7",
    ("game", "month"),
)


def _sum_of(*kinds: tuple[str, str]) -> str:
    """Return SQL of the sum of ``events`` of some sources and types."""
    those = " OR ".join(f"source = '{source}' AND type = '{kind}'" for source, kind in kinds)
    return f"CAST(sum(CASE WHEN {those} THEN events ELSE 0 END) AS BIGINT)"


_PLAYED = Query(
    f"""
    SELECT start / {DAY} AS day, {_sum_of((PLAYSMART, "AppOpen"), (TEAK, "Played"))} AS played,
           {_sum_of((PLAYSMART, "AdImpression"))} AS ads,
           {_sum_of((PLAYSMART, "IAPPurchase"))} AS purchases
    FROM rollup_counts
    WHERE span = {DAY} AND start >= $2 * {DAY} AND game_id = coalesce($1, game_id)
    GROUP BY start ORDER BY start LIMIT {MAX_ROWS}
    """,  # noqa: S608 - built from our own constants
    "day, played, ads, purchases",
    ("game", "month"),
)
_LEVELS_GAME = Query(
    """
    SELECT game_id FROM rollup_levels WHERE day >= $2 AND game_id = coalesce($1, game_id)
    GROUP BY game_id ORDER BY sum(completions + failures) DESC, game_id LIMIT 1
    """,
    "game_id",
    ("game", "first_day"),
)
_COINS = Query(
    f"""
    SELECT day, game_id, coins FROM rollup_coins
    WHERE day >= $2 AND game_id = coalesce($1, game_id) ORDER BY day, game_id
    LIMIT {MAX_ROWS}
    """,  # noqa: S608 - built from our own constants
    "day, game_id, coins",
    ("game", "first_day"),
)
_ACTIONS = Query(
    f"""
    SELECT action, CAST(sum(events) AS BIGINT) AS n, sum(occurrences) AS times, sum(value) AS total
    FROM rollup_actions WHERE day >= $2 AND game_id = coalesce($1, game_id)
    GROUP BY action ORDER BY n DESC, action LIMIT {MAX_ROWS}
    """,  # noqa: S608 - built from our own constants
    "action, n, times, total",
    ("game", "first_day"),
)

_LOSSES = Query(
    f"""
    SELECT app_version, platform, CAST(sum(numbers) AS BIGINT) AS n,
           CAST(sum(lost) AS BIGINT) AS gone
    FROM rollup_losses WHERE day >= $2 AND game_id = coalesce($1, game_id)
    GROUP BY app_version, platform ORDER BY n DESC, app_version, platform LIMIT {MAX_PROGRAMS}
    """,  # noqa: S608 - built from our own constants
    "app_version, platform, n, gone",
    ("game", "first_day"),
)


def _levels(number: str) -> Query:
    """``number`` is SQL of the number that a level begins with, 0 if with none."""
    return Query(
        f"""
        SELECT level, CAST(sum(completions) AS BIGINT) AS done,
               CAST(sum(failures) AS BIGINT) AS lost, CAST(sum(players) AS BIGINT) AS who,
               CAST(sum(timed) AS BIGINT) AS clocked, sum(seconds) AS took
        FROM rollup_levels WHERE day >= $2 AND game_id = $1
        GROUP BY level ORDER BY {number}, level LIMIT {MAX_LEVELS}
        """,  # noqa: S608 - built from our own constants
        "level, done, lost, who, clocked, took",
        ("levels_game", "first_day"),
    )


async def read_figures(
    fetch: Fetch,
    game_id: str | None,
    seconds: int,
    now: float,
    *,
    level_number: str,
    followed: RolledUp,
    counted_until: str | None,
    fields: Query,
) -> Figures:
    """See ``Rollups.read``; the last four are what each store has its own words for.

    ``level_number`` is SQL of the number that the text ``level`` begins with, 0 if with none, and
    ``fields`` finds the columns of ``Field``.
    """
    span, today = SPANS[seconds], int(now) // DAY
    known: dict[str, Any] = {
        "game": game_id,
        "span": span,
        "since": (int(now) // span + 1) * span - seconds,
        "first_day": today - (DAYS_SHOWN if seconds > 7 * DAY else 7) + 1,
        # A cohort shows up in the day of its birth: retention needs all of them.
        "month": today - DAYS_SHOWN + 1,
        "levels_game": None,
    }

    async def rows(query: Query) -> Sequence[Sequence[Any]]:
        return await fetch(query, [known[name] for name in query.parameters])

    by_day = {row[0]: Day(*row) for row in await rows(_ACTIVE)}
    for day, sessions, ads, purchases in await rows(_PLAYED):
        each = by_day.setdefault(day, Day(day))
        each.sessions, each.ads, each.purchases = sessions, ads, purchases
    for (name,) in await rows(_LEVELS_GAME):
        known["levels_game"] = name
    return Figures(
        followed=followed,
        counted_until=counted_until,
        games=[ActiveGame(*row) for row in await rows(_GAMES)],
        counts=[Count(*row) for row in await rows(_COUNTS)],
        days=[by_day[day] for day in sorted(by_day)],
        levels_game=known["levels_game"],
        levels=[Level(*row) for row in await rows(_levels(level_number))],
        coins=[GameCoins(*row) for row in await rows(_COINS)],
        actions=[Action(*row) for row in await rows(_ACTIONS)],
        losses=[ProgramLoss(*row) for row in await rows(_LOSSES)],
        fields=[
            Field(name, kind, values, least, mean, most, [(text, n) for text, n in common or ()])
            for name, kind, values, least, mean, most, common in await rows(fields)
        ],
    )
