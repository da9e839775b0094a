"""The inspector over HTTP: who may watch, what is streamed, and that it is in nobody's way."""

import base64
import json
import re
import signal
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from playsmart_gateway.dialects import load_config
from playsmart_gateway.errors import ConfigError
from tests.console.watch import Watch
from tests.support.polling import PATIENCE_SECONDS, wait_until
from tests.support.process import RunningGateway
from tests.support.uploads import make_event, make_upload

OPERATOR = "operator-token-4711"
GAMES = '[{id = "com.example.game", coins_enabled = true, reward_fixed_amount = 7}]'
APPS = '[{id = "app", secret_key = "teak-secret-4711"}]'
EMAIL = "ada@example.com"
BEARER = {"authorization": f"Bearer {OPERATOR}"}


@contextmanager
def watching(
    gateway: RunningGateway, query: str = "", headers: dict[str, str] | None = None
) -> Iterator[Watch]:
    with Watch(gateway, query, headers or {}) as watch:
        yield watch


def started(folder: Path, *arguments: str, **environment: str) -> RunningGateway:
    settings = {
        "PLAYSMART_BUFFER__FLUSH_INTERVAL_SECONDS": "0.3",
        "PLAYSMART_GAMES": GAMES,
        "PLAYSMART_TEAK__APPS": APPS,
        **environment,
    }
    running = RunningGateway(folder, settings, *arguments)
    secret = folder / "data" / "dev-secret"
    if secret.exists():
        running.secret = secret.read_text("utf-8").strip()
    return running


@pytest.fixture(scope="module")
def developing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway in development mode."""
    running = started(tmp_path_factory.mktemp("inspector"), "--dev")
    try:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log
    finally:
        running.close()


@pytest.fixture(scope="module")
def producing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway as it is in production, with an operator's token and few connections."""
    running = started(
        tmp_path_factory.mktemp("inspector"),
        PLAYSMART_AUTH__SECRET="a secret for tests, 32 bytes or longer",
        PLAYSMART_OPERATOR__TOKEN=OPERATOR,
        PLAYSMART_SERVER__MAX_CONNECTIONS="25",
        PLAYSMART_SERVER__REQUEST_TIMEOUT_SECONDS="0.5",
    )
    try:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log
    finally:
        running.close()


# ---- What is streamed -----------------------------------------------------------------------


def test_no_browser_keeps_the_page(developing: RunningGateway) -> None:
    """It would keep its stream with it, and has only six for all tabs."""
    answer = developing.client.get("/inspector")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")


def test_an_accepted_batch_appears_buffered_with_its_events_and_becomes_stored_with_its_coins(
    developing: RunningGateway,
) -> None:
    with watching(developing) as watch:
        level = make_event("LevelCompleted", customdata={"level": 5, "score": 4.80})
        answer = developing.post(
            make_upload("ada", level, make_event()), sub="ada", headers={"x-request-id": "mine-1"}
        )
        assert answer.status_code == 202
        (seen,) = watch.requests(1)
        assert (seen["outcome"], seen["state"], seen["status"]) == ("accepted", "buffered", 202)
        assert (seen["player"], seen["game"], seen["source"]) == (
            "ada",
            "com.example.game",
            "playsmart",
        )
        assert (seen["request_id"], seen["path"], seen["count"]) == ("mine-1", "/ingest/events", 2)
        assert [event["type"] for event in seen["events"]] == ["LevelCompleted", "AppOpen"]
        assert json.loads(seen["events"][0]["data"]) == {"level": 5, "score": 4.80}
        assert seen["ms"] > 0
        assert watch.fate_of(seen) == {"id": seen["id"], "state": "stored", "coins": 7}


def test_a_repeat_is_told_as_one_once_the_store_has_looked_with_its_run_and_numbers(
    developing: RunningGateway,
) -> None:
    run = "0198c0de-3f00-7a61-9d2e-5b0c4f7a1e22"
    level = make_event("LevelCompleted")
    client = {"name": "unity", "app_version": "2.1.5"}

    def send(seq: int, *events: dict[str, Any]) -> None:
        upload = make_upload("ada", *events) | {"run": run, "seq": seq, "client": client}
        lenient = {"prefer": "handling=lenient"}
        assert developing.post(upload, sub="ada", headers=lenient).status_code == 202

    with watching(developing) as watch:
        send(0, level, make_event())
        send(0, level, make_event())
        send(1, make_event(), make_event("Teleport"), level)
        first, again, more = watch.requests(3)
        assert [each["run"] for each in (first, again, more)] == [run] * 3
        assert first["client"] == "unity 2.1.5"
        assert [(each["seq"], each["count"], each["rejected"]) for each in (again, more)] == [
            (0, 2, 0),
            (1, 2, 1),
        ]
        told = [watch.fate_of(each) for each in (first, again, more)]
        assert [(each["duplicates"], each["coins"]) for each in told] == [(0, 7), (2, 0), (1, 7)]


def test_a_refused_request_appears_with_its_reason_its_details_and_its_body(
    developing: RunningGateway,
) -> None:
    with watching(developing) as watch:
        upload = make_upload("ada", make_event("Teleport"), make_event(timestamp="yesterday"))
        assert developing.post(upload, sub="ada").status_code == 400
        assert developing.post(make_upload("ada")).status_code == 401
        assert developing.post(make_upload("ada"), sub="grace").status_code == 403
        assert developing.post(b'{"user_id": "ada", ', sub="ada").status_code == 400
        malformed, unknown, other, broken = watch.requests(4)
        assert (malformed["code"], malformed["message"]) == ("BAD_REQUEST", "invalid_payload")
        assert [each["path"] for each in malformed["details"]] == [
            "events.0.type",
            "events.1.timestamp",
        ]
        assert json.loads(malformed["body"]) == upload
        assert (malformed["player"], malformed["game"]) == ("ada", "com.example.game")
        assert (unknown["status"], unknown["message"]) == (401, "missing_bearer_token")
        assert (other["status"], other["message"]) == (403, "user_id_mismatch")
        assert broken["body"] == '{"user_id": "ada", '
        assert {each["state"] for each in (malformed, unknown, other, broken)} == {"refused"}


def test_teaks_requests_appear_too_and_a_batch_shows_which_of_its_events_failed(
    developing: RunningGateway,
) -> None:
    key = {"game_id": "app", "secret_key": "teak-secret-4711"}
    with watching(developing) as watch:
        post = developing.client.post
        session = {**key, "user_id": "ada", "country_code": "NL", "email": EMAIL}
        assert post("/v2/identify", json=session).status_code == 201
        events = [{"user_id": each, "action_type": "purchase"} for each in ("ada", "nobody")]
        batch = post("/v2/analytics_events/batch", data={**key, "events": json.dumps(events)})
        assert batch.status_code == 200
        wrong = {**key, "secret_key": "wrong-secret", "user_id": "ada"}
        assert post("/v2/analytics_events", json=wrong).status_code == 403
        identified, taken, refused = watch.requests(3)
        assert [event["type"] for event in identified["events"]] == ["Played", "Installed"]
        assert [event["player"] for event in taken["events"]] == ["ada"]
        assert taken["details"] == [
            {"path": "events.1.user_id", "message": "could not be found"},
        ]
        assert (taken["count"], taken["rejected"]) == (1, 1)
        assert watch.fate_of(taken)["state"] == "stored"
        assert refused["message"] == "authorization is invalid"
        assert json.loads(refused["body"])["game_id"] == "app"
        for secret in ("teak-secret", "wrong-secret", EMAIL):
            assert secret not in watch.text


def test_of_a_numbered_batch_of_teaks_repeats_are_told_and_all_that_unknown_players_part(
    developing: RunningGateway,
) -> None:
    key = {"game_id": "app", "secret_key": "teak-secret-4711"}
    post = developing.client.post
    post("/v2/identify", json={**key, "user_id": "ada", "country_code": "NL"})
    run = "0198c0de-3f00-7a61-9d2e-5b0c4f7a1e24"
    with watching(developing) as watch:
        for seq, users in ((0, ["ada", "ada"]), (1, ["ada", "ada"]), (3, ["ada", "nobody", "ada"])):
            events = [{"user_id": each, "action_type": f"a{seq}"} for each in users]
            sent = {**key, "run": run, "seq": seq, "events": events}
            assert post("/v2/analytics_events/batch", json=sent).status_code == 200
        first, again, parted = watch.requests(3)
        assert [(each["run"], each["seq"]) for each in (first, again)] == [(run, 0), (run, 1)]
        assert [watch.fate_of(each)["duplicates"] for each in (first, again)] == [0, 1]
        assert [event["type"] for event in parted["events"]] == ["a3", "a3"]
        assert (parted["count"], parted["rejected"], "run" in parted) == (2, 1, False)
        assert watch.fate_of(parted)["state"] == "stored"


@pytest.mark.parametrize("mode", ["developing", "producing"])
def test_no_token_secret_or_email_is_streamed_wherever_it_was_sent(
    mode: str, request: pytest.FixtureRequest
) -> None:
    gateway: RunningGateway = request.getfixturevalue(mode)
    token = gateway.token("ada")
    canaries = (token, gateway.secret, "teak-secret-4711", EMAIL, OPERATOR)
    bodies: list[Any] = []
    for canary in canaries[: 5 if mode == "producing" else 4]:
        name = canary[:256]
        event = make_event("Custom", customEventName=canary, customdata={canary: [canary, {}]})
        bodies += [
            make_upload(name, event),
            make_upload("ada", event, game_id=name),
            make_upload("ada", make_event(canary, timestamp=canary), extra=canary),
            make_upload("ada", {**event, "customdata": {"email": canary, "secret_key": canary}}),
        ]
    with watching(gateway, headers=BEARER) as watch:
        for body in bodies:
            gateway.post(body, sub=body["user_id"], headers={"x-request-id": f"x-{token}"[:128]})
            gateway.post(json.dumps(body).encode()[:-2], sub="ada")
            form = {"game_id": body["user_id"], "secret_key": body["game_id"], "user_id": EMAIL}
            gateway.client.post("/v2/analytics_events", data=form)
            gateway.client.post("/v2/identify", json=form)
        # A machine that is busy shows a part, and says how many it left out.
        wait_until(lambda: watch.requests_and_dropped() >= 4 * len(bodies) or None)
        assert {each["outcome"] for each in watch.of("request")} == {"accepted", "refused"}
        for canary in canaries[: 5 if mode == "producing" else 4]:
            assert canary not in watch.text
            assert canary[-24:] not in watch.text


def test_in_production_refused_bodies_are_not_shown_and_customdata_is(
    producing: RunningGateway,
) -> None:
    with watching(producing, headers=BEARER) as watch:
        producing.post(make_upload("ada", make_event("Teleport", customdata={"x": 1})), sub="ada")
        producing.post(make_upload("ada", make_event(customdata={"x": "y"})), sub="ada")
        refused, accepted = watch.requests(2)
        assert "body" not in refused
        assert "player" not in refused
        assert refused["details"][0]["path"] == "events.0.type"
        assert json.loads(accepted["events"][0]["data"]) == {"x": "y"}
        assert watch.of("hello") == [{"shows_bodies": False}]


def test_a_watcher_gets_what_its_filter_names(developing: RunningGateway) -> None:
    with (
        watching(developing, "?player=grace") as by_player,
        watching(developing, "?game=com.example.game&type=GameEnd") as by_type,
        watching(developing, "?outcome=refused") as refused,
    ):
        developing.post(make_upload("ada", make_event("GameEnd")), sub="ada")
        developing.post(make_upload("grace"), sub="grace")
        developing.post(make_upload("ada", game_id=""), sub="ada")
        developing.post(make_upload("grace", make_event("GameEnd")), sub="grace")
        last = developing.post(make_upload("grace", {}), sub="grace").status_code
        assert last == 400
        assert [each["status"] for each in refused.requests(2)] == [400, 400]
        assert [each["player"] for each in by_player.requests(3)] == ["grace"] * 3
        assert [each["player"] for each in by_type.requests(2)] == ["ada", "grace"]


def test_a_batch_that_the_store_can_never_take_is_shown_as_buried(
    developing: RunningGateway,
) -> None:
    with closing(sqlite3.connect(developing.folder / "data" / "playsmart.db")) as database:
        database.execute(
            "CREATE TRIGGER no BEFORE INSERT ON event_rows WHEN new.custom_event_name = 'poison'"
            " BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    with watching(developing) as watch:
        poison = make_event("Custom", customEventName="poison")
        developing.post(make_upload("ada", poison), sub="ada")
        developing.post(make_upload("ada"), sub="ada")
        first, second = watch.requests(2)
        assert watch.fate_of(first)["state"] == "buried"
        assert watch.fate_of(second)["state"] == "stored"


# ---- In nobody's way ------------------------------------------------------------------------


def test_more_than_may_watch_get_503_and_a_place_that_is_left_is_free_again(
    producing: RunningGateway,
) -> None:
    with watching(producing, headers=BEARER):
        with watching(producing, headers=BEARER):  # a tenth of 25 connections
            with watching(producing, headers=BEARER) as third:
                assert third.answer.status_code == 503
                assert third.answer.json()["error"]["message"] == "too_many_inspectors"
            assert producing.post(make_upload("ada"), sub="ada").status_code == 202

        def watch_again() -> bool | None:
            with watching(producing, headers=BEARER) as again:
                return again.answer.status_code == 200 or None

        wait_until(watch_again)


def test_one_that_never_reads_slows_nobody_and_does_not_hold_up_the_end(tmp_path: Path) -> None:
    running = started(tmp_path, "--dev", PLAYSMART_SERVER__DRAIN_TIMEOUT_SECONDS="600")
    try:
        with ExitStack() as stack:
            idle = stack.enter_context(closing(socket.socket()))
            idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            idle.connect(("127.0.0.1", running.port))
            idle.sendall(b"GET /inspector/events HTTP/1.1\r\nhost: localhost\r\n\r\n")
            with watching(running) as watch:
                pad = [make_event(customdata={"pad": "x" * 900})] * 100
                for _ in range(60):
                    assert running.post(make_upload("ada", *pad), sub="ada").status_code == 202
                assert watch.requests(1)
                wait_until(lambda: watch.of("dropped") or None)
                running.process.send_signal(signal.SIGTERM)
                # Were it waited for, uvicorn would give it half of the time to drain.
                assert running.process.wait(PATIENCE_SECONDS) == 0
                assert watch.ended.wait(PATIENCE_SECONDS)
                assert watch.of("goodbye")
        assert "Traceback" not in running.log
        assert running.select("SELECT count(*) FROM events")[0][0] == 6_000
    finally:
        running.close()


def test_a_stream_outlives_the_deadline_of_a_request(producing: RunningGateway) -> None:
    with watching(producing, headers=BEARER) as watch, producing.connect() as slow:
        slow.send(b"POST /ingest/events HTTP/1.1\r\n")
        assert [each.status for each in slow.read_to_end()] == [408]
        producing.post(make_upload("ada"), sub="ada")
        assert watch.requests(1)


# ---- Who may watch --------------------------------------------------------------------------

PAGES = (
    "/inspector",
    *(f"/inspector/{name}" for name in ("inspector.css", "inspector.js", "request.js", "tools.js")),
    "/inspector/events",
)


@pytest.mark.parametrize("path", PAGES)
def test_an_operator_is_asked_for_the_token(producing: RunningGateway, path: str) -> None:
    for headers in ({}, {"authorization": f"Bearer {producing.token('ada')}"}):
        answer = producing.client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHORIZED")
        assert answer.headers["www-authenticate"].startswith("Basic")
    password = base64.b64encode(f"anybody:{OPERATOR}".encode()).decode()
    for authorization in (f"Basic {password}", f"Bearer {OPERATOR}"):
        answer = producing.client.head(path, headers={"authorization": authorization})
        assert answer.status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_without_a_token_and_outside_development_mode_there_is_no_inspector(
    gateway: RunningGateway, path: str
) -> None:
    answer = gateway.client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


def test_the_page_may_load_nothing_but_its_own_files(developing: RunningGateway) -> None:
    for path in PAGES[:-1]:
        answer = developing.client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", answer.text)
        for dangerous in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ):
            assert dangerous not in answer.text


def test_a_short_operator_token_refuses_to_start() -> None:
    with pytest.raises(ConfigError, match=r"operator\.token"):
        load_config(None, {"PLAYSMART_OPERATOR__TOKEN": "short"})
