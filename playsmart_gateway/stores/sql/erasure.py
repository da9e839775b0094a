"""Takes a player out of every table, in transactions that are short enough for ingest to go on.

First go the coins: with its player a ledger is whole or not there, so nobody ever sees half of one.
Then events go, some batches at a time, and with them what the statistics have by name from them
(see ``sql_forgetting``). The last transaction takes what else is a player's, and what came in the
meantime. What dies in between is done by doing it all again.

A batch of the player's own keeps its row, without a name and without events: it is what makes a
replay of that batch a no-op. The triggers that keep the ledger append-only are out of force only
inside a transaction, so nobody ever sees a ledger without them. ``erasures`` counts, so that an
audit that is under way begins anew, and sums do not bring back whom they have just gathered.
"""

from collections import Counter
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

import msgspec

from playsmart_gateway.economy.points import Program
from playsmart_gateway.events.batch import MAX_EVENTS_PER_BATCH, first_event_id
from playsmart_gateway.events.row import Row, decode, encode
from playsmart_gateway.stores.sql import runs
from playsmart_gateway.stores.sql.database import (
    Database,
    Transaction,
)
from playsmart_gateway.stores.sql.forgetting import (
    CELLS_IN_A_STEP,
    Said,
)

BATCHES_LOOKED_AT = 20_000
"""Headers of one look, in a transaction that only reads; some ten milliseconds."""

BATCHES_TAKEN = 20
"""Of one transaction that deletes: at most 5,120 events."""

_OWN_BATCHES = "SELECT batch_id FROM batches WHERE user_id = $1"
_USER_NUMBER = "user_number IN (SELECT user_number FROM lynes_users WHERE user_id = $1)"
_ROLLUP_ID = "player_id IN (SELECT player_id FROM rollup_players WHERE user_id = $1)"
_PLAYER_ID = "player_id = (SELECT player_id FROM players WHERE user_id = $1)"

_EVENTS = {
    "event_rows": f"user_id = $1 OR event_id / {MAX_EVENTS_PER_BATCH} IN ({_OWN_BATCHES})",
}
_COINS = {
    "coin_entries": _PLAYER_ID,
    "coin_days": _PLAYER_ID,
    "custom_event_counts": _PLAYER_ID,
    "custom_event_baselines": _PLAYER_ID,
    "players": "user_id = $1",
}
_REST = {
    "accounts": "user_id = $1",
    "app_players": "user_id = $1",
    "app_exclusions": "user_id = $1",
    "app_properties": "user_id = $1",
    "lynes_completions": _USER_NUMBER,
    "lynes_streaks": _USER_NUMBER,
    "lynes_history": _USER_NUMBER,
    "lynes_users": "user_id = $1",
    "rollup_player_days": _ROLLUP_ID,
    "rollup_player_levels": _ROLLUP_ID,
    "rollup_players": "user_id = $1",
}
PERSONAL_ROWS = {**_EVENTS, **_COINS, **_REST}
"""Which rows are a player's, table by table, in an order in which they can be deleted.

Lynes' statistics and the dashboard's sums stay: they are counts, and name nobody."""

_OTHERS = "batches", "runs", "dead_letters"
_LETTER_GAMES = "SELECT DISTINCT game_id FROM dead_letters WHERE user_id = $1"
_LAST_BATCH = "SELECT coalesce(max(batch_id), 0) FROM batches"
_LOOK = f"""
    SELECT batch_id, 1 AS own FROM batches
    WHERE batch_id BETWEEN $2 AND $3 AND user_id = $1
    UNION ALL
    SELECT DISTINCT batch_id, 0 FROM batches CROSS JOIN event_rows
    WHERE batch_id BETWEEN $2 AND $3 AND batches.user_id = ''
    AND event_id BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
                 AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
    AND event_rows.user_id = $1
    ORDER BY batch_id LIMIT {BATCHES_TAKEN}
"""  # noqa: S608 - built from our own constants
_TAKE = """
    DELETE FROM event_rows WHERE event_id BETWEEN $2 AND $3 AND coalesce(user_id, $4) = $1
    RETURNING type, customdata
"""
_HEADER = "SELECT source, game_id, user_id, received_at FROM batches WHERE batch_id = $1"
_COUNT_OTHERS = """
    UPDATE batches SET user_id = '', run = NULL, seq = NULL, event_count = (
        SELECT count(*) FROM event_rows WHERE event_id BETWEEN $2 AND $3
    ) WHERE batch_id = $1
"""
_EMAILS = """
    SELECT email FROM app_players WHERE user_id = $1 AND email IS NOT NULL
    UNION SELECT email FROM accounts WHERE user_id = $1 AND email IS NOT NULL
"""
_ERASURES = "DELETE FROM erasures RETURNING count"
_COUNT_ERASURE = "INSERT INTO erasures (count) VALUES ($1)"
_LETTERS = "SELECT journal, sequence, user_id, rows FROM dead_letters WHERE user_id IN ($1, '')"
_DROP_LETTER = "DELETE FROM dead_letters WHERE journal = $1 AND sequence = $2"
_CUT_LETTER = """
    UPDATE dead_letters SET rows = $3, event_count = $4 WHERE journal = $1 AND sequence = $2
"""

LedgerOpen = Callable[[Any], AbstractAsyncContextManager[None]]


class _Piece(NamedTuple):
    """What was found up to the batch ``position``: batches, and whether all of it is theirs."""

    position: int
    batches: list[tuple[int, bool]]


async def count(db: Database, user_id: str) -> dict[str, int]:
    """Return how many rows ``erase`` would remove or change, by table."""
    counted = {}
    for table, condition in {**PERSONAL_ROWS, "batches": "user_id = $1"}.items():
        query = f"SELECT count(*) FROM {table} WHERE {condition}"  # noqa: S608 - constants
        ((counted[table],),) = await db.fetch(query, user_id)
    counted["runs"] = await runs.count(db, user_id)
    counted["dead_letters"] = len(await _dead_letters(db, user_id, ()))
    return counted


async def names(db: Database, user_id: str) -> set[str]:
    """See ``Store.names``."""
    return {user_id, *(email for (email,) in await db.fetch(_EMAILS, user_id))}


async def erase(
    user_id: str,
    program: Program,
    *,
    reading: Transaction,
    writing: Transaction,
    ledger_open: LedgerOpen,
) -> dict[str, int]:
    """See ``Store.erase``; inside ``ledger_open`` the triggers of the ledger are out of force."""
    erased: Counter[str] = Counter(dict.fromkeys((*PERSONAL_ROWS, *_OTHERS), 0))
    games: set[str] = set()
    said = Said(user_id, program)
    async with writing() as db:
        said.names = await names(db, user_id)
        await _delete(db, user_id, _COINS, erased, ledger_open)
    position = 0
    while True:
        async with reading() as db:
            piece = await _look(db, user_id, position)
        if piece is None:
            break
        if piece.batches:
            async with writing() as db:
                await _take(db, user_id, piece.batches, said, erased, games)
        position = piece.position
    async with reading() as db:
        await said.read_history(db)
        tasks = await said.take_tasks(db)
    for start in range(0, len(tasks), CELLS_IN_A_STEP):
        async with writing() as db:
            await said.forget_cells(db, tasks[start : start + CELLS_IN_A_STEP])
    async with writing() as db:
        while (piece := await _look(db, user_id, position)) is not None:  # what came meanwhile
            await _take(db, user_id, piece.batches, said, erased, games)
            position = piece.position
        await said.forget_cells(db, await said.take_tasks(db))
        await said.forget_sums(db)
        await _delete(db, user_id, {**_COINS, **_REST}, erased, ledger_open)
        games |= {game_id for (game_id,) in await db.fetch(_LETTER_GAMES, user_id)}
        erased["runs"] += await runs.erase(db, user_id, games)
        letters = await _dead_letters(db, user_id, said.names)
        for *name, rows in letters:
            if rows is None:
                await db.fetch(_DROP_LETTER, *name)
            else:
                await db.fetch(_CUT_LETTER, *name, encode(rows), len(rows))
        erased["dead_letters"] = len(letters)
        await count_erasure(db)
    return dict(erased)


async def count_erasure(db: Database) -> None:
    """Count one, in the transaction that ends it; who gathered something before begins anew."""
    before = max((number for (number,) in await db.fetch(_ERASURES)), default=0)
    await db.fetch(_COUNT_ERASURE, before + 1)


async def last_batch(db: Database) -> int:
    """Return the id of the newest header; 0 if there is none."""
    ((last,),) = await db.fetch(_LAST_BATCH)
    return int(last)


async def _delete(
    db: Database,
    user_id: str,
    tables: dict[str, str],
    erased: Counter[str],
    ledger_open: LedgerOpen,
) -> None:
    async with ledger_open(db):
        for table, condition in tables.items():
            delete = f"DELETE FROM {table} WHERE {condition} RETURNING 1"  # noqa: S608 - constants
            erased[table] += len(await db.fetch(delete, user_id))


async def _look(db: Database, user_id: str, position: int) -> _Piece | None:
    """Return where the player is in the next batches; None if there are no more."""
    last = await last_batch(db)
    if position >= last:
        return None
    end = min(last, position + BATCHES_LOOKED_AT)
    found = [(n, bool(own)) for n, own in await db.fetch(_LOOK, user_id, position + 1, end)]
    return _Piece(found[-1][0] if len(found) == BATCHES_TAKEN else end, found)


async def _take(
    db: Database,
    user_id: str,
    batches: list[tuple[int, bool]],
    said: Said,
    erased: Counter[str],
    games: set[str],
) -> None:
    for batch_id, own in batches:
        first = first_event_id(batch_id)
        events = (first, first + MAX_EVENTS_PER_BATCH - 1)
        ((source, game_id, owner, received_at),) = await db.fetch(_HEADER, batch_id)
        if own and game_id not in games:  # with the header goes what says which runs are theirs
            games.add(game_id)
            erased["runs"] += await runs.erase(db, user_id, [game_id])
        rows = await db.fetch(_TAKE, user_id, *events, owner)
        if own and not rows:
            said.note_gone(source, game_id)
        for kind, customdata in rows:
            said.note(source, game_id, received_at, kind, customdata)
        await db.fetch(_COUNT_OTHERS, batch_id, *events)
        erased["event_rows"] += len(rows)
        erased["batches"] += own


async def _dead_letters(
    db: Database, user_id: str, others_names: Collection[str]
) -> list[tuple[str, int, list[Row] | None]]:
    """Return those in which the player is, and what of each may stay; None if nothing.

    Of what cannot be read nothing stays if the id, or another name of theirs, is anywhere in it.
    """
    found: list[tuple[str, int, list[Row] | None]] = []
    for journal, sequence, owner, text in await db.fetch(_LETTERS, user_id):
        if owner == user_id:
            found.append((journal, sequence, None))
            continue
        rows = _rows(text)
        if rows is None:
            if any(each.encode() in bytes(text) for each in {user_id, *others_names}):
                found.append((journal, sequence, None))
        elif len(others := [row for row in rows if row.user_id != user_id]) < len(rows):
            found.append((journal, sequence, others or None))
    return found


def _rows(text: bytes) -> list[Row] | None:
    """Return the rows of a letter if each says whose it is."""
    try:
        rows = decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return None if any(row.user_id is None for row in rows) else rows
