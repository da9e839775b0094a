"""The gateway as a process of its own, asked over HTTP and through its database."""

import os
import re
import signal
import sqlite3
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from playsmart_gateway.auth.tokens import mint
from tests.support import warm
from tests.support.connection import Connection
from tests.support.metrics import law, parse_metrics
from tests.support.polling import PATIENCE_SECONDS, wait_until

SECRET = "a secret for tests, 32 bytes or longer"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""What httpx is to verify servers with that have no TLS: it reads all certificates of the world
for each client and each call otherwise, which costs it 15 ms of a processor."""


Starter = Callable[..., "warm.Forked | subprocess.Popen[bytes]"]
"""Starts the program as ``warm.start`` does."""


class RunningGateway:
    """A gateway in a process of its own, asked over HTTP and through its database."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        *arguments: str,
        start: Starter = warm.start,
    ) -> None:
        self.folder = folder
        self.secret = SECRET
        self._log_file = folder / "gateway.log"
        # With no port of its own a gateway listens on a free one and says which.
        with self._log_file.open("wb") as log:
            self.process = start(
                ["serve", "--port", "0", *arguments],
                folder=folder,
                environment=clean_environment(**(environment or {})),
                stdout=log,
            )
        try:
            self.port = int(self.wait_for_log(r"running on http://[^ ]*:(\d+) ")[1])
        except AssertionError:
            self.close()
            raise
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(
            base_url=self.url, timeout=PATIENCE_SECONDS, trust_env=False, verify=NO_TLS
        )

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
        """The samples by name and labels."""
        return parse_metrics(self.exposition())

    def law(self) -> dict[str, int]:
        """The terms of received = stored + duplicate + rejected + buffered; checks it."""
        return law(self.metrics())

    # -- the far end --

    def settle(self) -> dict[str, int]:
        """Wait until nothing is buffered, and return the terms of the law."""
        return wait_until(lambda: terms if not (terms := self.law())["buffered"] else None)

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

    def told(self, text: str) -> None:
        """Wait until the log has a text: it may be written a little later."""
        self.wait_for_log(re.escape(text))

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
    # Nor is one that is deployed on this machine to be found.
    return {**kept, "PLAYSMART_CONFIG": "", **added}


StartGateway = Callable[..., RunningGateway]
