"""``POST /event`` over HTTP: the worked examples and errors of the contract, then what they leave.

Each file in ``cases/lynes`` is one request to the project of ``project.toml``, after those
``before`` it, and all that must come of it. ``NOW`` stands for a time that is about now.
"""

import asyncio
import json
import re
import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from playsmart_gateway.app import create_app
from playsmart_gateway.auth.tokens import (
    mint,
    open_verifier,
)
from playsmart_gateway.config import Journal, replaced
from playsmart_gateway.dialects.lynes.access import program_for
from playsmart_gateway.dialects.lynes.section import Lynes
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.pipeline.commit_queue import PATIENCE_SECONDS
from playsmart_gateway.stores.memory.store import MemorySink
from tests.dialects.cases import as_in_a_case, body_of, headers_of
from tests.dialects.lynes.client import DAY, HERE, NOON, PROJECT, Client, project
from tests.support.doubles import FakeClock, TroubledSink
from tests.support.in_process import in_process
from tests.support.metrics import parse_metrics
from tests.support.polling import eventually, wait_until
from tests.support.process import NO_TLS, SECRET, RunningGateway, StartGateway
from tests.support.uploads import make_upload

CASES = {path.stem: path for path in sorted((HERE.parent / "cases/lynes").iterdir())}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway of that project; nobody waits for its flush interval, which is an hour."""
    running = RunningGateway(
        tmp_path_factory.mktemp("demo"),
        {
            "PLAYSMART_AUTH__SECRET": SECRET,
            "PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "3600",
            "PLAYSMART_LYNES__RATE_LIMIT": "0",
        },
        *("--config", str(PROJECT)),
    )
    try:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log
    finally:
        running.close()


@pytest.mark.parametrize("name", CASES)
def test_a_worked_example_of_the_contract_holds(
    name: str, demo: RunningGateway, start_gateway: StartGateway
) -> None:
    case: dict[str, Any] = json.loads(CASES[name].read_text("utf-8"))
    running = demo
    if environment := case.get("environment"):
        running = start_gateway("--config", str(PROJECT), **environment)
    path = case.get("path", "/event")
    for body in case.get("before", []):
        running.client.post(path, json=body, headers=headers_of({"token": {"sub": "app"}}))
    newest = running.newest_event_id()

    answer = running.client.post(path, content=body_of(case), headers=headers_of(case))

    assert answer.status_code == case["status"], answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    assert with_now(answer.json()) == case["reply"]
    for header, value in case.get("reply_headers", {}).items():
        assert answer.headers[header] == value
    # No waiting: what is answered with 200 is stored, and nothing else ever will be.
    rows = [as_in_a_case(row) for row in running.events_after(newest)]
    for row in rows:
        assert abs(datetime.fromisoformat(row.pop("occurred_at")).timestamp() - time.time()) < 60
    assert rows == case["rows"]
    assert running.law()["buffered"] == 0


def with_now(reply: dict[str, Any]) -> dict[str, Any]:
    """Replace the times that are as they should be."""
    data = reply.get("data", {})
    if abs(data.get("timestamp", 0) / 1_000 - time.time()) < 60:
        data["timestamp"] = "NOW"
    for streak in data.get("streaks", []):
        last_update = streak["lastUpdate"]
        if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", last_update):
            since = time.time() - datetime.fromisoformat(last_update).timestamp()
            streak["lastUpdate"] = "NOW" if abs(since) < 60 else last_update
    return reply


def test_only_post_is_allowed(demo: RunningGateway) -> None:
    answer = demo.client.get("/event", headers=headers_of({"token": {"sub": "app"}}))
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json() == {
        "success": False,
        "error": {"code": "method_not_allowed", "message": "Only POST is allowed"},
    }


def test_a_body_over_the_limit_is_refused(demo: RunningGateway) -> None:
    body = json.dumps({"eventId": "daily_login", "userId": "u" * 2_000_000})
    headers = headers_of({"token": {"sub": "app"}})
    answer = demo.client.post("/event", content=body, headers=headers)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "payload_too_large"


def test_sixteen_requests_race_for_one_completion_and_one_is_paid(demo: RunningGateway) -> None:
    headers = headers_of({"token": {"sub": "app"}})
    body = json.dumps({"eventId": "login_once_a_day", "userId": "racer"})

    def send(_: int) -> tuple[int, int, int]:
        with httpx.Client(base_url=demo.url, trust_env=False, verify=NO_TLS) as client:
            answer = client.post("/event", content=body, headers=headers)
        data = answer.json()["data"]
        return answer.status_code, data["pointsAwarded"], data["streaks"][0]["currentCount"]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(send, range(16)))
    assert sorted(answers) == [(200, 0, 1)] * 15 + [(200, 10, 1)]
    answer = demo.client.get("/user/racer/points", headers=headers)
    assert answer.json() == {"points": 10}


def test_a_repeat_by_its_key_is_answered_as_the_first_and_paid_once(demo: RunningGateway) -> None:
    headers = headers_of({"token": {"sub": "app"}}) | {"idempotency-key": "order-1"}
    body = {"eventId": "daily_login", "userId": "again"}
    before = demo.law()
    first, repeat = (demo.client.post("/event", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, repeat.status_code) == (200, 200)
    assert first.json()["data"]["pointsAwarded"] == 10
    assert repeat.content == first.content
    answer = demo.client.get("/user/again/points", headers=headers)
    assert answer.json() == {"points": 10}
    after = demo.law()
    assert after["stored"] == before["stored"] + 1
    assert after["duplicate"] == before["duplicate"] + 1


def test_a_200_is_stored_while_what_others_were_promised_still_waits(demo: RunningGateway) -> None:
    """The flush interval is an hour: neither waits for the other."""
    assert demo.post(make_upload("ada"), sub="ada").status_code == 202
    headers = headers_of({"token": {"sub": "app"}})
    before = demo.law()
    answer = demo.client.post(
        "/event", json={"eventId": "purchase", "userId": "x"}, headers=headers
    )
    assert answer.status_code == 200
    after = demo.law()
    assert after["stored"] == before["stored"] + 1
    assert after["buffered"] == before["buffered"] >= 1


def test_the_metrics_tell_how_requests_share_commits(demo: RunningGateway) -> None:
    metrics = demo.metrics()
    assert metrics["playsmart_lane_events"] == 0
    assert metrics["playsmart_flushes_total{trigger=commit}"] >= 1
    assert metrics["playsmart_commit_requests_count"] >= 1


# --- in this process: clocks that are told, stores that fail -------------------------------------


async def test_a_streak_grows_by_the_day_and_breaks_over_http(tmp_path: Path) -> None:
    config = project(PLAYSMART_STORAGE__URL=f"sqlite:///{tmp_path}/events.db")
    clock = FakeClock(NOON)
    verifier = open_verifier(secret=SECRET, clock=FakeClock(NOON))
    app = create_app(config, verifier=verifier, clock=clock)
    found = []
    async with in_process(app) as http:
        client = Client(http, clock)
        for day in (0, 0, 1, 2, 2, 3, 5, 6, 7):
            clock.now = NOON + day * DAY
            data = (await client.send("login_once_a_day")).json()["data"]
            (streak,) = data["streaks"]
            assert data["timestamp"] == clock.now * 1_000
            found.append(
                (day, data["pointsAwarded"], streak["currentCount"], streak["pointsAwarded"])
            )
            assert streak["milestoneReached"] == (streak["pointsAwarded"] > 0)
        assert found == [
            (0, 10, 1, 0), (0, 0, 1, 0), (1, 10, 2, 0), (2, 10, 3, 50), (2, 0, 3, 0),
            (3, 10, 4, 0), (5, 10, 1, 0), (6, 10, 2, 0), (7, 10, 3, 50),
        ]  # fmt: skip
        assert await client.get("/user/ada/points") == {"points": 7 * 10 + 2 * 50}
        streak = (await client.get("/user/ada/streak/daily_app_use"))["data"]
        assert streak == {
            "streakId": "daily_app_use", "period": "daily", "active": True, "currentCount": 3,
            "longestCount": 4, "lastUpdate": "2026-04-29T12:00:00.000Z",
        }  # fmt: skip
        clock.now += 2 * DAY
        streak = (await client.get("/user/ada/streak/daily_app_use"))["data"]
        assert (streak["active"], streak["currentCount"], streak["longestCount"]) == (False, 0, 4)


async def test_more_than_the_limit_of_a_second_is_429_before_the_body_is_looked_at() -> None:
    config = project(PLAYSMART_LYNES__RATE_LIMIT="2")
    sink = MemorySink(program=program_for(config))
    verifier = open_verifier(secret=SECRET, clock=FakeClock(NOON))
    clock = FakeClock(NOON)
    app = create_app(config, verifier=verifier, sink=sink, clock=clock, steady=clock)
    async with in_process(app) as http:
        client = Client(http, clock)
        assert (await http.post("/event")).status_code == 401, "which counts for nothing"
        found = [await client.send("daily_login", f"u{n}") for n in range(2)]
        assert [each.status_code for each in found] == [200, 200]
        refused = await client.send(7)  # type: ignore[arg-type] # which alone would be a 400
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.json() == {
            "success": False,
            "error": {"code": "rate_limited", "message": "Too many requests"},
        }
        clock.advance(1)
        assert (await client.send("daily_login", "u2")).status_code == 200
    assert len(sink.rows) == 3


async def test_a_store_that_is_back_in_time_is_not_noticed(tmp_path: Path) -> None:
    config = project()
    sink = TroubledSink(SinkUnavailable("locked"), program=program_for(config))
    verifier = open_verifier(secret=SECRET, clock=FakeClock(NOON))
    async with in_process(create_app(config, verifier=verifier, sink=sink)) as http:
        answer = await Client(http, FakeClock()).send("daily_login")
        assert (answer.status_code, answer.json()["data"]["pointsAwarded"]) == (200, 10)


async def test_an_event_that_the_store_rejects_is_500_and_its_neighbours_are_stored() -> None:
    config = project()
    sink = TroubledSink(poison=[2], program=program_for(config))
    verifier = open_verifier(secret=SECRET, clock=FakeClock(NOON))
    app = create_app(config, verifier=verifier, sink=sink)
    async with in_process(app) as http:
        client = Client(http, FakeClock())
        answers = await asyncio.gather(*(client.send("daily_login", f"u{n}") for n in range(4)))
        assert sorted(each.status_code for each in answers) == [200, 200, 200, 500]
        (failed,) = (each for each in answers if each.status_code == 500)
        assert failed.json() == {
            "success": False,
            "error": {"code": "internal_error", "message": "Internal server error"},
        }
        stats = app.state.gateway.stats
        assert stats.rejected == {"unstorable": 1}
        assert (stats.stored, stats.unaccounted(0)) == (3, 0)


async def test_who_waits_is_buffered_in_the_metrics_and_the_law() -> None:
    config = project()
    sink = TroubledSink(*[SinkUnavailable("gone")] * 10**6, program=program_for(config))
    app = create_app(
        config, verifier=open_verifier(secret=SECRET, clock=FakeClock(NOON)), sink=sink
    )
    async with in_process(app) as http:
        waiting = asyncio.create_task(Client(http, FakeClock()).send("daily_login"))
        await eventually(lambda: app.state.gateway.flusher.last_error)
        metrics = parse_metrics((await http.get("/metrics")).text)
        assert metrics["playsmart_lane_events"] == metrics["playsmart_buffered_events"] == 1
        assert metrics["playsmart_events_received_total"] == 1
        assert metrics["playsmart_store_up"] == 0
        assert (await http.get("/readyz")).status_code == 503
        sink.errors.clear()
        assert (await waiting).status_code == 200


def test_who_waits_at_sigterm_is_stored_and_answered(start_gateway: StartGateway) -> None:
    """Another program holds the store meanwhile."""
    running = start_gateway("--config", str(PROJECT), JOURNAL__ENABLED="false")
    headers = headers_of({"token": {"sub": "app"}})
    body = {"eventId": "daily_login", "userId": "late"}
    with (
        closing(sqlite3.connect(running.folder / "data" / "playsmart.db")) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        other.execute("BEGIN IMMEDIATE")
        waiting = pool.submit(running.client.post, "/event", json=body, headers=headers)
        wait_until(lambda: True if running.metrics()["playsmart_lane_events"] else None)
        running.process.send_signal(signal.SIGTERM)
        running.wait_for_log("Shutting down")
        other.rollback()
        answer = waiting.result(timeout=30)
    assert answer.status_code == 200
    assert answer.json()["data"]["pointsAwarded"] == 10
    assert running.process.wait(30) == 0
    assert len(running.events_after(0)) == 1


async def test_who_waits_when_the_gateway_dies_is_told_so() -> None:
    """Nothing is left hanging until its patience ends."""
    config = project()
    sink = TroubledSink(ZeroDivisionError(), program=program_for(config))
    verifier = open_verifier(secret=SECRET, clock=FakeClock(NOON))
    app = create_app(config, verifier=verifier, sink=sink)
    async with in_process(app) as http:
        async with asyncio.timeout(PATIENCE_SECONDS / 2):
            answer = await Client(http, FakeClock()).send("daily_login")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["error"]["code"] == "unavailable"
        later = await Client(http, FakeClock()).send("daily_login")
        assert later.status_code == 503
        gateway = app.state.gateway
        await eventually(lambda: True if gateway.failed else None)
        assert gateway.stats.rejected == {"closing": 2}
        assert gateway.stats.unaccounted(gateway.commit_queue.events) == 0


async def test_commits_are_synced_as_often_as_the_journal(tmp_path: Path) -> None:
    class Syncing(TroubledSink):
        synced = 0

        async def sync_commits(self) -> None:
            self.synced += 1
            if self.synced == 1:
                raise SinkUnavailable("cannot sync")

    config = msgspec.structs.replace(
        project(), journal=Journal(path=str(tmp_path / "journal"), fsync_interval_seconds=0.001)
    )
    sink = Syncing(program=program_for(config))
    verifier = open_verifier(secret=SECRET, clock=FakeClock(NOON))
    async with in_process(create_app(config, verifier=verifier, sink=sink)) as http:
        await asyncio.sleep(0.01)
        assert sink.synced == 0
        assert (await Client(http, FakeClock()).send("daily_login")).status_code == 200
        await eventually(lambda: True if sink.synced == 2 else None)
        await asyncio.sleep(0.01)
        assert sink.synced == 2, "once more after it failed, and no more"


async def test_a_client_that_leaves_before_its_body_is_whole_gets_no_answer() -> None:
    config = project()
    app = create_app(config, verifier=open_verifier(secret=SECRET), sink=MemorySink())
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    token = mint("ada", secret=SECRET, ttl_seconds=3600, now=time.time())
    headers = [(b"authorization", f"Bearer {token}".encode())]
    scope = {"type": "http", "method": "POST", "path": "/event", "headers": headers}
    await app(scope, receive, send)
    assert sent == []
    assert app.state.gateway.stats.received == 0


async def test_a_bug_is_answered_in_the_words_of_the_dialect() -> None:
    class Broken(FakeClock):
        def __call__(self) -> float:
            raise ZeroDivisionError

    config = replaced(project(), Lynes(rate_limit=0))
    verifier = open_verifier(secret=SECRET, clock=FakeClock(NOON))
    app = create_app(config, verifier=verifier, sink=MemorySink(), steady=Broken())
    async with in_process(app) as http:
        answer = await Client(http, FakeClock()).send("daily_login")
    assert answer.status_code == 500
    assert answer.json()["success"] is False
