"""The outermost layer: what is left to say when something unexpected happens."""

import logging
import uuid
from collections.abc import Sequence

import httpx
import msgspec
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from playsmart_gateway.app import create_app
from playsmart_gateway.auth.keys import shared_secrets
from playsmart_gateway.auth.token_cache import Caller
from playsmart_gateway.auth.tokens import (
    TokenVerifier,
    mint,
)
from playsmart_gateway.config import Buffer, Config, Journal
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.http.request_frame import (
    RequestFrame,
)
from playsmart_gateway.http.request_ids import make_request_id
from playsmart_gateway.metrics import Stats
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.models import Written
from tests.support.doubles import FakeClock
from tests.support.in_process import in_process
from tests.support.polling import eventually
from tests.support.process import SECRET
from tests.support.uploads import make_upload

MARKER = "sesame-4711"
MEMORY_ONLY = Config(journal=Journal(enabled=False))


class BrokenVerifier(TokenVerifier):
    """Has a bug, and shows the token in its exception."""

    def __init__(self) -> None:
        super().__init__(shared_secrets([(None, SECRET)]), algorithms=["HS256"])

    def at_once(self, token: bytes) -> Caller:
        raise LookupError(token)


class TrustingVerifier(BrokenVerifier):
    """Takes any token for the name of the player."""

    def at_once(self, token: bytes) -> Caller:
        return Caller(token.decode(), 2**31)


class BrokenSink(MemorySink):
    """Has a bug, and shows the events in its exception."""

    async def write(self, batches: Sequence[Batch]) -> Written:
        raise LookupError(batches[0].rows)


async def post(
    client: httpx.AsyncClient, token: str, **headers: str
) -> tuple[int, dict[str, str], str]:
    answer = await client.post(
        "/ingest/events",
        json=make_upload(token),
        headers={"authorization": f"Bearer {token}", **headers},
    )
    return answer.status_code, dict(answer.headers), answer.text


async def test_an_unexpected_exception_is_500_in_the_envelope_and_logged_once_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = create_app(MEMORY_ONLY, verifier=BrokenVerifier(), sink=MemorySink())
    async with in_process(app) as client:
        status, headers, text = await post(client, MARKER, **{"x-request-id": "request-7"})
        assert status == 500
        assert text == '{"error": {"code": "SERVER_ERROR", "message": "internal_error"}}'
        assert headers["content-type"] == "application/json"
        assert headers["x-request-id"] == "request-7"
        assert (await client.get("/healthz")).status_code == 200
    stats: Stats = app.state.gateway.stats
    assert stats.requests["/ingest/events", 500].count == 1
    assert (stats.received, stats.unaccounted(0)) == (0, 0)
    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert "LookupError" in record.getMessage()
    assert record.__dict__["playsmart_fields"] == {"request_id": "request-7"}
    assert "test_request_frame.py" in record.getMessage()
    assert MARKER not in caplog.text


async def test_a_flusher_that_dies_closes_the_door_and_asks_to_be_stopped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = msgspec.structs.replace(MEMORY_ONLY, buffer=Buffer(flush_interval_seconds=0.001))
    app = create_app(config, verifier=TrustingVerifier(), sink=BrokenSink())
    gateway = app.state.gateway
    stopped = []
    gateway.on_fatal = lambda: stopped.append(True)
    async with in_process(app) as client:
        assert (await post(client, MARKER))[0] == 202
        await eventually(lambda: gateway.failed or None)
        status, headers, text = await post(client, MARKER)
        assert (status, headers["retry-after"]) == (503, "1")
        assert text == '{"error": {"code": "UNAVAILABLE", "message": "internal_error"}}'
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert {"path": "intake", "message": "internal_error"} in ready.json()["error"]["details"]
        assert (await client.get("/healthz")).status_code == 200
    assert stopped == [True]
    assert gateway.left_behind == 1
    assert gateway.stats.unaccounted(1) == 0
    (critical,) = [each for each in caplog.records if each.levelno == logging.CRITICAL]
    assert "LookupError" in critical.getMessage()
    assert MARKER not in caplog.text


async def run(app: ASGIApp, *headers: tuple[bytes, bytes], stats: Stats | None = None) -> Message:
    """Send one request through a frame around ``app``; return the start of the answer."""
    frame = RequestFrame(app, stats or Stats(), {}, clock=FakeClock())
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("nobody reads")

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": list(headers)}
    await frame(scope, receive, send)
    return sent[0]


async def answer_204(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def test_of_several_request_ids_the_last_is_judged() -> None:
    name = b"x-request-id"
    start = await run(answer_204, (name, b"one"), (name, b"two"))
    assert start["headers"] == [(name, b"two")]
    start = await run(answer_204, (name, b"one"), (name, b"not sane"))
    assert uuid.UUID(start["headers"][0][1].decode()).version == 7


async def test_a_token_is_no_request_id_and_an_id_that_begins_as_one_is() -> None:
    name = b"x-request-id"
    token = mint("ada", secret=SECRET, ttl_seconds=60, now=0.0).encode()
    for given in (token[:128], token.rpartition(b".")[0][:100]):
        start = await run(answer_204, (name, given))
        assert uuid.UUID(start["headers"][0][1].decode()).version == 7
    for given in (b"eyJ", b"eyJhbGciOiJIUzI1", b"r.eyJ"):
        start = await run(answer_204, (name, given))
        assert start["headers"] == [(name, given)]


async def test_an_exception_after_the_answer_began_is_logged_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def begin_and_fail(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise LookupError(MARKER)

    stats = Stats()
    await run(begin_and_fail, stats=stats)
    assert stats.requests["unmatched", 200].count == 1
    assert "LookupError" in caplog.text
    assert MARKER not in caplog.text


async def test_an_exception_in_a_page_is_500_in_the_envelope_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = create_app(MEMORY_ONLY, verifier=TrustingVerifier(), sink=MemorySink())

    def fail() -> None:
        raise LookupError(MARKER)

    app.state.gateway.not_ready_because = fail
    async with in_process(app) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 500
    assert answer.json() == {"error": {"code": "SERVER_ERROR", "message": "internal_error"}}
    assert len([each for each in caplog.records if each.levelno >= logging.ERROR]) == 1
    assert MARKER not in caplog.text


async def test_a_request_that_is_never_answered_is_not_counted() -> None:
    async def hang_up(_: Scope, __: Receive, ___: Send) -> None:
        pass

    stats = Stats()
    with pytest.raises(IndexError):
        await run(hang_up, stats=stats)
    assert stats.requests == {}


async def test_what_is_no_request_passes_through() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, _: Receive, __: Send) -> None:
        seen.append(scope)

    async def receive() -> Message:
        raise AssertionError("nobody reads")

    async def send(_: Message) -> None:
        raise AssertionError("nobody answers")

    await RequestFrame(app, Stats(), {})({"type": "lifespan"}, receive, send)
    assert seen == [{"type": "lifespan"}]


def test_a_made_request_id_is_a_uuid_of_version_7() -> None:
    made = [uuid.UUID(make_request_id().decode()) for _ in range(100)]
    assert {(each.version, each.variant) for each in made} == {(7, uuid.RFC_4122)}
    assert len(set(made)) == 100
