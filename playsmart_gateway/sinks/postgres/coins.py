"""What a flush pays: players, ledger and balances from the rows just written, in set-based SQL.

Two statements a flush, whatever it holds. Both go from the batches of the flush to their events by
``LATERAL (.. OFFSET 0)``, which the planner may not turn around: its statistics know nothing yet of
rows that were written a moment ago, and a plan that is wrong about them can be quadratic.
"""

from collections.abc import Sequence

import asyncpg
import msgspec

from playsmart_gateway.event import MAX_EVENTS_PER_BATCH
from playsmart_gateway.rewards import CUSTOM, LEVEL_COMPLETED, MILLION, Rule
from playsmart_gateway.sinks.postgres.schema import EVENT_TRIGGER, LEVEL_COMPLETE

_EVENTS_OF_BATCH = f"""
    event_id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
             AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
"""
_SCORE = r"""
    CASE WHEN type = 'GameEnd' AND json_typeof(readable(customdata) -> 'score') = 'number'
         AND length((readable(customdata) -> 'score')::text) <= 1000
         AND (readable(customdata) -> 'score')::text ~ '^[^eE]*([eE][-+]?0*[0-9]{1,4})?$'
         AND (readable(customdata) -> 'score')::text::numeric BETWEEN -1.7e308 AND 1.7e308
    THEN (readable(customdata) -> 'score')::text::numeric END
"""
"""A number that a float can hold; what may be beyond ``numeric`` is not even tried."""

_SEE_PLAYERS = f"""
    INSERT INTO players AS known (
        user_id, first_seen_at, last_seen_at, sessions, total_games_played, best_score, last_score
    )
    SELECT user_id, min(received_at), max(received_at),
           count(*) FILTER (WHERE type = 'AppOpen'), count(*) FILTER (WHERE type = 'GameEnd'),
           max(score),
           (array_agg(score ORDER BY event_id DESC) FILTER (WHERE score IS NOT NULL))[1]
    FROM batches LEFT JOIN LATERAL (
        SELECT event_id, type, {_SCORE} AS score FROM event_rows
        WHERE {_EVENTS_OF_BATCH} AND type IN ('AppOpen', 'GameEnd') OFFSET 0
    ) AS active ON true
    WHERE batch_id BETWEEN $1 AND $2 AND source = 'playsmart'
    GROUP BY user_id
    ON CONFLICT (user_id) DO UPDATE SET
        first_seen_at = least(known.first_seen_at, excluded.first_seen_at),
        last_seen_at = greatest(known.last_seen_at, excluded.last_seen_at),
        sessions = known.sessions + excluded.sessions,
        total_games_played = known.total_games_played + excluded.total_games_played,
        best_score = greatest(known.best_score, excluded.best_score),
        last_score = coalesce(excluded.last_score, known.last_score)
"""  # noqa: S608 - built from our own constants
EARNING = f"""
    happened AS MATERIALIZED (
        SELECT fresh.*, event_id, type,
               least(greatest(coalesce(draw, min_amount), min_amount), max_amount) AS base_amount
        FROM fresh CROSS JOIN LATERAL (
            SELECT event_id, type, draw FROM event_rows
            WHERE {_EVENTS_OF_BATCH} AND (
                type = '{LEVEL_COMPLETED}' OR type = '{CUSTOM}' AND trigger_threshold > 0
            ) OFFSET 0
        ) AS event
    ), counting AS MATERIALIZED (
        SELECT *, counted + row_number() OVER (
            PARTITION BY player_id, game_id ORDER BY event_id
        ) AS place
        FROM happened WHERE type = '{CUSTOM}'
    ), earned AS MATERIALIZED (
        SELECT event_id, player_id, coins_balance, {LEVEL_COMPLETE} AS trigger,
               base_amount * level_millionths / {MILLION} AS amount
        FROM happened WHERE type = '{LEVEL_COMPLETED}'
        UNION ALL
        SELECT event_id, player_id, coins_balance, {EVENT_TRIGGER},
               base_amount * trigger_millionths / {MILLION}
        FROM counting WHERE place % trigger_threshold = 0
    )
"""  # noqa: S608 - built from our own constants
"""What ``fresh`` batches earned, event by event, be it nothing; base amounts are as in ``Rule``."""

RECOUNTED = """
    recounted AS (
        INSERT INTO custom_event_counts AS known (player_id, game_id, count)
        SELECT player_id, game_id, count(*) FROM counting GROUP BY player_id, game_id
        ON CONFLICT (player_id, game_id) DO UPDATE SET count = known.count + excluded.count
    )
"""
"""Counts the custom events of ``fresh`` batches on."""

_PAY = f"""
    WITH fresh AS MATERIALIZED (
        SELECT batch_id, game_id, player_id, coins_balance, coalesce(count, 0) AS counted,
               min_amount, max_amount, level_millionths, trigger_threshold, trigger_millionths
        FROM batches JOIN unnest(
            $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[]
        ) AS rule (
            game_id, min_amount, max_amount,
            level_millionths, trigger_threshold, trigger_millionths
        ) USING (game_id)
        CROSS JOIN LATERAL (
            SELECT player_id, coins_balance FROM players
            WHERE players.user_id = batches.user_id OFFSET 0
        ) AS player
        LEFT JOIN LATERAL (
            SELECT count FROM custom_event_counts AS so_far
            WHERE so_far.player_id = player.player_id AND so_far.game_id = rule.game_id OFFSET 0
        ) AS so_far ON true
        WHERE batch_id BETWEEN $1 AND $2 AND source = 'playsmart'
    ), {EARNING}, {RECOUNTED}, entered AS (
        INSERT INTO coin_entries (id, player_id, amount, balance_after, created_at, trigger)
        SELECT event_id, player_id, amount,
               coins_balance + sum(amount) OVER (PARTITION BY player_id ORDER BY event_id),
               statement_timestamp(), trigger
        FROM earned WHERE amount > 0 ORDER BY event_id
    )
    UPDATE players SET coins_balance = coins_balance + earned_now
    FROM (
        SELECT player_id AS whose, sum(amount) AS earned_now FROM earned
        WHERE amount > 0 GROUP BY player_id
    ) AS sums
    WHERE player_id = whose
"""  # noqa: S608 - built from our own constants
"""All of it sees balances and counts as they were before."""

_LAST_RULE = "SELECT coalesce(max(rule_id), 0) FROM game_rules"
_LATEST_RULES = """
    SELECT game_id, min_amount, max_amount, level_millionths, trigger_threshold, trigger_millionths
    FROM game_rules
    WHERE rule_id IN (SELECT max(rule_id) FROM game_rules GROUP BY game_id)
"""
_ADD_RULE = """
    INSERT INTO game_rules (since_batch_id, game_id, min_amount, max_amount,
        level_millionths, trigger_threshold, trigger_millionths)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


class Coins:
    """Pays what events earn by ``rules``, inside the transaction that stores the events."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = {rule.game_id: rule for rule in rules if rule.pays}
        self._columns = [
            list(column)
            for column in zip(*map(msgspec.structs.astuple, self._rules.values()), strict=True)
        ]
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
        if self._rules:
            await db.execute(_PAY, first_batch, last_batch, *self._columns)

    async def _put_in_force(self, db: asyncpg.Connection, since_batch: int) -> int:
        """Record the rules that differ from what held so far; return the number of the latest."""
        before = {row["game_id"]: Rule(*row) for row in await db.fetch(_LATEST_RULES)}
        ended = [Rule(game_id) for game_id in before if game_id not in self._rules]
        for rule in (*self._rules.values(), *ended):
            if rule != before.get(rule.game_id):
                await db.execute(_ADD_RULE, since_batch, *msgspec.structs.astuple(rule))
        return int(await db.fetchval(_LAST_RULE))
