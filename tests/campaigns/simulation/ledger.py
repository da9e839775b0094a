"""What the outside world knows: who sent what, and what they were told."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Literal

from playsmart_gateway.events.batch import RUN_BYTES, run_key
from tests.campaigns.simulation.chance import Chance
from tests.campaigns.simulation.numbering import Numbering

GAME = "game"
NUMBERING_CLIENTS = 0.5
"""The share of clients that number their events."""

NEW_RUNS = 0.3
"""How often such a client has begun a new run when a gateway lives again."""

Outcome = Literal["not sent", "unknown", "acknowledged", "refused"]

NUMBER = re.compile(rb'"#(\d+)\.0"')
"""The first event of a batch names its attempt; so does any copy of it on any disk."""

PLACE = re.compile(rb'"#(\d+)\.(\d+)"')

POISON = b"poison"


class Attempt:
    """One request of one client, and how it ended for the client.

    ``run`` is the key of the run that its events are of, if any, ``first`` the number of the first.
    """

    __slots__ = (
        *("at", "client", "count", "first", "number", "outcome", "poisoned", "rows", "run", "tag"),
    )

    def __init__(
        self, number: int, client: str, count: int, poisoned: bool, run: bytes = b"", first: int = 0
    ) -> None:
        self.number = number
        self.client = client
        self.count = count
        self.poisoned = poisoned
        self.run = run
        self.first = first
        self.outcome: Outcome = "not sent"
        self.tag = ""
        self.at = 0.0
        data = POISON.decode() if poisoned else "x" * (number * 7 % 60)
        self.rows = b"[%b]" % b",".join(
            b'["Custom","#%d.%d","2026-04-22T14:30:00Z",{"p":"%b"}]'
            % (number, place, data.encode())
            for place in range(count)
        )

    def __str__(self) -> str:
        return f"#{self.number} of {self.client}: {self.outcome} {self.tag}".rstrip()


class Ledger:
    """All attempts of a seed, and what the world may excuse, by the reason.

    ``flipped`` are records that were damaged on the disk, by the number of their attempt: each
    must be found as it is now in a ``.bad`` file.
    """

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.may_miss: dict[int, str] = {}
        self.flipped: dict[int, bytes] = {}
        self.excused: Counter[str] = Counter()
        self._numberings: dict[str, Numbering | None] = {}

    def numbering(self, client: str, chance: Chance) -> Numbering | None:
        """Return how a client numbers its events in this life of a gateway; None if it does not."""
        known = self._numberings.get(client)
        is_new = client not in self._numberings or (known and chance.random() < NEW_RUNS)
        if is_new:
            numbers = known is not None or chance.random() < NUMBERING_CLIENTS
            run = run_key(chance.randbytes(RUN_BYTES), GAME, client)
            self._numberings[client] = Numbering(run) if numbers else None
        return self._numberings[client]

    def begin(
        self, client: str, count: int, poisoned: bool, run: bytes = b"", first: int = 0
    ) -> Attempt:
        """Note that a client is about to send a batch."""
        attempt = Attempt(len(self.attempts), client, count, poisoned, run, first)
        self.attempts.append(attempt)
        return attempt

    def excuse_acknowledged(self, reason: str, when: Callable[[Attempt], bool]) -> None:
        """Allow acknowledged batches for which ``when`` is true to be missing."""
        for attempt in self.attempts:
            if attempt.outcome == "acknowledged" and when(attempt):
                self.may_miss.setdefault(attempt.number, reason)


def places_in(rows: bytes) -> list[tuple[int, int]]:
    """Name the events in rows by their attempts and their places in them."""
    return [(int(number), int(place)) for number, place in PLACE.findall(rows)]


def numbers_in(content: bytes | bytearray) -> Iterator[int]:
    """Name the attempts of which there are bytes in ``content``."""
    return (int(number) for number in NUMBER.findall(content))
