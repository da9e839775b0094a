"""Development mode: its secret, what it prints and when, and that nothing of it goes elsewhere."""

import json
import os
import pty
import re
import select
import socket
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from playsmart_gateway.cli.common import with_examples
from playsmart_gateway.cli.welcome import url_of, welcome
from playsmart_gateway.config import Auth, Config, Game, Server
from playsmart_gateway.dialects import ALL
from tests.support.faults import locked
from tests.support.polling import PATIENCE_SECONDS, wait_until
from tests.support.process import SECRET, StartGateway, clean_environment
from tests.support.uploads import make_event, make_upload

pytestmark = pytest.mark.process

BANNER = "Development mode. "
WORKERS = pytest.mark.parametrize("workers", ["1", "2"])
GAME = "com.example.stackblaster"
CONFIG = Config(auth=Auth(secret=SECRET))


def secret_file(folder: Path) -> Path:
    return folder / "data" / "dev-secret"


# --- the secret ----------------------------------------------------------------------------------


def test_it_makes_a_secret_for_its_owner_alone_and_keeps_it(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway("--dev", secret=None)
    assert stat.S_IMODE(secret_file(tmp_path).stat().st_mode) == 0o600
    secret = secret_file(tmp_path).read_text().strip()
    assert len(secret) >= 32
    running.told("new, random")
    assert secret not in running.log
    running.secret = secret
    assert running.post(make_upload("ada"), sub="ada").is_success
    assert running.stop() == 0
    running = start_gateway("--dev", secret=None)
    running.told("the one kept in")
    assert secret_file(tmp_path).read_text().strip() == secret
    assert running.stop() == 0


def test_it_leaves_configured_keys_alone_and_says_nothing(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway("--dev")
    assert running.post(make_upload("ada"), sub="ada").is_success
    assert running.client.get("/v1/games").json() == {"data": []}
    assert running.stop() == 0
    assert not secret_file(tmp_path).exists()
    assert BANNER not in running.log


def test_its_secret_is_not_used_without_it(tmp_path: Path) -> None:
    secret_file(tmp_path).parent.mkdir()
    secret_file(tmp_path).write_text(SECRET)
    refused(serve(tmp_path, "--port", "0", mode=()), 2, "error: auth: needs one of ")


# --- the banner ----------------------------------------------------------------------------------


@WORKERS
def test_it_is_printed_once_with_the_port_that_answers(
    start_gateway: StartGateway, workers: str
) -> None:
    running = start_gateway("--dev", "--workers", workers, secret=None)
    running.told("secret = ")  # its last lines
    assert running.client.get("/healthz").is_success
    assert running.stop() == 0
    assert running.log.count(BANNER) == 1
    assert set(re.findall(r"http://127\.0\.0\.1:(\d+)", running.log)) == {str(running.port)}


def test_a_worker_that_is_started_again_does_not_print_it_again(
    start_gateway: StartGateway,
) -> None:
    running = start_gateway("--dev", "--workers", "2", secret=None)
    running.told(BANNER)
    (first, *_) = (
        Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
    )
    os.kill(int(first), 9)
    running.told("starting it again")
    wait_until(lambda: running.metrics()["playsmart_workers_up"] == 2 or None)
    assert running.stop() in (0, 1)
    assert running.log.count(BANNER) == 1


@pytest.mark.parametrize("is_apart", [False, True])
def test_it_advises_keys_for_lynes_until_they_are_apart(
    start_gateway: StartGateway, is_apart: bool
) -> None:
    settings = {"LYNES__AUTH__AUDIENCE": "lynes"} if is_apart else {}
    running = start_gateway("--dev", secret=None, **settings)
    running.told("/demo\n")
    running.told(f"http://127.0.0.1:{running.port}/, requests")
    assert running.stop() == 0
    assert ("[lynes.auth]" in running.log) is not is_apart


@WORKERS
def test_who_cannot_have_the_port_says_so_and_prints_nothing_else(
    tmp_path: Path, workers: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = serve(tmp_path, "--port", str(port), "--workers", workers)
    refused(ended, 1, f"error: cannot listen on 127.0.0.1:{port}: address already in use")


@WORKERS
@pytest.mark.parametrize("fault", ["settings", "database", "folder", "journal"])
def test_who_cannot_start_says_why_and_prints_nothing_else(
    start_gateway: StartGateway, tmp_path: Path, workers: str, fault: str
) -> None:
    settings: dict[str, Any] = {}
    data, code = tmp_path / "data", 2
    told = "error: "
    if fault == "settings":
        settings["PLAYSMART_SERVER__MAX_CONNECTIONS"] = "none"
        told = "error: server.max_connections: "
    elif fault == "database":
        data.mkdir()
        (data / "playsmart.db").write_bytes(b"this is not a database" * 100)
    elif fault == "folder":
        data.write_text("a file where a folder should be")
        code = 1
    else:
        start_gateway("--dev", secret=None)  # it has the journal
    ended = serve(tmp_path, "--port", "0", "--workers", workers, **settings)
    refused(ended, code, told)


def test_who_has_no_room_on_the_disk_says_so_and_prints_nothing_else(tmp_path: Path) -> None:
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
    ended = subprocess.run(
        [sys.executable, "-c", f"{limited}from playsmart_gateway.cli import main; main()",
         "serve", "--dev", "--port", "0"],
        cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False,
        timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    refused(ended, 1, "error: ")


@WORKERS
def test_a_database_that_somebody_locks_is_told_and_keeps_nobody_from_trying(
    start_gateway: StartGateway, tmp_path: Path, workers: str
) -> None:
    running = start_gateway("--dev", secret=None)
    running.told("secret = ")
    assert "not ready" not in running.log
    assert running.stop() == 0
    with locked(tmp_path / "data" / "playsmart.db"):
        running = start_gateway("--dev", "--workers", workers, secret=None)
        running.told("It is not ready yet (store: database is locked): see http://127.0.0.1:")
        running.secret = secret_file(tmp_path).read_text().strip()
        assert running.post(make_upload("ada"), sub="ada").status_code == 202
        assert running.client.get("/readyz").status_code == 503
    wait_until(lambda: running.client.get("/readyz").is_success or None)
    assert running.stop() == 0


def test_where_the_log_is_json_each_line_is_and_none_has_a_token(
    start_gateway: StartGateway,
) -> None:
    running = start_gateway("--dev", secret=None, LOG__FORMAT="json")
    running.told("development mode: ")
    assert running.stop() == 0
    records = [json.loads(line) for line in running.log.splitlines()]
    (told,) = [each["message"] for each in records if "development mode" in each["message"]]
    assert f"http://127.0.0.1:{running.port}/docs" in told
    assert "eyJ" not in running.log


def test_whoever_stops_reading_it_stops_nobody_from_being_served(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "playsmart_gateway", "serve", "--dev", "--port", "0"],
        cwd=tmp_path, env=clean_environment(), stdout=writing, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(writing)
    os.close(reading)  # as `serve --dev | head -1` does
    try:
        assert process.stderr
        line = next(each for each in process.stderr if b"running on" in each)
        port = int(re.findall(rb":(\d+) ", line)[0])
        with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(64).startswith(b"HTTP/1.1 200")
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_terminal_gets_it_whole(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "playsmart_gateway", "serve", "--dev", "--port", "0"],
        cwd=tmp_path, env=clean_environment(), stdout=theirs, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while b"secret = " not in shown and select.select([ours], [], [], PATIENCE_SECONDS)[0]:
            shown += os.read(ours, 65_536)
        assert shown.count(BANNER.encode()) == 1
        assert b"It pays 10 coins" in shown
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
        os.close(ours)


def serve(
    folder: Path, *arguments: str, mode: tuple[str, ...] = ("--dev",), **settings: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "playsmart_gateway", "serve", *mode, *arguments],
        cwd=folder, env=clean_environment(**settings), capture_output=True, text=True, check=False,
        timeout=PATIENCE_SECONDS,
    )  # fmt: skip


def refused(ended: "subprocess.CompletedProcess[str]", code: int, told: str) -> None:
    assert (ended.returncode, ended.stdout) == (code, "")
    lines = [each for each in ended.stderr.splitlines() if " INFO " not in each]
    assert [each for each in lines if each.startswith(told)], ended.stderr
    assert "Traceback" not in ended.stderr


# --- what it says --------------------------------------------------------------------------------


def test_a_game_that_pays_nothing_or_by_chance_is_not_said_to_pay_ten() -> None:
    for game, said in (
        (Game(id=GAME), None),
        (Game(id=GAME, coins_enabled=True, reward_mode="random_range", reward_min_amount=2,
              reward_max_amount=7), "It pays 2 to 7 coins"),
        (Game(id=GAME, coins_enabled=True, reward_fixed_amount=4), "It pays 4 coins"),
    ):  # fmt: skip
        config = with_examples(Config(auth=CONFIG.auth, games=(game,)))
        found = re.findall(r"It pays .* coins", welcome(config, 1, made=True, is_at_home=True))
        assert found == ([said] if said else [])


def test_where_others_reach_it_tells_of_no_examples_and_of_no_demo() -> None:
    config = Config(auth=CONFIG.auth, server=Server(host="0.0.0.0"))  # noqa: S104
    told = welcome(config, 8123, made=False, is_at_home=False)
    assert "http://127.0.0.1:8123/docs" in told
    assert "/demo" not in told
    assert "It pays" not in told
    assert "There to try" not in told


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:7"),
        ("localhost", "http://localhost:7"),
        ("::1", "http://[::1]:7"),
        ("::", "http://[::1]:7"),
        ("0.0.0.0", "http://127.0.0.1:7"),  # noqa: S104
    ],
)
def test_it_names_an_address_that_this_machine_reaches(host: str, url: str) -> None:
    assert url_of(Config(server=Server(host=host)), 7) == url


def test_of_many_games_it_names_some() -> None:
    games = tuple(
        Game(id=f"game-{each}", coins_enabled=True, reward_fixed_amount=1) for each in range(40)
    )
    told = welcome(
        with_examples(Config(auth=CONFIG.auth, games=games)), 1, made=True, is_at_home=True
    )
    assert "game-4, and 37 more" in told


# --- nothing of it goes elsewhere ----------------------------------------------------------------


def test_a_gateway_for_players_has_none_of_the_examples_and_pays_nothing_for_them(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway("--dev", secret=None)
    running.secret = secret_file(tmp_path).read_text().strip()
    level = make_upload("ada", make_event("LevelCompleted"), game_id=GAME)
    assert running.post(level, sub="ada").is_success
    assert running.stop() == 0
    assert coins(tmp_path) == [10]
    running = start_gateway()
    assert running.client.get("/v1/games").json() == {"data": []}
    assert running.post(level, sub="ada").is_success
    teak = {"game_id": "your_teak_app_id", "secret_key": "your_server_secret", "user_id": "p"}
    assert running.client.post("/v2/identify", json=teak).status_code == 404
    login = {"eventId": "daily_login", "userId": "ada"}
    headers = {"authorization": f"Bearer {running.token('ada')}"}
    assert running.client.post("/event", json=login, headers=headers).status_code == 404
    assert running.client.post("/auth/device", json={}).status_code == 404
    assert running.stop() == 0
    assert coins(tmp_path) == [10]


def coins(folder: Path) -> list[int]:
    database = sqlite3.connect(folder / "data" / "playsmart.db")
    try:
        return [row[0] for row in database.execute("SELECT amount FROM coin_transactions")]
    finally:
        database.close()


def test_every_dialect_leaves_what_is_configured_as_it_is() -> None:
    once = with_examples(CONFIG)
    for dialect in ALL:
        assert dialect.with_examples(once) == once
