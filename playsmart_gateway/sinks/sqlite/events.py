"""The relation ``events``, a bounded piece at a time, by its primary key.

There is no index by player, game or type (it would double the cost of a small request), so a filter
looks at every event of its range.
"""

import aiosqlite

from playsmart_gateway.sinks.events import (
    CountPage,
    EventCount,
    EventFilter,
    EventPage,
    StoredEvent,
    StoreHealth,
)
from playsmart_gateway.sinks.sqlite.schema import MIGRATIONS

PAGE_BYTES = 4_194_304
"""Of customdata, in characters, about which a page may hold."""

FIRST_FETCH = 50
"""Rows asked for while nobody knows how large they are."""

_CONDITIONS = {
    "game_id": "game_id = ?",
    "user_id": "user_id = ?",
    "type": "type = ?",
    "source": "source = ?",
    "since": "occurred_at >= ?",
    "until": "occurred_at < ?",
}


def where(wanted: EventFilter) -> tuple[str, tuple[str, ...]]:
    """Return a filter as conditions on ``events``, each led by AND, and what they are about."""
    given = {name: getattr(wanted, name) for name in wanted.__struct_fields__}
    given = {name: value for name, value in given.items() if value is not None}
    return "".join(f" AND {_CONDITIONS[name]}" for name in given), tuple(given.values())


async def newest_event_id(db: aiosqlite.Connection) -> int:
    """See ``EventReader.newest_event_id``."""
    ((newest,),) = await db.execute_fetchall("SELECT ifnull(max(event_id), 0) FROM event_rows")
    return int(newest)


async def events(
    db: aiosqlite.Connection,
    wanted: EventFilter,
    after: int,
    upto: int,
    limit: int,
    *,
    newest_first: bool,
) -> EventPage:
    """See ``EventReader.events``."""
    order = "DESC" if newest_first else "ASC"
    position = await _end_of_piece(db, after, upto, limit, order)
    first, last = (position, upto) if newest_first else (after + 1, position)
    conditions, values = where(wanted)
    page: list[StoredEvent] = []
    size = 0
    fetch = FIRST_FETCH
    query = (
        f"SELECT * FROM events WHERE event_id BETWEEN ? AND ?{conditions}"  # noqa: S608
        f" ORDER BY event_id {order}"
    )
    async with db.execute(query, (first, last, *values)) as cursor:
        while rows := await cursor.fetchmany(fetch):
            page += map(StoredEvent._make, rows)
            size += sum(len(row[-1] or "") for row in rows)
            if size >= PAGE_BYTES:
                return EventPage(page, page[-1].event_id)
            fetch = max(1, (PAGE_BYTES - size) * len(page) // (size + 1))
            fetch = min(fetch, limit)
    return EventPage(page, position)


async def count_events(
    db: aiosqlite.Connection, wanted: EventFilter, after: int, upto: int, limit: int
) -> CountPage:
    """See ``EventReader.count_events``."""
    position = await _end_of_piece(db, after, upto, limit, "ASC")
    conditions, values = where(wanted)
    rows = await db.execute_fetchall(
        "SELECT source, game_id, type, substr(occurred_at, 1, 10) AS day, count(*)"  # noqa: S608
        f" FROM events WHERE event_id > ? AND event_id <= ?{conditions}"
        " GROUP BY source, game_id, type, day",
        (after, position, *values),
    )
    return CountPage([EventCount(*row) for row in rows], position)


async def examine(db: aiosqlite.Connection) -> StoreHealth:
    """See ``EventReader.examine``."""
    ((version,),) = await db.execute_fetchall("PRAGMA user_version")
    checked = await db.execute_fetchall("PRAGMA quick_check(10)")
    problems = tuple(text for (text,) in checked if text != "ok")
    newest = None
    if version and not problems:
        query = "SELECT received_at FROM batches ORDER BY batch_id DESC LIMIT 1"
        newest = next((text for (text,) in await db.execute_fetchall(query)), None)
    return StoreHealth(version, len(MIGRATIONS), newest, problems)


async def _end_of_piece(
    db: aiosqlite.Connection, after: int, upto: int, limit: int, order: str
) -> int:
    """Return the id of the last event of a piece of ``limit`` events."""
    last_one = (
        "SELECT event_id FROM event_rows WHERE event_id > ? AND event_id <= ?"  # noqa: S608
        f" ORDER BY event_id {order} LIMIT 1 OFFSET ?"
    )
    for (found,) in await db.execute_fetchall(last_one, (after, upto, limit - 1)):
        return int(found)
    return after + 1 if order == "DESC" else upto
