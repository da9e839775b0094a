import gzip
import json
import os
import re
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread, Timer
from typing import Any

import jwt
import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.cli.load import load_command
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.load import Unreachable
from tests.load.bodies import BODIES
from tests.load.database import store

SECRET = "a-secret-of-at-least-thirty-two-bytes"
REPORT_KEYS = {
    "requests_sent",
    "responses_2xx",
    "refused",
    "errors",
    "unknown",
    "events_sent",
    "events_acknowledged",
    "duration_seconds",
    "requests_per_second",
    "events_per_second",
    "latency_ms",
    "never_sent",
    "interrupted",
    "verify",
    "profile",
    "processes",
    "lost_processes",
    "timeline_seconds",
    "timeline",
    "broke",
    "bare",
}


class Gateway:
    """Answers 202 in a thread of its own, so that the command can have the main one."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.users: set[str] = set()
        self.status = 202
        self.on_body: Callable[[bytes], None] = lambda _: None
        lock = Lock()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                token = self.headers["Authorization"].removeprefix("Bearer ")
                with lock:
                    gateway.bodies.append(body)
                    gateway.users.add(jwt.decode(token, SECRET, ["HS256"])["sub"])
                    gateway.on_body(body)
                self.send_response(gateway.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128  # fewer would let connections wait a second to be tried again

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    thread = Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PLAYSMART_AUTH__SECRET", raising=False)


def load(*arguments: str, secret: str | None = SECRET, **environment: str) -> Result:
    variables = {"PLAYSMART_AUTH__SECRET": secret, "COLUMNS": "100", **environment}
    return CliRunner().invoke(load_command, arguments, env=variables)


def token_for(user: str) -> str:
    return jwt.encode({"sub": user}, SECRET)


def test_the_report_is_a_table(gateway: Gateway) -> None:
    result = load("--url", gateway.url, "--requests", "7", "--events", "3", "--players", "2")
    assert result.exit_code == 0, result.output
    assert re.search(r"2xx +7\n", result.stdout)
    assert re.search(r"events acknowledged +21 of 21\n", result.stdout)
    assert "p99.9" in result.stdout
    assert result.stderr == ""
    assert gateway.users == {"load.playsmart-1-000000", "load.playsmart-1-000001"}


def test_the_report_is_json_with_stable_keys(gateway: Gateway) -> None:
    result = load("--url", gateway.url, "--requests", "3", "--json")
    report = json.loads(result.stdout)
    assert set(report) == REPORT_KEYS
    assert set(report["latency_ms"]) == {"p50", "p90", "p95", "p99", "p99_9", "max", "mean"}
    assert (report["responses_2xx"], report["verify"]) == (3, None)


def test_a_terminal_shows_a_bar_with_rate_and_p99(gateway: Gateway) -> None:
    result = load("--url", gateway.url, "--duration", "0.4", FORCE_COLOR="1", TERM="xterm")
    assert result.exit_code == 0
    assert "sending" in result.stderr
    assert "req/s" in result.stderr
    assert "p99" in result.stderr


def test_verifying_passes_when_everything_is_stored_once(gateway: Gateway, tmp_path: Path) -> None:
    database = tmp_path / "playsmart.db"
    store(database)
    gateway.on_body = lambda body: store(database, body)
    result = load("--url", gateway.url, "--requests", "5", "--verify", str(database), "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["verify"]
    assert (found["exactly_once"], found["stored"], found["missing"]) == (True, 100, 0)


def test_loss_is_exit_code_1(gateway: Gateway, tmp_path: Path) -> None:
    database = tmp_path / "playsmart.db"
    store(database)
    gateway.on_body = lambda body: store(database, *[body] * (len(gateway.bodies) % 3))
    arguments = ("--requests", "3", "--events", "10", "--connections", "1")
    result = load(
        "--url", gateway.url, *arguments, "--verify", str(database), "--verify-timeout", "0.1"
    )
    assert result.exit_code == 1
    assert re.search(r"missing +10\n", result.stdout)
    assert re.search(r"duplicated +10\n", result.stdout)


def test_a_database_that_is_not_there_is_explained_before_anything_is_sent(
    gateway: Gateway, tmp_path: Path
) -> None:
    (tmp_path / "empty").touch()
    for name, why in (("none", "does not exist"), ("empty", "no such table: events")):
        result = load("--url", gateway.url, "--requests", "1", "--verify", str(tmp_path / name))
        assert isinstance(result.exception, ConfigError)
        assert why in str(result.exception)
    assert gateway.bodies == []


def test_ctrl_c_ends_the_run_early_and_verifies_what_was_sent(
    gateway: Gateway, tmp_path: Path
) -> None:
    database = tmp_path / "playsmart.db"
    store(database)

    def interrupt(body: bytes) -> None:
        store(database, body)
        if len(gateway.bodies) == 5:
            os.kill(os.getpid(), signal.SIGINT)

    gateway.on_body = interrupt
    result = load("--url", gateway.url, "--requests", "100000", "--verify", str(database), "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["interrupted"]
    assert 5 <= report["requests_sent"] < 100_000
    assert report["verify"]["exactly_once"]


def test_ctrl_c_while_verifying_still_shows_the_figures(gateway: Gateway, tmp_path: Path) -> None:
    interrupt = Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    gateway.on_body = lambda _: interrupt.start()
    store(tmp_path / "playsmart.db")
    database = str(tmp_path / "playsmart.db")
    arguments = ("--requests", "1", "--verify", database, "--verify-timeout", "20")
    result = load("--url", gateway.url, *arguments)
    interrupt.join()
    assert result.exit_code == 1
    assert re.search(r"2xx +1\n", result.stdout)
    assert "The verification was interrupted" in result.stderr


def test_the_limit_of_open_files_is_raised_for_many_connections(gateway: Gateway) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    try:
        assert load("--url", gateway.url, "--requests", "1").exit_code == 0
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_it_runs_without_uvloop(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert load("--url", gateway.url, "--requests", "3").exit_code == 0


def test_a_file_is_replayed_once_with_a_token_for_each_user(
    gateway: Gateway, tmp_path: Path
) -> None:
    path = tmp_path / "batches.ndjson.gz"
    path.write_bytes(gzip.compress(b"\n".join(BODIES)))
    result = load("--url", gateway.url, "--file", str(path))
    assert result.exit_code == 0, result.output
    assert sorted(gateway.bodies) == sorted(BODIES)
    assert gateway.users == {"anna", "ben", "carl"}


def test_a_token_sends_as_its_own_subject(gateway: Gateway) -> None:
    result = load("--url", gateway.url, "--requests", "2", "--token", token_for("zoë"), secret=None)
    assert result.exit_code == 0, result.output
    assert gateway.users == {"zoë"}
    assert {json.loads(body)["user_id"] for body in gateway.bodies} == {"zoë"}


def test_a_token_cannot_replay_the_bodies_of_others(tmp_path: Path) -> None:
    path = tmp_path / "batches.ndjson"
    path.write_bytes(b"\n".join(BODIES))
    result = load("--file", str(path), "--token", token_for("anna"))
    assert isinstance(result.exception, ConfigError)
    assert "2 other users, such as 'ben'" in str(result.exception)


@pytest.mark.parametrize("token", ["abc", "a.b.c", "a.e30.c", "a.W10.c", "a.eyJzdWIiOjF9.c"])
def test_a_token_without_a_subject_is_refused(token: str) -> None:
    assert isinstance(load("--token", token).exception, ConfigError)


def test_the_secret_may_come_from_the_configuration(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(f'[auth]\nsecrets = [{{kid = "k1", secret = "{SECRET}"}}]\n')
    arguments = ("--requests", "1", "--secret-from-config", str(path))
    result = load("--url", gateway.url, *arguments, secret=None)
    assert result.exit_code == 0, result.output
    assert gateway.users == {"load.playsmart-1-000000"}


def test_the_secret_may_be_that_of_development_mode(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dev-secret").write_text(SECRET + "\n")
    result = load("--url", gateway.url, "--requests", "1", secret=None)
    assert result.exit_code == 0, result.output


def test_without_any_secret_it_says_how_to_get_one() -> None:
    result = load("--requests", "1", secret=None)
    assert isinstance(result.exception, ConfigError)
    assert "make run" in str(result.exception)


def test_nobody_listening_says_how_to_start_the_gateway(gateway: Gateway) -> None:
    url = "http://127.0.0.1:1"
    result = load("--url", url, "--requests", "1")
    assert isinstance(result.exception, Unreachable)
    assert "make run" in str(result.exception)


def test_when_everything_is_refused_it_says_so(gateway: Gateway) -> None:
    gateway.status = 503
    result = load("--url", gateway.url, "--requests", "2")
    assert result.exit_code == 0
    assert re.search(r"refused, 503 +2\n", result.stdout)
    assert "Nothing was accepted" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--duration", "1", "--requests", "1"),
        ("--token", "x", "--secret-from-config", "y"),
        ("--token", "x", "--players", "2"),
        ("--file", "x", "--events", "5"),
        ("--profile", "ramp", "--requests", "5"),
    ],
)
def test_options_that_exclude_each_other_are_a_usage_error(arguments: tuple[str, ...]) -> None:
    result = load(*arguments)
    assert result.exit_code == 2
    assert "exclude each other" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--url", "ftp://127.0.0.1"),
        ("--connections", "10001"),
        ("--requests", "0"),
        ("--events", "201"),
        ("--players", "0"),
        ("--file", "missing.ndjson"),
    ],
)
def test_values_out_of_their_limits_are_a_configuration_error(arguments: tuple[str, ...]) -> None:
    assert isinstance(load(*arguments).exception, ConfigError)


def test_the_report_goes_to_files_beside_the_table(gateway: Gateway, tmp_path: Path) -> None:
    told, page = tmp_path / "report.json", tmp_path / "report.html"
    result = load("--url", gateway.url, "--requests", "3", "--json", str(told), "--html", str(page))
    assert result.exit_code == 0, result.output
    assert json.loads(told.read_text())["responses_2xx"] == 3
    assert page.read_text().startswith("<!doctype html>")
    assert "requests sent" in result.stdout
    assert result.stderr == f"written: {told}\nwritten: {page}\n"


def test_a_place_that_cannot_be_written_is_told_before_anything_is_sent(
    gateway: Gateway, tmp_path: Path
) -> None:
    for option in ("--json", "--html"):
        result = load("--url", gateway.url, "--requests", "3", option, str(tmp_path / "no" / "x"))
        assert isinstance(result.exception, ConfigError)
        assert option in str(result.exception)
    assert not gateway.bodies


def test_a_profile_has_a_rate_and_a_duration_of_its_own(gateway: Gateway) -> None:
    refused = load("--profile", "spike")
    assert (refused.exit_code, "needs --rate" in refused.stderr) == (2, True)
    arguments = ("--profile", "spike", "--rate", "20", "--duration", "1", "--json")
    report = json.loads(load("--url", gateway.url, *arguments).stdout)
    assert report["profile"] == "spike"
    assert report["requests_sent"] + report["never_sent"] == 0.8 * 20 + 0.2 * 200
    report = json.loads(
        load("--url", gateway.url, "--profile", "ramp", "--duration", "1", "--json").stdout
    )
    assert (report["profile"], report["broke"]) == ("ramp", None)
    assert 45 <= report["requests_sent"] + report["never_sent"] <= 60


def test_each_process_needs_a_connection_and_of_a_file_a_user(
    gateway: Gateway, tmp_path: Path
) -> None:
    refused = load("--processes", "3", "--connections", "2")
    assert (refused.exit_code, "each of --processes needs one" in refused.stderr) == (2, True)
    (tmp_path / "bodies").write_bytes(b'{"user_id": "ada", "events": []}\n')
    result = load("--url", gateway.url, "--file", "bodies", "--processes", "2")
    assert isinstance(result.exception, ConfigError)
    assert "at most 1: so many users" in str(result.exception)
