"""Batches as rows, in a handful of statements.

``sqlite3`` gives up the GIL at every statement and has to win it back from a busy event loop, so
what counts is not rows but statements, and they run in one go. Headers go into ``batches`` as
values, ``HEADERS_PER_STATEMENT`` at a time: SQLite takes a third of the time for them that it takes
for a JSON array. Rows go into ``event_rows`` as JSON as they came, taken apart by SQLite, one
statement per ``PIECES_PER_STATEMENT`` requests; small requests of one event that follow each other
are one piece. Rows find the ids of their headers by how many headers are behind theirs.

For each None or ``bytes`` ``sqlite3`` looks for an adapter, which takes as long as to bind ten
numbers. So nothing is padded with None, and keys are bound as ``bytearray``.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any

import aiosqlite

from playsmart_gateway.errors import SinkRejected, dropped_rows
from playsmart_gateway.events.batch import MAX_EVENTS_PER_BATCH, Batch
from playsmart_gateway.events.row import SLOTS
from playsmart_gateway.stores.sqlite.one_go import InOneGo, Statement

HEADERS_PER_STATEMENT = 250
PIECES_PER_STATEMENT = 250
FEW = 10
"""A statement that has no more of them is a short one: what is missing is padded."""

ROWS_TOGETHER = 250
MAX_BYTES_TOGETHER = 1_024
"""Requests of one event, of at most so many bytes, that are one piece."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000


def extracts(names: Iterable[str]) -> dict[str, str]:
    """Return the SQL for each named slot of ``value``, an array that holds them in that order."""
    return {name: f"json_extract(value, '$[{place}]')" for place, name in enumerate(names)}


def values(rows: int, columns: int) -> str:
    """Return SQL of so many rows of parameters; their columns are ``column1`` and so on."""
    row = f"({', '.join('?' * columns)})"
    return f"(VALUES {', '.join([row] * rows)})"


def filled(
    statement: Callable[[int], str], parameters: list[Any], padding: tuple[Any, ...], most: int
) -> list[Statement]:
    """Return statements for rows of ``parameters``, at most ``most`` rows in each.

    ``statement`` is that for a number of rows; where fewer are left they are followed by
    ``padding``, so that there are few texts to prepare.
    """
    width = len(padding)
    found: list[Statement] = []
    for start in range(0, len(parameters), most * width):
        piece = parameters[start : start + most * width]
        count = len(piece) // width
        room = FEW if count <= FEW else most
        found.append((statement(room), [*piece, *padding * (room - count)]))
    return found


_HEADER = ("journal_id", "sequence", "source", "game_id", "user_id", "received_at", "event_count")
_HEADER_OF_RUN = (*_HEADER, "run", "seq")


@lru_cache
def _insert_batches(columns: tuple[str, ...], count: int) -> str:
    return f"""
    INSERT INTO batches ({", ".join(columns)})
    SELECT * FROM {values(count, len(columns))} WHERE column1
    """  # noqa: S608 - built from our own constants


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


_NO_PIECE = (0, 0, "[]")
_DRAWS = ("draw",)
_OF_MANY = ("user_id",)
"""To look for a draw or a player in every row would cost a tenth of the insert each."""


@lru_cache
def _insert_events(more: tuple[str, ...], count: int) -> str:
    columns = _COLUMNS | {name: _ROW_SLOTS[name] for name in more}
    return f"""
    INSERT INTO event_rows (event_id, {", ".join(columns)})
    WITH incoming (batches_behind, step, rows) AS {values(count, len(_NO_PIECE))}
    SELECT (newest - batches_behind) * {MAX_EVENTS_PER_BATCH} + key * step,
           {", ".join(columns.values())}
    FROM (SELECT seq AS newest FROM sqlite_sequence WHERE name = 'batches')
    CROSS JOIN incoming CROSS JOIN json_each(CAST(rows AS TEXT))
    """  # noqa: S608 - built from our own constants


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
        headers = await self._headers(db, batches)
        end = len(headers)
        try:
            ran = await db.run([*headers, *self._events(batches)])
        except sqlite3.IntegrityError:
            if len(db.ran) >= end and _inserted(db.ran[:end]) != len(batches):
                raise await _dropped(db) from None  # so rows meet those of others
            raise
        events = sum([each.count for each in batches])
        if _inserted(ran[:end]) != len(batches) or _inserted(ran[end:]) != events:
            raise await _dropped(db)
        return (ran[end - 1].lastrowid or 0) - len(batches) + 1

    async def _headers(self, db: InOneGo, batches: Sequence[Batch]) -> list[Statement]:
        of_runs = any(each.run for each in batches)
        flat: list[Any] = []
        journal: str | None = None
        journal_id = 0
        since, second = 0, "1970-01-01T00:00:00"
        for each in batches:
            if each.journal != journal:
                journal = each.journal
                journal_id = self._journals.get(journal) or await self._journal_id(db, journal)
            micros = each.received_at - since
            if not 0 <= micros < _SECOND:
                since += micros // _SECOND * _SECOND
                micros = each.received_at - since
                second = (_EPOCH + timedelta(microseconds=since)).isoformat()[:19]
            flat += (
                journal_id, each.sequence, each.source, each.game_id, each.user_id,
                f"{second}.{micros:06}Z", each.count,
            )  # fmt: skip
            if of_runs:
                flat += (bytearray(each.run), each.seq) if each.run else (None, None)
        columns = _HEADER_OF_RUN if of_runs else _HEADER
        padding = (0,) * len(columns)
        return filled(partial(_insert_batches, columns), flat, padding, HEADERS_PER_STATEMENT)

    def _events(self, batches: Sequence[Batch]) -> Iterator[Statement]:
        """Yield what inserts the rows, those with the same columns together."""
        pieces: dict[tuple[str, ...], list[Any]] = {}
        growing: tuple[str, ...] | None = None
        rows: list[bytes] = []
        for behind, batch in zip(range(len(batches) - 1, -1, -1), batches, strict=True):
            more: tuple[str, ...] = ()
            if not batch.user_id:
                more = _OF_MANY
            elif self._draws_for(batch.game_id):
                more = _DRAWS
            is_small = batch.count == 1 and len(batch.rows) <= MAX_BYTES_TOGETHER
            if is_small and more is growing and len(rows) < ROWS_TOGETHER:
                rows.append(batch.rows)
                continue
            rows = [batch.rows]
            growing = more if is_small else None
            step = MAX_EVENTS_PER_BATCH if is_small else 1
            pieces.setdefault(more, []).extend((behind, step, rows))
        for more, flat in pieces.items():
            flat[2::3] = [b"[%b]" % b",".join([row[1:-1] for row in each]) for each in flat[2::3]]
            yield from filled(partial(_insert_events, more), flat, _NO_PIECE, PIECES_PER_STATEMENT)

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


def _inserted(cursors: Sequence[sqlite3.Cursor]) -> int:
    return sum([each.rowcount for each in cursors])


async def _dropped(db: aiosqlite.Connection) -> SinkRejected:
    found = await db.execute_fetchall(_TRIGGERS)
    return dropped_rows(name for (name,) in found)
