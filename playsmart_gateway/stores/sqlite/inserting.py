"""Batches as rows, in a handful of statements.

``sqlite3`` gives up the GIL at every statement and has to win it back from a busy event loop, so
what counts is not rows but statements, and they run in one go. Headers go into ``batches`` by one
``INSERT .. SELECT .. FROM json_each(?)``; rows go into ``event_rows`` by one statement per
``BATCHES_PER_STATEMENT`` requests, each request's JSON bound as it came and taken apart by SQLite.
Rows find the ids of their headers by how many headers are behind theirs.
"""

import sqlite3
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
from playsmart_gateway.stores.sqlite.one_go import InOneGo, Statement
from playsmart_gateway.stores.sqlite.schema import printed_time

BATCHES_PER_STATEMENT = 250
_PARAMETERS = 2 * BATCHES_PER_STATEMENT


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
    WITH incoming (batches_behind, rows) AS (VALUES {", ".join(["(?, ?)"] * BATCHES_PER_STATEMENT)})
    SELECT (newest - batches_behind) * {MAX_EVENTS_PER_BATCH} + key, {", ".join(columns.values())}
    FROM (SELECT seq AS newest FROM sqlite_sequence WHERE name = 'batches')
    CROSS JOIN incoming CROSS JOIN json_each(CAST(rows AS TEXT))
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

    async def insert(self, db: InOneGo, batches: Sequence[Batch]) -> int:
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
        statements: list[Statement]
        if of_runs:
            keys = b"".join([run or _NO_RUN for run in runs])
            statements = [(_INSERT_BATCHES_OF_RUNS, (text, keys, _NO_RUN))]
        else:
            statements = [(_INSERT_BATCHES, (text,))]
        rows: dict[str, list[Any]] = {}
        for place, batch in enumerate(batches, 1):
            if not batch.user_id:
                statement = _INSERT_EVENTS_OF_MANY
            elif self._draws_for(batch.game_id):
                statement = _INSERT_EVENTS_WITH_DRAWS
            else:
                statement = _INSERT_EVENTS
            rows.setdefault(statement, []).extend((len(batches) - place, batch.rows))
        for statement, listed in rows.items():
            for start in range(0, len(listed), _PARAMETERS):
                piece = listed[start : start + _PARAMETERS]
                statements.append((statement, piece + [None] * (_PARAMETERS - len(piece))))
        try:
            ran = await db.run(statements)
        except sqlite3.IntegrityError:
            if db.ran and db.ran[0].rowcount != len(batches):  # then rows meet those of others
                raise await _dropped(db) from None
            raise
        inserted = [each.rowcount for each in ran]
        if inserted[0] != len(batches) or sum(inserted[1:]) != sum(each.count for each in batches):
            raise await _dropped(db)
        return (ran[0].lastrowid or 0) - len(batches) + 1

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
