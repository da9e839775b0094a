"""The log: one line a record, nothing in it that a terminal would obey or that is a secret."""

import json
import logging
import sys
import time
from typing import Any

import pytest

from playsmart_gateway.app import create_app
from playsmart_gateway.auth.tokens import mint
from playsmart_gateway.config import Auth, Config, Journal, Log, Storage
from playsmart_gateway.logs import ConsoleFormatter, JsonFormatter, fields, set_up_logging
from tests.support.in_process import in_process
from tests.support.process import SECRET, StartGateway
from tests.support.uploads import make_event, make_upload

EVIL = "a\x1b[31m\r\nb\x00\u2028\x9bc\ud800"
FORMATTERS = [ConsoleFormatter(), JsonFormatter()]


def record(message: str, *arguments: Any, exc_info: Any = None, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord("a.b", logging.INFO, "x.py", 1, message, arguments, exc_info)
    made.__dict__.update(fields(**more))
    return made


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_whatever_is_logged_is_one_line_without_controls(formatter: logging.Formatter) -> None:
    line = formatter.format(record("%s!", EVIL, request_id="r-1", other="x\ny"))
    assert line.isprintable()
    assert "r-1" in line


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_an_exception_is_named_by_type_and_place(formatter: logging.Formatter) -> None:
    try:
        raise LookupError("payload")
    except LookupError:
        line = formatter.format(record("it broke", exc_info=sys.exc_info()))
    assert "payload" not in line
    assert "it broke: LookupError at " in line
    assert "test_an_exception_is_named" in line


def test_an_error_that_nobody_could_be_told_of_is_a_line_of_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Dropped:
        def __del__(self) -> None:
            raise LookupError("payload")

    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)  # and put back
    set_up_logging("json", "info")
    logging.captureWarnings(False)
    Dropped()
    (line,) = caplog.records
    assert "LookupError at " in JsonFormatter().format(line)
    assert "payload" not in JsonFormatter().format(line)


def test_json_has_time_level_logger_message_and_fields() -> None:
    line = json.loads(JsonFormatter().format(record("n=%d", 5, request_id="r-1", status=202)))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "a.b",
        "message": "n=5",
        "request_id": "r-1",
        "status": 202,
    }


@pytest.mark.parametrize("access", [False, True])
async def test_answers_are_logged_by_route_if_asked_for(
    access: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    config = Config(
        auth=Auth(secret=SECRET),
        journal=Journal(enabled=False),
        storage=Storage(url="memory:"),
        log=Log(access=access),
    )
    async with in_process(create_app(config)) as client:
        headers = {"x-request-id": "r-1"}
        await client.post("/ingest/events?token=sesame", json=make_upload("ada"), headers=headers)
        await client.get("/v1/players/secret-player?x=sesame", headers=headers)
        await client.get("/nowhere/secret-player", headers=headers)
    found = [each for each in caplog.records if each.name == "playsmart_gateway.access"]
    lines = [json.loads(JsonFormatter().format(each)) for each in found]
    seen = [(line["method"], line["route"], line["status"], line["request_id"]) for line in lines]
    expected = [
        ("POST", "/ingest/events", 401, "r-1"),
        ("GET", "/v1/players/{user_id:path}", 401, "r-1"),
        ("GET", "unmatched", 404, "r-1"),
    ]
    assert seen == (expected if access else [])
    assert "sesame" not in str(lines)
    assert "secret-player" not in str(lines)


async def test_the_line_of_an_answer_names_the_batch_that_was_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    config = Config(
        auth=Auth(secret=SECRET),
        journal=Journal(enabled=False),
        storage=Storage(url="memory:"),
        log=Log(access=True),
    )
    token = mint("ada", secret=SECRET, ttl_seconds=60, now=time.time())
    async with in_process(create_app(config)) as client:
        headers = {"authorization": f"Bearer {token}"}
        for body in (make_upload("ada", make_event(), make_event()), {}, make_upload("ada")):
            await client.post("/ingest/events", json=body, headers=headers)
    found = [each for each in caplog.records if each.name == "playsmart_gateway.access"]
    first, refused, second = (json.loads(JsonFormatter().format(each)) for each in found)
    journal, _, sequence = first["batch"].partition("-")
    assert (len(journal), sequence, first["events"]) == (32, "1", 2)
    assert (second["batch"], second["events"]) == (f"{journal}-2", 1)
    assert "batch" not in refused


def test_a_gateway_logs_json_and_no_secret(start_gateway: StartGateway) -> None:
    running = start_gateway(LOG__FORMAT="json", LOG__ACCESS="true", LOG__LEVEL="debug")
    token = running.token("ada")
    answer = running.post(make_upload("ada"), headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 202
    assert running.stop() == 0
    lines = [json.loads(line) for line in running.log.splitlines()]
    ids = [line["request_id"] for line in lines if line["message"] == "answered"]
    assert answer.headers["x-request-id"] in ids
    assert token not in running.log
    assert SECRET not in running.log
