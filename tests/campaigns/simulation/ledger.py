"""What the outside world knows: who sent what, and what they were told."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Literal

Outcome = Literal["not sent", "unknown", "acknowledged", "refused"]

NUMBER = re.compile(rb'"#(\d+)\.0"')
"""The first event of a batch names its attempt; so does any copy of it on any disk."""

POISON = b"poison"


class Attempt:
    """One request of one client, and how it ended for the client."""

    __slots__ = ("at", "client", "count", "number", "outcome", "poisoned", "rows", "tag")

    def __init__(self, number: int, client: str, count: int, poisoned: bool) -> None:
        self.number = number
        self.client = client
        self.count = count
        self.poisoned = poisoned
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

    def begin(self, client: str, count: int, poisoned: bool) -> Attempt:
        """Note that a client is about to send a batch."""
        attempt = Attempt(len(self.attempts), client, count, poisoned)
        self.attempts.append(attempt)
        return attempt

    def excuse_acknowledged(self, reason: str, when: Callable[[Attempt], bool]) -> None:
        """Allow acknowledged batches for which ``when`` is true to be missing."""
        for attempt in self.attempts:
            if attempt.outcome == "acknowledged" and when(attempt):
                self.may_miss.setdefault(attempt.number, reason)


def numbers_in(content: bytes | bytearray) -> Iterator[int]:
    """Name the attempts of which there are bytes in ``content``."""
    return (int(number) for number in NUMBER.findall(content))
