"""Hold the tables against what the phones kept: each event is there once, and its coins.

A phone that is killed may have kept more than it had answered for, without a hole. Runs have no
gap, as every phone sends all it has; and of each, as many repeats are counted as the proxy saw:
what the gateway took less what is stored, or some more of which it could not say that it took them.
No phone gives a number twice, so nobody tells of a conflict.
"""

import contextlib
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.campaigns.phones.scene import COINS_A_LEVEL
from tests.support.engines import postgres

SQLITE = "sqlite:///"
_LIVES = """
    WITH numbered AS (
        SELECT CAST(customdata ->> 'life' AS BIGINT) AS life,
               CAST(customdata ->> 'n' AS BIGINT) AS n, event_id, type, user_id
        FROM events
    ), ordered AS (
        SELECT life, n, type, user_id, lag(n) OVER (PARTITION BY life ORDER BY event_id) AS before
        FROM numbered
    )
    SELECT life, max(user_id), count(*), count(DISTINCT n), max(n) + 1,
           count(CASE WHEN type = 'LevelCompleted' THEN 1 END),
           count(DISTINCT CASE WHEN type = 'LevelCompleted' THEN n END),
           count(CASE WHEN n < before THEN 1 END)
    FROM ordered GROUP BY life
"""
_COINS = "SELECT user_id, CAST(sum(amount) AS BIGINT) FROM coin_transactions GROUP BY user_id"
_RUNS = "SELECT run, next, missing, duplicates FROM runs"
_BURIED = "SELECT count(*) FROM dead_letters"


@dataclass
class Verdict:
    """Events by what is wrong with them; ``duplicate_events`` came again and were told so."""

    kept_events: int = 0
    stored_events: int = 0
    duplicate_events: int = 0
    coins: int = 0
    lost_events: int = 0
    doubled_events: int = 0
    disordered_events: int = 0
    buried_batches: int = 0
    wrong_coins: int = 0
    false_gaps: int = 0
    miscounted_runs: int = 0
    run_conflicts: int = 0
    first_wrong: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        return not self.first_wrong

    def wrong(self, name: str, by: int, what: str) -> None:
        """Note something that must not be, and how much of it there is."""
        if by:
            setattr(self, name, getattr(self, name) + by)
            self.first_wrong.append(f"{name}, {by}: {what}")


@dataclass(frozen=True)
class Seen:
    """What the world knows: the events each life answered for, and the proxy's counts of each run.

    ``conflicts`` are the conflicts of runs that gateway or worker counted.
    """

    kept: Mapping[int, int]
    taken: Mapping[str, int]
    sent: Mapping[str, int]
    conflicts: int = 0


async def judge(url: str, seen: Seen, *, has_order: bool = True, is_once: bool = True) -> Verdict:
    """Return the verdict over a database to which nobody writes any more.

    Of a gateway that does not know what comes twice, ``is_once`` is false: what is there more than
    once is counted, and paid, but not wrong, and there are no runs.
    """
    verdict = Verdict(kept_events=sum(seen.kept.values()))
    levels = await _judge_lives(url, seen.kept, verdict, has_order and is_once, is_once)
    await _judge_coins(url, levels, verdict)
    if is_once:
        await _judge_runs(url, seen, verdict)
    ((buried,),) = await _select(url, _BURIED)
    verdict.wrong("buried_batches", buried, "dead letters")
    verdict.wrong("run_conflicts", seen.conflicts, "numbers of a run for other events")
    return verdict


async def _judge_lives(
    url: str, kept: Mapping[int, int], verdict: Verdict, has_order: bool, is_once: bool
) -> Counter[str]:
    """Return for how many levels each player is to be paid."""
    to_pay = Counter[str]()
    rows = {row[0]: row[1:] for row in await _select(url, _LIVES)}
    for life in sorted(kept.keys() | rows):
        user_id, stored, different, end, *levels, late = rows.get(life, ("", 0, 0, 0, 0, 0, 0))
        known = kept.get(life, 0)
        verdict.stored_events += stored
        to_pay[user_id] += levels[is_once]
        verdict.wrong("lost_events", max(known, end) - different, f"of life {life}")
        if is_once:
            verdict.wrong("doubled_events", stored - different, f"of life {life}")
        else:
            verdict.doubled_events += stored - different
        if has_order:
            verdict.wrong("disordered_events", late, f"of life {life}")
    return to_pay


async def _judge_coins(url: str, levels: Counter[str], verdict: Verdict) -> None:
    coins = defaultdict[str, int](int, await _select(url, _COINS))
    verdict.coins = sum(coins.values())
    for user_id in sorted(levels.keys() | coins):
        by = abs(levels[user_id] * COINS_A_LEVEL - coins[user_id])
        verdict.wrong("wrong_coins", by, f"of {user_id}")


async def _judge_runs(url: str, seen: Seen, verdict: Verdict) -> None:
    for key, end, missing, duplicates in await _select(url, _RUNS):
        run = str(UUID(bytes=bytes(key[:16])))
        verdict.duplicate_events += duplicates
        verdict.wrong("false_gaps", int(missing is not None), f"run {run}: {missing}")
        least, most = seen.taken[run] - end, seen.sent[run] - end
        is_wrong = not least <= duplicates <= most
        told = f"run {run}: {duplicates} counted as repeats, not {least} to {most}"
        verdict.wrong("miscounted_runs", int(is_wrong), told)


async def _select(url: str, query: str) -> list[Any]:
    """Ask a database past everything that is ours."""
    if not url.startswith(SQLITE):
        return await postgres.fetch(url, query)
    file = f"{Path(url.removeprefix(SQLITE)).as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(file, uri=True, timeout=10)) as db:
        return db.execute(query).fetchall()
