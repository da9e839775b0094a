"""A gateway that answers a client as it is told to, and a clock that stands still."""

import gzip
import json
import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from typing_extensions import override

from playsmart_gateway.clients.python.playsmart_client import Client, Clock, Flushed
from tests.support.certificates import make_certificates

TAKEN = {"success": True, "message": "accepted:1 buffered:1"}
WRONG = {"path": "events.0.type", "message": "is required"}
REFUSED = {"error": {"code": "BAD_REQUEST", "message": "invalid_payload", "details": [WRONG]}}
PLAYER, GAME = "device-abc-123", "com.example.stackblaster"


@dataclass(frozen=True)
class Reply:
    """An answer; ``cut`` is one that ends too early, status 0 none at all."""

    status: int = 202
    body: object = field(default_factory=lambda: TAKEN)
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


@dataclass(frozen=True)
class Request:
    """What a client has sent."""

    headers: Message
    batch: dict[str, Any]

    @property
    def numbers(self) -> tuple[int, int]:
        """The number of the first event, and how many there are."""
        return self.batch["seq"], len(self.batch["events"])

    @property
    def marks(self) -> list[int]:
        return [event["customdata"]["n"] for event in self.batch["events"]]

    @property
    def token(self) -> str:
        return str(self.headers["Authorization"]).removeprefix("Bearer ")


class ScriptedGateway:
    """Answers with the ``replies`` in turn, then 202; refuses what has one of the ``poison``."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.poison: tuple[int, ...] = ()
        self.settings = Reply(200, {"data": [{"ingest": {"encodings": ["gzip"]}}]})
        self.requests: list[Request] = []
        self.asked_for_settings = 0
        self.date = formatdate(FakeClock.SERVER_TIME, usegmt=True)
        self.url = ""

    def script(self, *replies: Reply | int) -> None:
        self.replies += [each if isinstance(each, Reply) else Reply(each) for each in replies]

    def reply(self, request: Request) -> Reply:
        self.requests.append(request)
        if self.replies:
            return self.replies.pop(0)
        poisoned = self.poison and set(self.poison) & set(request.marks)
        return Reply(400, REFUSED) if poisoned else Reply()

    @property
    def sent(self) -> list[tuple[int, int]]:
        return [each.numbers for each in self.requests]


@contextmanager
def scripted_gateway(certificates: Path | None = None) -> Iterator[ScriptedGateway]:
    """Listen on a free port until left; by https if there is a folder for its ``cert.pem``."""
    gateway = ScriptedGateway()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            assert self.path == "/v1/app-settings"
            gateway.asked_for_settings += 1
            self._answer(gateway.settings)

        def do_POST(self) -> None:
            assert self.path == "/ingest/events"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            self._answer(gateway.reply(Request(self.headers, json.loads(body))))

        def _answer(self, reply: Reply) -> None:
            if not reply.status:
                self.close_connection = True
                return
            content = (
                reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            )
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if reply.cut else content)
            self.close_connection |= reply.cut

        @override
        def date_time_string(self, timestamp: float | None = None) -> str:
            return gateway.date

        @override
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificates:
        _, certificate, key = make_certificates(certificates)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate, key)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    gateway.url = f"http{'s' if certificates else ''}://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield gateway
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class DrippingGateway(ScriptedGateway):
    """Takes nothing: its answers come a byte at a time, and have no end; ``drops`` came."""

    drops = 0


@contextmanager
def dripping_gateway(slow: str) -> Iterator[DrippingGateway]:
    """Listen until left; ``slow`` is the part of an answer that drips."""
    gateway = DrippingGateway()
    begins = b"HTTP/1.1 202 Accepted\r\n"
    if slow != "head":
        begins += (
            b"Connection: close\r\n\r\n" if "without" in slow else b"Content-Length: 999\r\n\r\n"
        )
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            with suppress(OSError), listening.accept()[0] as link:
                link.sendall(begins)
                while True:
                    time.sleep(0.05)
                    link.sendall(b"x")
                    gateway.drops += 1

        gateway.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        threads = [Thread(target=drip) for _ in range(2)]  # settings, and events
        for each in threads:
            each.start()
        yield gateway
        listening.shutdown(socket.SHUT_RDWR)
        for each in threads:
            each.join()


class FakeClock(Clock):
    """A time that passes when it is told to; the phone's clock is wrong by years."""

    SERVER_TIME = 1_790_000_000

    def __init__(self) -> None:
        self.seconds = 1_000.0
        self.offset = 1_500_000_000.0

    @override
    def monotonic(self) -> float:
        return self.seconds

    @override
    def wall(self) -> float:
        return self.seconds + self.offset


class Game:
    """A client without a thread, on a clock of its own; ``tokens`` are those of the players."""

    def __init__(self, gateway: ScriptedGateway, folder: Path, player: str = PLAYER) -> None:
        self.tokens: dict[str, str | None] = {PLAYER: "token-of-abc"}
        self.asked: list[str] = []
        self.clock = FakeClock()
        self.folder = folder
        self.client = Client(
            gateway.url, folder, player, GAME, self._token, threaded=False, clock=self.clock
        )

    def _token(self, user_id: str) -> str | None:
        self.asked.append(user_id)
        return self.tokens.get(user_id)

    def track(self, numbers: int | Iterable[int], **data: object) -> None:
        for number in range(numbers) if isinstance(numbers, int) else numbers:
            self.client.track("AppOpen", {"n": number, **data})

    def flush_after(self, seconds: float) -> Flushed:
        self.clock.seconds += seconds
        return self.client.flush()

    def waiting(self) -> int:
        """How many events are in files."""
        files = list(self.folder.glob("*.ndjson"))
        return sum(file.read_bytes().count(b"\n") for file in files) - len(files)

    def aside(self) -> list[bytes]:
        """The events that were set aside."""
        return [each.read_bytes().split(b"\n")[1] for each in self.folder.glob("rejected/*")]
