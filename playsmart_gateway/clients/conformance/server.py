"""A gateway that answers what a case tells it to, well or badly, and remembers what it was sent.

It listens on a free port of 127.0.0.1. A *script* is a function from a request to the answer; it
is asked for each ``POST /ingest/events``, on the thread of the connection. The settings that
clients ask for come from ``ingest``. Any other request is a stray, answered as the login page of a
hotel would.
"""

import contextlib
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, TypeAlias, cast

from typing_extensions import override

INGEST_PATH = "/ingest/events"
SETTINGS_PATH = "/v1/app-settings"
LIMITS_PATH = "/limits"
MAX_EVENTS = 200
MAX_BODY_BYTES = 1_048_576
LOGIN_PAGE = b"<html><title>Welcome to the Grand Hotel</title>Please sign in.</html>"

_IDLE_SECONDS = 120
_DROPS, _DROP_SECONDS = 10_000, 0.25
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Request:
    """What was sent: ``body`` unpacked, ``batch`` none where it is no JSON object.

    ``arrived`` is in seconds of a clock that only goes forward.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    arrived: float

    @property
    def token(self) -> str:
        """The bearer token, or nothing."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" else ""

    @cached_property
    def batch(self) -> dict[str, Any]:
        """The JSON object that it is; empty if it is none."""
        try:
            told = json.loads(self.body)
        except ValueError:
            return {}
        return told if isinstance(told, dict) else {}

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """The events in it, if they are a list of objects."""
        events = self.batch.get("events")
        is_list = isinstance(events, list) and all(isinstance(each, dict) for each in events)
        return cast(list[dict[str, Any]], events) if is_list else []


Fate: TypeAlias = Literal["whole", "cut", "silence", "reset", "drops"]


@dataclass(frozen=True)
class Answer:
    """What is answered, and how much of it arrives.

    ``cut`` sends half of the body and closes, ``silence`` sends nothing until the client hangs
    up, ``reset`` breaks the connection instead, ``drops`` sends spaces in place of the body, one at
    a time, until the client hangs up. ``then`` is called when all of it is sent.
    """

    status: int = 202
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    fate: Fate = "whole"
    then: Callable[[], None] | None = None


Script = Callable[[Request], Answer]


def accept(request: Request) -> Answer:
    """Answer as the gateway does to what it takes; 400 and 413 to what it would not."""
    count = len(request.events)
    if len(request.body) > MAX_BODY_BYTES:
        return refusal(413, "TOO_LARGE", "body_too_large")
    if not 1 <= count <= MAX_EVENTS:
        return refusal(400, "BAD_REQUEST", "invalid_payload")
    told = {"success": True, "message": f"accepted:{count} buffered:{count}"}
    return Answer(body=json.dumps(told).encode())


def busy(_: Request) -> Answer:
    """Send everybody away for an hour."""
    return refusal(503, "UNAVAILABLE", "buffer_full", 3_600)


def refusal(status: int, code: str, message: str, retry_after: int | None = None) -> Answer:
    """Return an error as the gateway has it."""
    told = {"success": False, "error": {"code": code, "message": message}}
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Answer(status, json.dumps(told).encode(), headers)


def always(answer: Answer) -> Script:
    """Give ``answer`` to everything."""
    return lambda _: answer


def first(answer: Answer) -> Script:
    """Give ``answer`` once, then accept."""
    answers = [answer]
    return lambda request: answers.pop() if answers else accept(request)


class ScriptedServer:
    """The gateway of one case; a context manager.

    ``requests`` are all that came for events, ``taken`` those among them that were answered with
    a whole 202 of ours, ``busiest`` how many were under way at once at most.
    """

    def __init__(self) -> None:
        self.script: Script = accept
        self.ingest: dict[str, Any] = {
            "enabled": True,
            "max_events": MAX_EVENTS,
            "max_body_bytes": MAX_BODY_BYTES,
            "encodings": ["gzip"],
            "run_keep_days": 90,
            "flush_seconds": 30,
            "max_queue_bytes": 10_485_760,
            "sample": {},
        }
        """What clients should keep to."""
        self.ingest_instead: bytes | None = None
        """What they get in place of settings."""
        self.clock_ahead_seconds = 0.0
        self.reads_bodies = True
        self.requests: list[Request] = []
        self.taken: list[Request] = []
        self.strays: list[Request] = []
        self.settings_asked = 0
        self.busiest = 0
        self._busy = 0
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._listening: ThreadingHTTPServer | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where it listens, or will again."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> "ScriptedServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        server = _Listener(("127.0.0.1", self._port), _Handler)
        server.of = self
        self._port = server.server_port
        self._listening = server
        loop = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        loop.start()

    def stop(self) -> None:
        """Go away: nobody can connect, and connections that are open end."""
        if self._listening is not None:
            self._listening.shutdown()
            self._listening.server_close()
            self._listening = None
        with self._lock:
            for each in self._connections:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def connected(self, connection: socket.socket) -> None:
        """Note a connection, to end it with everything else."""
        with self._lock:
            self._connections.add(connection)

    def disconnected(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._lock:
            self._connections.discard(connection)

    def begin(self) -> None:
        """Note that a request for events is under way."""
        with self._lock:
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)

    def settle(self, request: Request) -> Answer:
        """Note a request and return its answer."""
        with self._lock:
            self.requests.append(request)
        answer = self.script(request)
        if answer.fate == "whole" and answer.status == 202 and b'"success": true' in answer.body:
            with self._lock:
                self.taken.append(request)
        return answer

    def end(self) -> None:
        """Note that a request is no more under way: before its answer, as another may follow."""
        with self._lock:
            self._busy -= 1

    def settings(self, path: str) -> bytes:
        """Return the body for who asks for settings."""
        if self.ingest_instead is not None:
            return self.ingest_instead
        told: Any = self.ingest
        if path == SETTINGS_PATH:
            told = {"data": [{"version": "1", "maintenance": False, "ingest": told}]}
        return json.dumps(told).encode()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    of: ScriptedServer

    @override
    def shutdown_request(self, request: Any) -> None:
        self.close_request(request)  # and no end of the stream before it, where it is to be reset

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that is killed breaks its connections; that is no error of ours."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _IDLE_SECONDS

    @override
    def setup(self) -> None:
        super().setup()
        self._server = cast(_Listener, self.server).of
        self._server.connected(self.connection)

    @override
    def finish(self) -> None:
        self._server.disconnected(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer who asks for settings."""
        path = self.path.partition("?")[0]
        if path in (SETTINGS_PATH, LIMITS_PATH):
            self._send(Answer(200, self._server.settings(path)))
            self._server.settings_asked += 1
        else:
            self._stray()

    def do_POST(self) -> None:
        """Take events, as the script says."""
        if self.path.partition("?")[0] != INGEST_PATH:
            self._stray()
            return
        self._server.begin()
        try:
            answer = self._settle()
        finally:
            self._server.end()
        self._send(answer)
        if answer.then is not None:
            answer.then()

    def _settle(self) -> Answer:
        arrived = time.monotonic()
        body = self._read() if self._server.reads_bodies else b""
        answer = self._server.settle(self._request(body, arrived))
        if answer.fate == "silence":
            self._wait_until_it_hangs_up()
        return answer

    def _stray(self) -> None:
        self._server.strays.append(self._request(self._read(), time.monotonic()))
        self._send(Answer(200, LOGIN_PAGE, {"Content-Type": "text/html"}))

    def _request(self, body: bytes, arrived: float) -> Request:
        headers = {name.lower(): value for name, value in self.headers.items()}
        if headers.get("content-encoding") == "gzip":
            with contextlib.suppress(zlib.error):  # then it is no JSON either
                body = zlib.decompress(body, 31)
        return Request(self.command, self.path, headers, body, arrived)

    def _read(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _drip(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            for _ in range(_DROPS):
                self.wfile.write(b" ")
                time.sleep(_DROP_SECONDS)

    def _wait_until_it_hangs_up(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.recv(1)

    def _send(self, answer: Answer) -> None:
        if answer.fate in ("silence", "reset"):
            if answer.fate == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        now = time.time() + self._server.clock_ahead_seconds
        headers = {
            "Date": formatdate(now, usegmt=True),
            "Content-Type": "application/json",
            "Content-Length": str(_DROPS if answer.fate == "drops" else len(answer.body)),
        }
        for name, value in (headers | dict(answer.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        if answer.fate == "drops":
            self._drip()
        elif answer.fate == "cut":
            self.close_connection = True
            self.wfile.write(answer.body[: len(answer.body) // 2])
        else:
            self.wfile.write(answer.body)
