"""The relation ``events``, a bounded piece at a time, by its primary key.

There is no index by player, game or type (it would double the cost of a small request), so a filter
looks at every event of its range.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

from playsmart_gateway.stores.models import (
    CountPage,
    EventCount,
    EventFilter,
    EventPage,
    StoredEvent,
)
from playsmart_gateway.stores.sql.database import Database

PAGE_BYTES = 4_194_304
"""Of customdata, in characters, about which a page may hold."""

FIRST_FETCH = 50
"""Rows asked for while nobody knows how large they are."""

_CUSTOMDATA = StoredEvent._fields.index("customdata")
_CONDITIONS = {
    "game_id": "game_id =",
    "user_id": "user_id =",
    "type": "type =",
    "source": "source =",
    "since": "occurred_at >=",
    "until": "occurred_at <",
    "custom_event_name": "custom_event_name =",
}


class Piece(NamedTuple):
    """The events of some ids: the query for those wanted, and where the piece ends."""

    query: str
    parameters: tuple[int | str, ...]
    position: int
    limit: int


def where(wanted: EventFilter, first: int) -> tuple[str, tuple[str, ...]]:
    """Return a filter as conditions on ``events``, each led by AND, and what they are about.

    ``first`` is the number of the first parameter.
    """
    given = {name: getattr(wanted, name) for name in wanted.__struct_fields__}
    given = {name: value for name, value in given.items() if value is not None}
    conditions = [f" AND {_CONDITIONS[name]} ${place}" for place, name in enumerate(given, first)]
    return "".join(conditions), tuple(given.values())


async def newest_event_id(db: Database) -> int:
    """See ``EventReader.newest_event_id``."""
    ((newest,),) = await db.fetch("SELECT coalesce(max(event_id), 0) FROM event_rows")
    return int(newest)


async def piece(
    db: Database, wanted: EventFilter, after: int, upto: int, limit: int, *, newest_first: bool
) -> Piece:
    """Return what ``EventReader.events`` is asked for."""
    order = "DESC" if newest_first else "ASC"
    position = await _end_of_piece(db, after, upto, limit, order)
    first, last = (position, upto) if newest_first else (after + 1, position)
    conditions, values = where(wanted, 3)
    query = (
        f"SELECT * FROM events WHERE event_id BETWEEN $1 AND $2{conditions}"  # noqa: S608 - ours
        f" ORDER BY event_id {order}"
    )
    return Piece(query, (first, last, *values), position, limit)


async def page(fetch: Callable[[int], Awaitable[Iterable[Sequence[Any]]]], of: Piece) -> EventPage:
    """Return the events of a piece, or those at its beginning if they are large.

    ``fetch`` returns the next rows of the query, as many as it is asked for if there are so many.
    """
    events: list[StoredEvent] = []
    size = 0
    wanted = FIRST_FETCH
    while rows := list(await fetch(wanted)):
        events += map(StoredEvent._make, rows)
        size += sum(len(row[_CUSTOMDATA] or "") for row in rows)
        if size >= PAGE_BYTES:
            return EventPage(events, events[-1].event_id)
        wanted = max(1, (PAGE_BYTES - size) * len(events) // (size + 1))
        wanted = min(wanted, of.limit)
    return EventPage(events, of.position)


async def count_events(
    db: Database, wanted: EventFilter, after: int, upto: int, limit: int
) -> CountPage:
    """See ``EventReader.count_events``."""
    position = await _end_of_piece(db, after, upto, limit, "ASC")
    conditions, values = where(wanted, 3)
    rows = await db.fetch(
        "SELECT source, game_id, type, custom_event_name,"  # noqa: S608 - ours
        " substr(occurred_at, 1, 10) AS day, count(*)"
        f" FROM events WHERE event_id > $1 AND event_id <= $2{conditions}"
        " GROUP BY source, game_id, type, custom_event_name, day",
        *(after, position, *values),
    )
    return CountPage([EventCount(*row) for row in rows], position)


async def _end_of_piece(db: Database, after: int, upto: int, limit: int, order: str) -> int:
    """Return the id of the last event of a piece of ``limit`` events."""
    last_one = (
        "SELECT event_id FROM event_rows WHERE event_id > $1 AND event_id <= $2"  # noqa: S608
        f" ORDER BY event_id {order} LIMIT 1 OFFSET $3"
    )
    for (found,) in await db.fetch(last_one, after, upto, limit - 1):
        return int(found)
    return after + 1 if order == "DESC" else upto
