"""A phone, in the standard library alone: ``python -S -m tests.campaigns.phones.phone``.

It reads one JSON object on standard input (``Life``) and lives it: a game that tracks events and
sends them, until somebody kills it; or, with ``"is_last": true``, one that sends what is left.

Files: ``<run>-<first number, 8 digits>.ndjson``, one event a line, one file at most one request,
deleted after a 2xx that is the gateway's. A name sorts by time and number, so what is oldest goes
first. Nothing else is remembered: what is sent again is known again by its run and numbers.
"""

import gzip
import http.client
import json
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

SEGMENT_EVENTS = 100
SEGMENT_BYTES = 49_152
GZIP_FROM_BYTES = 1_024
LEAST_TO_HALVE = 10
MOST_PAUSE_SECONDS = 60.0
LIFE_SECONDS = 600
CLIENT = {"name": "phone", "version": "1.0.0", "app_version": "2.1.5", "platform": "python"}


@dataclass(frozen=True)
class Life:
    """What one process is told: who it is, where its files and the gateway are.

    ``tokens`` are tried in turn, the next one when one is refused. ``ledger`` grows by one byte
    with each event that was written: whoever kills the process knows what it has kept.
    ``is_patient`` sends a file again as it was; else it is halved where no answer came, as a
    smaller request may get through. Times are in seconds.
    """

    number: int
    folder: str
    ledger: str
    port: int
    user_id: str
    game_id: str
    tokens: Sequence[str]
    is_patient: bool = True
    is_last: bool = False
    answer_seconds: float = 0.5
    pause_seconds: float = 0.02


class Segments:
    """The events that wait in ``folder``; those of this process have the name of its run."""

    def __init__(self, folder: Path) -> None:
        self.run = new_run()
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._next = 0
        self._open: int | None = None
        self._events = self._bytes = 0

    def append(self, line: bytes) -> None:
        """Write one event, in one write: what the kernel has outlives this process."""
        if self._events >= SEGMENT_EVENTS or self._bytes + len(line) > SEGMENT_BYTES:
            self.close()
        if self._open is None:
            path = self._path(self.run, self._next)
            self._open = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(self._open, line)
        self._next += 1
        self._events += 1
        self._bytes += len(line)

    def close(self) -> None:
        """End the segment that is being written, so that it can be sent."""
        if self._open is not None:
            os.close(self._open)
        self._open, self._events, self._bytes = None, 0, 0

    def oldest(self) -> "Segment | None":
        """Return what is to be sent next."""
        name = min((each.name for each in self._folder.glob("*.ndjson")), default=None)
        if name is None:
            return None
        run, first = name[:36], int(name[37:45])
        lines = self._path(run, first).read_bytes().split(b"\n")
        return Segment(run, first, lines[:-1])  # what follows the last newline was torn by a kill

    def remove(self, segment: "Segment") -> None:
        """Forget what the gateway has."""
        self._path(segment.run, segment.first).unlink()

    def halve(self, segment: "Segment") -> None:
        """Cut a segment in two. First the copy: a kill in between leaves a repeat, and no hole."""
        middle = len(segment.lines) // 2
        for first, lines in ((middle, segment.lines[middle:]), (0, segment.lines[:middle])):
            path = self._path(segment.run, segment.first + first)
            written = path.with_suffix(".tmp")
            written.write_bytes(b"".join(line + b"\n" for line in lines))
            written.replace(path)

    def set_aside(self, segment: "Segment") -> None:
        """Keep an event that the gateway refuses, where it is not sent again."""
        aside = self._folder / "rejected"
        aside.mkdir(exist_ok=True)
        path = self._path(segment.run, segment.first)
        path.replace(aside / path.name)

    def _path(self, run: str, first: int) -> Path:
        return self._folder / f"{run}-{first:08d}.ndjson"


@dataclass(frozen=True)
class Segment:
    """A file: the events ``first``, ``first + 1`` and so on of a run, as they were written."""

    run: str
    first: int
    lines: Sequence[bytes]


@dataclass(frozen=True)
class Answer:
    """What came back: status 0 for nothing that is whole; ``retry_after`` in seconds."""

    status: int = 0
    is_ours: bool = False
    retry_after: float | None = None


class Phone:
    """Writes at once what is tracked, and sends it when told to; nothing here raises."""

    def __init__(self, life: Life) -> None:
        self.segments = Segments(Path(life.folder))
        self._life = life
        self._tokens = list(life.tokens)
        self._failures = 0
        self._quiet_until = 0.0

    def track(self, kind: str, data: object) -> None:
        """Keep an event."""
        event = {"type": kind, "timestamp": now(), "customdata": data}
        self.segments.append(json.dumps(event, separators=(",", ":")).encode() + b"\n")

    def flush(self) -> bool:
        """Send what waits, one request at a time; return whether nothing is left."""
        self.segments.close()
        while (segment := self.segments.oldest()) is not None:
            if time.monotonic() < self._quiet_until or not self.send(segment):
                return False
        return True

    def send(self, segment: Segment) -> bool:
        """Send one file; return whether to go on with the next."""
        if not segment.lines:
            self.segments.remove(segment)
            return True
        return self.settle(segment, self.post(self.body(segment)))

    def settle(self, segment: Segment, answer: Answer) -> bool:
        """Do with a file what its answer says; return whether to go on with the next."""
        if answer.status // 100 == 2 and answer.is_ours:
            self.segments.remove(segment)
            self._failures = 0
            return True
        if answer.status in (400, 413, 422):  # for us to mend
            if len(segment.lines) > 1:
                self.segments.halve(segment)
            else:
                self.segments.set_aside(segment)
            return True
        if answer.status == 401 and len(self._tokens) > 1:
            del self._tokens[0]
            return True
        hopes_for_less = not (answer.status or self._life.is_patient)
        if hopes_for_less and len(segment.lines) >= LEAST_TO_HALVE:
            self.segments.halve(segment)
        self._pause(answer.retry_after)
        return False

    def body(self, segment: Segment) -> bytes:
        """Return the request of a file, all of it JSON."""
        head: dict[str, object] = {
            "user_id": self._life.user_id,
            "game_id": self._life.game_id,
            "run": segment.run,
            "seq": segment.first,
            "client": CLIENT,
        }
        if segment.run == self.segments.run:
            head["sent_at"] = now()  # of an earlier run the clock may have been another
        start = json.dumps(head, separators=(",", ":")).encode()
        return start[:-1] + b',"events":[' + b",".join(segment.lines) + b"]}"

    def post(self, body: bytes) -> Answer:
        """Send a request, small ones as they are."""
        headers = {
            "content-type": "application/json",
            "authorization": f"Bearer {self._tokens[0]}",
            "connection": "close",
        }
        if len(body) >= GZIP_FROM_BYTES:
            body, headers["content-encoding"] = gzip.compress(body, 1), "gzip"
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._life.port, timeout=self._life.answer_seconds
        )
        try:
            connection.request("POST", "/ingest/events", body, headers)
            answer = connection.getresponse()
            content, after = answer.read(), answer.headers.get("retry-after", "")
        except (OSError, http.client.HTTPException):
            return Answer()
        finally:
            connection.close()
        try:
            told = json.loads(content)
        except ValueError:
            told = None
        return Answer(
            answer.status,
            isinstance(told, dict) and told.get("success") is True,
            float(after) if after.isdigit() else None,
        )

    def _pause(self, told: float | None) -> None:
        """Wait as long as the gateway says, else ever longer, and never as long as the others."""
        self._failures += 1
        most = min(MOST_PAUSE_SECONDS, self._life.pause_seconds * 2 ** min(self._failures, 6))
        pause = random.uniform(0, most) if told is None else told
        self._quiet_until = time.monotonic() + pause


def new_run() -> str:
    """Return the name of a process's life: a UUID of version 7, which sorts by time."""
    number = time.time_ns() // 1_000_000 << 80 | 7 << 76 | 2 << 62
    number |= random.SystemRandom().getrandbits(12) << 64 | random.SystemRandom().getrandbits(62)
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def now() -> str:
    """Return the time as the contract has it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")  # noqa: UP017 - 3.9 too


def play(life: Life, phone: Phone) -> None:
    """Be a game until somebody ends it: levels and other events, sent now and then."""
    chance = random.Random(life.number)
    place = 0
    with Path(life.ledger).open("ab", buffering=0) as ledger:
        while True:
            for _ in range(chance.randint(1, 60)):
                kind = "AppOpen" if place % 5 else "LevelCompleted"
                phone.track(kind, {"life": life.number, "n": place})
                ledger.write(b".")
                place += 1
            if chance.random() < 0.5:
                phone.flush()
            time.sleep(chance.uniform(0, 0.05))


def live(kind: type[Phone] = Phone) -> int:
    """Live the life on standard input."""
    signal.alarm(LIFE_SECONDS)  # whatever becomes of those who would kill it
    life = Life(**json.load(sys.stdin))
    phone = kind(life)
    if not life.is_last:
        play(life, phone)
    while not phone.flush():
        time.sleep(0.01)
    return 0


if __name__ == "__main__":
    sys.exit(live())
