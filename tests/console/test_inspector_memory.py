"""What the inspector remembers, asked over HTTP: of whom, for how long, of which workers."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.console.remembered import (
    MAX_OF_ADDRESS,
    by_id,
    developed,
    produced,
    recall,
    replay,
    stored,
)
from tests.support.commands import invoke
from tests.support.polling import wait_until
from tests.support.process import RunningGateway, StartGateway
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


# ---- What is remembered ---------------------------------------------------------------------


def test_what_came_while_nobody_watched_is_told_with_what_became_of_it(
    producing: RunningGateway,
) -> None:
    upload = make_upload("ada", make_event("LevelCompleted", customdata={"level": 5}))
    sent = {"x-request-id": "kept-1", "idempotency-key": "k-1"}
    assert producing.post(upload, sub="ada", headers=sent).status_code == 202
    assert producing.post(upload, sub="ada", headers={**sent, "x-request-id": "kept-2"})
    first, again = stored(producing, "kept-1"), stored(producing, "kept-2")
    assert (first["player"], first["count"], first["coins"]) == ("ada", 1, 7)
    assert json.loads(first["events"][0]["data"]) == {"level": 5}
    assert (first["duplicates"], again["duplicates"]) == (0, 1)
    assert not first["may_replay"]


def test_requests_that_reached_no_endpoint_are_told_with_why(producing: RunningGateway) -> None:
    client = producing.client
    client.post("/ingest/event", json={}, headers={"x-request-id": "lost-1"})
    client.get("/ingest/events", headers={"x-request-id": "lost-2"})
    client.get("/v1/nothing/like/it?token=hush-4711", headers={"x-request-id": "lost-3"})
    meant, method, unknown = (by_id(producing, f"lost-{n}") for n in (1, 2, 3))
    assert (meant["status"], meant["reason"]) == (404, "not_found:path")
    assert meant["why"] == "no such path; did you mean /ingest/events?"
    assert (method["status"], method["method"]) == (405, "GET")
    assert method["why"] == "/ingest/events is there, and does not take GET"
    assert unknown["path"] == "/v1/nothing/like/it"
    assert "hush" not in json.dumps(unknown)


def test_broken_and_slow_requests_are_told_with_why(producing: RunningGateway) -> None:
    for sent, status in (
        (b"\x16\x03\x01\x02\x00\x01", 400),
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\r\nx: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (b"POST /ingest/events HTTP/1.1\r\n", 408),
    ):
        with producing.connect() as connection:
            connection.send(sent)
            (answer,) = connection.read_to_end()
            assert answer.status == status
            kept = by_id(producing, answer.headers["x-request-id"])
            assert (kept["status"], kept["outcome"]) == (status, "refused")
            assert kept["reason"]
            assert kept["why"]


def test_a_body_that_is_too_large_is_told_with_its_reason(producing: RunningGateway) -> None:
    upload = make_upload("ada", make_event(customdata={"pad": "x" * 1_100_000}))
    sent = {"x-request-id": "large-1"}
    assert producing.post(upload, sub="ada", headers=sent).status_code == 413
    kept = by_id(producing, "large-1")
    assert (kept["status"], kept["outcome"]) == (413, "refused")
    assert kept["reason"]


def test_a_connection_that_is_refused_is_told_with_why(producing: RunningGateway) -> None:
    with ExitStack() as stack:
        for _ in range(MAX_OF_ADDRESS):
            stack.enter_context(producing.connect()).send(b"POST /ingest/events HTTP/1.1\r\n")
        answers = stack.enter_context(producing.connect()).read_to_end()
    (refused,) = answers
    assert refused.status == 503
    kept = wait_until(lambda: by_id(producing, refused.headers["x-request-id"]))
    assert kept["status"] == 503
    assert "server.max_connections_per_address" in kept["why"]


def test_probes_are_not_remembered(producing: RunningGateway) -> None:
    producing.client.post("/healthz", headers={"x-request-id": "probe-1"})
    assert recall(producing, request_id="probe-1")["requests"] == []


def test_in_production_no_body_of_a_refused_request_is_kept(producing: RunningGateway) -> None:
    upload = make_upload("ada", make_event("Teleport", customdata={"x": "canary"}))
    producing.post(upload, sub="ada", headers={"x-request-id": "refused-1"})
    kept = by_id(producing, "refused-1")
    assert kept["details"][0]["path"] == "events.0.type"
    assert "canary" not in json.dumps(kept)
    assert not {"body", "sent", "headers"} & kept.keys()


def test_no_token_or_secret_is_told_wherever_it_was_sent(developing: RunningGateway) -> None:
    token = developing.token("ada")
    for canary in (token, developing.secret, "teak-secret-4711"):
        event = make_event("Custom", customEventName="x", customdata={"a": canary, "token": "hush"})
        developing.post(make_upload("ada", event), sub="ada", headers={"x-request-id": canary[:99]})
        developing.post(make_upload("ada", event, game_id=""), sub="ada")
        developing.client.get(f"/{canary}/{canary}")
    text = json.dumps(recall(developing))
    for canary in (token[:60], token[-24:], developing.secret, "teak-secret", "hush"):
        assert canary not in text


def test_pages_of_memory_are_the_whole_of_it_once_each(developing: RunningGateway) -> None:
    for number in range(7):
        developing.client.get("/nowhere", headers={"x-request-id": f"paged-{number}"})
    before: dict[str, str] = {}
    found, pages = [], 0
    while pages < 10:
        page = recall(developing, request_id="paged-", limit=3, **before)
        found += [each["request_id"] for each in page["requests"]]
        pages += 1
        if page["next"] is None:
            break
        before = {"before": page["next"]}
    assert found == [f"paged-{number}" for number in reversed(range(7))]
    assert pages == 3


def test_memory_is_filtered_by_what_its_query_says(developing: RunningGateway) -> None:
    client = {"name": "unity", "app_version": "9.8.7"}
    upload = make_upload("filtered", make_event("Custom", customEventName="jump"))
    upload |= {"run": "0198c0de-3f00-7a61-9d2e-5b0c4f7a1e44", "seq": 0, "client": client}
    developing.post(upload, sub="filtered", headers={"x-request-id": "filter-1"})
    developing.post(
        make_upload("filtered", {}), sub="filtered", headers={"x-request-id": "filter-2"}
    )
    at = by_id(developing, "filter-1")["at"]
    wanted: list[tuple[dict[str, Any], set[str]]] = [
        ({}, {"filter-1", "filter-2"}),
        ({"outcome": "accepted"}, {"filter-1"}),
        ({"outcome": "refused"}, {"filter-2"}),
        ({"reason": "malformed"}, {"filter-2"}),
        ({"reason": "other_reason"}, set()),
        ({"name": "jump"}, {"filter-1"}),
        ({"name": "fall"}, set()),
        ({"version": "9.8.7"}, {"filter-1"}),
        ({"version": "9.8.8"}, set()),
        ({"type": "Custom", "player": "filtered"}, {"filter-1"}),
        ({"until": at}, {"filter-1"}),
        ({"since": at + 3_600_000}, set()),
    ]
    for query, ids in wanted:
        told = recall(developing, request_id="filter-", **query)["requests"]
        assert {each["request_id"] for each in told} == ids, query


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "before=1",
        "before=1-2",
        "since=-1",
        "until=²",
        "outcome=x",
    ],
)
def test_a_query_that_says_nothing_is_refused(developing: RunningGateway, query: str) -> None:
    answer = developing.client.get(f"/inspector/memory?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == f"invalid_{query.partition('=')[0]}"


def erase(gateway: RunningGateway, player: str) -> None:
    data = gateway.folder / "data"
    settings = {
        "STORAGE__URL": f"sqlite:///{data}/playsmart.db",
        "JOURNAL__PATH": f"{data}/journal",
    }
    done = invoke("erase", player, "--yes", **settings)
    assert done.exit_code == 0, done.output


def test_an_erased_player_is_forgotten(developing: RunningGateway) -> None:
    developing.post(make_upload("eve-4711"), sub="eve-4711", headers={"x-request-id": "eve-1"})
    developing.post(make_upload("eve-4711", {}), sub="eve-4711", headers={"x-request-id": "eve-2"})
    assert len(recall(developing, request_id="eve-")["requests"]) == 2
    erase(developing, "eve-4711")
    assert "eve-4711" not in json.dumps(recall(developing))


# ---- Of several workers ---------------------------------------------------------------------


def test_what_any_worker_remembers_is_told_by_each_and_sent_again_by_who_has_it(
    start_gateway: StartGateway,
) -> None:
    running = start_gateway("--workers", "2", "--dev", secret=None)
    running.secret = (running.folder / "data/dev-secret").read_text().strip()
    wait_until(lambda: running.client.get("/readyz").is_success or None)
    headers = {"authorization": f"Bearer {running.token('ada')}"}

    def both_have_some() -> set[str] | None:
        with httpx.Client(base_url=running.url, trust_env=False, headers=headers) as other:
            assert other.post("/ingest/events", json=make_upload("ada")).status_code == 202
            told = other.get("/inspector/memory").json()
        assert told["workers"] == {"asked": 2, "silent": 0}
        ids = {each["id"] for each in told["requests"]}
        return ids if {each.partition(".")[0] for each in ids} == {"0", "1"} else None

    ids = wait_until(both_have_some)
    before: dict[str, str] = {}
    pages: set[str] = set()
    while True:
        page = recall(running, limit=1, **before)
        pages |= {each["id"] for each in page["requests"]}
        if page["next"] is None:
            break
        before = {"before": page["next"]}
    assert ids <= pages
    for worker in ("0", "1"):
        one = next(each for each in ids if each.startswith(worker))
        told = replay(running, one).json()
        assert (told["status"], told["replay_of"]) == (202, one)
    assert replay(running, "7.a.1").status_code == 404
    erase(running, "ada")
    assert [each["path"] for each in recall(running)["requests"]] == ["/inspector/replay"]
    assert running.stop() == 0
