"""Counts what events say about themselves, cell by cell, while they are stored.

A transaction's events are counted in memory first, and one upsert a table adds that up, so what is
written grows with the distinct values of a transaction and not with its events. Numbers are summed
in Python, because the sums are exact decimals.

The strings and fields that are counted by name are bounded as ``loyalty.analytics`` says: those
with the smallest CRC-32. A field may gather twice as many before it is cut; from then on it knows
its last name, and larger ones are not even written. So a field with a new value in each event
costs a few rows a thousand events.
"""

import json
from collections.abc import Mapping
from typing import Any
from zlib import crc32

import aiosqlite
import msgspec

from playsmart_gateway.loyalty import MetadataStats
from playsmart_gateway.loyalty.analytics import MAX_FIELDS, MAX_VALUES, FieldStats

Cell = tuple[str, str, str, str]
"""Project, event id, local day, user group."""

_COUNT_CELLS = """
    INSERT INTO lynes_cells (project, event_id, day, usergroup, events)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
           json_extract(value, '$[3]'), json_extract(value, '$[4]')
    FROM json_each(?) WHERE true
    ON CONFLICT DO UPDATE SET events = events + excluded.events
    RETURNING project, event_id, day, usergroup, cell_id, last_name
"""
_FIELDS = """
    SELECT cell_id, name, stats, last_value FROM json_each(?) CROSS JOIN lynes_fields
    ON cell_id = json_extract(value, '$[0]') AND name = json_extract(value, '$[1]')
"""
_SET_FIELDS = """
    INSERT INTO lynes_fields (cell_id, name, stats, names)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
           json_extract(value, '$[3]')
    FROM json_each(?) WHERE true
    ON CONFLICT DO UPDATE SET stats = excluded.stats, names = names + excluded.names
    RETURNING cell_id, name, field_id, names
"""
_COUNT_VALUES = """
    INSERT INTO lynes_values (field_id, crc, value, count)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
           json_extract(value, '$[3]')
    FROM json_each(?) WHERE true
    ON CONFLICT DO UPDATE SET count = count + excluded.count
"""
_BEYOND = f"""
    SELECT crc, value, count FROM lynes_values WHERE field_id = ?
    ORDER BY crc, value LIMIT -1 OFFSET {MAX_VALUES - 1}
"""  # noqa: S608 - built from our own constants
_DROP_VALUES = "DELETE FROM lynes_values WHERE field_id = ? AND (crc, value) > (?, ?)"


async def count_cells(db: aiosqlite.Connection, cells: Mapping[Cell, MetadataStats]) -> None:
    """Add what was counted of some events to what is stored."""
    if not cells:
        return
    counts = json.dumps([(*cell, stats.events) for cell, stats in cells.items()])
    found = list(await db.execute_fetchall(_COUNT_CELLS, (counts,)))
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


async def _count_fields(
    db: aiosqlite.Connection, fields: Mapping[tuple[int, str], FieldStats]
) -> set[int]:
    """Add to the fields and return the cells that got new ones."""
    rows = await db.execute_fetchall(_FIELDS, (json.dumps(list(fields)),))
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
    for cell_id, name, field_id, names in await db.execute_fetchall(
        _SET_FIELDS, (json.dumps(written),)
    ):
        texts = named[cell_id, name]
        values += [(field_id, crc32(text.encode()), text, n) for text, n in texts.items()]
        if texts and names > 2 * MAX_VALUES:
            full.append(field_id)
    if values:
        await db.execute(_COUNT_VALUES, (json.dumps(values),))
    for field_id in full:
        await _cut_values(db, field_id)
    return {cell_id for cell_id, name in fields if (cell_id, name) not in known}


async def _cut_values(db: aiosqlite.Connection, field_id: int) -> None:
    """Count the strings of a field and keep by name as many as there may be."""
    beyond: list[Any] = list(await db.execute_fetchall(_BEYOND, (field_id,)))
    if len(beyond) < 2:  # few that came often
        await db.execute(
            "UPDATE lynes_fields SET names ="
            " (SELECT count(*) FROM lynes_values WHERE field_id = ?1) WHERE field_id = ?1",
            (field_id,),
        )
        return
    (crc, last_value, _), *cut = beyond
    await db.execute(_DROP_VALUES, (field_id, crc, last_value))
    ((text,),) = await db.execute_fetchall(
        "SELECT stats FROM lynes_fields WHERE field_id = ?", (field_id,)
    )
    field = msgspec.json.decode(text, type=FieldStats)
    field.strings.unnamed += sum(count for _, _, count in cut)
    await db.execute(
        "UPDATE lynes_fields SET stats = ?, names = ?, last_value = ? WHERE field_id = ?",
        (msgspec.json.encode(field).decode(), MAX_VALUES, last_value, field_id),
    )


async def _cut_fields(db: aiosqlite.Connection, cell_id: int, last_name: str | None) -> None:
    """Keep as many fields of a cell by name as there may be, if they are too many."""
    rows: list[Any] = list(
        await db.execute_fetchall(
            "SELECT name, field_id, stats FROM lynes_fields WHERE cell_id = ?", (cell_id,)
        )
    )
    if len(rows) <= MAX_FIELDS * (1 if last_name is not None else 2):
        return
    rows.sort(key=lambda row: _order(row[0]))
    unnamed = 0
    for _, field_id, stats in rows[MAX_FIELDS:]:
        unnamed += msgspec.json.decode(stats, type=FieldStats).events
        await db.execute("DELETE FROM lynes_values WHERE field_id = ?", (field_id,))
        await db.execute("DELETE FROM lynes_fields WHERE field_id = ?", (field_id,))
    await db.execute(
        "UPDATE lynes_cells SET last_name = ? WHERE cell_id = ?",
        (rows[MAX_FIELDS - 1][0], cell_id),
    )
    await _add_unnamed(db, cell_id, unnamed)


async def _add_unnamed(db: aiosqlite.Connection, cell_id: int, count: int) -> None:
    if count:
        await db.execute(
            "UPDATE lynes_cells SET unnamed = unnamed + ? WHERE cell_id = ?", (count, cell_id)
        )


def _order(name: str) -> tuple[int, str]:
    return crc32(name.encode()), name


def _is_beyond(name: str, last: str | None) -> bool:
    """Whether a name comes behind the last one that is counted by name, if there is one."""
    return last is not None and _order(name) > _order(last)
