"""The board: memory that all workers of a gateway and their supervisor share, made before the fork.

Each worker hangs its report there a few times a second, and whenever it is asked itself; whoever is
asked for all of them reads them there. So nobody waits for anybody, what a worker counted outlives
it, and a sum that was told never falls: each part of it was on the board before.

A worker has a place: its state (a byte), its restarts, and two frames. It fills the one that is not
shown and then turns the page, a single byte, so one that is killed in the middle leaves the report
before. The checksum tells a reader that the writer came round to its frame while it read.
"""

import mmap
import struct
import zlib
from typing import Literal, NamedTuple

State = Literal["starting", "ready", "stopping", "gone"]

FRAME_BYTES = 131_072
"""A report is some 10 KB: routes, statuses and reasons are closed sets."""

SILENT_SECONDS = 3.0
"""A worker whose report is older than this is not well."""

_STATES: tuple[State, ...] = ("starting", "ready", "stopping", "gone")
_HEAD = struct.Struct("<IId")  # length, CRC-32, when
_PLACE_BYTES = 4_096 + 2 * FRAME_BYTES
_RESTARTS = struct.Struct("<I")


class Hung(NamedTuple):
    """A report and the ``time.monotonic`` of its writing, which all processes share."""

    content: bytes
    at: float


class Scoreboard:
    """Places for the reports of ``workers`` workers, in memory that forked processes share."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._memory = mmap.mmap(-1, workers * _PLACE_BYTES)

    def state(self, worker: int) -> State:
        """Return what a worker is up to."""
        return _STATES[self._memory[worker * _PLACE_BYTES]]

    def set_state(self, worker: int, state: State) -> None:
        """Note what a worker is up to: the supervisor when it begins or ends, else itself."""
        self._memory[worker * _PLACE_BYTES] = _STATES.index(state)

    def restarts(self, worker: int) -> int:
        """Return how often a worker was started again."""
        (count,) = _RESTARTS.unpack_from(self._memory, worker * _PLACE_BYTES + 4)
        return int(count)

    def count_restart(self, worker: int) -> None:
        """Count one; only the supervisor does."""
        place = worker * _PLACE_BYTES + 4
        _RESTARTS.pack_into(self._memory, place, self.restarts(worker) + 1)

    def hang(self, worker: int, content: bytes, now: float) -> None:
        """Show a new report of a worker; only itself does."""
        assert _HEAD.size + len(content) <= FRAME_BYTES, "labels come from closed sets"
        place = worker * _PLACE_BYTES
        page = 1 - self._memory[place + 1]
        frame = self._frame(worker, page)
        _HEAD.pack_into(self._memory, frame, len(content), zlib.crc32(content), now)
        start = frame + _HEAD.size
        self._memory[start : start + len(content)] = content
        self._memory[place + 1] = page

    def is_silent(self, worker: int, now: float) -> bool:
        """Whether a worker has not shown a report for long: its event loop does not go round."""
        frame = self._frame(worker, self._memory[worker * _PLACE_BYTES + 1])
        _, _, at = _HEAD.unpack_from(self._memory, frame)
        return bool(now - at > SILENT_SECONDS)

    def read(self, worker: int) -> Hung | None:
        """Return the last report of a worker; None if there never was one."""
        while True:  # a writer comes round a few times a second at most
            frame = self._frame(worker, self._memory[worker * _PLACE_BYTES + 1])
            length, checksum, at = _HEAD.unpack_from(self._memory, frame)
            if not length:
                return None
            start = frame + _HEAD.size
            content = self._memory[start : start + min(length, FRAME_BYTES)]
            if zlib.crc32(content) == checksum:
                return Hung(content, at)

    def _frame(self, worker: int, page: int) -> int:
        return worker * _PLACE_BYTES + 4_096 + page * FRAME_BYTES
