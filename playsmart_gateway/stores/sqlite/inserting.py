"""Batches as rows, in a handful of statements.

``sqlite3`` gives up the GIL at every statement and has to win it back from a busy event loop, so
what counts is not rows but statements. Headers go into ``batches`` by one ``INSERT .. SELECT ..
FROM json_each(?)``; rows go into ``event_rows`` by one statement per ``BATCHES_PER_STATEMENT``
requests, each request's JSON bound as it came and taken apart by SQLite.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import aiosqlite
import msgspec

from playsmart_gateway.errors import SinkRejected, dropped_rows
from playsmart_gateway.events.batch import (
    MAX_EVENTS_PER_BATCH,
    RUN_KEY_BYTES,
    Batch,
)
from playsmart_gateway.events.row import SLOTS
from playsmart_gateway.stores.sqlite.schema import printed_time

BATCHES_PER_STATEMENT = 250


def extracts(names: Iterable[str]) -> dict[str, str]:
    """Return the SQL for each named slot of ``value``, an array that holds them in that order."""
    return {name: f"json_extract(value, '$[{place}]')" for place, name in enumerate(names)}


_HEADER = ("journal_id", "sequence", "source", "game_id", "user_id", "received_at", "event_count")
_HEADER_SLOTS = extracts(_HEADER)
_HEADER_SLOTS["received_at"] = printed_time(_HEADER_SLOTS["received_at"])
_INSERT_BATCHES = f"""
    INSERT INTO batches ({", ".join(_HEADER)})
    SELECT {", ".join(_HEADER_SLOTS.values())} FROM json_each(?)
"""  # noqa: S608 - built from our own constants

_INSERT_BATCHES_OF_RUNS = f"""
    INSERT INTO batches ({", ".join(_HEADER)}, run, seq)
    SELECT {", ".join(_HEADER_SLOTS.values())},
           nullif(substr(?2, 1 + {RUN_KEY_BYTES} * key, {RUN_KEY_BYTES}), ?3),
           json_extract(value, '$[{len(_HEADER)}]')
    FROM json_each(?1)
"""  # noqa: S608 - built from our own constants
_NO_RUN = bytes(RUN_KEY_BYTES)
"""In the place of one, among others. To look for it in every batch would cost who has none."""

_TRIGGERS = """
    SELECT name FROM sqlite_master
    WHERE type = 'trigger' AND tbl_name IN ('batches', 'event_rows') ORDER BY name
"""
"""None of them is ours."""


_ROW_SLOTS = extracts(SLOTS)
_COLUMNS = {
    "type": _ROW_SLOTS["type"],
    "custom_event_name": _ROW_SLOTS["custom_event_name"],
    "time": _ROW_SLOTS["occurred_at"],
    "customdata": _ROW_SLOTS["customdata"],
}


def _insert_events(*more: str) -> str:
    columns = _COLUMNS | {name: _ROW_SLOTS[name] for name in more}
    return f"""
    INSERT INTO event_rows (event_id, {", ".join(columns)})
    WITH incoming (batch_id, rows) AS (VALUES {", ".join(["(?, ?)"] * BATCHES_PER_STATEMENT)})
    SELECT batch_id * {MAX_EVENTS_PER_BATCH} + key, {", ".join(columns.values())}
    FROM incoming CROSS JOIN json_each(CAST(rows AS TEXT))
    """  # noqa: S608 - built from our own constants


_INSERT_EVENTS = _insert_events()
_INSERT_EVENTS_WITH_DRAWS = _insert_events("draw")
_INSERT_EVENTS_OF_MANY = _insert_events("user_id")
"""To look for a draw or a player in every row would cost a tenth of the insert each."""


class Inserter:
    """Inserts batches; ``draws_for`` says whether the rows of a game carry draws."""

    def __init__(self, draws_for: Callable[[str], bool]) -> None:
        self._draws_for = draws_for
        self._journals: dict[str, int] = {}

    def forget(self) -> None:
        """Believe nothing about the file any more."""
        self._journals.clear()

    async def insert(self, db: aiosqlite.Connection, batches: Sequence[Batch]) -> int:
        """Insert headers and rows; return the id of the first batch, which the others follow.

        Raises:
            SinkRejected: fewer than it was given are there, as a trigger dropped them.
        """
        if not batches:
            return 0
        runs = [each.run for each in batches]
        of_runs = any(runs)
        headers: list[tuple[Any, ...]] = [
            (
                self._journals.get(each.journal) or await self._journal_id(db, each.journal),
                *(each.sequence, each.source, each.game_id, each.user_id),
                *(each.received_at, each.count),
                *((each.seq if each.run else None,) if of_runs else ()),
            )
            for each in batches
        ]
        text = msgspec.json.encode(headers).decode()
        if of_runs:
            keys = b"".join([run or _NO_RUN for run in runs])
            cursor = await db.execute(_INSERT_BATCHES_OF_RUNS, (text, keys, _NO_RUN))
        else:
            cursor = await db.execute(_INSERT_BATCHES, (text,))
        if cursor.rowcount != len(batches):
            raise await _dropped(db)
        last_id = cursor.lastrowid or 0
        first_id = last_id - len(batches) + 1
        rows: dict[str, list[tuple[int, bytes]]] = {}
        for batch_id, batch in enumerate(batches, first_id):
            if not batch.user_id:
                statement = _INSERT_EVENTS_OF_MANY
            elif self._draws_for(batch.game_id):
                statement = _INSERT_EVENTS_WITH_DRAWS
            else:
                statement = _INSERT_EVENTS
            rows.setdefault(statement, []).append((batch_id, batch.rows))
        inserted = 0
        for statement, numbered in rows.items():
            inserted += await self._insert_rows(db, statement, numbered)
        if inserted != sum(each.count for each in batches):
            raise await _dropped(db)
        return first_id

    async def _insert_rows(
        self, db: aiosqlite.Connection, statement: str, rows: list[tuple[int, bytes]]
    ) -> int:
        """Return how many there are."""
        inserted = 0
        for start in range(0, len(rows), BATCHES_PER_STATEMENT):
            parameters: list[Any] = []
            for numbered in rows[start : start + BATCHES_PER_STATEMENT]:
                parameters += numbered
            parameters += [None] * (2 * BATCHES_PER_STATEMENT - len(parameters))
            inserted += (await db.execute(statement, parameters)).rowcount
        return inserted

    async def without_known(
        self, db: aiosqlite.Connection, batches: Sequence[Batch]
    ) -> list[Batch]:
        """Return those that are not stored yet."""
        unknown = []
        for batch in batches:
            found = await db.execute_fetchall(
                "SELECT 1 FROM batches JOIN journals USING (journal_id)"
                " WHERE identity = ? AND sequence = ?",
                (batch.journal, batch.sequence),
            )
            if not found:
                unknown.append(batch)
        return unknown

    async def _journal_id(self, db: aiosqlite.Connection, identity: str) -> int:
        """Return the number that stands for a journal in this file."""
        await db.execute(
            "INSERT INTO journals (identity) VALUES (?) ON CONFLICT DO NOTHING", (identity,)
        )
        ((number,),) = await db.execute_fetchall(
            "SELECT journal_id FROM journals WHERE identity = ?", (identity,)
        )
        self._journals[identity] = int(number)
        return self._journals[identity]


async def _dropped(db: aiosqlite.Connection) -> SinkRejected:
    found = await db.execute_fetchall(_TRIGGERS)
    return dropped_rows(name for (name,) in found)
