"""Lynes events that are sent again by their keys, to a gateway that died before it answered."""

import json
import signal
from pathlib import Path

import httpx

from tests.dialects.cases import headers_of
from tests.dialects.lynes.client import PROJECT
from tests.support.polling import wait_until
from tests.support.process import RunningGateway, StartGateway

EVENT = {"eventId": "daily_login", "userId": "ada", "metadata": {"platform": "ios"}}
STORED = "SELECT points, at_ms FROM lynes_history ORDER BY entry_id"


def named(key: str) -> dict[str, str]:
    return headers_of({"token": {"sub": "app"}}) | {"idempotency-key": key}


def send(running: RunningGateway, key: str, **changes: object) -> httpx.Response:
    answer = running.client.post("/event", json={**EVENT, **changes}, headers=named(key))
    assert answer.status_code == 200, answer.text
    return answer


def points(running: RunningGateway, user: str = "ada") -> int:
    found = running.client.get(f"/user/{user}/points", headers=named(""))
    return int(found.json()["points"])


def test_an_event_that_was_stored_and_never_answered_is_answered_as_then_and_paid_once(
    start_gateway: StartGateway,
) -> None:
    running = start_gateway("--config", str(PROJECT))
    body = json.dumps(EVENT).encode()
    head = {**named("order-1"), "host": "gateway", "content-length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    with running.connect() as phone:
        phone.send(f"POST /event HTTP/1.1\r\n{lines}\r\n".encode() + body)
        ((paid, at_ms), *_) = wait_until(lambda: running.select(STORED) or None)
        running.stop(signal.SIGKILL)  # what it may have answered nobody has read

    running = start_gateway("--config", str(PROJECT))
    answers = [send(running, "order-1"), send(running, "order-1", metadata={})]
    assert answers[0].content == answers[1].content
    told = answers[0].json()["data"]
    assert (told["pointsAwarded"], told["timestamp"]) == (paid, at_ms) == (10, at_ms)
    assert points(running) == 10
    assert len(running.select("SELECT * FROM events")) == 1
    law = running.law()
    assert (law["received"], law["stored"], law["duplicate"]) == (2, 0, 2)


def test_a_key_is_that_of_one_user_and_outlives_the_gateway(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway("--config", str(PROJECT))
    first = {user: send(running, "k", userId=user).content for user in ("ada", "bob")}
    assert running.stop() == 0
    running = start_gateway("--config", str(PROJECT))
    assert {user: send(running, "k", userId=user).content for user in first} == first
    assert [points(running, user) for user in first] == [10, 10]
    assert send(running, "another").content not in first.values()
    assert points(running) == 20
