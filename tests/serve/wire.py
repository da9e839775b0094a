"""Requests as bytes, answers as they came, and a gateway that is well afterwards."""

import contextlib
import json
import re
from collections.abc import Iterator

import httpx
import pytest

from tests.support.connection import Answer
from tests.support.polling import PATIENCE_SECONDS, wait_until
from tests.support.process import NO_TLS, SECRET, RunningGateway, StartGateway
from tests.support.uploads import make_event, make_upload

MARKER = "sesame-4711"
"""In whatever is sent, and nowhere else."""


def workers(running: RunningGateway) -> dict[int, int]:
    """The process of each worker that was started last, by its number."""
    started = re.findall(r"Started server process \[(\d+)\] worker=(\d+)", running.log)
    return {int(number): int(pid) for pid, number in started}


def start_workers(start: StartGateway, count: int = 2, **environment: str) -> RunningGateway:
    running = start("--workers", str(count), **environment)
    wait_until(lambda: len(workers(running)) == count or None)
    wait_until(lambda: get(running, "/readyz").is_success or None)
    return running


def get(running: RunningGateway, path: str) -> httpx.Response:
    """Ask over a new connection, until there is an answer: its worker may have died."""

    def ask() -> httpx.Response | None:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(
                running.url + path, timeout=PATIENCE_SECONDS, trust_env=False, verify=NO_TLS
            )
        return None

    return wait_until(ask)


@pytest.fixture(autouse=True)
def unharmed(gateway: RunningGateway, request: pytest.FixtureRequest) -> Iterator[None]:
    """Check that a test left the gateway well; with mark ``refused``, that it took nothing."""
    before = gateway.settle()
    newest = gateway.newest_event_id()
    log_before = len(gateway.log)
    yield
    assert gateway.client.get("/healthz").status_code == 200
    assert gateway.client.get("/readyz").status_code == 200
    after = gateway.settle()
    if request.node.get_closest_marker("usefixtures"):
        assert after == before
        assert gateway.events_after(newest) == []
    log = gateway.log[log_before:]
    for secret in (MARKER, SECRET, "eyJ", "Bearer", "Traceback"):
        assert secret not in log
    counted = gateway.exposition()
    assert 'status="200"' in counted
    assert 'status="500"' not in counted


def payload(user_id: str = "ada") -> bytes:
    return json.dumps(make_upload(user_id, make_event(customdata={"secret": MARKER}))).encode()


def request_bytes(
    gateway: RunningGateway,
    body: bytes = b"",
    *headers: str,
    line: str = "POST /ingest/events HTTP/1.1",
    length: int | None = -1,
    sub: str | None = "ada",
) -> bytes:
    """A request as it goes over the wire; ``length`` -1 is the true one, None is not announced."""
    head = [line, "Host: localhost", "Content-Type: application/json"]
    if sub is not None:
        head.append(f"Authorization: Bearer {gateway.token(sub)}")
    if length is not None:
        head.append(f"Content-Length: {len(body) if length < 0 else length}")
    head += headers
    return "\r\n".join([*head, "", ""]).encode() + body


def exchange(gateway: RunningGateway, *parts: bytes) -> list[Answer]:
    """Send the parts over one connection and return all answers until it is closed."""
    with gateway.connect() as connection:
        for part in parts:
            if not connection.send(part):
                break
        return connection.read_to_end()


def error_of(answer: Answer) -> tuple[int, str, str]:
    """Check that an answer is the envelope; return status, code and message."""
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    error = json.loads(answer.body)["error"]
    assert error.keys() <= {"code", "message", "details"}
    assert MARKER.encode() not in answer.body
    return answer.status, error["code"], error["message"]
