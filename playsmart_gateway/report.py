"""What one gateway says of itself at one moment: its counts, its gauges, and whether it is ready.

The reports of several workers add up to one: the law holds in each, so it holds in the sum.
"""

from collections import Counter
from typing import Any

import msgspec

from playsmart_gateway.errors import Detail
from playsmart_gateway.metrics import Stats


class Gauges(msgspec.Struct):
    """How things stand now; ``in_buffer``, ``in_commit_queue``, ``arriving``: events that wait.

    Those that are ``arriving`` are counted as received, and not in the journal and the buffer yet.
    """

    in_buffer: int
    in_commit_queue: int
    arriving: int
    buffered_bytes: int
    max_events: int
    max_bytes: int
    oldest_age: float
    requests_waiting: int
    journal_bytes: int
    journal_up: bool
    store_up: bool
    store_log_bytes: int
    connections: Counter[str]
    max_connections: int
    body_bytes: int

    @property
    def waiting(self) -> int:
        """Events that are received, and neither stored nor rejected yet."""
        return self.in_buffer + self.in_commit_queue + self.arriving

    def add(self, other: "Gauges") -> None:
        """Add what another one has; the oldest and the worst of both hold."""
        for name in self.__struct_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, Counter):
                mine.update(theirs)
            elif isinstance(mine, bool):
                setattr(self, name, mine and theirs)
            elif name in ("oldest_age", "store_log_bytes"):  # of which there is one
                setattr(self, name, max(mine, theirs))
            else:
                setattr(self, name, mine + theirs)


class Report(msgspec.Struct):
    """``workers_up`` of ``workers`` are alive, after ``restarts``; ``not_ready`` says why not."""

    stats: Stats
    gauges: Gauges
    not_ready: list[Detail]
    workers: int = 1
    workers_up: int = 1
    restarts: int = 0


def encode(report: Report) -> bytes:
    """Return it as bytes, to be read by ``decode`` of the same program."""
    return msgspec.msgpack.encode(report)


def decode(content: bytes) -> Report:
    """Return the report that was encoded."""
    return _decode(content)


def _counter(_: type, value: Any) -> Counter[str]:
    return Counter(value)


_decode = msgspec.msgpack.Decoder(Report, dec_hook=_counter).decode
