"""Pages of other origins: who may ask, what they may read, and what a closing page may leave."""

import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from playsmart_gateway.app import Application, create_app
from playsmart_gateway.auth.tokens import mint
from playsmart_gateway.dialects import load_config
from playsmart_gateway.dialects.playsmart.endpoint import MAX_BEACON_BYTES
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.http.endpoint import Headers
from playsmart_gateway.stores.memory.store import MemorySink
from tests.support.in_process import in_process
from tests.support.metrics import parse_metrics
from tests.support.process import SECRET, RunningGateway, StartGateway
from tests.support.uploads import make_event, make_upload

GAME, FOREIGN = "https://game.example", "https://evil.example"
NOW = 1_800_000_000.0
PLAYER = "player-1"
TOKEN = mint(PLAYER, secret=SECRET, ttl_seconds=3600, now=NOW)
ASKS = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
}
PLAIN = {"content-type": "text/plain;charset=UTF-8"}


def app_for(folder: Path, **variables: str) -> Application:
    environment = {
        "PLAYSMART_AUTH__SECRET": SECRET,
        "PLAYSMART_JOURNAL__PATH": str(folder / "journal"),
        "PLAYSMART_CORS__ORIGINS": f'["{GAME}"]',
        **{f"PLAYSMART_{name}": value for name, value in variables.items()},
    }
    config = load_config(None, environment)
    return create_app(config, sink=MemorySink(), clock=lambda: NOW)


@asynccontextmanager
async def asked(folder: Path, **variables: str) -> AsyncIterator[httpx.AsyncClient]:
    async with in_process(app_for(folder, **variables)) as client:
        yield client


def of_cors(answer: httpx.Response) -> dict[str, str]:
    told = {name: value for name, value in answer.headers.items() if "access-control" in name}
    return told | ({"vary": answer.headers["vary"]} if "vary" in answer.headers else {})


READABLE = {
    "access-control-allow-origin": GAME,
    "access-control-expose-headers": "date, retry-after, x-request-id, preference-applied",
    "vary": "origin",
}


def beacon(*events: object, token: str | None = TOKEN, **fields: object) -> str:
    more = {} if token is None else {"access_token": token}
    return json.dumps(make_upload(PLAYER, *events, **more, **fields))


# ---- What refuses to start ------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        "*", "null", "", "game.example", "https://", "https://game.example/", "HTTPS://game.example",
        "https://Game.example", "https://*.game.example", "https://game.example:443",
        "http://game.example:80", "https://game.example/path", "https://u:p@game.example",
        "https://game.example\\n",
    ],
)  # fmt: skip
def test_what_no_browser_would_send_as_its_origin_refuses_to_start(origin: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(None, {"PLAYSMART_CORS__ORIGINS": f'["{origin}"]'})
    assert "cors.origins: " in str(refused.value)


@pytest.mark.parametrize(
    "origin",
    [GAME, "http://localhost:8080", "http://[::1]:81", "capacitor://localhost", "https://a.b:80"],
)
def test_an_origin_is_taken_as_browsers_write_it(origin: str) -> None:
    config = load_config(None, {"PLAYSMART_CORS__ORIGINS": f'["{origin}"]'})
    assert config.cors.origins == (origin,)


# ---- Preflights -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/ingest/events", "/v1/app-settings", "/limits", "/event", "/no"])
async def test_a_preflight_is_answered_204_without_a_body(tmp_path: Path, path: str) -> None:
    async with asked(tmp_path) as client:
        answer = await client.options(path, headers={"origin": GAME, **ASKS})
        metrics = parse_metrics((await client.get("/metrics")).text)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-length" not in answer.headers
    assert of_cors(answer) == {
        "vary": "origin",
        "access-control-allow-origin": GAME,
        "access-control-allow-methods": "GET, HEAD, POST",
        "access-control-allow-headers": "authorization, content-type, content-encoding,"
        " idempotency-key, prefer, x-request-id",
        "access-control-max-age": "7200",
    }
    assert len(answer.headers["x-request-id"]) == 36
    counted = "playsmart_request_duration_seconds_count{route=preflight,status=204}"
    assert metrics[counted] == 1


@pytest.mark.parametrize("origin", [FOREIGN, "null", f"{GAME}.evil.example", GAME.upper()])
async def test_the_preflight_of_a_foreign_origin_is_told_nothing(
    tmp_path: Path, origin: str
) -> None:
    async with asked(tmp_path) as client:
        answer = await client.options("/ingest/events", headers={"origin": origin, **ASKS})
    assert (answer.status_code, of_cors(answer)) == (405, {"vary": "origin"})


@pytest.mark.parametrize("path", ["/", "/metrics", "/inspector", "/dashboard", "/healthz"])
async def test_pages_for_operators_are_closed_to_pages_of_games(tmp_path: Path, path: str) -> None:
    async with asked(tmp_path, OPERATOR__TOKEN="an operator's token") as client:
        preflight = await client.options(path, headers={"origin": GAME, **ASKS})
        answer = await client.get(path, headers={"origin": GAME})
    for each in (preflight, answer):
        assert "access-control-allow-origin" not in each.headers


# ---- Answers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/limits", {}, 200),
        ("GET", "/v1/app-settings", {}, 200),
        ("GET", "/limits", {"if-none-match": "*"}, 304),
        ("GET", "/nothing", {}, 404),
        ("GET", "/ingest/events", {}, 405),
        ("POST", "/ingest/events", {}, 401),
        ("POST", "/ingest/events", {"authorization": f"Bearer {TOKEN}"}, 400),
        (
            "POST",
            "/ingest/events",
            {"authorization": f"Bearer {TOKEN}", "content-encoding": "br"},
            415,
        ),
        (
            "POST",
            "/ingest/events",
            {"authorization": f"Bearer {TOKEN}", "content-length": "9999999"},
            413,
        ),
    ],
)
async def test_every_answer_can_be_read_by_the_page_that_asked_and_by_no_other(
    tmp_path: Path, method: str, path: str, headers: Mapping[str, str], status: int
) -> None:
    async with asked(tmp_path) as client:
        own = await client.request(method, path, headers={**headers, "origin": GAME})
        foreign = await client.request(method, path, headers={**headers, "origin": FOREIGN})
    assert (own.status_code, foreign.status_code) == (status, status)
    assert (of_cors(own), of_cors(foreign)) == (READABLE, {"vary": "origin"})
    assert own.content == foreign.content


async def test_what_a_cache_keeps_is_told_apart_by_origin_even_if_none_asked(
    tmp_path: Path,
) -> None:
    async with asked(tmp_path) as client:
        assert of_cors(await client.get("/limits")) == {"vary": "origin"}


async def test_an_error_that_nobody_expected_can_be_read(tmp_path: Path) -> None:
    app = app_for(tmp_path)

    def fail(headers: Headers) -> None:
        raise ZeroDivisionError

    app.frame._endpoints["/ingest/events"].recall = fail  # type: ignore[method-assign]
    async with in_process(app) as client:
        answer = await client.post("/ingest/events", headers={"origin": GAME})
    assert (answer.status_code, of_cors(answer)) == (500, READABLE)


@pytest.mark.parametrize("headers", [{}, {"origin": GAME}, {"origin": FOREIGN}])
async def test_without_configured_origins_nothing_is_said_of_them(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async with asked(tmp_path, CORS__ORIGINS="[]") as client:
        for answer in (
            await client.get("/limits", headers=headers),
            await client.post("/ingest/events", headers={**headers, **PLAIN}, content=beacon()),
            await client.options("/ingest/events", headers={**headers, **ASKS}),
        ):
            assert of_cors(answer) == {}
        assert answer.status_code == 405


# ---- Beacons --------------------------------------------------------------------------------


async def test_a_beacon_of_an_allowed_origin_is_taken_without_its_token(tmp_path: Path) -> None:
    app = app_for(tmp_path)
    async with in_process(app) as client:
        answer = await client.post(
            "/ingest/events", headers={"origin": GAME, **PLAIN}, content=beacon()
        )
        journal = b"".join(
            each.read_bytes() for each in (tmp_path / "journal").rglob("*") if each.is_file()
        )
    assert answer.status_code == 202
    assert answer.json() == {"success": True, "message": "accepted:1 buffered:1"}
    assert of_cors(answer) == READABLE
    assert PLAYER.encode() in journal
    assert TOKEN.encode() not in journal
    assert b"access_token" not in journal


@pytest.mark.parametrize("headers", [{}, {"origin": FOREIGN}, {"origin": "null"}])
async def test_a_beacon_of_anybody_else_is_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    async with asked(tmp_path) as client:
        answer = await client.post("/ingest/events", headers={**headers, **PLAIN}, content=beacon())
    assert answer.status_code == 401
    assert answer.json()["error"]["message"] == "missing_bearer_token"


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (beacon(token=None), 401, "missing_bearer_token"),
        (beacon(token=""), 401, "missing_bearer_token"),
        (beacon(token="é\0"), 401, "invalid_token"),
        (beacon(token="not.a.token"), 401, "invalid_token"),
        ('{"access_token": 1}', 401, "missing_bearer_token"),
        ("no JSON", 401, "missing_bearer_token"),
        ("", 401, "missing_bearer_token"),
        ("[" * 60_000, 401, "missing_bearer_token"),
        (beacon("no event"), 400, "invalid_payload"),
        (beacon().replace(PLAYER, "player-2"), 403, "user_id_mismatch"),
        (beacon(padding="x" * MAX_BEACON_BYTES), 413, "body_too_large"),
    ],
)
async def test_a_wrong_beacon_is_refused_as_its_request_would_be(
    tmp_path: Path, content: str, status: int, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    variables = {"INGEST__PLAYER_EVENTS_PER_SECOND": "50", "LOG__ACCESS": "true"}
    with caplog.at_level(logging.DEBUG):
        async with asked(tmp_path, **variables) as client:
            answer = await client.post(
                "/ingest/events", headers={"origin": GAME, **PLAIN}, content=content
            )
    assert (answer.status_code, answer.json()["error"]["message"]) == (status, message)
    assert of_cors(answer) == READABLE
    assert TOKEN not in caplog.text + answer.text


@pytest.mark.parametrize("media", [PLAIN, {"authorization": f"Bearer {TOKEN}"}])
@pytest.mark.parametrize(
    ("variables", "status", "message"),
    [
        ({"INGEST__PLAYER_EVENTS_PER_SECOND": "1"}, 429, "rate_limited"),
        ({"BUFFER__MAX_EVENTS": "200", "BUFFER__WAIT_FOR_ROOM_MS": "0"}, 503, "buffer_full"),
    ],
)
async def test_a_page_can_read_that_it_is_to_send_later(
    tmp_path: Path, variables: dict[str, str], status: int, message: str, media: dict[str, str]
) -> None:
    content = beacon(*[make_event()] * 200)
    async with asked(tmp_path, BUFFER__FLUSH_INTERVAL_SECONDS="60", **variables) as client:
        first, second = [
            await client.post("/ingest/events", headers={"origin": GAME, **media}, content=content)
            for _ in range(2)
        ]
    assert first.status_code == 202
    assert (second.status_code, second.json()["error"]["message"]) == (status, message)
    assert of_cors(second) == READABLE
    assert int(second.headers["retry-after"]) >= 1


@pytest.mark.parametrize("size", [MAX_BEACON_BYTES, MAX_BEACON_BYTES + 1])
async def test_a_beacon_has_as_many_bytes_as_browsers_send_at_most(
    tmp_path: Path, size: int
) -> None:
    content = beacon(padding="x" * (size - len(beacon(padding=""))))
    assert len(content) == size
    async with asked(tmp_path) as client:
        answer = await client.post(
            "/ingest/events", headers={"origin": GAME, **PLAIN}, content=content
        )
    assert answer.status_code == (202 if size == MAX_BEACON_BYTES else 413)


# ---- By way of the real server --------------------------------------------------------------


@pytest.fixture
def running(start_gateway: StartGateway) -> RunningGateway:
    return start_gateway(CORS__ORIGINS=f'["{GAME}"]')


@pytest.mark.process
def test_a_real_gateway_answers_pages_and_programs(running: RunningGateway) -> None:
    upload = make_upload(PLAYER)
    program = running.post(upload, sub=PLAYER)
    page = running.post(upload, sub=PLAYER, headers={"origin": GAME})
    foreign = running.post(upload, sub=PLAYER, headers={"origin": FOREIGN})
    sent = beacon(token=running.token(PLAYER)).encode()
    closing = running.post(sent, headers={"origin": GAME, **PLAIN})
    preflight = running.client.options("/ingest/events", headers={"origin": GAME, **ASKS})
    assert [each.status_code for each in (program, page, foreign, closing)] == [202] * 4
    assert (preflight.status_code, preflight.content) == (204, b"")
    assert "transfer-encoding" not in preflight.headers
    assert (of_cors(program), of_cors(page)) == ({}, READABLE)
    assert (of_cors(foreign), of_cors(closing)) == ({"vary": "origin"}, READABLE)
    named = {"origin": GAME, **PLAIN, "idempotency-key": "closing"}
    assert [running.post(sent, headers=named).status_code for _ in range(2)] == [202] * 2
    settled = running.settle()
    assert (settled["stored"], settled["duplicate"]) == (5, 1), "a beacon has its name, too"
