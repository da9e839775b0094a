"""Who the players of a flush are, and what came to them: names, times and the tables behind.

Of 10,000 requests there may be one player or 10,000. So each is looked for once, in the order of
their names, in which the index of ``player_names`` is read page by page: as they come each would
read another page.

Players who come together are not neighbours in a table, and to write a page costs as much as to
insert eight events. So a flush adds to ``player_changes``, a small table whose pages stay in
memory, and beyond ``MAX_CHANGES`` of them folds as many as came, from one stretch of ids after the
other, into ``player_states``, where one page then takes many. The view ``players`` adds both up.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.sqlite.inserting import filled, values
from playsmart_gateway.stores.sqlite.one_go import Statement
from playsmart_gateway.stores.sqlite.schema import printed_time

FRESH_PLAYERS = """
    CREATE TEMP TABLE fresh_players (
        place INTEGER PRIMARY KEY, user_id TEXT, first_seen INTEGER, last_seen INTEGER,
        player_id INTEGER, balance INTEGER, earned INTEGER DEFAULT 0, opened INTEGER DEFAULT 0,
        ended INTEGER DEFAULT 0, best NUMERIC, score NUMERIC
    );
"""
"""What a flush needs in between; never on disk."""

MAX_CHANGES = 20_000
"""Players in ``player_changes`` that are not folded yet: less than 1 MB."""

NAMES_PER_STATEMENT = 250
_LAST_PLAYER = 2**63 - 1
_NOBODY = (0, 0, 0)


@lru_cache
def _look_for(count: int) -> str:
    return f"""
    INSERT INTO fresh_players (user_id, first_seen, last_seen, player_id)
    SELECT column1, column2, column3, player_id
    FROM {values(count, len(_NOBODY))} LEFT JOIN player_names ON user_id = column1
    WHERE column1 <> 0
    """  # noqa: S608 - built from our own constants


_NAME = f"""
    INSERT INTO player_names (user_id, first_seen_at)
    SELECT user_id, {printed_time("first_seen")} FROM fresh_players
    WHERE player_id IS NULL ORDER BY place
"""  # noqa: S608 - built from our own constants
_FIND_NAMED = """
    UPDATE fresh_players SET player_id = (
        SELECT player_id FROM player_names WHERE user_id = fresh_players.user_id
    ) WHERE player_id IS NULL
"""
_SEEN_EARLIER = f"""
    UPDATE player_names SET first_seen_at = at
    FROM (
        SELECT fresh_players.player_id AS whose, {printed_time("first_seen")} AS at
        FROM fresh_players CROSS JOIN player_names USING (player_id)
        WHERE first_seen < (SELECT newest FROM player_folding) AND at < first_seen_at
    )
    WHERE player_id = whose
"""  # noqa: S608 - built from our own constants
"""Who came before what was stored before: clocks go back, and several may write."""
_NOTE_NEWEST = """
    UPDATE player_folding
    SET newest = max(newest, (SELECT ifnull(max(last_seen), 0) FROM fresh_players))
"""


def _adding(table: str, rows: str) -> str:
    return f"""
    INSERT INTO {table} (
        player_id, last_seen, coins_balance, sessions, total_games_played, best_score, last_score
    )
    SELECT {rows}
    ON CONFLICT DO UPDATE SET
        last_seen = max(last_seen, excluded.last_seen),
        coins_balance = coins_balance + excluded.coins_balance,
        sessions = sessions + excluded.sessions,
        total_games_played = total_games_played + excluded.total_games_played,
        best_score =
            coalesce(max(best_score, excluded.best_score), excluded.best_score, best_score),
        last_score = ifnull(excluded.last_score, last_score)
    """


_CHANGE = _adding(
    "player_changes",
    "player_id, last_seen, earned, opened, ended, best, score FROM fresh_players"
    " WHERE true ORDER BY player_id",
)
_FOLD = [
    f"""
    UPDATE player_folding SET
        since = iif(until < {_LAST_PLAYER}, until, 0),
        until = ifnull((
            SELECT player_id FROM player_changes
            WHERE player_id > iif(until < {_LAST_PLAYER}, until, 0)
            ORDER BY player_id LIMIT 1 OFFSET ?
        ), {_LAST_PLAYER})
    """,  # noqa: S608 - built from our own constants
    _adding(
        "player_states",
        "player_changes.* FROM player_folding CROSS JOIN player_changes"
        " WHERE player_id > since AND player_id <= until",
    ),
    """
    DELETE FROM player_changes WHERE player_id > (SELECT since FROM player_folding)
    AND player_id <= (SELECT until FROM player_folding)
    """,
]
"""Of so many players, those of the next ids, and after the last from the first on again."""


def seeing(batches: Iterable[Batch]) -> tuple[list[Statement], list[str]]:
    """Return what fills ``fresh_players``, and their names in the order of their places, from 1."""
    first, last = dict[str, int](), dict[str, int]()
    for batch in batches:
        name, at = batch.user_id, batch.received_at
        if name not in first:
            first[name] = last[name] = at
        elif at > last[name]:
            last[name] = at
        elif at < first[name]:
            first[name] = at
    names = sorted(first)
    flat: list[Any] = []
    for name in names:
        flat += name, first[name], last[name]
    statements: list[Statement] = [
        ("DELETE FROM fresh_players", ()),
        *filled(_look_for, flat, _NOBODY, NAMES_PER_STATEMENT),
        *((each, ()) for each in (_NAME, _FIND_NAMED, _SEEN_EARLIER, _NOTE_NEWEST)),
    ]
    return statements, names


def changing(to_fold: int) -> list[Statement]:
    """Return what adds ``fresh_players`` to what is known of them, and folds so many of others."""
    if not to_fold:
        return [(_CHANGE, ())]
    first, *others = _FOLD
    return [(_CHANGE, ()), (first, (to_fold,)), *((each, ()) for each in others)]
