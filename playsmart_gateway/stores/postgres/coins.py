"""What a flush pays: players, ledger and balances from the rows just written, in set-based SQL.

Two statements a flush, whatever it holds. The planner's statistics know nothing yet of rows that
were written a moment ago, and a plan that is wrong about them can be quadratic; so the statement
that pays leaves it no choice. Batches meet their events in a ``FULL JOIN``, which can only be done
by hashing or sorting, and their players by ``LATERAL (.. OFFSET 0)``, which can only be an index.
"""

from collections.abc import Sequence

import asyncpg
import msgspec

from playsmart_gateway.economy.coins import (
    CUSTOM,
    LEVEL_COMPLETED,
    MILLION,
    Rule,
)
from playsmart_gateway.events.batch import MAX_EVENTS_PER_BATCH, PLAYSMART
from playsmart_gateway.stores.sql.database import (
    EVENT_TRIGGER,
    LEVEL_COMPLETE,
)
from playsmart_gateway.stores.sql.rules import rules_in_force

_SCORE = r"""
    CASE WHEN type = 'GameEnd' AND json_typeof(readable(customdata) -> 'score') = 'number'
         AND length((readable(customdata) -> 'score')::text) <= 1000
         AND (readable(customdata) -> 'score')::text ~ '^[^eE]*([eE][-+]?0*[0-9]{1,4})?$'
         AND (readable(customdata) -> 'score')::text::numeric BETWEEN -1.7e308 AND 1.7e308
    THEN (readable(customdata) -> 'score')::text::numeric END
"""
"""A number that a float can hold; what may be beyond ``numeric`` is not even tried."""


_BASE_AMOUNT = "least(greatest(coalesce(draw, min_amount), min_amount), max_amount)"
"""As in ``Rule.base_amount``."""


def _earning(types: str) -> str:
    return f"""
    happened AS MATERIALIZED (
        SELECT event_id, type, score, player_id, coins_balance, game_id, counted, trigger_threshold,
               max_per_day, day,
               {_BASE_AMOUNT} * level_millionths / {MILLION} AS level_award,
               {_BASE_AMOUNT} * trigger_millionths / {MILLION} AS trigger_award
        FROM fresh FULL JOIN (
            SELECT event_id, event_id / {MAX_EVENTS_PER_BATCH} AS batch_id, type, draw,
                   {_SCORE} AS score
            FROM event_rows
            WHERE event_id BETWEEN $1 * {MAX_EVENTS_PER_BATCH}
                           AND $2 * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
            AND type = ANY({types})
        ) AS event USING (batch_id)
    ), counting AS MATERIALIZED (
        SELECT event_id, player_id, coins_balance, game_id, max_per_day, day, trigger_threshold,
               trigger_award, counted + row_number() OVER (
                   PARTITION BY player_id, game_id ORDER BY event_id
               ) AS place
        FROM happened WHERE type = '{CUSTOM}' AND trigger_threshold > 0
    ), due AS MATERIALIZED (
        SELECT event_id, player_id, coins_balance, game_id, max_per_day, day,
               {LEVEL_COMPLETE} AS trigger, level_award AS amount
        FROM happened WHERE type = '{LEVEL_COMPLETED}' AND level_award > 0
        UNION ALL
        SELECT event_id, player_id, coins_balance, game_id, max_per_day, day, {EVENT_TRIGGER},
               trigger_award
        FROM counting WHERE place % trigger_threshold = 0 AND trigger_award > 0
    )
    """  # noqa: S608 - built from our own constants


EARNING = _earning(f"ARRAY['{LEVEL_COMPLETED}', '{CUSTOM}']")
"""What is ``due`` to the ``fresh`` ones of the batches ``$1`` to ``$2``, event by event."""
DAY = "to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') COLLATE \"C\""
_UNCAPPED = "earned AS (SELECT event_id, player_id, coins_balance, trigger, amount FROM due)"
_CAPPED = """
    days AS MATERIALIZED (
        SELECT player_id, game_id, day, due, max_per_day - coalesce(coins, 0) AS left_of_cap
        FROM (
            SELECT player_id, game_id, day, max(max_per_day) AS max_per_day,
                   sum(amount)::bigint AS due
            FROM due WHERE day IS NOT NULL GROUP BY player_id, game_id, day
        ) AS sums
        LEFT JOIN LATERAL (
            SELECT coins FROM coin_days AS paid
            WHERE paid.player_id = sums.player_id AND paid.game_id = sums.game_id
            AND paid.day = sums.day OFFSET 0
        ) AS paid ON true
    ), beyond AS MATERIALIZED (
        SELECT player_id, game_id, day, left_of_cap FROM days WHERE days.due > left_of_cap
    ), earned AS MATERIALIZED (
        SELECT event_id, player_id, coins_balance, trigger, amount FROM due
        WHERE NOT EXISTS (SELECT 1 FROM beyond)
        UNION ALL
        SELECT event_id, player_id, coins_balance, trigger, amount FROM (
            SELECT event_id, player_id, coins_balance, trigger,
                   CASE WHEN left_of_cap IS NULL THEN amount ELSE least(amount, left_of_cap - (
                       sum(amount) OVER (PARTITION BY player_id, game_id, day ORDER BY event_id)
                       - amount
                   ))::bigint END AS amount
            FROM due FULL JOIN beyond USING (player_id, game_id, day)
            WHERE EXISTS (SELECT 1 FROM beyond)
        ) AS reckoned WHERE amount > 0
    ), spent AS (
        INSERT INTO coin_days AS known (player_id, game_id, day, coins)
        SELECT player_id, game_id, day, least(due, left_of_cap) FROM days WHERE left_of_cap > 0
        ON CONFLICT (player_id, game_id, day) DO UPDATE SET coins = known.coins + excluded.coins
    )
"""
"""As in ``Rule.capped``, event after event, where a day is beyond its cap; most flushes have none.

A day is there only where there is a cap."""
RECOUNTED = """
    recounted AS (
        INSERT INTO custom_event_counts AS known (player_id, game_id, count)
        SELECT player_id, game_id, count(*) FROM counting GROUP BY player_id, game_id
        ON CONFLICT (player_id, game_id) DO UPDATE SET count = known.count + excluded.count
    )
"""

_SEE_PLAYERS = f"""
    INSERT INTO players (user_id, first_seen_at, last_seen_at)
    SELECT user_id, min(received_at), max(received_at) FROM batches
    WHERE batch_id BETWEEN $1 AND $2 AND source = '{PLAYSMART}' GROUP BY user_id
    ON CONFLICT (user_id) DO NOTHING
"""  # noqa: S608 - built from our own constants


def _pay(capping: str) -> str:
    return f"""
    WITH stored AS MATERIALIZED (
        SELECT batch_id, received_at, game_id, user_id FROM batches
        WHERE batch_id BETWEEN $1 AND $2 AND source = '{PLAYSMART}'
    ), player AS MATERIALIZED (
        SELECT user_id, player_id, coins_balance FROM (SELECT DISTINCT user_id FROM stored) AS name
        CROSS JOIN LATERAL (
            SELECT player_id, coins_balance FROM players
            WHERE players.user_id = name.user_id OFFSET 0
        ) AS known
    ), fresh AS MATERIALIZED (
        SELECT batch_id, received_at, player_id, coins_balance, coalesce(count, 0) AS counted,
               rule.*, CASE WHEN max_per_day > 0 THEN {DAY} END AS day
        FROM stored FULL JOIN player USING (user_id)
        LEFT JOIN unnest(
            $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
            $10::bigint[]
        ) AS rule (
            game_id, min_amount, max_amount,
            level_millionths, trigger_threshold, trigger_millionths, max_per_day
        ) USING (game_id)
        LEFT JOIN LATERAL (
            SELECT count FROM custom_event_counts AS so_far
            WHERE so_far.player_id = player.player_id AND so_far.game_id = rule.game_id
            AND trigger_threshold > 0 OFFSET 0
        ) AS so_far ON true
    ), {_earning("$3")}, {RECOUNTED}, {capping}, entered AS (
        INSERT INTO coin_entries (id, player_id, amount, balance_after, created_at, trigger)
        SELECT event_id, player_id, amount,
               coins_balance + sum(amount) OVER (PARTITION BY player_id ORDER BY event_id),
               statement_timestamp(), trigger
        FROM earned ORDER BY event_id
    )
    UPDATE players SET
        first_seen_at = least(first_seen_at, first_at),
        last_seen_at = greatest(last_seen_at, last_at),
        sessions = sessions + opened,
        total_games_played = total_games_played + ended,
        best_score = greatest(best_score, best),
        last_score = coalesce(last, last_score),
        coins_balance = coins_balance + coalesce(coins, 0)
    FROM (
        SELECT player_id AS whose, min(received_at) AS first_at, max(received_at) AS last_at,
               count(*) FILTER (WHERE type = 'AppOpen') AS opened,
               count(*) FILTER (WHERE type = 'GameEnd') AS ended, max(score) AS best,
               (array_agg(score ORDER BY event_id DESC) FILTER (WHERE score IS NOT NULL))[1]
                   AS last,
               sum(amount) AS coins
        FROM (
            SELECT player_id, received_at, NULL AS type, NULL::numeric AS score,
                   NULL::bigint AS event_id, NULL::bigint AS amount FROM fresh
            UNION ALL
            SELECT player_id, NULL, type, score, event_id, NULL FROM happened
            WHERE type IN ('AppOpen', 'GameEnd')
            UNION ALL
            SELECT player_id, NULL, NULL, NULL, NULL, amount FROM earned
        ) AS news
        GROUP BY player_id
    ) AS sums
    WHERE player_id = whose
    """  # noqa: S608 - built from our own constants


_PAY, _PAY_CAPPED = _pay(_UNCAPPED), _pay(_CAPPED)
"""All of it sees balances and counts as they were before."""

_LAST_RULE = "SELECT coalesce(max(rule_id), 0) FROM game_rules"
_ADD_RULE = """
    INSERT INTO game_rules (since_batch_id, game_id, min_amount, max_amount,
        level_millionths, trigger_threshold, trigger_millionths, max_per_day)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


class PostgresCoins:
    """Pays what events earn by ``rules``, inside the transaction that stores the events."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = {rule.game_id: rule for rule in rules if rule.pays}
        self._columns = [
            [getattr(rule, name) for rule in self._rules.values()]
            for name in Rule.__struct_fields__
        ]
        self._types = ["AppOpen", "GameEnd", *([LEVEL_COMPLETED] if self._rules else [])]
        if any(rule.trigger_threshold for rule in rules):
            self._types.append(CUSTOM)
        self._pay = _PAY_CAPPED if any(rule.max_per_day for rule in rules) else _PAY
        self._last_rule: int | None = None

    def draws_for(self, game_id: str) -> bool:
        """Whether the rows of a game's batches carry draws."""
        rule = self._rules.get(game_id)
        return rule is not None and rule.min_amount < rule.max_amount

    def forget(self) -> None:
        """Believe nothing about the database any more: it was opened anew."""
        self._last_rule = None

    async def pay(self, db: asyncpg.Connection, first_batch: int, last_batch: int) -> None:
        """Pay for the events of these batches, once."""
        if await db.fetchval(_LAST_RULE) != self._last_rule:  # another gateway has other rules
            self._last_rule = await self._put_in_force(db, first_batch)
        await db.execute(_SEE_PLAYERS, first_batch, last_batch)
        await db.execute(self._pay, first_batch, last_batch, self._types, *self._columns)

    async def _put_in_force(self, db: asyncpg.Connection, since_batch: int) -> int:
        """Record the rules that differ from what held so far; return the number of the latest."""
        before = {rule.game_id: rule for rule in await rules_in_force(db)}
        ended = [Rule(game_id) for game_id in before if game_id not in self._rules]
        for rule in (*self._rules.values(), *ended):
            if rule != before.get(rule.game_id):
                await db.execute(_ADD_RULE, since_batch, *msgspec.structs.astuple(rule))
        return int(await db.fetchval(_LAST_RULE))
