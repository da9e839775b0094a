"""Counts what events say about themselves, cell by cell, while they are stored.

A transaction's events are counted in memory first, and one upsert a table adds that up, so what is
written grows with the distinct values of a transaction and not with its events. Numbers are summed
in Python, because the sums are exact decimals.

The strings and fields that are counted by name are bounded as ``economy.points.analytics`` says:
those with the smallest CRC-32. A field may gather twice as many before it is cut; from then on it
knows its last name, and larger ones are not even written. So a field with a new value in each event
costs a few rows a thousand events.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import msgspec

from playsmart_gateway.economy.points import MetadataStats
from playsmart_gateway.economy.points.analytics import (
    MAX_FIELDS,
    MAX_VALUES,
    FieldStats,
)
from playsmart_gateway.stores.sql.database import (
    Database,
    run,
)

Cell = tuple[str, str, str, str]
"""Project, event id, local day, user group."""

_COUNT_CELLS = """
    INSERT INTO lynes_cells (project, event_id, day, usergroup, events)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, CAST(value ->> 4 AS BIGINT)
    FROM json_each($1) WHERE true
    ON CONFLICT (project, event_id, day, usergroup)
        DO UPDATE SET events = lynes_cells.events + excluded.events
    RETURNING project, event_id, day, usergroup, cell_id, last_name
"""
_FIELDS = """
    SELECT cell_id, name, stats, last_value FROM json_each($1) JOIN lynes_fields
    ON cell_id = CAST(value ->> 0 AS BIGINT) AND name = value ->> 1
"""
_SET_FIELDS = """
    INSERT INTO lynes_fields (cell_id, name, stats, names)
    SELECT CAST(value ->> 0 AS BIGINT), value ->> 1, value ->> 2, CAST(value ->> 3 AS BIGINT)
    FROM json_each($1) WHERE true
    ON CONFLICT (cell_id, name)
        DO UPDATE SET stats = excluded.stats, names = lynes_fields.names + excluded.names
    RETURNING cell_id, name, field_id, names
"""
_COUNT_VALUES = """
    INSERT INTO lynes_values (field_id, crc, value, count)
    SELECT CAST(each.value ->> 0 AS BIGINT), CAST(each.value ->> 1 AS BIGINT), each.value ->> 2,
           CAST(each.value ->> 3 AS BIGINT)
    FROM json_each($1) AS each WHERE true
    ON CONFLICT (field_id, crc, value) DO UPDATE SET count = lynes_values.count + excluded.count
"""
_ALL = 2**62
"""A LIMIT that is none; SQLite has no OFFSET without one."""

_BEYOND = f"""
    SELECT crc, value, count FROM lynes_values WHERE field_id = $1
    ORDER BY crc, value LIMIT {_ALL} OFFSET {MAX_VALUES - 1}
"""  # noqa: S608 - built from our own constants
_DROP_VALUES = "DELETE FROM lynes_values WHERE field_id = $1 AND (crc, value) > ($2, $3)"
_SET_NAMES = """
    UPDATE lynes_fields SET names = (SELECT count(*) FROM lynes_values WHERE field_id = $1)
    WHERE field_id = $1
"""


async def count_cells(db: Database, cells: Mapping[Cell, MetadataStats]) -> None:
    """Add what was counted of some events to what is stored."""
    if not cells:
        return
    counts = [(*cell, stats.events) for cell, stats in cells.items()]
    found = await run(db, _COUNT_CELLS, counts)
    last_names = {cell_id: last_name for *_, cell_id, last_name in found}
    fields: dict[tuple[int, str], FieldStats] = {}
    unnamed: dict[int, int] = {}
    for project, event_id, day, group, cell_id, last_name in found:
        stats = cells[project, event_id, day, group]
        unnamed[cell_id] = stats.unnamed
        for name, field in stats.fields.items():
            if _is_beyond(name, last_name):
                unnamed[cell_id] += field.events
            else:
                fields[cell_id, name] = field
    if fields:
        for cell_id in await _count_fields(db, fields):
            await _cut_fields(db, cell_id, last_names[cell_id])
    for cell_id, count in unnamed.items():
        await _add_unnamed(db, cell_id, count)


async def _count_fields(db: Database, fields: Mapping[tuple[int, str], FieldStats]) -> set[int]:
    """Add to the fields and return the cells that got new ones."""
    rows = await run(db, _FIELDS, list(fields))
    known = {(cell_id, name): (stats, last) for cell_id, name, stats, last in rows}
    written, named = [], {}
    for key, field in fields.items():
        stored, last_value = known.get(key, (None, None))
        names = field.strings.named
        named[key] = {text: n for text, n in names.items() if not _is_beyond(text, last_value)}
        field.strings.unnamed += sum(names.values()) - sum(named[key].values())
        field.strings.named = {}
        if stored is not None:
            field.merge(msgspec.json.decode(stored, type=FieldStats))
        written.append((*key, msgspec.json.encode(field).decode(), len(named[key])))
    values: list[tuple[int, int, str, int]] = []
    full = []
    for cell_id, name, field_id, names in await run(db, _SET_FIELDS, written):
        texts = named[cell_id, name]
        values += [(field_id, crc32(text.encode()), text, n) for text, n in texts.items()]
        if texts and names > 2 * MAX_VALUES:
            full.append(field_id)
    await run(db, _COUNT_VALUES, values)
    for field_id in full:
        await _cut_values(db, field_id)
    return {cell_id for cell_id, name in fields if (cell_id, name) not in known}


async def _cut_values(db: Database, field_id: int) -> None:
    """Count the strings of a field and keep by name as many as there may be."""
    beyond: Sequence[Any] = await db.fetch(_BEYOND, field_id)
    if len(beyond) < 2:  # few that came often
        await db.fetch(_SET_NAMES, field_id)
        return
    (crc, last_value, _), *cut = beyond
    await db.fetch(_DROP_VALUES, field_id, crc, last_value)
    ((text,),) = await db.fetch("SELECT stats FROM lynes_fields WHERE field_id = $1", field_id)
    field = msgspec.json.decode(text, type=FieldStats)
    field.strings.unnamed += sum(count for _, _, count in cut)
    await db.fetch(
        "UPDATE lynes_fields SET stats = $1, names = $2, last_value = $3 WHERE field_id = $4",
        *(msgspec.json.encode(field).decode(), MAX_VALUES, last_value, field_id),
    )


async def _cut_fields(db: Database, cell_id: int, last_name: str | None) -> None:
    """Keep as many fields of a cell by name as there may be, if they are too many."""
    rows: list[Any] = list(
        await db.fetch("SELECT name, field_id, stats FROM lynes_fields WHERE cell_id = $1", cell_id)
    )
    if len(rows) <= MAX_FIELDS * (1 if last_name is not None else 2):
        return
    rows.sort(key=lambda row: _order(row[0]))
    unnamed = 0
    for _, field_id, stats in rows[MAX_FIELDS:]:
        unnamed += msgspec.json.decode(stats, type=FieldStats).events
        await db.fetch("DELETE FROM lynes_values WHERE field_id = $1", field_id)
        await db.fetch("DELETE FROM lynes_fields WHERE field_id = $1", field_id)
    last_name = rows[MAX_FIELDS - 1][0]
    await db.fetch("UPDATE lynes_cells SET last_name = $1 WHERE cell_id = $2", last_name, cell_id)
    await _add_unnamed(db, cell_id, unnamed)


async def _add_unnamed(db: Database, cell_id: int, count: int) -> None:
    if count:
        await db.fetch(
            "UPDATE lynes_cells SET unnamed = unnamed + $1 WHERE cell_id = $2", count, cell_id
        )


def _order(name: str) -> tuple[int, str]:
    return crc32(name.encode()), name


def _is_beyond(name: str, last: str | None) -> bool:
    """Whether a name comes behind the last one that is counted by name, if there is one."""
    return last is not None and _order(name) > _order(last)
