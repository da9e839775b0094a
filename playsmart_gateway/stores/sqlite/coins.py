"""What a flush pays: players, ledger and balances from the rows just written, in set-based SQL.

One event in three may earn coins, so nothing here goes row by row: some fifteen statements a flush,
whatever it holds, in one go, and a few more where a game has a cap. The joins start at
``event_rows``, which is read by its primary key; the other way around SQLite builds an index of the
whole table for itself.

Players who come together are not neighbours in a table, and to write a page costs as much as to
insert eight events. So a flush adds to ``player_changes``, a small table whose pages stay in
memory, and beyond ``MAX_CHANGES`` of them folds as many as came, from one stretch of ids after the
other, into ``player_states``, where one page then takes many. The view ``players`` adds both up.
"""

from collections.abc import Sequence

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
from playsmart_gateway.stores.sqlite.one_go import InOneGo, Statement
from playsmart_gateway.stores.sqlite.schema import last_member, printed_time

TEMPORARY_TABLES = """
    CREATE TEMP TABLE fresh_batches (
        batch_id INTEGER PRIMARY KEY, player_id INTEGER, game_id TEXT,
        min_amount INTEGER, max_amount INTEGER, level_millionths INTEGER,
        trigger_threshold INTEGER, trigger_millionths INTEGER, max_per_day INTEGER, day TEXT,
        seen INTEGER
    );
    CREATE TEMP TABLE fresh_players (
        player_id INTEGER PRIMARY KEY, first_seen INTEGER, last_seen INTEGER,
        balance INTEGER, earned INTEGER DEFAULT 0, opened INTEGER DEFAULT 0,
        ended INTEGER DEFAULT 0, best NUMERIC, score NUMERIC
    );
    CREATE TEMP TABLE fresh_days (
        player_id INTEGER, game_id TEXT, day TEXT, coins INTEGER, left_of_cap INTEGER
    );
    CREATE TEMP TABLE earned (
        event_id INTEGER PRIMARY KEY, player_id INTEGER, trigger INTEGER, amount INTEGER
    );
    CREATE TEMP TABLE rules_in_force (
        game_id TEXT PRIMARY KEY,
        min_amount INTEGER, max_amount INTEGER, level_millionths INTEGER,
        trigger_threshold INTEGER, trigger_millionths INTEGER, max_per_day INTEGER
    ) WITHOUT ROWID;
"""
"""What a flush needs in between; never on disk."""

MAX_CHANGES = 20_000
"""Players in ``player_changes`` that are not folded yet: less than 1 MB."""

_LAST_PLAYER = 2**63 - 1

_LIST_BATCHES = f"""
    INSERT INTO fresh_batches
    SELECT batch_id, player_id, game_id, ifnull(min_amount, 0), ifnull(max_amount, 0),
           ifnull(level_millionths, 0), ifnull(trigger_threshold, 0), ifnull(trigger_millionths, 0),
           ifnull(max_per_day, 0), iif(max_per_day > 0, substr(received_at, 1, 10), NULL),
           received.value
    FROM json_each(?2) AS received CROSS JOIN batches ON batch_id = ?1 + received.key
    LEFT JOIN player_names USING (user_id) LEFT JOIN rules_in_force USING (game_id)
    WHERE source = '{PLAYSMART}'
"""  # noqa: S608 - built from our own constants
_NAME_PLAYERS = """
    INSERT INTO player_names (user_id, first_seen_at)
    SELECT user_id, min(received_at) FROM fresh_batches CROSS JOIN batches USING (batch_id)
    WHERE player_id IS NULL GROUP BY user_id
"""
_FIND_NAMED = """
    UPDATE fresh_batches SET player_id = (
        SELECT player_names.player_id FROM batches CROSS JOIN player_names USING (user_id)
        WHERE batches.batch_id = fresh_batches.batch_id
    ) WHERE player_id IS NULL
"""
_SEE_PLAYERS = """
    INSERT INTO fresh_players (player_id, first_seen, last_seen)
    SELECT player_id, min(seen), max(seen) FROM fresh_batches GROUP BY player_id
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
_SCORE = last_member(
    "score",
    "iif(type IN ('integer', 'real') AND atom BETWEEN -1.7e308 AND 1.7e308, atom, NULL)",
)
_COUNT_ACTIVITY = f"""
    UPDATE fresh_players SET
        opened = openings, ended = endings, best = highest,
        score = (SELECT {_SCORE} FROM event_rows WHERE event_id = last)
    FROM (
        SELECT player_id AS whose, sum(type = 'AppOpen') AS openings,
               sum(type = 'GameEnd') AS endings,
               max(score) AS highest, max(iif(score IS NULL, NULL, event_id)) AS last
        FROM (
            SELECT player_id, event_id, type,
                   iif(type = 'GameEnd', {_SCORE}, NULL) AS score
            FROM event_rows CROSS JOIN fresh_batches
            WHERE batch_id = event_id / {MAX_EVENTS_PER_BATCH}
            AND type IN ('AppOpen', 'GameEnd') AND event_id BETWEEN ? AND ? LIMIT -1
        )
        GROUP BY player_id
    )
    WHERE player_id = whose
"""  # noqa: S608 - built from our own constants
"""What events say about their players (contract section 4).

The best and the last score are those of ``GameEnd`` events whose score is a finite number. A LIMIT,
here of none, keeps SQLite from looking for the score again at each use.
"""
BASE_AMOUNT = "min(max(ifnull(draw, min_amount), min_amount), max_amount)"
"""As in ``Rule.base_amount``."""
LEVEL_AWARD = f"{BASE_AMOUNT} * level_millionths / {MILLION}"
TRIGGER_AWARD = f"{BASE_AMOUNT} * trigger_millionths / {MILLION}"
EARN_BY_LEVEL = f"""
    INSERT INTO earned
    SELECT event_id, player_id, {LEVEL_COMPLETE}, {LEVEL_AWARD} AS award
    FROM event_rows CROSS JOIN fresh_batches ON batch_id = event_id / {MAX_EVENTS_PER_BATCH}
    WHERE event_id BETWEEN ? AND ? AND type = '{LEVEL_COMPLETED}' AND award > 0
"""  # noqa: S608 - built from our own constants
EARN_BY_COUNT = f"""
    INSERT INTO earned
    SELECT event_id, player_id, {EVENT_TRIGGER}, award FROM (
        SELECT event_id, player_id, {TRIGGER_AWARD} AS award, trigger_threshold,
               ifnull(count, 0) + row_number() OVER (
                   PARTITION BY player_id, game_id ORDER BY event_id
               ) AS place
        FROM event_rows CROSS JOIN fresh_batches ON batch_id = event_id / {MAX_EVENTS_PER_BATCH}
        LEFT JOIN custom_event_counts USING (player_id, game_id)
        WHERE event_id BETWEEN ? AND ? AND type = '{CUSTOM}' AND trigger_threshold > 0
    )
    WHERE place % trigger_threshold = 0 AND award > 0
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
        SELECT event_id AS which, left_of_cap, sum(amount) OVER (
            PARTITION BY earned.player_id, game_id, day ORDER BY event_id
        ) - amount AS before
        FROM earned CROSS JOIN fresh_batches ON batch_id = event_id / {MAX_EVENTS_PER_BATCH}
        CROSS JOIN fresh_days USING (player_id, game_id, day) WHERE coins > left_of_cap
    ) WHERE event_id = which
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
    FROM (SELECT player_id AS whose, sum(amount) AS earned_now FROM earned GROUP BY player_id)
    WHERE player_id = whose
"""
_ENTER = """
    INSERT INTO coin_entries (id, player_id, trigger, amount, balance_after, created_at)
    SELECT event_id, player_id, trigger, amount, balance + running, ?
    FROM (
        SELECT *, sum(amount) OVER (
            PARTITION BY player_id ORDER BY event_id ROWS UNBOUNDED PRECEDING
        ) AS running FROM earned
    ) CROSS JOIN fresh_players USING (player_id)
    ORDER BY event_id
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
    "player_id, last_seen, earned, opened, ended, best, score FROM fresh_players WHERE true",
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
_SITUATION = """
    SELECT (SELECT ifnull(max(rule_id), 0) FROM game_rules),
           (SELECT count(*) FROM player_changes)
"""
_LAST_RULE = "SELECT ifnull(max(rule_id), 0) FROM game_rules"
_LATEST_RULES = """
    SELECT game_id, min_amount, max_amount, level_millionths, trigger_threshold, trigger_millionths,
           max_per_day
    FROM game_rules
    WHERE rule_id IN (SELECT max(rule_id) FROM game_rules GROUP BY game_id)
"""


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
        received = msgspec.json.encode([each.received_at for each in batches]).decode()
        seen: list[Statement] = [
            ("DELETE FROM fresh_batches", ()),
            ("DELETE FROM fresh_players", ()),
            (_LIST_BATCHES, (first_batch, received)),
            (_NAME_PLAYERS, ()),
            (_FIND_NAMED, ()),
            (_SEE_PLAYERS, ()),
            (_SEEN_EARLIER, ()),
            (_NOTE_NEWEST, ()),
            (_COUNT_ACTIVITY, events),
        ]
        changed: list[Statement] = [(_CHANGE, ())]
        if changes > self._max_changes:
            first, *others = _FOLD
            changed += [(first, (len(batches),)), *((each, ()) for each in others)]
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
        rows = await db.execute_fetchall(_LATEST_RULES)
        before = {rule.game_id: rule for rule in (Rule(*row) for row in rows)}
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
