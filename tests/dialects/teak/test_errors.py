"""What goes wrong inside the gateway, told in Teak's shape; and what hangs on the configuration."""

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from playsmart_gateway.app import create_app
from playsmart_gateway.dialects import load_config
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.models import AppPlayer
from tests.support.doubles import data_of
from tests.support.in_process import in_process
from tests.support.teak import (
    BATCH,
    CREDENTIALS,
    ENVIRONMENT,
    EVENTS,
    IDENTIFY,
    PATHS,
    PROPERTIES,
    event,
)

BODIES: dict[str, dict[str, Any]] = {
    EVENTS: event("ada"),
    BATCH: {"events": [event("ada")]},
    IDENTIFY: {"user_id": "ada", "country_code": "DE", "email": "ada@example.com"},
    PROPERTIES: {"user_id": "ada", "properties": {"coins": 4711}},
}


class BrokenSink(MemorySink):
    """Has a bug wherever it is read; what it says quotes what was sent."""

    async def countries(self, app_id: str, user_ids: Collection[str]) -> dict[str, str]:
        raise RuntimeError(f"{app_id} {user_ids} ada@example.com your_server_secret")

    async def app_player(self, app_id: str, user_id: str) -> AppPlayer:
        raise RuntimeError(f"{app_id} {user_id} ada@example.com your_server_secret")


def make_app(folder: Path, sink: MemorySink | None = None, **environment: str) -> Starlette:
    added = {f"PLAYSMART_{name}": value for name, value in environment.items()}
    journal = {"PLAYSMART_JOURNAL__PATH": str(folder / "journal")}
    config = load_config(None, {**ENVIRONMENT, **journal, **added})
    return create_app(config, sink=sink or MemorySink())


def body(path: str, **more: object) -> dict[str, Any]:
    return {**CREDENTIALS, **BODIES[path], **more}


@pytest.mark.parametrize("path", PATHS)
async def test_a_bug_is_500_and_one_line_in_the_log_that_quotes_nothing(
    path: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app = make_app(tmp_path, BrokenSink())
    async with in_process(app) as client:
        answer = await client.post(path, json=body(path), headers={"x-request-id": "find-me"})
        assert app.state.gateway.stats.received == 0
    assert answer.status_code == 500
    assert answer.text == '{"status":"error","errors":{"500":["internal_error"]}}'
    assert answer.headers["x-request-id"] == "find-me"
    (record,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert record.getMessage().startswith("RuntimeError at ")
    assert record.__dict__["playsmart_fields"] == {"request_id": "find-me"}
    assert not any(text in caplog.text for text in ("your_server_secret", "example.com", "4711"))


@pytest.mark.parametrize("path", [EVENTS, BATCH, IDENTIFY])
async def test_a_full_buffer_is_503_and_takes_nothing(path: str, tmp_path: Path) -> None:
    app = make_app(
        tmp_path,
        BUFFER__MAX_EVENTS="2",
        BUFFER__FLUSH_INTERVAL_SECONDS="3600",
        BUFFER__WAIT_FOR_ROOM_MS="0",
    )
    async with in_process(app) as client:
        assert (await client.post(IDENTIFY, json=body(IDENTIFY))).status_code == 201
        answer = await client.post(path, json=body(path))
        assert answer.status_code == 503
        assert answer.text == '{"status":"error","errors":{"buffer_full":["buffer_full"]}}'
        assert int(answer.headers["retry-after"]) >= 1
        gateway = app.state.gateway
        assert gateway.buffer.events == 2
        await gateway.flusher.flush()
        status = (await client.post(path, json=body(path))).status_code
        assert status == (201 if path == IDENTIFY else 200)


@pytest.mark.parametrize("path", [EVENTS, BATCH, IDENTIFY])
async def test_a_closed_door_is_503_and_takes_nothing(path: str, tmp_path: Path) -> None:
    app = make_app(tmp_path, BUFFER__FLUSH_INTERVAL_SECONDS="3600")
    async with in_process(app) as client:
        assert (await client.post(IDENTIFY, json=body(IDENTIFY))).status_code == 201
        app.state.gateway.intake.close("shutting_down")
        answer = await client.post(path, json=body(path))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.text == '{"status":"error","errors":{"closing":["shutting_down"]}}'
        assert app.state.gateway.buffer.events == 2


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
async def test_any_other_method_is_405(path: str, method: str, tmp_path: Path) -> None:
    async with in_process(make_app(tmp_path)) as client:
        answer = await client.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert answer.text == '{"status":"error","errors":{"405":["method_not_allowed"]}}'


@pytest.mark.parametrize("secret", ["new secret", "old secret"])
async def test_while_secrets_are_rotated_each_of_them_is_believed(
    secret: str, tmp_path: Path
) -> None:
    async with in_process(make_app(tmp_path)) as client:
        fields = body(IDENTIFY, game_id="other", secret_key=secret)
        assert (await client.post(IDENTIFY, json=fields)).status_code == 201


async def test_without_apps_every_game_is_unknown(tmp_path: Path) -> None:
    async with in_process(make_app(tmp_path, TEAK__APPS="[]")) as client:
        answers = [await client.post(path, json=body(path)) for path in PATHS]
        assert {answer.status_code for answer in answers} == {404}


async def test_addresses_are_kept_if_that_is_configured(tmp_path: Path) -> None:
    sink = MemorySink()
    app = make_app(tmp_path, sink, TEAK__STORE_CLIENT_IP="true")
    async with in_process(app) as client:
        await client.post(IDENTIFY, json=body(IDENTIFY, client_ip="8.8.8.8"))
        await client.post(EVENTS, json=body(EVENTS, client_ip="193.99.144.80"))
        await client.post(EVENTS, json=body(EVENTS))
        await app.state.gateway.flusher.flush()
    found = [
        (row.type, data_of(row).get("client_ip"), data_of(row)["country_code"]) for row in sink.rows
    ]
    assert found == [
        ("Played", "8.8.8.8", "US"),
        ("Installed", "8.8.8.8", "US"),
        ("spin", "193.99.144.80", "DE"),
        ("spin", None, "US"),
    ]
