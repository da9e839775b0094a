"""What the whole house talks about: a batch of events, encoded once.

A request is decoded and validated once, by its dialect, and right there encoded into its
canonical rows. From then on no Python object per event exists: buffer, journal and sinks handle
one ``Batch`` per request.
"""

import hashlib
from collections.abc import Sequence
from typing import Literal

import msgspec

from playsmart_gateway.events.about import About

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

RUN_BYTES = 16
OWNER_BYTES = 8
RUN_KEY_BYTES = RUN_BYTES + OWNER_BYTES
MAX_SEQ = 2**53 - 1
"""The highest number of a first event: the largest that every language's JSON can say."""


class Batch(msgspec.Struct, gc=False):
    """One accepted request: a small header and its events as canonical rows.

    ``rows`` is a UTF-8 JSON array of ``count`` rows, see ``row``. ``received_at`` is in
    microseconds since the epoch.

    ``journal`` and ``sequence`` name the batch for ever; the intake and the journal set them and
    ``received_at`` when they accept it.

    Where its sender numbers events, ``run`` is the key of the run that they are of (``run_key``),
    and ``seq`` the number of the first, at most ``MAX_SEQ``; the others follow. A number of a run
    is stored once, whatever batches bring it. What is said ``about`` a batch is kept only of one
    that is of a run.
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
    run: bytes = b""
    seq: int = 0
    about: About | None = None

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
        if self.about is None:
            return len(self.rows) + BATCH_OVERHEAD_BYTES
        return len(self.rows) + BATCH_OVERHEAD_BYTES + self.about.size

    @property
    def places(self) -> Sequence[int]:
        """Where in the request its rows were; the number of each is ``seq`` and its place."""
        refused = () if self.about is None else self.about.refused
        if not refused:
            return range(self.count)
        return [place for place in range(self.count + len(refused)) if place not in refused]


def run_of(idempotency_key: bytes, of: bytes = b"") -> bytes:
    """Return the run that a key stands for which names one request, whose ``seq`` is then 0.

    ``of`` is what the key is of, at most 16 bytes: one key of two of them is two keys. Space behind
    it is none of it (RFC 9110 section 5.5): proxies drop it, and parsers may leave it.
    """
    return hashlib.blake2b(
        idempotency_key.rstrip(b" \t"), digest_size=RUN_BYTES, person=of
    ).digest()


def run_key(run: bytes, game_id: str, user_id: str) -> bytes:
    """Return by what a store knows a run of ``RUN_BYTES``: with whose it is in its last bytes.

    So who learns the run of somebody else takes no number of it.
    """
    return run + run_owner(game_id, user_id)


def run_owner(game_id: str, user_id: str) -> bytes:
    """Return the ``OWNER_BYTES`` at the end of the keys of a player's runs in a game."""
    whose = f"{game_id}\0{user_id}".encode()
    return hashlib.blake2b(whose, digest_size=OWNER_BYTES).digest()


def first_event_id(batch_id: int) -> int:
    """Return the id of a batch's first event; the others follow by their places in the batch."""
    return batch_id * MAX_EVENTS_PER_BATCH


def last_event_id(batch_id: int) -> int:
    """Return the highest id that an event of a batch can have."""
    return first_event_id(batch_id) + MAX_EVENTS_PER_BATCH - 1
