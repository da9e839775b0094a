"""What a flush pays: players, ledger and balances from the rows just written, in set-based SQL.

One event in three may earn coins, so nothing here goes row by row: some fifteen statements a flush,
whatever it holds, in one go, and a few more where a game has a cap. The joins start at
``event_rows``, which is read by its primary key; the other way around SQLite builds an index of the
whole table for itself.

Only batches that may count are looked at one by one: those of games that pay, and those with events
that say something about their players.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from playsmart_gateway.economy.coins import (
    CUSTOM,
    LEVEL_COMPLETED,
    MILLION,
    Rule,
)
from playsmart_gateway.events.batch import (
    MAX_EVENTS_PER_BATCH,
    PLAYSMART,
    Batch,
    first_event_id,
    last_event_id,
)
from playsmart_gateway.stores.sql.database import (
    EVENT_TRIGGER,
    LEVEL_COMPLETE,
)
from playsmart_gateway.stores.sql.rules import rules_in_force
from playsmart_gateway.stores.sqlite.connection import Statements
from playsmart_gateway.stores.sqlite.inserting import filled, values
from playsmart_gateway.stores.sqlite.one_go import InOneGo, Statement
from playsmart_gateway.stores.sqlite.players import FRESH_PLAYERS, MAX_CHANGES, changing, seeing
from playsmart_gateway.stores.sqlite.schema import last_member

TEMPORARY_TABLES = (
    FRESH_PLAYERS
    + f"""
    CREATE TEMP TABLE fresh_batches (
        batch_id INTEGER PRIMARY KEY, player_id INTEGER, game_id TEXT,
        min_amount INTEGER, max_amount INTEGER, level_millionths INTEGER,
        trigger_threshold INTEGER, trigger_millionths INTEGER, max_per_day INTEGER, day TEXT,
        place INTEGER, level_award INTEGER AS (min_amount * level_millionths / {MILLION}) STORED
    );
    CREATE TEMP TABLE fresh_days (
        player_id INTEGER, game_id TEXT, day TEXT, coins INTEGER, left_of_cap INTEGER
    );
    CREATE TEMP TABLE earned (
        place INTEGER, event_id INTEGER, player_id INTEGER, trigger INTEGER, amount INTEGER,
        PRIMARY KEY (place, event_id)
    ) WITHOUT ROWID;
    CREATE TEMP TABLE rules_in_force (
        game_id TEXT PRIMARY KEY,
        min_amount INTEGER, max_amount INTEGER, level_millionths INTEGER,
        trigger_threshold INTEGER, trigger_millionths INTEGER, max_per_day INTEGER
    ) WITHOUT ROWID;
"""
)
"""What a flush needs in between; never on disk.

``level_award`` is what a level pays to which nothing was drawn: most games leave nothing to chance.
``earned`` is in the order in which balances are added up: to sort it for that would cost a quarter
of what is paid. Its key comes first: else SQLite's ``quick_check`` (3.40) finds NULL where is none.
"""

_BATCHES_PER_STATEMENT = 500
_NO_BATCH = (0, 0)


@lru_cache
def _list_batches(count: int) -> str:
    return f"""
    INSERT INTO fresh_batches
    SELECT batch_id, player_id, game_id, ifnull(min_amount, 0), ifnull(max_amount, 0),
           ifnull(level_millionths, 0), ifnull(trigger_threshold, 0), ifnull(trigger_millionths, 0),
           ifnull(max_per_day, 0), iif(max_per_day > 0, substr(received_at, 1, 10), NULL),
           place
    FROM {values(count, len(_NO_BATCH))} CROSS JOIN batches ON batch_id = column1
    CROSS JOIN fresh_players ON place = column2
    LEFT JOIN rules_in_force USING (game_id)
    """  # noqa: S608 - built from our own constants


_APP_OPEN, _GAME_END = b"AppOpen", b"GameEnd"
"""Types as they are in rows, which are written without escapes. Looked for by ``find``: to answer
``in``, ``bytes`` raise and catch an error first, which takes three times as long."""
_SCORE = last_member(
    "score",
    "iif(type IN ('integer', 'real') AND atom BETWEEN -1.7e308 AND 1.7e308, atom, NULL)",
)
_COUNT_ACTIVITY = f"""
    UPDATE fresh_players SET
        opened = openings, ended = endings, best = highest,
        score = (SELECT {_SCORE} FROM event_rows WHERE event_id = last)
    FROM (
        SELECT place AS whose, sum(type = 'AppOpen') AS openings,
               sum(type = 'GameEnd') AS endings,
               max(score) AS highest, max(iif(score IS NULL, NULL, event_id)) AS last
        FROM (
            SELECT place, event_id, type,
                   iif(type = 'GameEnd', {_SCORE}, NULL) AS score
            FROM event_rows CROSS JOIN fresh_batches
            WHERE batch_id = event_id / {MAX_EVENTS_PER_BATCH}
            AND type IN ('AppOpen', 'GameEnd') AND event_id BETWEEN ? AND ? LIMIT -1
        )
        GROUP BY place
    )
    WHERE place = whose
"""  # noqa: S608 - built from our own constants
"""What events say about their players (contract section 4).

The best and the last score are those of ``GameEnd`` events whose score is a finite number. A LIMIT,
here of none, keeps SQLite from looking for the score again at each use.
"""
BASE_AMOUNT = "min(max(ifnull(draw, min_amount), min_amount), max_amount)"
"""As in ``Rule.base_amount``."""
LEVEL_AWARD = f"iif(draw IS NULL, level_award, {BASE_AMOUNT} * level_millionths / {MILLION})"
TRIGGER_AWARD = f"{BASE_AMOUNT} * trigger_millionths / {MILLION}"
EARN_BY_LEVEL = f"""
    INSERT INTO earned
    SELECT place, event_id, player_id, {LEVEL_COMPLETE}, {LEVEL_AWARD} AS award
    FROM event_rows CROSS JOIN fresh_batches ON batch_id = event_id / {MAX_EVENTS_PER_BATCH}
    WHERE event_id BETWEEN ? AND ? AND type = '{LEVEL_COMPLETED}' AND award > 0
"""  # noqa: S608 - built from our own constants
EARN_BY_COUNT = f"""
    INSERT INTO earned
    SELECT place, event_id, player_id, {EVENT_TRIGGER}, award FROM (
        SELECT event_id, player_id, place, {TRIGGER_AWARD} AS award, trigger_threshold,
               ifnull(count, 0) + row_number() OVER (
                   PARTITION BY player_id, game_id ORDER BY event_id
               ) AS number
        FROM event_rows CROSS JOIN fresh_batches ON batch_id = event_id / {MAX_EVENTS_PER_BATCH}
        LEFT JOIN custom_event_counts USING (player_id, game_id)
        WHERE event_id BETWEEN ? AND ? AND type = '{CUSTOM}' AND trigger_threshold > 0
    )
    WHERE number % trigger_threshold = 0 AND award > 0
"""  # noqa: S608 - built from our own constants
COUNT_CUSTOM = f"""
    INSERT INTO custom_event_counts (player_id, game_id, count)
    SELECT player_id, game_id, count(*)
    FROM event_rows CROSS JOIN fresh_batches ON batch_id = event_id / {MAX_EVENTS_PER_BATCH}
    WHERE event_id BETWEEN ? AND ? AND type = '{CUSTOM}' AND trigger_threshold > 0
    GROUP BY player_id, game_id
    ON CONFLICT DO UPDATE SET count = count + excluded.count
"""  # noqa: S608 - built from our own constants
_SUM_DAYS = f"""
    INSERT INTO fresh_days
    SELECT player_id, game_id, day, due, max_per_day - ifnull(
        (SELECT coins FROM coin_days WHERE coin_days.player_id = sums.player_id
         AND coin_days.game_id = sums.game_id AND coin_days.day = sums.day), 0
    )
    FROM (
        SELECT earned.player_id, game_id, day, max(max_per_day) AS max_per_day, sum(amount) AS due
        FROM earned CROSS JOIN fresh_batches ON batch_id = event_id / {MAX_EVENTS_PER_BATCH}
        WHERE day IS NOT NULL GROUP BY earned.player_id, game_id, day
    ) AS sums
"""  # noqa: S608 - built from our own constants
_IS_BEYOND = "SELECT EXISTS (SELECT 1 FROM fresh_days WHERE coins > left_of_cap)"
_CAP = f"""
    UPDATE earned SET amount = max(0, min(amount, left_of_cap - before)) FROM (
        SELECT earned.place AS whose, event_id AS which, left_of_cap, sum(amount) OVER (
            PARTITION BY earned.player_id, game_id, day ORDER BY event_id
        ) - amount AS before
        FROM earned CROSS JOIN fresh_batches ON batch_id = event_id / {MAX_EVENTS_PER_BATCH}
        CROSS JOIN fresh_days USING (player_id, game_id, day) WHERE coins > left_of_cap
    ) WHERE place = whose AND event_id = which
"""  # noqa: S608 - built from our own constants
"""As in ``Rule.capped``, event after event, on the days on which they are more than the cap."""
DROP_UNPAID = "DELETE FROM earned WHERE amount <= 0"
_COUNT_DAYS = """
    INSERT INTO coin_days (player_id, game_id, day, coins)
    SELECT player_id, game_id, day, min(coins, left_of_cap) FROM fresh_days WHERE left_of_cap > 0
    ON CONFLICT DO UPDATE SET coins = coins + excluded.coins
"""
_SUM_EARNED = """
    UPDATE fresh_players SET
        earned = earned_now,
        balance = ifnull((
            SELECT coins_balance FROM player_states AS state
            WHERE state.player_id = fresh_players.player_id
        ), 0) + ifnull((
            SELECT coins_balance FROM player_changes AS change
            WHERE change.player_id = fresh_players.player_id
        ), 0)
    FROM (SELECT place AS whose, sum(amount) AS earned_now FROM earned GROUP BY place)
    WHERE place = whose
"""
_ENTER = """
    INSERT INTO coin_entries (id, player_id, trigger, amount, balance_after, created_at)
    SELECT event_id, earned.player_id, trigger, amount, balance + sum(amount) OVER (
        PARTITION BY place ORDER BY event_id ROWS UNBOUNDED PRECEDING
    ), ?
    FROM earned CROSS JOIN fresh_players USING (place)
"""
_SITUATION = """
    SELECT (SELECT ifnull(max(rule_id), 0) FROM game_rules),
           (SELECT count(*) FROM player_changes)
"""
_LAST_RULE = "SELECT ifnull(max(rule_id), 0) FROM game_rules"


class SqliteCoins:
    """Pays what events earn by ``rules``, inside the transaction that stores the events."""

    def __init__(self, rules: Sequence[Rule], max_changes: int = MAX_CHANGES) -> None:
        self._max_changes = max_changes
        self._rules = {rule.game_id: rule for rule in rules if rule.pays}
        self._counting = any(rule.trigger_threshold for rule in rules)
        self._capping = any(rule.max_per_day for rule in rules)
        self._last_rule: int | None = None

    def draws_for(self, game_id: str) -> bool:
        """Whether the rows of a game's batches carry draws."""
        rule = self._rules.get(game_id)
        return rule is not None and rule.min_amount < rule.max_amount

    def forget(self) -> None:
        """Believe nothing about the file any more: it was opened anew."""
        self._last_rule = None

    async def pay(self, db: InOneGo, first_batch: int, batches: Sequence[Batch], now: int) -> None:
        """Pay for the events of these batches, once; ``now`` is in microseconds."""
        ((last_rule, changes),) = await db.execute_fetchall(_SITUATION)
        if last_rule != self._last_rule:  # the first time, or another process has other rules
            self._last_rule = await self._put_in_force(db, first_batch)
        events = first_event_id(first_batch), last_event_id(first_batch + len(batches) - 1)
        seen, names = seeing(each for each in batches if each.source == PLAYSMART)
        places: dict[str, int] = {}
        counted: list[Any] = []
        tells = False
        for number, batch in enumerate(batches, first_batch):
            rows = batch.rows
            if rows.find(_APP_OPEN) >= 0 or rows.find(_GAME_END) >= 0:
                tells = True
            elif batch.game_id not in self._rules:
                continue
            if batch.source == PLAYSMART:
                places = places or {name: place for place, name in enumerate(names, 1)}
                counted += number, places[batch.user_id]
        seen.append(("DELETE FROM fresh_batches", ()))
        seen += filled(_list_batches, counted, _NO_BATCH, _BATCHES_PER_STATEMENT)
        if tells:
            seen.append((_COUNT_ACTIVITY, events))
        changed = changing(len(batches) if changes > self._max_changes else 0)
        if not self._rules:
            await db.run([*seen, *changed])
            return
        earned: list[Statement] = [("DELETE FROM earned", ()), (EARN_BY_LEVEL, events)]
        if self._counting:
            earned += [(EARN_BY_COUNT, events), (COUNT_CUSTOM, events)]
        paid: list[Statement] = [(_SUM_EARNED, ()), (_ENTER, (now,)), *changed]
        if self._capping:
            await db.run([*seen, *earned, ("DELETE FROM fresh_days", ()), (_SUM_DAYS, ())])
            await db.run([*await self._cap(db), *paid])
        else:
            await db.run([*seen, *earned, *paid])

    async def _cap(self, db: InOneGo) -> list[Statement]:
        """Return what takes from ``earned`` what is more than the caps, and counts the rest.

        Most days are far below: then nothing is looked at event by event.
        """
        ((is_beyond,),) = await db.execute_fetchall(_IS_BEYOND)
        capped: list[Statement] = [(_CAP, ()), (DROP_UNPAID, ())] if is_beyond else []
        return [*capped, (_COUNT_DAYS, ())]

    async def _put_in_force(self, db: InOneGo, since_batch: int) -> int:
        """Record the rules that differ from what held so far; return the number of the latest."""
        before = {rule.game_id: rule for rule in await rules_in_force(Statements(db))}
        ended = [Rule(game_id) for game_id in before if game_id not in self._rules]
        changed = [
            (since_batch, *msgspec.structs.astuple(rule))
            for rule in (*self._rules.values(), *ended)
            if rule != before.get(rule.game_id)
        ]
        await db.executemany(
            "INSERT INTO game_rules (since_batch_id, game_id, min_amount, max_amount,"
            " level_millionths, trigger_threshold, trigger_millionths, max_per_day)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            changed,
        )
        await db.execute("DELETE FROM rules_in_force")
        await db.executemany(
            "INSERT INTO rules_in_force VALUES (?, ?, ?, ?, ?, ?, ?)",
            [msgspec.structs.astuple(rule) for rule in self._rules.values()],
        )
        ((last_rule,),) = await db.execute_fetchall(_LAST_RULE)
        return int(last_rule)
