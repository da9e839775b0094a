"""Send the events of a game to a PlaySmart gateway. Copy this file; it needs no package.

``Client.track`` writes an event to a file and returns; a thread sends the files. So a game that is
killed or offline loses nothing, and each event is stored once: a request names the run that tracked
its events (one life of a process) and the number of the first, and what comes twice is known.

Files, all in one folder: ``<run>-<number of the first event>.ndjson``, on the first line what a
request says of the player, then an event a line. A file is at most one request, and is deleted when
the gateway has it. Names sort by time. ``rejected/`` has the last 100 events that the gateway will
never take; ``opted-out`` says that nothing is to be kept. Tokens are never written or logged.
"""

import contextlib
import functools
import gzip
import hashlib
import http.client
import json
import logging
import os
import random
import re
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

if sys.platform != "win32":
    import fcntl

VERSION = "1.0.0"
FILE_EVENTS, FILE_BYTES = 100, 48_000
FLUSH_EVENTS = 50
GZIP_FROM_BYTES = 1_000
ANSWER_BYTES = LOOK_BYTES = 1_000_000
REJECTED_FILES = 100
REASON_CHARACTERS = 200
CLOCK_SECONDS = 60
FRONT_SECONDS, BACKGROUND_SECONDS, HOUR_SECONDS = 60, 900, 3_600
_NAME = re.compile(r"[0-9a-f-]{36}-[0-9]{8,}\.ndjson(\.tmp)?")
_PLAIN = re.compile("[!-~]+")  # what a header can have, without a space
_ODD = re.compile("[^ -~]+")  # what makes more than a line of a log, or none that can be read
_chance = random.SystemRandom()
log = logging.getLogger("playsmart_client")


class Clock:
    """The time in seconds: of the day, and one that only goes forward."""

    def wall(self) -> float:
        """Return what the phone shows."""
        return time.time()

    def monotonic(self) -> float:
        """Return what nobody can set."""
        return time.monotonic()


class Answer(NamedTuple):
    """What came back: status 0 for nothing whole, ``told`` is its JSON, ``wait`` in seconds."""

    status: int = 0
    told: Any = None
    wait: float | None = None

    def says(self, key: str) -> Any:
        """Return what it has there; None if it is no gateway's, as the login page of a hotel."""
        return self.told.get(key) if isinstance(self.told, dict) else None


class Flushed(NamedTuple):
    """Events that the gateway took, and its last status; None if it was not asked, or is silent."""

    sent: int = 0
    status: int | None = None


class Settings(NamedTuple):
    """What the gateway asks its clients to keep to."""

    enabled: bool = True
    has_gzip: bool = True
    flush_seconds: float = 30.0
    max_queue_bytes: int = 10_485_760
    sample: Mapping[str, float] = {}

    def told(self, answer: Answer) -> "Settings":
        """Return what an answer says; what cannot be read changes nothing."""
        if answer.status == 404:  # a gateway from before there were settings and gzip
            return self._replace(has_gzip=False)
        try:
            told = answer.told["data"][0].get("ingest", {})
            return Settings(
                told.get("enabled") is not False,
                "gzip" in told.get("encodings", ()),
                min(max(1.0, float(told.get("flush_seconds", 30))), HOUR_SECONDS),
                int(told.get("max_queue_bytes", 10_485_760)),
                {name: float(share) for name, share in told.get("sample", {}).items()},
            )
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return self


class Segment(NamedTuple):
    """A file: the events ``first``, ``first + 1`` ... of a run, and the head of their request."""

    path: Path
    run: str
    first: int
    head: dict[str, Any]
    lines: list[bytes]


class Queue:
    """The files in ``folder``, of which one is written. For one thread at a time; ``OSError``."""

    write = staticmethod(os.write)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run, self._head, self._next = "", b"", 0
        self._path: Path | None = None
        self._file = self._events = self._bytes = self._room = self._most = 0

    def begin(self, head: Mapping[str, Any]) -> None:
        """Begin a run: number from 0, under a name that nobody else has."""
        self.close()
        self.run, self._head, self._next = _new_run(), _json(head) + b"\n", 0

    def append(self, line: bytes, most_bytes: int) -> None:
        """Write one event in one write. If that fails its number is used: the loss is seen."""
        if self._events >= FILE_EVENTS or self._bytes + len(line) > FILE_BYTES:
            self.close()
        number, self._next = self._next, self._next + 1
        if self._path is None:
            room = max(FILE_BYTES, len(self._head + line))
            if self._room < room or self._most != most_bytes:
                self._bound(most_bytes, room)
            self._room -= room
            self._path, self._file = self._new(self.run, number, self._head + line)
        elif not self._written(self._file, line):
            self.close()  # what was torn is the last line of its file
            raise OSError("the disk is full")
        self._events, self._bytes = self._events + 1, self._bytes + len(line)

    def close(self, *, if_deleted: bool = False) -> None:
        """End the file that is being written, so that it can be sent; or if somebody deleted it."""
        if self._path is None or (os.fstat(self._file).st_nlink and if_deleted):
            return
        if not os.fstat(self._file).st_nlink:
            log.warning("%s was deleted, with %s", self._path.name, _counted(self._events))
        self._path, self._events, self._bytes = None, 0, 0
        os.close(self._file)

    def closed(self) -> list[Path]:
        """Return the files to be sent, oldest first."""
        found = self.files(self.folder)
        return [each for each in found if each.suffix == ".ndjson" and each != self._path]

    def files(self, folder: Path) -> list[Path]:
        """Return the queue's files in a folder, oldest first; a pipe of such a name is none."""
        if not folder.is_dir():
            return []
        with os.scandir(folder) as there:
            names = [each.name for each in there if each.is_file(follow_symlinks=False)]
        return [folder / each for each in sorted(names) if _NAME.fullmatch(each)]

    def read(self, path: Path) -> Segment | None:
        """Return a file; None if it is gone, another process's, or none and was set aside."""
        run, first = path.stem[:36], int(path.stem[37:])
        try:
            with path.open("rb") as file:
                if sys.platform != "win32" and run != self.run:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # a process may write it yet
                top, *lines = file.read().split(b"\n")[:-1] or [b""]  # a kill tore what follows
        except (BlockingIOError, FileNotFoundError):
            return None
        try:
            head = json.loads(top)
            head["user_id"].encode(), lines[0], _json(head)
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
            log.warning("%s cannot be read, and is set aside", path.name)
            self.set_aside(path)
            return None
        return Segment(path, run, first, head, lines)

    def halve(self, segment: Segment) -> list[Path]:
        """Cut a file in two. First the copy: a kill in between leaves a repeat, and no hole."""
        middle = len(segment.lines) // 2
        top = _json(segment.head)
        halves: list[Path] = []
        for first, lines in ((middle, segment.lines[middle:]), (0, segment.lines[:middle])):
            content = b"\n".join((top, *lines, b""))
            path, file = self._new(segment.run, segment.first + first, content)
            os.close(file)
            halves.insert(0, path)
        return halves

    def set_aside(self, path: Path) -> None:
        """Keep what will never be taken, for somebody to look at."""
        aside = self.folder / "rejected"
        aside.mkdir(mode=0o700, exist_ok=True)
        path.replace(aside / path.name)
        for oldest in self.files(aside)[:-REJECTED_FILES]:
            oldest.unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete all events."""
        self.close()
        for path in self.files(self.folder) + self.files(self.folder / "rejected"):
            with _logged(f"{path.name} is not deleted"):
                path.unlink(missing_ok=True)

    def _new(self, run: str, first: int, content: bytes) -> tuple[Path, int]:
        """Write a file that is there whole or not at all; return it, and what writes on."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{run}-{first:08d}.ndjson"
        # Windows renames no open file, and deletes none either
        begun = path if sys.platform == "win32" else path.with_suffix(".ndjson.tmp")
        how = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        how |= getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)  # it may be a pipe
        file = os.open(begun, how, 0o600)
        try:
            if sys.platform != "win32":
                fcntl.flock(file, fcntl.LOCK_EX)  # no other process sends it yet
            if not self._written(file, content):
                raise OSError("the disk is full")
            if begun != path:
                begun.replace(path)
        except OSError:
            os.close(file)
            begun.unlink(missing_ok=True)
            raise
        return path, file

    def _written(self, file: int, content: bytes) -> bool:
        try:
            return self.write(file, content) == len(content)
        except OSError:
            return False

    def _bound(self, most_bytes: int, room: int) -> None:
        """Delete the oldest files until there is room; look again after a MB, there may be more."""
        sizes = {}
        for path in self.files(self.folder):
            with contextlib.suppress(FileNotFoundError):  # another process has sent it
                sizes[path] = path.stat().st_size
        total = sum(sizes.values())
        for path, size in sizes.items():
            if total <= most_bytes - room:
                break
            log.warning("the queue is full: %s is lost", path.name)
            with _logged(f"{path.name} is not deleted"):
                path.unlink(missing_ok=True)
                total -= size
        self._room, self._most = min(most_bytes - total, LOOK_BYTES), most_bytes


class Client:
    """Tracks events of a player, and sends them and what is left of earlier runs in ``folder``.

    ``token`` is called with a player's id and returns a token of theirs, None if there is none;
    it may take its time. It is asked at first, and when the gateway has refused the last. Files are
    sent by a thread, or with ``threaded=False`` by whoever calls ``flush``. No method raises; but
    what is made with a ``url`` that is no ``http://HOST`` or ``https://HOST`` is a ``ValueError``.
    """

    answer_seconds = 15.0
    hurry = 1.0  # by which its pauses after failures are divided: a test has no time

    def __init__(
        self,
        url: str,
        folder: str | os.PathLike[str],
        user_id: str,
        game_id: str,
        token: Callable[[str], str | None],
        *,
        app_version: str = "",
        threaded: bool = True,
        clock: Clock | None = None,
    ) -> None:
        program = {"name": "playsmart-python", "version": VERSION, "platform": sys.platform}
        program |= {"app_version": app_version} if app_version else {}
        self._head: dict[str, Any] = {"user_id": user_id, "game_id": game_id, "client": program}
        self._url = _address(url.removesuffix("/").removesuffix("/ingest/events"))
        self._ask_token, self._threaded, self._clock = token, threaded, clock or Clock()
        self.queue, self.settings = Queue(Path(folder)), Settings()
        self.opted_out = True
        with _logged("the folder cannot be read"):
            self.opted_out = (self.queue.folder / "opted-out").exists()
        self._tokens: dict[str, str] = {}
        self._answered: dict[Path, Answer] = {}  # what the disk did not let it settle
        self._refused: dict[str, tuple[str | None, float]] = {}
        self._asked_in_vain = set[str]()
        self._failures = 0
        self._quiet_until = self._settings_due = float("-inf")
        self._server_ahead: float | None = None
        self._most_pause, self._ending = FRONT_SECONDS, False
        self._start()

    def track(
        self, kind: str, data: Mapping[str, Any] | None = None, *, name: str | None = None
    ) -> None:
        """Keep an event: ``type``, ``customdata``, and ``customEventName`` if it is ``Custom``.

        What is no JSON, or does not get on the disk, is dropped with a line in the log.
        """
        with _logged("an event is lost"):
            self._track(kind, data, name)

    def flush(self) -> Flushed:
        """Send what waits, oldest first, unless the gateway said to wait; it may take its time."""
        found = Flushed()
        self._notice_fork()
        with self._sending, _logged("nothing is sent"):
            found = self._flush()
        return found  # noqa: RET504 - if it did not fail

    def background(self) -> None:
        """Send what waits, as the game may end; until it tracks again, try less often."""
        self._most_pause = BACKGROUND_SECONDS
        if self._threaded:
            self._wake.set()
        else:
            self.flush()

    def close(self, seconds: float = 5.0) -> None:
        """Send what waits and end; what takes longer than that is sent at the next start."""
        self._ending = True
        self.background()
        if self._threaded:
            self._thread.join(seconds)
        with self._lock, _logged("a file was not closed"):
            self.queue.close()

    def change_player(self, user_id: str) -> None:
        """Track for another player. What the last one did is sent with their own token only."""
        with self._lock, _logged("a file was not closed"):
            self._head = self._head | {"user_id": user_id}
            self._begin()

    def opt_out(self) -> None:
        """Delete what waits, and keep and send nothing more, also after a restart."""
        with self._lock:
            self.opted_out = True
            with _logged("the opt-out holds until a restart"):
                self.queue.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                (self.queue.folder / "opted-out").touch()
            with _logged("not all is deleted"):
                self.queue.clear()

    def opt_in(self) -> None:
        """Track again, in a new run."""
        with self._lock, _logged("still opted out"):
            (self.queue.folder / "opted-out").unlink(missing_ok=True)
            self.opted_out = False
            self._begin()

    def server_time(self) -> datetime | None:
        """Return the gateway's time, to a second; None before its first answer."""
        if self._server_ahead is not None:
            with contextlib.suppress(ArithmeticError, ValueError):  # it is beyond all calendars
                return datetime.fromtimestamp(self._clock.monotonic() + self._server_ahead, UTC)
        return None

    def _start(self) -> None:
        self._process = os.getpid()
        self._lock, self._sending = threading.Lock(), threading.Lock()
        self._wake = threading.Event()
        self._begin()
        if self._threaded:
            self._thread = threading.Thread(target=self._work, name="playsmart-client", daemon=True)
            self._thread.start()

    def _notice_fork(self) -> None:
        if os.getpid() != self._process:  # another run, whatever the locks were in the parent
            self._start()

    def _begin(self) -> None:
        self.queue.begin(self._head)
        self._fresh = 0
        self._drift = self._clock.wall() - self._clock.monotonic()
        self._share = int(hashlib.sha256(self.queue.run.encode()).hexdigest()[:8], 16) / 2**32

    def _track(self, kind: str, data: Mapping[str, Any] | None, name: str | None) -> None:
        event: dict[str, Any] = {"type": kind, "timestamp": self._now()}
        event |= {"customdata": dict(data)} if data else {}
        event |= {"customEventName": name} if name else {}
        line = _json(event) + b"\n"
        self._notice_fork()
        sample = self.settings.sample
        with self._lock:
            if abs(self._clock.wall() - self._clock.monotonic() - self._drift) > CLOCK_SECONDS:
                self._begin()
            if self.opted_out or self._share >= sample.get(name or kind, sample.get(kind, 1)):
                return
            self._most_pause = FRONT_SECONDS
            self._fresh += 1
            self.queue.append(line, self.settings.max_queue_bytes)
        if self._fresh >= FLUSH_EVENTS:
            self._wake.set()

    def _work(self) -> None:
        while True:
            is_last = self._ending
            self.flush()
            if is_last:
                break
            quiet = self._quiet_until - self._clock.monotonic()
            self._wake.wait(quiet if quiet > 0 else self.settings.flush_seconds)
            self._wake.clear()

    def _flush(self) -> Flushed:
        self._fresh = 0
        self._asked_in_vain.clear()
        with self._lock:
            self.queue.close(if_deleted=True)
        if self.opted_out or self._clock.monotonic() < self._quiet_until:
            return Flushed()
        sent, status, seen = 0, None, set[Path]()
        with contextlib.closing(self._connection()) as connection:
            self._refresh_settings(connection)
            for has_open in (False, True):  # once each: meanwhile the game may track on and on
                if not self.settings.enabled:
                    break
                with self._lock:
                    if has_open:
                        self.queue.close()
                    waiting = [path for path in self.queue.closed() if path not in seen]
                seen.update(waiting)
                while waiting:
                    path = waiting.pop(0)
                    with _logged(f"{path.name} is left for later"):
                        done, again = self._send(connection, path)
                        sent += done.sent
                        status = status if done.status is None else done.status
                        if again is None:
                            return Flushed(sent, status or None)
                        waiting = again + waiting
        return Flushed(sent, status or None)

    def _send(
        self, connection: http.client.HTTPConnection, path: Path
    ) -> tuple[Flushed, list[Path] | None]:
        """Send a file; return what came of it, and the files to go on with; None to stop."""
        with self._lock:
            segment = self.queue.read(path)
        answer = self._answered.pop(path, None)
        token = self._token(segment.head["user_id"]) if segment and not answer else ""
        if segment is None or token is None:
            return Flushed(), []
        answer = answer or self._post(connection, segment, token)
        with self._lock:
            try:
                what, again = self._settle(segment, token, answer)
            except OSError as error:  # later, and it is sent no second time
                self._answered[path] = answer
                what, again = self._settle(segment, token, Answer())[0], []
                what = f"{type(error).__name__}, {what}"
        is_bad = what == "set aside" or path in self._answered
        level = logging.WARNING if is_bad else logging.DEBUG
        count = len(segment.lines)
        why = self._why(answer) if what == "set aside" else ""
        log.log(level, "%s, %s: %s, %s%s", path.name, _counted(count), answer.status, what, why)
        return Flushed(count if what == "stored" else 0, answer.status), again

    def _settle(
        self, segment: Segment, token: str, answer: Answer
    ) -> tuple[str, list[Path] | None]:
        """Do with a file what its answer says; return what, and what ``_send`` does."""
        path, user_id, status = segment.path, segment.head["user_id"], answer.status
        if self.opted_out:
            return "deleted", []
        if status == 202 and answer.says("success") is True:
            self._refused.pop(user_id, None)
            path.unlink(missing_ok=True)
            self._failures = 0
            return "stored", []
        if status == 413 or (status in (400, 422) and answer.says("error") is not None):
            if len(segment.lines) > 1:
                return "halved", self.queue.halve(segment)
            self.queue.set_aside(path)
            return "set aside", []
        if status == 415 and self.settings.has_gzip:
            self.settings = self.settings._replace(has_gzip=False)
            return "once more, as it is", [path]
        self._failures = min(self._failures + 1, 16)
        pause = _chance.uniform(0, min(self._most_pause, 2**self._failures)) / self.hurry
        if status in (401, 403):
            before, _ = self._refused.get(user_id, (token, 0))  # a second one: wait with any
            until = self._clock.monotonic() + pause
            self._refused[user_id] = (token if token == before else None, until)
            self._tokens.pop(user_id, None)
            return "waits for another token", [path]
        if status in (404, 405, 410, 415):
            pause = HOUR_SECONDS
        elif answer.wait is not None:
            pause = answer.wait
        self._quiet_until = self._clock.monotonic() + pause
        return f"kept, next try in {pause:.1f} s", None  # what is younger does not overtake it

    def _why(self, answer: Answer) -> str:
        """Return what goes behind "set aside" in the log: no token, whatever an answer repeats."""
        why = ""
        with contextlib.suppress(LookupError, TypeError):
            error = answer.says("error")
            why = "" + error["message"]
            first = error["details"][0]
            why = (first["path"] + " " + first["message"]).strip()
        if not why or any(token in why for token in self._tokens.values()):
            return ""
        return ": " + _ODD.sub("?", why[:REASON_CHARACTERS])

    def _token(self, user_id: str) -> str | None:
        """Return a token to try; None if there is none but one that was refused a moment ago."""
        refused, until = self._refused.get(user_id, (None, float("-inf")))
        waits = self._clock.monotonic() < until
        if user_id in self._asked_in_vain:
            return None
        token = self._tokens.get(user_id)
        if token is None and not (waits and refused is None):
            with _logged("there is no token"):
                token = (self._ask_token(user_id) or "").strip()
        if not token or not _PLAIN.fullmatch(token) or (waits and token == refused):
            self._asked_in_vain.add(user_id)  # nothing of theirs overtakes what waits
            return None
        return token

    def _refresh_settings(self, connection: http.client.HTTPConnection) -> None:
        if self._clock.monotonic() < self._settings_due:
            return
        answer = self._exchange(connection, "GET", "/v1/app-settings")
        if answer.told is not None or answer.status == 404:
            self._settings_due = self._clock.monotonic() + HOUR_SECONDS
            self.settings = self.settings.told(answer)

    def _post(self, connection: http.client.HTTPConnection, segment: Segment, token: str) -> Answer:
        head = segment.head | {"run": segment.run, "seq": segment.first}
        if segment.run == self.queue.run:  # of an earlier run the clock may have been another
            head["sent_at"] = self._now()
        body = _json(head)[:-1] + b',"events":[' + b",".join(segment.lines) + b"]}"
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        if self.settings.has_gzip and len(body) > GZIP_FROM_BYTES:
            body, headers["Content-Encoding"] = gzip.compress(body, 1), "gzip"
        self._tokens[head["user_id"]] = token
        return self._exchange(connection, "POST", "/ingest/events", body, headers)

    def _exchange(
        self, connection: http.client.HTTPConnection, method: str, path: str, *body_and_headers: Any
    ) -> Answer:
        until = time.monotonic() + self.answer_seconds
        connection.response_class = functools.partial(_response, until)  # type: ignore[assignment]
        try:
            if connection.sock:
                connection.sock.settimeout(self.answer_seconds)
            connection.request(method, self._url.path + path, *body_and_headers)
            answer = connection.getresponse()
            content, told = answer.read(ANSWER_BYTES), None
            if answer.length and len(content) < ANSWER_BYTES:
                raise EOFError
        except Exception:  # noqa: BLE001 - whatever it is, there was no answer
            connection.close()
            return Answer()
        if not answer.isclosed():  # there is more of it
            connection.close()
        with contextlib.suppress(RecursionError, ValueError):
            told = json.loads(content)
        with contextlib.suppress(ArithmeticError, TypeError, ValueError):
            date = parsedate_to_datetime(answer.headers["Date"]).timestamp()
            self._server_ahead = date - self._clock.monotonic()
        after = answer.headers.get("Retry-After", "")
        wait = min(float(after), HOUR_SECONDS) if after.isdecimal() else None
        return Answer(answer.status, told, wait)

    def _connection(self) -> http.client.HTTPConnection:
        is_safe = self._url.scheme == "https"
        kind = http.client.HTTPSConnection if is_safe else http.client.HTTPConnection
        return kind(self._url.hostname or "", self._url.port, timeout=self.answer_seconds)

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock.wall(), UTC).isoformat(timespec="milliseconds")


def _response(until: float, link: socket.socket, *rest: Any, **more: Any) -> Any:
    """Return an answer that has to be whole at a moment, however little comes at a time."""
    response: Any = http.client.HTTPResponse(link, *rest, **more)
    read = response.fp.raw.readinto

    def read_until(into: memoryview) -> int | None:
        if (left := until - time.monotonic()) <= 0:
            raise TimeoutError
        link.settimeout(left)
        return read(into)  # type: ignore[no-any-return]

    response.fp.raw.readinto = read_until
    return response


@contextlib.contextmanager
def _logged(what: str) -> Iterator[None]:
    """Go on behind the block, whatever it raises: the game does."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - what it says may have a token or an event in it
        log.warning("%s: %s", what, type(error).__name__)


def _address(url: str) -> SplitResult:
    """Return the parts of a gateway's address, or raise ``ValueError``, which does not show it."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").encode("idna").decode(), parts.port
        if host and parts.scheme in ("http", "https") and _PLAIN.fullmatch(host + parts.path):
            return parts
    raise ValueError("the url of a gateway is http://HOST or https://HOST")


def _counted(events: int) -> str:
    return "1 event" if events == 1 else f"{events} events"


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _new_run() -> str:
    """Return a UUID of version 7, which sorts by time."""
    number = time.time_ns() // 1_000_000 << 80 | 7 << 76 | 2 << 62
    number |= _chance.getrandbits(12) << 64 | _chance.getrandbits(62)
    return str(uuid.UUID(int=number))
