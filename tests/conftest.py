"""What several test modules share: the gateway as a process of its own, and how to talk to it."""

import asyncio
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import pytest
from hypothesis import settings
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from playsmart_gateway.auth.tokens import mint
from tests.engines.nats import nats_server
from tests.engines.postgres import postgres_server, postgres_store_url, postgres_url

__all__ = ["nats_server", "postgres_server", "postgres_store_url", "postgres_url"]

T = TypeVar("T")
SECRET = "a secret for tests, 32 bytes or longer"
PATIENCE_SECONDS = 30.0
"""How long anything may take before a test fails; nothing is asserted about being faster."""

# The same examples every time: a suite that fails by chance is one that nobody believes.
settings.register_profile("suite", derandomize=True, deadline=None, database=None)
settings.load_profile("suite")


class Answer:
    """One HTTP answer as it came over the wire."""

    def __init__(self, head: bytes, body: bytes) -> None:
        status_line, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(status_line.split(" ")[1])
        self.headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        self.body = body

    @classmethod
    def all_in(cls, data: bytes) -> list[Self]:
        """Cut what a connection sent into answers; ours all have a ``Content-Length``."""
        answers = []
        while data:
            head, separator, rest = data.partition(b"\r\n\r\n")
            assert separator, f"half an answer: {data[:200]!r}"
            answer = cls(head, b"")
            length = int(answer.headers["content-length"])
            assert len(rest) >= length, f"half a body: {data[:200]!r}"
            answer.body, data = rest[:length], rest[length:]
            answers.append(answer)
        return answers


class Connection:
    """A raw socket, for what no decent client would send."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> bool:
        """Send everything; False when the other side hung up meanwhile."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def read_to_end(self) -> list[Answer]:
        """Return every answer there was until the gateway hung up."""
        data = b""
        try:
            while chunk := self._socket.recv(65_536):
                data += chunk
        except ConnectionResetError:
            pass
        return Answer.all_in(data)

    def read_line(self) -> bytes:
        """Return the next line, leaving what follows it where it is."""
        line = b""
        while not line.endswith(b"\n"):
            byte = self._socket.recv(1)
            assert byte, f"hung up in the middle of a line: {line!r}"
            line += byte
        return line

    def read_answer(self) -> Answer:
        """Return the next answer, with nothing behind it; the connection stays open."""
        data = b""
        while True:
            chunk = self._socket.recv(65_536)
            assert chunk, f"hung up in the middle of an answer: {data!r}"
            data += chunk
            head, separator, rest = data.partition(b"\r\n\r\n")
            if separator and len(rest) >= int(Answer(head, b"").headers["content-length"]):
                (answer,) = Answer.all_in(data)
                return answer


class RunningGateway:
    """A gateway in a process of its own, asked over HTTP and through its database."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str] | None = None, *arguments: str
    ) -> None:
        self.folder = folder
        self.secret = SECRET
        self._log_file = folder / "gateway.log"
        # With no port of its own a gateway listens on a free one and says which.
        command = [sys.executable, "-m", "playsmart_gateway", "serve", "--port", "0", *arguments]
        with self._log_file.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=clean_environment(**(environment or {})),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self.port = int(self.wait_for_log(r"running on http://[^ ]*:(\d+) ")[1])
        except AssertionError:
            self.close()
            raise
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE_SECONDS, trust_env=False)

    # -- HTTP --

    def token(self, subject: str, *, ttl_seconds: int = 3600, **claims: object) -> str:
        now = time.time()
        return mint(subject, secret=self.secret, ttl_seconds=ttl_seconds, now=now, claims=claims)

    def post(
        self,
        body: object,
        *,
        sub: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send events; ``sub`` is whose token to send along, bytes are sent as they are."""
        sent = {} if sub is None else {"authorization": f"Bearer {self.token(sub)}"}
        sent |= headers or {}
        if isinstance(body, bytes):
            sent.setdefault("content-type", "application/json")
            return self.client.post("/ingest/events", content=body, headers=sent)
        return self.client.post("/ingest/events", json=body, headers=sent)

    def connect(self) -> Connection:
        return Connection(self.port)

    def exposition(self) -> str:
        """What Prometheus would scrape."""
        return self.client.get("/metrics").text

    def metrics(self) -> dict[str, float]:
        """The samples by name and labels, as Prometheus prints them.

        Without durations: this is asked hundreds of times, and histograms take long to parse.
        """
        lines = self.exposition().splitlines(keepends=True)
        return parse_metrics("".join(line for line in lines if "_duration_" not in line))

    def law(self) -> dict[str, int]:
        """The terms of received = stored + duplicate + rejected + buffered."""
        metrics = self.metrics()
        rejected = sum(v for k, v in metrics.items() if k.startswith("playsmart_events_rejected"))
        terms = {
            "received": metrics["playsmart_events_received_total"],
            "stored": metrics["playsmart_events_stored_total"],
            "duplicate": metrics["playsmart_events_duplicate_total"],
            "rejected": rejected,
            "buffered": metrics["playsmart_buffered_events"],
        }
        return {name: int(value) for name, value in terms.items()}

    # -- the far end --

    def settle(self) -> dict[str, int]:
        """Wait until nothing is buffered, check the law, and return its terms."""
        law = wait_until(lambda: law if not (law := self.law())["buffered"] else None)
        assert law["received"] == law["stored"] + law["duplicate"] + law["rejected"]
        return law

    def newest_event_id(self) -> int:
        return int(self.select("SELECT coalesce(max(event_id), 0) AS newest FROM events")[0][0])

    def events_after(self, event_id: int) -> list[sqlite3.Row]:
        return self.select("SELECT * FROM events WHERE event_id > ? ORDER BY event_id", event_id)

    def select(self, query: str, *parameters: object) -> list[sqlite3.Row]:
        database = sqlite3.connect(self.folder / "data" / "playsmart.db")
        try:
            database.row_factory = sqlite3.Row
            return database.execute(query, parameters).fetchall()
        finally:
            database.close()

    # -- the process --

    @property
    def log(self) -> str:
        return self._log_file.read_text("utf-8", "replace")

    def wait_for_log(self, pattern: str) -> re.Match[str]:
        """Wait until the log matches; fail, showing it, when the process ended without."""

        def find() -> re.Match[str] | None:
            ended = self.process.poll() is not None
            if (match := re.search(pattern, self.log)) is None:
                assert not ended, f"the gateway exited with {self.process.returncode}:\n{self.log}"
            return match

        return wait_until(find)

    def stop(self, sent: int = signal.SIGTERM) -> int:
        """Ask the process to stop and return its exit code."""
        self.process.send_signal(sent)
        return self.process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        """Leave nothing behind, whatever happened."""
        if hasattr(self, "client"):
            self.client.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_SECONDS)


def clean_environment(**added: str) -> dict[str, str]:
    """This process's environment without what would configure a gateway, and with ``added``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PLAYSMART_")}
    return {**kept, **added}


def parse_metrics(text: str) -> dict[str, float]:
    samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            samples[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return samples


def wait_until(probe: Callable[[], T | None]) -> T:
    """Ask ``probe`` until it finds something, hundreds of times a second."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := probe()) is None:
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.003)
    return found


async def eventually(probe: Callable[[], T | None]) -> T:
    """Like ``wait_until``, while the event loop goes on."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := probe()) is None:
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.001)
    return found


@asynccontextmanager
async def in_process(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """Run ``app`` with its lifespan in this process, without a socket; yield a client of it."""
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")
    async with app.router.lifespan_context(app), client:
        yield client


def in_toml(value: object) -> str:
    """A value as the environment holds it; what is None is left out."""
    if isinstance(value, dict):
        pairs = (f"{name} = {in_toml(each)}" for name, each in value.items() if each is not None)
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(in_toml, value))}]"
    return json.dumps(value)


def make_event(type_: str = "AppOpen", **fields: Any) -> dict[str, Any]:
    return {"type": type_, "timestamp": "2026-04-22T14:30:00+00:00", **fields}


def make_upload(user_id: str, *events: object, **fields: object) -> dict[str, Any]:
    """A request body; with no events given it holds one that is valid."""
    listed = list(events) or [make_event()]
    return {"user_id": user_id, "game_id": "com.example.game", "events": listed, **fields}


StartGateway = Callable[..., RunningGateway]


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[StartGateway]:
    """Start gateways in ``tmp_path`` with tests' own settings; they are gone when the test is."""
    started: list[RunningGateway] = []

    def start(*arguments: str, secret: str | None = SECRET, **environment: str) -> RunningGateway:
        settings = {f"PLAYSMART_{name}": value for name, value in environment.items()}
        if secret is not None:
            settings["PLAYSMART_AUTH__SECRET"] = secret
        running = RunningGateway(tmp_path, settings, *arguments)
        started.append(running)
        return running

    yield start
    for running in started:
        running.close()


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """The one gateway that most tests talk to; it must have stored all it promised at the end."""
    running = RunningGateway(
        tmp_path_factory.mktemp("gateway"),
        {
            "PLAYSMART_AUTH__SECRET": SECRET,
            "PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "0.01",
        },
    )
    try:
        yield running
        accepted = running.metrics()["playsmart_events_accepted_total"]
        assert running.stop() == 0
        assert running.select("SELECT count(*) FROM events")[0][0] == accepted
        assert "Traceback" not in running.log
    finally:
        running.close()


@pytest.fixture(scope="session")
def hasty_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """One that waits half a second for a request, and stands behind a proxy that it trusts."""
    running = RunningGateway(
        tmp_path_factory.mktemp("hasty"),
        {
            "PLAYSMART_AUTH__SECRET": SECRET,
            "PLAYSMART_AUTH__TRUST_FORWARDED": "true",
            "PLAYSMART_SERVER__REQUEST_TIMEOUT_SECONDS": "0.5",
            "PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "0.05",
        },
    )
    try:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log
    finally:
        running.close()
