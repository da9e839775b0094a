"""``accounts revoke``, with the real process: beside a gateway, two workers and erasing."""

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.cli import commands
from playsmart_gateway.errors import SinkUnavailable
from tests.support.polling import wait_until
from tests.support.process import RunningGateway, StartGateway
from tests.support.uploads import make_event, make_upload

pytestmark = pytest.mark.process

PASSWORD = "correct horse"
ADA = {"email": "of-ada@example.org", "password": PASSWORD, "deviceId": "device-of-ada"}


def command(folder: Path, *arguments: str) -> Result:
    environment = {
        "PLAYSMART_STORAGE__URL": f"sqlite:///{folder}/data/playsmart.db",
        "PLAYSMART_JOURNAL__PATH": f"{folder}/data/journal",
    }
    return CliRunner().invoke(commands, arguments, env=environment)


@pytest.fixture
def running(start_gateway: StartGateway) -> Iterator[RunningGateway]:
    gateway = start_gateway(ACCOUNTS__ENABLED="true", BUFFER__FLUSH_INTERVAL_SECONDS="0.05")
    yield gateway
    assert PASSWORD not in gateway.log


def post(running: RunningGateway, path: str, body: dict[str, str]) -> tuple[int, dict[str, Any]]:
    answer = running.client.post(path, json=body)
    return answer.status_code, answer.json()


def sends(running: RunningGateway, token: str) -> int:
    upload = make_upload("device-of-ada", make_event("AppOpen"))
    headers = {"authorization": f"Bearer {token}"}
    return running.client.post("/ingest/events", json=upload, headers=headers).status_code


def test_a_store_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    assert isinstance(command(tmp_path, "accounts", "revoke", "ada").exception, SinkUnavailable)
    assert not list(tmp_path.iterdir())


def test_who_has_no_account_cannot_be_revoked(running: RunningGateway) -> None:
    done = command(running.folder, "accounts", "revoke", "nobody")
    assert (done.exit_code, done.output) == (1, "Error: no account goes by that id\n")


def test_who_is_revoked_is_out_and_may_log_in_again(running: RunningGateway) -> None:
    session = post(running, "/auth/register", ADA)[1]["data"]
    assert sends(running, session["access_token"]) == 202
    done = command(running.folder, "accounts", "revoke", "device-of-ada")
    assert done.output == "revoked; gateways know within 10 seconds\n"
    sent = {"refresh_token": session["refresh_token"]}
    assert post(running, "/auth/refresh", sent)[0] == 401
    wait_until(lambda: sends(running, session["access_token"]) == 401)
    again = post(running, "/auth/login", ADA)[1]["data"]
    assert sends(running, again["access_token"]) == 202
    assert running.stop() == 0


def test_what_a_gateway_registered_is_there_after_it_was_killed(
    running: RunningGateway, start_gateway: StartGateway
) -> None:
    assert post(running, "/auth/register", ADA)[0] == 201
    running.stop(signal.SIGKILL)
    after = start_gateway(ACCOUNTS__ENABLED="true")
    assert post(after, "/auth/login", ADA)[0] == 200
    status, body = post(after, "/auth/register", {**ADA, "email": "eve@example.org"})
    assert (status, body["error"]["message"]) == (409, "device_already_registered")


def test_workers_know_the_same_accounts(start_gateway: StartGateway) -> None:
    running = start_gateway("--workers", "2", ACCOUNTS__ENABLED="true")
    session = post(running, "/auth/register", ADA)[1]["data"]
    for _ in range(8):  # each on a connection of its own, so that both are asked
        with httpx.Client(base_url=running.url) as client:
            sent = {"refresh_token": session["refresh_token"]}
            assert client.post("/auth/refresh", json=sent).status_code == 200


def test_of_who_is_erased_no_file_has_a_byte(running: RunningGateway) -> None:
    session = post(running, "/auth/register", ADA)[1]["data"]
    assert sends(running, session["access_token"]) == 202
    with closing(sqlite3.connect(running.folder / "data" / "playsmart.db")) as db:
        ((kept,),) = db.execute("SELECT password FROM accounts").fetchall()
    assert kept.startswith("scrypt$14$8$5$")
    done = command(running.folder, "erase", "device-of-ada", "--yes")
    assert done.exit_code == 0, done.output
    for path in (running.folder / "data").rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for name in (b"device-of-ada", b"of-ada@example.org", kept.encode()):
            assert name not in content, path
    assert post(running, "/auth/refresh", {"refresh_token": session["refresh_token"]})[0] == 401
    assert post(running, "/auth/login", ADA)[0] == 401
