"""One event as it is kept: a row, the only description of its format.

A row is a JSON array of four to seven slots, in the order of ``Row``'s fields. Most events need
four; a writer takes the shortest class that can say what it has, so nobody stores nulls for what
only some games and apps send. Whoever reads decodes them all as ``Row``; SQL takes the places from
``SLOTS``. A new slot goes behind the others: what is in journals and streams has none of it.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import msgspec

NO_DATA = msgspec.Raw(b"null")
"""The customdata of an event without any."""


class PlainRow(msgspec.Struct, array_like=True, gc=False):
    """What every event has.

    ``occurred_at`` is in UTC, and written ``YYYY-MM-DDTHH:MM:SS[.ffffff]Z`` as msgspec prints it.
    ``customdata`` is the JSON text of an object, or null. No text outside it holds NUL.
    """

    type: str
    custom_event_name: str | None
    occurred_at: datetime
    customdata: msgspec.Raw


class DrawnRow(PlainRow, array_like=True, gc=False):
    """With the draw of a game that pays by chance (see ``economy``)."""

    draw: int | None = None


class PlayerRow(DrawnRow, array_like=True, gc=False):
    """With its player, who counts only where the batch names none."""

    user_id: str | None = None


class Row(PlayerRow, array_like=True, gc=False):
    """With all that a row can hold; ``email`` is that of a session's player (see ``sessions``)."""

    email: str | None = None


SLOTS = {name: place for place, name in enumerate(Row.__struct_fields__)}
"""Where each field of a row is in its array, for SQL."""

encode: Callable[[Sequence[PlainRow]], bytes] = msgspec.json.Encoder().encode
"""Return rows as one JSON array, what ``Batch.rows`` is."""

decode: Callable[[bytes], list[Row]] = msgspec.json.Decoder(list[Row]).decode
"""Read what ``encode`` wrote; customdata is looked at no more than to find its end.

Raises ``msgspec.MsgspecError``, ``UnicodeError`` or ``RecursionError`` for anything else.
"""

NO_ROWS = b"[]"
"""``Batch.rows`` of a batch of which nothing is new."""

_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


def picked(rows: bytes, count: int, places: Iterable[int]) -> bytes | None:
    """Return the rows at these places, as they are; None if they are not ``count`` rows."""
    try:
        each = _split(rows)
    except (msgspec.MsgspecError, RecursionError):
        return None
    if len(each) != count:
        return None
    return b"[%b]" % b",".join([bytes(each[place]) for place in places])
