"""The life of the process: how it starts, how it stops, and what its exit code says."""

import json
import os
import signal
import socket
import sqlite3
from pathlib import Path

import pytest

from tests.support import warm
from tests.support.commands import start_and_fail
from tests.support.polling import PATIENCE_SECONDS, wait_until
from tests.support.process import SECRET, RunningGateway, StartGateway, clean_environment
from tests.support.uploads import make_event, make_upload


def stored(running: RunningGateway) -> int:
    return int(running.select("SELECT count(*) FROM events")[0][0])


def half_a_request(running: RunningGateway) -> tuple[bytes, bytes]:
    """A valid request in two parts."""
    body = json.dumps(make_upload("ada")).encode()
    head = (
        "POST /ingest/events HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {running.token('ada')}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body[:20], body[20:]


def wait_until_read(running: RunningGateway) -> None:
    """Let the gateway's loop go round often enough to have read what was sent before."""
    for _ in range(5):
        running.client.get("/healthz")


# --- stopping ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stores_everything_and_exits_0(
    start_gateway: StartGateway, sent: signal.Signals
) -> None:
    running = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="3600")
    for _ in range(3):
        assert running.post(make_upload("ada", *[make_event()] * 200), sub="ada").is_success
    assert running.law() == {
        "received": 600, "stored": 0, "duplicate": 0, "rejected": 0, "buffered": 600,
    }  # fmt: skip
    assert running.stop(sent) == 0
    assert stored(running) == 600
    running.told("trigger=drain")
    assert "Traceback" not in running.log


def test_a_request_in_flight_at_sigterm_is_finished_and_stored(start_gateway: StartGateway) -> None:
    running = start_gateway()
    first, rest = half_a_request(running)
    with running.connect() as connection:
        connection.send(first)
        wait_until_read(running)
        running.process.send_signal(signal.SIGTERM)
        running.wait_for_log("Shutting down")
        with pytest.raises(ConnectionRefusedError), running.connect():
            pass
        connection.send(rest)
        (answer,) = connection.read_to_end()
    assert answer.status == 202
    assert answer.headers["connection"] == "close"
    assert running.process.wait(PATIENCE_SECONDS) == 0
    assert stored(running) == 1


def test_a_second_signal_stops_at_once_and_the_journal_keeps_what_is_not_stored(
    start_gateway: StartGateway,
) -> None:
    running = start_gateway(
        SERVER__DRAIN_TIMEOUT_SECONDS="3600", SERVER__REQUEST_TIMEOUT_SECONDS="3600"
    )
    assert running.post(make_upload("ada"), sub="ada").is_success
    with running.connect() as connection:
        connection.send(half_a_request(running)[0])
        wait_until_read(running)
        running.process.send_signal(signal.SIGTERM)
        running.wait_for_log("Shutting down")
        assert running.stop() == 1
    running.told("stopped with 1 events not stored: the journal keeps them")
    assert stored(running) == 0


def test_what_could_not_be_stored_in_time_makes_the_exit_code_1(
    start_gateway: StartGateway,
) -> None:
    running = start_gateway(
        SERVER__DRAIN_TIMEOUT_SECONDS="0.2", BUFFER__FLUSH_INTERVAL_SECONDS="0.01"
    )
    database = sqlite3.connect(running.folder / "data" / "playsmart.db")
    database.executescript(
        "DROP VIEW v_revenue; DROP VIEW v_purchases; DROP VIEW events;"
        "ALTER TABLE event_rows RENAME TO gone"
    )
    database.close()
    assert running.post(make_upload("ada", *[make_event()] * 5), sub="ada").status_code == 202
    running.wait_for_log("store unavailable")
    ready = running.client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["error"]["details"][0]["path"] == "store"
    assert running.stop() == 1
    running.told("stopped with 5 events not stored")


def test_a_signal_while_it_starts_is_not_lost(tmp_path: Path) -> None:
    """Here the start takes long, as another process holds a lock on the database."""
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "playsmart.db"
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("PRAGMA journal_mode = WAL")
    lock.execute("BEGIN IMMEDIATE")
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = warm.start(
            ["serve", "--port", "0"],
            folder=tmp_path,
            environment=clean_environment(PLAYSMART_AUTH__SECRET=SECRET),
            stdout=output,
        )
    try:
        wait_until(lambda: True if has_open(process.pid, path) else None)
        process.send_signal(signal.SIGTERM)
        lock.execute("ROLLBACK")
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        lock.close()
        process.kill()
        process.wait()


def has_open(pid: int, path: Path) -> bool:
    folder = Path(f"/proc/{pid}/fd")
    if not folder.exists():
        pytest.skip("needs /proc to see when the start has come so far")
    names = []
    for each in folder.iterdir():
        try:
            names.append(os.readlink(each))  # noqa: PTH115 the target may be no path
        except FileNotFoundError:
            continue
    return str(path) in names


# --- starting ------------------------------------------------------------------------------------


def test_a_port_in_use_is_one_clear_line_and_exit_code_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, told = start_and_fail(tmp_path, "--port", str(port))
    assert code == 1
    (line,) = [each for each in told.splitlines() if "INFO" not in each]
    assert "address already in use" in line
    assert str(port) in line


def test_a_host_that_is_not_ours_is_one_clear_line_and_exit_code_1(tmp_path: Path) -> None:
    code, told = start_and_fail(tmp_path, "--port", "0", "--host", "203.0.113.1")
    assert code == 1
    (line,) = [each for each in told.splitlines() if "INFO" not in each]
    assert "203.0.113.1" in line


def test_a_store_that_cannot_be_opened_is_one_clear_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    code, told = start_and_fail(tmp_path, "--port", "0", JOURNAL__ENABLED="false")
    assert code == 2
    assert told.startswith("error: storage.url: cannot open data/playsmart.db: ")
    assert told.count("\n") == 1


def test_a_journal_that_cannot_be_opened_is_one_clear_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    code, told = start_and_fail(tmp_path, "--port", "0")
    assert (code, told) == (
        2,
        "error: journal.path: data/journal cannot be used: Not a directory\n",
    )


def test_a_file_that_is_no_database_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "not.db").write_bytes(b"this is not a database" * 100)
    code, told = start_and_fail(tmp_path, "--port", "0", STORAGE__URL="sqlite:///not.db")
    assert code in (1, 2)
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert (tmp_path / "not.db").read_bytes().startswith(b"this is not a database")


def test_a_store_url_that_nobody_knows_is_refused_without_its_password(tmp_path: Path) -> None:
    code, told = start_and_fail(
        tmp_path, "--port", "0", STORAGE__URL="mysql://ada:sesame-4711@db.example/events"
    )
    assert code == 2
    assert told.startswith("error: storage.url: must be ")
    assert "sesame" not in told


def test_a_dry_run_needs_no_disk(start_gateway: StartGateway) -> None:
    running = start_gateway(
        STORAGE__URL="memory:", JOURNAL__ENABLED="false", BUFFER__FLUSH_INTERVAL_SECONDS="0.01"
    )
    assert running.post(make_upload("ada"), sub="ada").is_success
    assert running.settle()["stored"] == 1
    assert running.stop() == 0
    assert [each.name for each in running.folder.iterdir()] == ["gateway.log"]


def test_a_restart_keeps_what_was_stored(start_gateway: StartGateway) -> None:
    for round_ in (1, 2):
        running = start_gateway()
        assert running.post(make_upload("ada"), sub="ada").is_success
        assert running.stop() == 0
        assert stored(running) == round_
