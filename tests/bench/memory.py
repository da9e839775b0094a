"""How much memory a full buffer takes: a gateway that never flushes, filled once."""

import tempfile
from pathlib import Path

import msgspec

from tests.bench.generators import BenchError, Own
from tests.bench.processes import Target
from tests.bench.requests import requests

_NEVER_FLUSH = (
    "buffer.flush_interval_seconds=86400",
    "buffer.flush_max_events=1000000000",
    "buffer.flush_max_bytes=1000000000000",
    "buffer.max_bytes=1000000000000",
)


class Memory(msgspec.Struct, frozen=True):
    """Bytes of resident memory: before the first event, and at most until the buffer was full."""

    events: int
    buffered: int
    before: int
    peak: int


def measure(events: int, total: int, settings: tuple[str, ...]) -> Memory:
    """Buffer ``total`` events, ``events`` a request. Our own generator counts requests exactly."""
    limits = (*settings, *_NEVER_FLUSH, f"buffer.max_events={total}")
    with (
        tempfile.TemporaryDirectory(prefix="playsmart-bench-") as folder,
        Target("gateway", Path(folder), limits) as target,
    ):
        before = target.memory("VmRSS")
        accepted = Own().send(target.port, requests(events), total // events)
        buffered = target.buffered()
        if buffered != accepted * events or accepted != total // events:
            raise BenchError(f"{buffered} of {total} events are in the buffer")
        return Memory(events, buffered, before, target.memory("VmHWM"))
