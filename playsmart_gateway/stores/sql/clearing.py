"""Takes a game, and the players who were made up for it, out of every table.

The order is that of ``erasure``, for the same reasons: players with their coins, then events, then,
in one transaction, the sums and what came in the meantime. The last also counts as an erasure, so
that nobody adds sums, or keeps what was learned, of events that are gone.

The header of a batch stays without game, player and events: a replay of that batch is a no-op.
Coins of who stays stay as a correction, or a ledger would not add up.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from playsmart_gateway.events.batch import MAX_EVENTS_PER_BATCH
from playsmart_gateway.stores.clearing import Traces
from playsmart_gateway.stores.sql import runs
from playsmart_gateway.stores.sql.database import Database, Transaction, keyed, run
from playsmart_gateway.stores.sql.erasure import (
    BATCHES_LOOKED_AT,
    LedgerOpen,
    count_erasure,
    last_batch,
)
from playsmart_gateway.stores.sql.sums_clearing import (
    SUMS_OF_PLAYERS,
    SUMS_OF_THE_GAME,
    clear_sums,
)

EVENTS_IN_A_STEP = 5_000
BATCHES_IN_A_STEP = 500
PLAYERS_IN_A_STEP = 200
"""Of one transaction that deletes."""

_OURS = "(game_id = $1 OR user_id >= $2 AND user_id < $3)"
_LOOK = f"""
    SELECT batch_id, game_id, user_id, event_count FROM batches
    WHERE batch_id BETWEEN $4 AND $5 AND {_OURS} ORDER BY batch_id
"""  # noqa: S608 - built from our own constants
_NAMES = "user_id IN (SELECT value ->> 0 FROM json_each($1))"
_ELSEWHERE = f"""
    SELECT DISTINCT user_id FROM batches
    WHERE batch_id BETWEEN $2 AND $3 AND game_id NOT IN ('', $4) AND {_NAMES}
"""  # noqa: S608 - built from our own constants
_KNOWN_OTHERWISE = f"""
    SELECT user_id FROM accounts WHERE {_NAMES}
    UNION SELECT user_id FROM players JOIN coin_entries USING (player_id)
    WHERE {_NAMES} AND trigger IS NULL
"""  # noqa: S608 - built from our own constants
_MADE = """
    SELECT player_id FROM players WHERE user_id >= $1 AND user_id < $2 ORDER BY user_id LIMIT $3
"""
_NAMED = f"SELECT player_id FROM players WHERE {_NAMES}"  # noqa: S608
_NUMBERS = "(SELECT CAST(value ->> 0 AS BIGINT) AS batch_id FROM json_each($1))"
_OF_PLAYERS = ("coin_entries", "coin_days", "custom_event_counts", "custom_event_baselines")
_OTHERS = ("kept_coin_entries", "batches", "runs", "dead_letters")
_EVENTS = f"""
    DELETE FROM event_rows WHERE event_id IN (
        SELECT event_id FROM {_NUMBERS} AS gone CROSS JOIN event_rows
        WHERE event_id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                       AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
    ) RETURNING 1
"""  # noqa: S608 - built from our own constants
_RUNS = f"SELECT run FROM batches WHERE batch_id IN {_NUMBERS} AND run IS NOT NULL"  # noqa: S608
_BLANK = f"""
    UPDATE batches SET game_id = '', user_id = '', run = NULL, seq = NULL, event_count = 0
    WHERE batch_id IN {_NUMBERS}
"""  # noqa: S608 - built from our own constants
_CORRECTIONS = f"""
    UPDATE coin_entries SET trigger = NULL, reason = $2 WHERE trigger IS NOT NULL AND id IN (
        SELECT id FROM {_NUMBERS} AS gone CROSS JOIN coin_entries
        WHERE id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                 AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
    ) RETURNING 1
"""  # noqa: S608 - built from our own constants
_REASON = "earned in a game that was cleared away"
_LETTERS = f"DELETE FROM dead_letters WHERE {_OURS} RETURNING game_id, user_id"  # noqa: S608
_COUNTED_OF_THE_GAME = ("catalogue_entries", "rollup_losses")
_OF_THE_GAME = (
    "coin_days",
    "custom_event_counts",
    "custom_event_baselines",
    "expired_events",
    "catalogue_entries",
    "rollup_losses",
)


class Found(NamedTuple):
    """The batches that go, each with how many events, and those players who are not made up.

    The ``guests`` of the game are ``regulars`` if there is anything else of them.
    """

    batches: list[tuple[int, int]]
    guests: set[str]
    regulars: set[str]
    position: int


async def count(db: Database, traces: Traces) -> dict[str, int]:
    """Return how many rows ``clear`` would remove or change, by table."""
    found = await _find(db, traces, 0)
    casual = keyed([(name,) for name in sorted(found.guests - found.regulars)])
    theirs = f"SELECT player_id FROM players WHERE user_id >= $2 AND user_id < $3 OR {_NAMES}"  # noqa: S608
    counted = {"event_rows": sum(events for _, events in found.batches)}
    for table in ("players", *_OF_PLAYERS):
        query = f"SELECT count(*) FROM {table} WHERE player_id IN ({theirs})"  # noqa: S608
        ((counted[table],),) = await db.fetch(query, casual, *traces.bounds)
    counted["batches"] = len(found.batches)
    keys = {key for step in _steps(found.batches) for (key,) in await run(db, _RUNS, step)}
    counted["runs"] = len(keys)
    letters = f"SELECT count(*) FROM dead_letters WHERE {_OURS}"  # noqa: S608 - constants
    ((counted["dead_letters"],),) = await db.fetch(letters, traces.game_id, *traces.bounds)
    for table in (*_COUNTED_OF_THE_GAME, *SUMS_OF_THE_GAME):
        query = f"SELECT count(*) FROM {table} WHERE game_id = $1"  # noqa: S608 - constants
        ((counted[table],),) = await db.fetch(query, traces.game_id)
    for table in SUMS_OF_PLAYERS:
        whose = f"SELECT player_id FROM rollup_players WHERE {_OURS}"  # noqa: S608 - constants
        query = f"SELECT count(*) FROM {table} WHERE player_id IN ({whose})"  # noqa: S608
        ((counted[table],),) = await db.fetch(query, traces.game_id, *traces.bounds)
    return counted


async def clear(
    traces: Traces, *, reading: Transaction, writing: Transaction, ledger_open: LedgerOpen
) -> dict[str, int]:
    """See ``Clearing.clear``; inside ``ledger_open`` the triggers of the ledger do not hold."""
    cleared = Counter[str](dict.fromkeys(("event_rows", "players", *_OF_PLAYERS, *_OTHERS), 0))
    async with reading() as db:
        found = await _find(db, traces, 0)
    while True:
        async with writing() as db, ledger_open(db):
            gone = await db.fetch(_MADE, *traces.bounds, PLAYERS_IN_A_STEP)
            await _drop_players(db, gone, cleared)
        if not gone:
            break
    casual = sorted(found.guests - found.regulars)
    for start in range(0, len(casual), PLAYERS_IN_A_STEP):
        async with writing() as db, ledger_open(db):
            piece = [(name,) for name in casual[start : start + PLAYERS_IN_A_STEP]]
            await _drop_players(db, await run(db, _NAMED, piece), cleared)
    for step in _steps(found.batches):
        async with writing() as db, ledger_open(db):
            await _take(db, step, cleared)
    async with writing() as db:
        late = await _find(db, traces, found.position)  # what came meanwhile
        async with ledger_open(db):
            fresh = [(name,) for name in late.guests - late.regulars]
            more = [*await db.fetch(_MADE, *traces.bounds, 2**31), *await run(db, _NAMED, fresh)]
            await _drop_players(db, more, cleared)
            for step in _steps(late.batches):
                await _take(db, step, cleared)
        for game_id, user_id in await db.fetch(_LETTERS, traces.game_id, *traces.bounds):
            cleared["dead_letters"] += 1
            cleared["runs"] += await runs.erase(db, user_id, [game_id])
        for table in _OF_THE_GAME:
            delete = f"DELETE FROM {table} WHERE game_id = $1 RETURNING 1"  # noqa: S608
            cleared[table] += len(await db.fetch(delete, traces.game_id))
        cleared.update(await clear_sums(db, traces))
        await count_erasure(db)
    return dict(cleared)


async def _find(db: Database, traces: Traces, position: int) -> Found:
    """Look at the headers behind a position, and at who else knows their players."""
    found, guests = list[tuple[int, int]](), set[str]()
    last = await last_batch(db)
    for first, end in _pieces(position, last):
        rows = await db.fetch(_LOOK, traces.game_id, *traces.bounds, first, end)
        for batch_id, game_id, user_id, events in rows:
            found.append((batch_id, events))
            if game_id == traces.game_id and user_id and not traces.made(user_id):
                guests.add(user_id)
    regulars = set[str]()
    if guests:
        names = keyed([(name,) for name in sorted(guests)])
        regulars = {name for (name,) in await db.fetch(_KNOWN_OTHERWISE, names)}
        for first, end in _pieces(0, last):
            rows = await db.fetch(_ELSEWHERE, names, first, end, traces.game_id)
            regulars |= {name for (name,) in rows}
    return Found(found, guests, regulars, last)


def _pieces(position: int, last: int) -> Iterator[tuple[int, int]]:
    for first in range(position + 1, last + 1, BATCHES_LOOKED_AT):
        yield first, min(last, first + BATCHES_LOOKED_AT - 1)


def _steps(batches: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int]]]:
    """Yield the ids of batches, so many at a time that one transaction is short."""
    left = iter(batches)
    while step := list(islice(left, 1)):
        events = step[0][1]
        for each in islice(left, BATCHES_IN_A_STEP - 1):
            step.append(each)
            events += each[1]
            if events >= EVENTS_IN_A_STEP:
                break
        yield [(batch_id,) for batch_id, _ in step]


async def _drop_players(
    db: Database, players: Sequence[Sequence[int]], cleared: Counter[str]
) -> None:
    ids = [(player_id,) for (player_id,) in players]
    for table in _OF_PLAYERS:
        delete = f"DELETE FROM {table} WHERE player_id IN {_NUMBERS} RETURNING 1"  # noqa: S608
        cleared[table] += len(await run(db, delete, ids))
    await run(db, f"DELETE FROM players WHERE player_id IN {_NUMBERS}", ids)  # noqa: S608
    cleared["players"] += len(ids)


async def _take(db: Database, step: Sequence[tuple[int]], cleared: Counter[str]) -> None:
    """Delete the events and runs of some batches, whose players are gone as far as they go."""
    cleared["runs"] += await runs.erase_these(db, [key for (key,) in await run(db, _RUNS, step)])
    cleared["event_rows"] += len(await run(db, _EVENTS, step))
    kept = await db.fetch(_CORRECTIONS, keyed(step), _REASON)
    cleared["kept_coin_entries"] += len(kept)
    await run(db, _BLANK, step)
    cleared["batches"] += len(step)
