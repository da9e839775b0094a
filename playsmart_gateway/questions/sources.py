"""Where events are: in the lake, if there is one, and behind it in the store.

Both are asked in the same words, of a relation ``events``, read-only, a bounded piece at a time.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from time import monotonic
from typing import Any, NamedTuple, Protocol

from playsmart_gateway.events.batch import MAX_EVENTS_PER_BATCH, first_event_id
from playsmart_gateway.stores.sql.database import Database, Transaction

MAX_EVENTS = 20_000_000
"""Some 300 MB with their times; more are not looked at, and the answer says so."""

_NEWEST = "SELECT coalesce(max(batch_id), 0) FROM batches"
_AT = """
    SELECT batch_id, (SELECT received_at FROM events WHERE event_id = first_event)
    FROM (
        SELECT event_id / {ids} AS batch_id, event_id AS first_event
        FROM event_rows WHERE event_id >= $1 ORDER BY event_id LIMIT 1
    ) AS found
""".replace("{ids}", str(MAX_EVENTS_PER_BATCH))
_END_OF_PIECE = """
    SELECT event_id FROM event_rows WHERE event_id > $1 AND event_id <= $2
    ORDER BY event_id LIMIT 1 OFFSET $3
"""
_RECEIVED = """
    SELECT (SELECT received_at FROM events WHERE events.event_id = newest)
    FROM (SELECT max(event_id) AS newest FROM event_rows WHERE event_id <= $1) AS found
"""


class Wanted(NamedTuple):
    """Events of a game, or all, that were received from ``first`` on, before ``last`` if it is one.

    Of ``properties`` the lake is to say what it has of them in columns of their own.
    """

    first: str
    last: str | None
    game: str | None
    properties: frozenset[str] = frozenset()


class Query(NamedTuple):
    """SQL of ``events``, with parameters: the ids after which and up to which, the game, values.

    In the lake, which knows no clients, it may be another one. A piece of the store has so many
    ``events``.
    """

    text: str
    of_lake: str
    events: int
    values: Sequence[str] = ()


class Piece(NamedTuple):
    """Rows; all that was received up to ``upto`` is in them, or was in those before."""

    rows: Sequence[Any]
    upto: str | None
    is_of_lake: bool


class Lake(Protocol):
    """Files that have all events up to ``position``, also those that the store keeps no more."""

    position: int

    def pieces(self, query: Query, wanted: Wanted) -> Iterator[Piece]:
        """Yield what there is, in the order of ids, or by groups of what is asked to be grouped.

        Raises ``LakeError`` if it cannot be read now.
        """
        ...


class Sources(NamedTuple):
    """What is read of: of the store what is not in the lake."""

    reading: Transaction
    lake: Lake | None = None


class Looked:
    """How far events were looked at, till the monotonic clock says ``until``."""

    def __init__(self, until: float) -> None:
        self.events = 0
        self.upto: str | None = None
        self.complete = False
        self._until = until

    @property
    def goes_on(self) -> bool:
        """Whether there is time and room for more."""
        return monotonic() < self._until and self.events < MAX_EVENTS


async def pieces(
    sources: Sources, query: Query, wanted: Wanted, looked: Looked
) -> AsyncIterator[Piece]:
    """Yield what there is, and note how far that goes, while it goes on."""
    after, end = await ids_between(sources.reading, wanted.first, wanted.last)
    if sources.lake is not None:
        for piece in sources.lake.pieces(query, wanted):
            if not looked.goes_on:
                return
            yield piece
            looked.events += len(piece.rows)
            looked.upto = piece.upto or looked.upto
        after = max(after, sources.lake.position)
    while after < end:
        if not looked.goes_on:
            return
        async with sources.reading() as db:
            upto = await _end_of_piece(db, after, end, query.events)
            rows = await db.fetch(query.text, after, upto, wanted.game, *query.values)
            ((received,),) = await db.fetch(_RECEIVED, upto)
        yield Piece(rows, received, is_of_lake=False)
        looked.events += len(rows)
        looked.upto, after = received or looked.upto, upto
    looked.complete = True


async def _end_of_piece(db: Database, after: int, end: int, events: int) -> int:
    """Return the id of the last of the next ``events`` behind ``after``, up to ``end``."""
    for (found,) in await db.fetch(_END_OF_PIECE, after, end, events - 1):
        return int(found)
    return end


async def ids_between(reading: Transaction, first: str, last: str | None) -> tuple[int, int]:
    """Return the ids after which and up to which events were received between two moments.

    Without a ``last`` that is up to the newest. Batches are stored in the order of receipt, so they
    are found by halving.
    """
    async with reading() as db:
        ((newest,),) = await db.fetch(_NEWEST)
        begin = await _first_since(db, first, newest)
        end = newest + 1 if last is None else await _first_since(db, last, newest)
    return first_event_id(begin) - 1, first_event_id(end) - 1


async def _first_since(db: Database, when: str, newest: int) -> int:
    """Return the first batch that was received at that time or later."""
    low, high = 0, newest + 1
    while low < high:
        middle = (low + high) // 2
        rows = await db.fetch(_AT, first_event_id(middle))
        for batch_id, received_at in rows:
            if received_at < when:
                low = max(middle, batch_id) + 1
                break
        else:
            high = middle
    return min(low, newest + 1)
