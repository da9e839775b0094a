"""What can be done with what the inspector remembers: send it again, try a body, and by whom."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.console.remembered import BEARER, by_id, developed, produced, replay, stored
from tests.support.process import RunningGateway
from tests.support.uploads import make_event, make_upload

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def developing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway in development mode."""
    yield from developed(tmp_path_factory.mktemp("memory"))


@pytest.fixture(scope="module")
def producing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway as it is in production, with an operator's token."""
    yield from produced(tmp_path_factory.mktemp("memory"))


# ---- What can be done -----------------------------------------------------------------------


def events_of(gateway: RunningGateway, player: str) -> int:
    with closing(sqlite3.connect(gateway.folder / "data" / "playsmart.db")) as database:
        count = database.execute("SELECT count(*) FROM events WHERE user_id = ?", (player,))
        return int(count.fetchone()[0])


def test_a_named_request_that_is_sent_again_is_a_duplicate_and_another_one_is_new(
    developing: RunningGateway,
) -> None:
    upload = make_upload("bea", make_event("LevelCompleted"), make_event())
    named = {"x-request-id": "again-1", "idempotency-key": "again"}
    developing.post(upload, sub="bea", headers=named)
    developing.post(upload, sub="bea", headers={"x-request-id": "again-2"})
    stored(developing, "again-2")
    assert events_of(developing, "bea") == 4
    first = replay(developing, by_id(developing, "again-1")["id"]).json()
    assert (first["status"], first["state"], first["is_named"]) == (202, "stored", True)
    assert (first["duplicates"], first["coins"], events_of(developing, "bea")) == (2, 0, 4)
    second = replay(developing, by_id(developing, "again-2")["id"]).json()
    assert (second["status"], second["state"], second["is_named"]) == (202, "stored", False)
    assert ("duplicates" in second, events_of(developing, "bea")) == (False, 6)
    marked = by_id(developing, second["request_id"])
    assert marked["replay_of"] == by_id(developing, "again-2")["id"]


def test_a_refused_request_that_is_sent_again_is_refused_again(developing: RunningGateway) -> None:
    developing.post(make_upload("bea", {}), sub="bea", headers={"x-request-id": "wrong-1"})
    told = replay(developing, by_id(developing, "wrong-1")["id"]).json()
    assert (told["status"], told["reason"]) == (400, "malformed")
    assert told["details"]


@pytest.mark.parametrize(
    ("request_id", "status"),
    [("0.0.1", 404), ("1.2.3", 404), ("", 404), ("x" * 1_000, 404)],
)
def test_what_is_not_remembered_cannot_be_sent_again(
    developing: RunningGateway, request_id: str, status: int
) -> None:
    answer = replay(developing, request_id)
    assert (answer.status_code, answer.json()["error"]["message"]) == (status, "not_remembered")


def test_a_request_without_its_body_cannot_be_sent_again(developing: RunningGateway) -> None:
    developing.client.get("/ingest/events", headers={"x-request-id": "bodiless-1"})
    answer = replay(developing, by_id(developing, "bodiless-1")["id"])
    assert (answer.status_code, answer.json()["error"]["message"]) == (409, "body_not_kept")


def test_in_production_nothing_can_be_sent_again(producing: RunningGateway) -> None:
    producing.post(make_upload("bea"), sub="bea", headers={"x-request-id": "never-1"})
    answer = replay(producing, by_id(producing, "never-1")["id"])
    assert answer.status_code == 404


def tried(gateway: RunningGateway, path: str, body: str) -> dict[str, Any]:
    sent = {"path": path, "body": body}
    answer = gateway.client.post("/inspector/validate", json=sent, headers=BEARER)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


@pytest.mark.parametrize("mode", ["developing", "producing"])
def test_a_body_is_judged_event_by_event_and_nothing_of_it_is_stored(
    mode: str, request: pytest.FixtureRequest
) -> None:
    gateway: RunningGateway = request.getfixturevalue(mode)
    upload = make_upload("cy", make_event("LevelCompleted"), make_event("Teleport"))
    told = tried(gateway, "/ingest/events", json.dumps(upload))
    data = json.loads(told["answer"])["data"]
    assert (told["status"], data["valid"], data["events"], data["coins"]) == (200, False, 1, 7)
    assert [each["index"] for each in data["rejected"]] == [1]
    gateway.settle()
    assert events_of(gateway, "cy") == 0


def test_the_verdict_is_that_of_the_dry_run(developing: RunningGateway) -> None:
    uploads: list[dict[str, Any]] = [
        make_upload("cy", make_event("LevelCompleted"), make_event()),
        make_upload("cy", make_event("Teleport"), make_event(timestamp="never"), make_event()),
        make_upload("cy", game_id=""),
        make_upload("cy") | {"events": []},
        make_upload("cy") | {"events": [make_event()] * 201},
    ]
    headers = {"authorization": f"Bearer {developing.token('cy')}", "prefer": "handling=lenient"}
    for upload in uploads:
        dry = developing.client.post("/ingest/validate", json=upload, headers=headers)
        told = tried(developing, "/ingest/events", json.dumps(upload))
        assert told["status"] == dry.status_code
        assert json.loads(told["answer"]) == dry.json()


@pytest.mark.parametrize(
    ("path", "body", "status", "part"),
    [
        ("/ingest/events", "{", 400, "is not JSON"),
        ("/ingest/events", "", 400, "invalid_payload"),
        ("/event", '{"eventId": "level", "userId": "cy"}', 200, '"valid": true'),
        ("/event", '{"eventId": "other", "userId": "cy"}', 404, "not found"),
        ("/event", "{}", 400, "is required"),
        ("/v2/analytics_events", '{"game_id": "none"}', 404, "Unknown app"),
        ("/v2/analytics_events", '{"game_id": "app", "secret_key": "no"}', 403, "is invalid"),
    ],
)
def test_a_wrong_body_gets_the_verdict_of_its_endpoint(
    developing: RunningGateway, path: str, body: str, status: int, part: str
) -> None:
    told = tried(developing, path, body)
    assert told["status"] == status
    assert part in f"{told['answer']} {told['details']}"


def test_of_a_batch_of_teaks_each_event_is_judged(developing: RunningGateway) -> None:
    events = [{"user_id": "cy", "action_type": "buy"}, {"user_id": "cy"}]
    body = {"game_id": "app", "secret_key": "teak-secret-4711", "events": events}
    told = tried(developing, "/v2/analytics_events/batch", json.dumps(body))
    data = json.loads(told["answer"])["data"]
    assert (data["valid"], data["events"]) == (False, 1)
    (wrong,) = data["rejected"]
    assert (wrong["index"], wrong["details"][0]["path"]) == (1, "events.1.action_type")


# ---- Who may, and how much ------------------------------------------------------------------

ACTIONS = (("GET", "memory"), ("POST", "validate"), ("POST", "replay"))


@pytest.mark.parametrize(("method", "name"), ACTIONS)
def test_only_operators_may(producing: RunningGateway, method: str, name: str) -> None:
    for headers in ({}, {"authorization": f"Bearer {producing.token('ada')}"}):
        answer = producing.client.request(method, f"/inspector/{name}", headers=headers, json={})
        assert answer.status_code == 401


@pytest.mark.parametrize("name", ["validate", "replay"])
def test_no_page_of_another_site_and_no_form_may(developing: RunningGateway, name: str) -> None:
    path, sent = f"/inspector/{name}", {"id": "1.2.3", "path": "/event", "body": "{}"}
    post = developing.client.post
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert post(path, json=sent, headers=headers).status_code == 403
    assert post(path, data=sent).status_code == 415
    text = {"content-type": "text/plain"}
    assert post(path, content=json.dumps(sent), headers=text).status_code == 415


@pytest.mark.parametrize("name", ["validate", "replay"])
@pytest.mark.parametrize(
    ("content", "status"),
    [(b"{", 400), (b"[]", 400), (b"\xff", 400), (b"[" * 100_000, 400), (b'"' * 600_000, 413)],
)
def test_what_is_no_question_is_refused(
    developing: RunningGateway, name: str, content: bytes, status: int
) -> None:
    headers = {"content-type": "application/json"}
    answer = developing.client.post(f"/inspector/{name}", content=content, headers=headers)
    assert answer.status_code == status


def test_a_body_to_be_tried_has_a_limit(developing: RunningGateway) -> None:
    sent = {"path": "/ingest/events", "body": "x" * 262_145}
    assert developing.client.post("/inspector/validate", json=sent).status_code == 413
    sent = {"path": "/nowhere", "body": "{}"}
    assert developing.client.post("/inspector/validate", json=sent).status_code == 404
