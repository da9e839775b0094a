"""What the whole house talks about: a batch of events, encoded once.

A request is decoded and validated once, by its dialect, and right there encoded into its
canonical rows. From then on no Python object per event exists: buffer, journal and sinks handle
one ``Batch`` per request.
"""

from typing import Literal

import msgspec

PLAYSMART = "playsmart"
TEAK = "teak"
LYNES = "lynes"
"""The sources: by which dialect a batch came."""

EVENTS: Literal["events"] = "events"
SESSION: Literal["session"] = "session"
Kind = Literal["events", "session"]
"""What a batch is beside its events: ``session``, one that a player begins (see ``sessions``)."""

MAX_EVENTS_PER_BATCH = 256
"""No dialect takes more events in one request; see ``first_event_id``."""

BATCH_OVERHEAD_BYTES = 256
"""What a waiting batch costs in memory beside its rows: the header, its strings, a buffer slot."""


class Batch(msgspec.Struct, gc=False):
    """One accepted request: a small header and its events as canonical rows.

    ``rows`` is a UTF-8 JSON array of ``count`` rows, see ``row``. ``received_at`` is in
    microseconds since the epoch.

    ``journal`` and ``sequence`` name the batch for ever; the intake and the journal set them and
    ``received_at`` when they accept it.
    """

    source: str
    game_id: str
    user_id: str
    count: int
    rows: bytes
    journal: str = ""
    sequence: int = 0
    received_at: int = 0
    kind: Kind = EVENTS

    @property
    def name(self) -> str:
        """What logs, the stream and people call it; every batch has another one."""
        return f"{self.journal}-{self.sequence}"

    @property
    def key(self) -> tuple[str, int]:
        """Its name, as stores and tables have it."""
        return self.journal, self.sequence

    @property
    def size(self) -> int:
        """Bytes of memory that this batch holds while it waits."""
        return len(self.rows) + BATCH_OVERHEAD_BYTES


def first_event_id(batch_id: int) -> int:
    """Return the id of a batch's first event; the others follow by their places in the batch."""
    return batch_id * MAX_EVENTS_PER_BATCH


def last_event_id(batch_id: int) -> int:
    """Return the highest id that an event of a batch can have."""
    return first_event_id(batch_id) + MAX_EVENTS_PER_BATCH - 1
