"""Recorded request bodies, sent as they are: one JSON object a line, plain or gzip.

A line without a ``user_id`` cannot be sent, for nobody could authenticate it. Everything else is
sent unmodified, also what the gateway must refuse. All lines of a user go through one connection,
in the order of the file, so they never overtake each other.
"""

import gzip
import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from heapq import heapify, heapreplace
from pathlib import Path

import msgspec

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.load.lane import WHOLE, Lane, Outcome, Share
from playsmart_gateway.load.row import Row, rows
from playsmart_gateway.load.tally import MultisetTally, Tally

MAX_FILE_BYTES = 1 << 30
_GZIP_MAGIC = b"\x1f\x8b"


class _Line(msgspec.Struct):
    user_id: str
    events: list[msgspec.Raw] = []


_decoder = msgspec.json.Decoder(_Line)


class Replay:
    """The lines of a file, in order, over and over. They are kept in memory: at most 1 GiB."""

    def __init__(self, bodies: Sequence[bytes]) -> None:
        """Take the bodies. ``ConfigError`` when one has no ``user_id``, or there is none."""
        if not bodies:
            raise ConfigError(["there is no request body in it; one JSON object a line is needed"])
        self._bodies = bodies
        self._users: list[str] = []
        self._events: list[int] = []
        for number, body in enumerate(bodies, start=1):
            try:
                line = _decoder.decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                what = f"body {number} is not an object with a user_id and a list of events"
                raise ConfigError([f"{what}: {error}"]) from error
            self._users.append(line.user_id)
            self._events.append(len(line.events))

    @classmethod
    def read(cls, path: Path, *, max_bytes: int = MAX_FILE_BYTES) -> "Replay":
        """Read a file, one body a line; empty lines are skipped. ``ConfigError`` if it fails."""
        try:
            with path.open("rb") as plain:
                packed = plain.read(2) == _GZIP_MAGIC
            with gzip.open(path) if packed else path.open("rb") as file:
                data = file.read(max_bytes + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ConfigError([f"{path} cannot be read: {error}"]) from error
        if len(data) > max_bytes:
            raise ConfigError([f"{path} is larger than {max_bytes} bytes; replay it in parts"])
        try:
            return cls([line for line in data.split(b"\n") if line.strip()])
        except ConfigError as error:
            raise ConfigError([f"{path}: {problem}" for problem in error.problems]) from error

    @property
    def users(self) -> Sequence[str]:
        """Everybody with a line, in order of appearance."""
        return list(dict.fromkeys(self._users))

    @property
    def length(self) -> int:
        """How many lines there are."""
        return len(self._bodies)

    def user(self, request: int) -> str:
        """Return whose line it is."""
        return self._users[request % len(self._bodies)]

    def events(self, request: int) -> int:
        """Return how many events the line has."""
        return self._events[request % len(self._bodies)]

    def body(self, request: int) -> bytes:
        """Return the line."""
        return self._bodies[request % len(self._bodies)]

    def lanes(self, connections: int, share: Share = WHOLE) -> list[Lane]:
        """Give every user to one connection, the busiest first and to whoever has least to do."""
        shares: list[tuple[int, int]] = [(0, lane) for lane in range(connections * share.of)]
        heapify(shares)
        lane_of = {}
        for user, lines in Counter(self._users).most_common():
            load, lane = shares[0]
            heapreplace(shares, (load + lines, lane))
            lane_of[user] = lane
        lines_of: dict[int, list[int]] = defaultdict(list)
        for number, user in enumerate(self._users):
            lines_of[lane_of[user]].append(number)
        lanes = [Lane(lines, cycle=self.length, connections=1) for lines in lines_of.values()]
        return lanes[share.place :: share.of]

    def together(self, lanes: Sequence[Lane]) -> list[Lane]:
        """See ``Workload``."""
        return list(lanes)

    def tally(self, lanes: Sequence[Lane]) -> Tally:
        """Return a tally that counts equal events: as many of each as were acknowledged."""
        acknowledged: Counter[Row] = Counter()
        unknown: Counter[Row] = Counter()
        known: set[Row] = set()
        for lane in lanes:
            for at, line in enumerate(lane.lines):
                events = self._rows(line)
                outcomes = lane.outcomes[at :: len(lane.lines)]
                known.update(events)
                _add(acknowledged, events, outcomes.count(Outcome.ACKNOWLEDGED))
                _add(unknown, events, outcomes.count(Outcome.UNKNOWN))
        return MultisetTally(acknowledged, unknown, known)

    def _rows(self, line: int) -> list[Row]:
        try:
            return [row.canonical() for row in rows(self._bodies[line])]
        except msgspec.DecodeError:
            return []  # not a body that any gateway may take, so there is nothing to find


def _add(counter: Counter[Row], events: list[Row], times: int) -> None:
    if times:
        for event in events:
            counter[event] += times
