"""``serve --workers N``: real processes, some of which die."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve.wire import get, start_workers, workers
from tests.support import warm
from tests.support.commands import start_and_fail
from tests.support.count import count
from tests.support.metrics import law, parse_metrics
from tests.support.players import (
    Client,
    Ledger,
    load,
)
from tests.support.polling import PATIENCE_SECONDS, until, wait_until
from tests.support.process import NO_TLS, SECRET, RunningGateway, StartGateway, clean_environment
from tests.support.program import SECRET as LOAD_SECRET
from tests.support.teak import (
    BATCH,
    CREDENTIALS,
    ENVIRONMENT,
    EVENTS,
    IDENTIFY,
    NO_LIMITS,
    event,
)
from tests.support.uploads import make_event, make_upload

COUNTERS = re.compile(r"_(total|count|bucket\{.*)$|_total\{")


@contextlib.contextmanager
def connections(running: RunningGateway, count: int) -> Iterator[list[httpx.Client]]:
    """Clients with a connection each, which neighbours in the list have to different workers."""
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(
                httpx.Client(base_url=running.url, trust_env=False, verify=NO_TLS, timeout=30)
            )
            for _ in range(count)
        ]
        for client in clients:
            assert client.get("/healthz").is_success
        yield clients


def metrics(running: RunningGateway) -> dict[str, float]:
    return parse_metrics(get(running, "/metrics").text)


class Scraper(threading.Thread):
    """Asks whichever worker answers, again and again: the law holds, and no counter falls."""

    def __init__(self, running: RunningGateway) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.scrapes = 0
        self._running = running
        self._enough = threading.Event()

    def __enter__(self) -> "Scraper":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self.join()

    def run(self) -> None:
        before: dict[str, float] = {}
        while not self._enough.wait(0.01):
            now = metrics(self._running)
            self.scrapes += 1
            try:
                law(now)
            except AssertionError:
                self.problems.append("the law")
            self.problems += [
                f"{name} fell from {value} to {now.get(name)}"
                for name, value in before.items()
                if COUNTERS.search(name) and now.get(name, 0) < value
            ]
            before = now


def children_are_gone(pids: dict[int, int]) -> Callable[[], bool | None]:
    def gone() -> bool | None:
        for pid in pids.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 0)
                if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    return None
        return True

    return gone


def run_command(folder: Path, *arguments: str) -> str:
    """What a command says, to whomever."""
    finished = warm.run(
        arguments,
        folder=folder,
        environment=clean_environment(PLAYSMART_AUTH__SECRET=SECRET),
        timeout=PATIENCE_SECONDS,
    )
    return finished.stdout + finished.stderr


# --- two processes, one gateway ------------------------------------------------------------------


def test_connections_are_spread_evenly_and_counted_together(start_gateway: StartGateway) -> None:
    running = start_workers(start_gateway, BUFFER__FLUSH_INTERVAL_SECONDS="3600")

    def sockets(pid: int) -> int:
        found = 0
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # it may be closed meanwhile
                found += os.readlink(each).startswith("socket:")  # noqa: PTH115
        return found

    before = {pid: sockets(pid) for pid in workers(running).values()}
    with connections(running, 16) as clients:
        after = {pid: sockets(pid) for pid in workers(running).values()}
        # A connection of the start may still have been open before.
        assert {after[pid] - before[pid] for pid in after} <= {7, 8}
        headers = {"authorization": f"Bearer {running.token('ada')}"}
        for client in clients:
            upload = make_upload("ada", make_event(), make_event())
            assert client.post("/ingest/events", json=upload, headers=headers).status_code == 202
        for client in clients[:2]:
            found = parse_metrics(client.get("/metrics").text)
            assert found["playsmart_events_accepted_total"] == 32
            assert found["playsmart_buffered_events"] == 32
            assert found["playsmart_buffer_max_events"] == 2_000_000
            assert (found["playsmart_workers"], found["playsmart_workers_up"]) == (2, 2)
            assert not [name for name in found if name.startswith("process_")]
    assert running.stop() == 0
    assert running.select("SELECT count(*) FROM events")[0][0] == 32
    assert "Traceback" not in running.log
    assert sorted(each.name for each in (running.folder / "data/journal").iterdir()) == [
        "lock", "worker-0", "worker-1",
    ]  # fmt: skip


def test_the_dashboard_shows_the_events_of_all(start_gateway: StartGateway) -> None:
    running = start_gateway("--workers", "2", "--dev", secret=None)
    running.secret = (running.folder / "data/dev-secret").read_text().strip()
    wait_until(lambda: get(running, "/readyz").is_success or None)
    with connections(running, 2) as clients:
        headers = {"authorization": f"Bearer {running.token('ada')}"}
        for client in clients:
            assert client.post("/ingest/events", json=make_upload("ada"), headers=headers)
        for client in clients:
            live = client.get("/dashboard/data").json()["live"]
            assert (live["received"], live["accepted"]) == (2, 2)
            assert live["not_ready"] == []
        wait_until(
            lambda: clients[0].get("/dashboard/data").json()["figures"]["counts"] or None
        )  # the first worker counts what both have stored
    assert running.stop() == 0


def test_an_inspector_sees_the_requests_of_all_and_what_became_of_them(
    start_gateway: StartGateway,
) -> None:
    running = start_gateway("--workers", "2", "--dev", secret=None)
    running.secret = (running.folder / "data/dev-secret").read_text().strip()
    wait_until(lambda: get(running, "/readyz").is_success or None)
    told: list[tuple[str, Any]] = []

    def watch(client: httpx.Client) -> None:
        with client.stream("GET", "/inspector/events") as answer:
            name = ""
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    told.append((name, json.loads(line.removeprefix("data: "))))

    def seen(kind: str) -> list[Any]:
        return [data for name, data in list(told) if name == kind]

    with connections(running, 3) as (browser, *clients):
        thread = threading.Thread(target=watch, args=(browser,))
        thread.start()
        wait_until(lambda: told or None)
        headers = {"authorization": f"Bearer {running.token('ada')}"}

        def both_are_seen() -> bool | None:
            for client in clients:
                assert client.post("/ingest/events", json=make_upload("ada"), headers=headers)
            return {each["id"].partition(".")[0] for each in seen("request")} == {"0", "1"} or None

        wait_until(both_are_seen)
        numbers = {each["id"] for each in seen("request")}
        wait_until(lambda: numbers <= {f["id"] for fates in seen("fate") for f in fates} or None)
        os.kill(running.process.pid, signal.SIGTERM)
        thread.join(PATIENCE_SECONDS)
    assert told[-1][0] == "goodbye"
    assert running.process.wait(PATIENCE_SECONDS) == 0


def test_only_the_first_worker_audits(start_gateway: StartGateway) -> None:
    games = '[{id="com.example.game",coins_enabled=true,reward_fixed_amount=10}]'
    running = start_workers(
        start_gateway, GAMES=games, BUFFER__FLUSH_INTERVAL_SECONDS="0.05", LOG__LEVEL="info"
    )
    with connections(running, 2) as clients:
        headers = {"authorization": f"Bearer {running.token('ada')}"}
        for client in clients:
            upload = make_upload("ada", make_event("LevelCompleted"))
            assert client.post("/ingest/events", json=upload, headers=headers).is_success
    running.settle()
    assert running.select("SELECT coins_balance FROM players")[0][0] == 20
    assert running.select("SELECT count(*) FROM game_rules")[0][0] == 1
    assert running.stop() == 0


# --- one of them dies ----------------------------------------------------------------------------


async def load_and_kill(running: RunningGateway, ledger: Ledger, kills: int) -> None:
    clients = [Client(f"player-{each}", running.port, ledger, pause=0.005) for each in range(8)]
    async with load(clients):
        for turn in range(kills):
            await until(partial(goes_on, running, ledger, turn), "both take batches")
            os.kill(workers(running)[turn % 2], signal.SIGKILL)
        await until(partial(goes_on, running, ledger, kills), "both take batches")


async def goes_on(running: RunningGateway, ledger: Ledger, deaths: int) -> bool:
    """Whether all live that died, and a good many batches came since."""
    found = await asyncio.to_thread(metrics, running)
    lives = found["playsmart_workers_up"] == 2, found["playsmart_worker_restarts_total"] == deaths
    return all(lives) and ledger.statuses.count(202) >= 100 * (1 + deaths)


def test_kill_9_under_load_loses_and_doubles_nothing_and_the_sums_never_fall(
    start_gateway: StartGateway,
) -> None:
    running = start_workers(start_gateway, secret=LOAD_SECRET, BUFFER__FLUSH_INTERVAL_SECONDS="0.2")
    ledger = Ledger()
    with Scraper(running) as scraper:
        asyncio.run(load_and_kill(running, ledger, kills=3))
        wait_until(lambda: metrics(running)["playsmart_buffered_events"] == 0 or None)
    assert scraper.scrapes >= 5
    assert scraper.problems == []
    found = metrics(running)
    assert found["playsmart_worker_restarts_total"] == 3
    assert found["playsmart_workers_up"] == 2
    assert running.stop() == 0
    verdict = count(running.folder / "data/playsmart.db", ledger)
    assert verdict.accepted_events > 100
    verdict.disordered.clear()  # who has to connect again comes to another worker's buffer
    assert verdict.good, verdict
    assert len(re.findall(r"replayed \d+ events from the journal worker=", running.log)) >= 1


def test_readyz_names_the_worker_that_is_gone_and_is_ready_again(
    start_gateway: StartGateway,
) -> None:
    running = start_workers(start_gateway)

    def reasons() -> Any:
        answer = get(running, "/readyz")
        return None if answer.is_success else answer.json()["error"]["details"]

    for victim in (0, 1):
        pid = workers(running)[victim]
        journal = running.folder / f"data/journal/worker-{victim}"
        journal.rename(running.folder / "aside")
        journal.write_text("in its way, so that it is seen to be away")
        os.kill(pid, signal.SIGKILL)
        (reason,) = wait_until(reasons)
        assert reason["path"] == f"worker.{victim}"
        assert reason["message"] in ("gone", "starting")
        assert get(running, "/healthz").is_success
        journal.unlink()
        (running.folder / "aside").rename(journal)
        wait_until(partial(replaced, running, victim, pid))
        wait_until(lambda: get(running, "/readyz").is_success or None)
    wait_until(lambda: running.log.count("ended with -9, starting it again") == 2 or None)
    assert running.stop() == 0


def test_a_worker_that_was_told_to_stop_by_somebody_else_is_replaced(
    start_gateway: StartGateway,
) -> None:
    running = start_workers(start_gateway)
    os.kill(workers(running)[1], signal.SIGTERM)
    running.wait_for_log("worker 1 ended with 0, starting it again")
    wait_until(lambda: metrics(running)["playsmart_workers_up"] == 2 or None)
    assert running.stop() == 0


def test_a_worker_that_hangs_is_said_to_be_silent_and_killed_in_the_end(
    start_gateway: StartGateway,
) -> None:
    running = start_workers(start_gateway, SERVER__DRAIN_TIMEOUT_SECONDS="0.5")
    os.kill(workers(running)[1], signal.SIGSTOP)
    with httpx.Client(base_url=running.url, trust_env=False, verify=NO_TLS, timeout=30) as client:
        details = wait_until(lambda: silent(client))
    assert details == [{"path": "worker.1", "message": "silent"}]
    assert running.stop() == 1
    running.told("worker 1 ended with -9")


def replaced(running: RunningGateway, worker: int, pid: int) -> bool | None:
    return workers(running)[worker] != pid or None


def ready(client: httpx.Client) -> bool | None:
    return client.get("/readyz").is_success or None


def silent(client: httpx.Client) -> Any:
    """Ask until some worker that does not hang says that the gateway is not ready."""
    with contextlib.suppress(httpx.TimeoutException):
        answer = client.get("/readyz", timeout=0.5)
        return None if answer.is_success else answer.json()["error"]["details"]
    return None


# --- starting and stopping -----------------------------------------------------------------------


def test_sigterm_drains_all(start_gateway: StartGateway) -> None:
    running = start_workers(start_gateway, BUFFER__FLUSH_INTERVAL_SECONDS="3600")
    with connections(running, 6) as clients:
        headers = {"authorization": f"Bearer {running.token('ada')}"}
        for client in clients:
            assert client.post("/ingest/events", json=make_upload("ada"), headers=headers)
    pids = workers(running)
    assert running.stop() == 0
    assert running.select("SELECT count(*) FROM events")[0][0] == 6
    assert len(re.findall("trigger=drain .*worker=", running.log)) == 2
    wait_until(children_are_gone(pids))


def test_a_signal_to_all_of_them_at_once_is_no_second_signal(start_gateway: StartGateway) -> None:
    """A service manager stops a whole group of processes so."""
    running = start_workers(start_gateway, BUFFER__FLUSH_INTERVAL_SECONDS="3600")
    for _ in range(3):
        assert running.post(make_upload("ada", *[make_event()] * 200), sub="ada").is_success
    for pid in (*workers(running).values(), running.process.pid, *workers(running).values()):
        os.kill(pid, signal.SIGTERM)
    assert running.process.wait(PATIENCE_SECONDS) == 0
    assert running.select("SELECT count(*) FROM events")[0][0] == 600


def test_what_is_not_drained_in_time_is_exit_code_1_and_a_second_signal_hurries(
    start_gateway: StartGateway,
) -> None:
    running = start_workers(
        start_gateway,
        BUFFER__FLUSH_INTERVAL_SECONDS="3600",
        SERVER__DRAIN_TIMEOUT_SECONDS="3600",
    )
    assert running.post(make_upload("ada"), sub="ada").is_success
    locked = sqlite3.connect(running.folder / "data/playsmart.db", isolation_level=None)
    with contextlib.closing(locked):
        locked.execute("BEGIN IMMEDIATE")
        running.process.send_signal(signal.SIGINT)
        running.wait_for_log("store unavailable")
        assert running.stop() == 1
        running.told("stopped with 1 events not stored: the journal keeps them")
    assert start_workers(start_gateway).settle()["stored"] == 1


def test_workers_drain_when_the_supervisor_was_killed(start_gateway: StartGateway) -> None:
    running = start_workers(start_gateway, BUFFER__FLUSH_INTERVAL_SECONDS="3600")
    with connections(running, 2) as clients:
        headers = {"authorization": f"Bearer {running.token('ada')}"}
        for client in clients:
            assert client.post("/ingest/events", json=make_upload("ada"), headers=headers)
    pids = workers(running)
    running.process.kill()
    running.process.wait()
    with pytest.raises(ConnectionRefusedError), running.connect():
        pass
    wait_until(children_are_gone(pids))
    assert running.select("SELECT count(*) FROM events")[0][0] == 2


def test_a_port_in_use_is_one_clear_line_and_exit_code_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, told = start_and_fail(tmp_path, "--port", str(port), "--workers", "2")
    assert (code, told) == (
        1,
        f"error: cannot listen on 127.0.0.1:{port}: address already in use\n",
    )


def test_a_host_that_is_nowhere_is_one_clear_line_and_exit_code_1(tmp_path: Path) -> None:
    arguments = ("--port", "0", "--workers", "2", "--host", "not a host")
    code, told = start_and_fail(tmp_path, *arguments)
    assert code == 1
    assert told.startswith("error: cannot listen on not a host:0: ")
    assert told.count("\n") == 1


def test_a_second_gateway_on_the_same_journals_exits_with_2(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_workers(start_gateway)
    for arguments in ([], ["--workers", "2"], ["--workers", "3"]):
        code, told = start_and_fail(tmp_path, "--port", "0", *arguments)
        assert (code, told.count("\n")) == (2, 1)
        assert told.startswith("error: journal.path: data/journal is in use by another gateway")
    assert running.stop() == 0


@pytest.mark.parametrize(
    ("settings", "code", "told"),
    [
        ({"GAMES": '[{id="a"},{id="a"}]'}, 2, "error: games.1.id: is there twice"),
        (
            {"STORAGE__URL": "sqlite:///not.db"},
            2,
            "error: storage.url: not.db is no SQLite",
        ),
        ({"STORAGE__URL": "memory:"}, 2, "error: server.workers: a store in memory cannot"),
    ],
)
def test_what_no_worker_can_start_with_ends_it_all_and_is_said_once(
    tmp_path: Path, settings: dict[str, str], code: int, told: str
) -> None:
    (tmp_path / "not.db").write_bytes(b"this is not a database" * 100)
    found, log = start_and_fail(tmp_path, "--port", "0", "--workers", "3", **settings)
    assert found == code, log
    assert log.count("error: ") == 1
    assert told in log


def test_a_bug_in_the_start_of_a_worker_ends_it_all_and_is_named_by_its_place(
    tmp_path: Path,
) -> None:
    program = """
import logging, sys
from playsmart_gateway.config import Config, Server
from playsmart_gateway.serve.supervisor import supervise
logging.basicConfig()
sys.exit(supervise(Config(server=Server(port=0, workers=2)), lambda worker: 1 // 0))
"""
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert finished.returncode == 1
    assert finished.stderr.count("worker 0 failed: ZeroDivisionError at ") == 1
    assert "Traceback" not in finished.stderr


def test_another_number_of_workers_finds_what_the_last_one_left(
    start_gateway: StartGateway,
) -> None:
    sent = 0
    for count_ in (3, 2, 1, 2):
        running = start_gateway("--workers", str(count_), BUFFER__FLUSH_INTERVAL_SECONDS="3600")
        wait_until(partial(ready, running.client))
        assert metrics(running)["playsmart_events_replayed_total"] == sent
        with connections(running, 6) as clients:
            headers = {"authorization": f"Bearer {running.token('ada')}"}
            for client in clients:
                sent += 1
                upload = make_upload("ada", make_event(customdata={"n": sent}))
                assert client.post("/ingest/events", json=upload, headers=headers).is_success
        pids = workers(running) or {0: running.process.pid}
        os.kill(running.process.pid, signal.SIGSTOP)  # so that it starts none of them again
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        running.close()
        wait_until(children_are_gone(pids))
    running = start_gateway()
    assert running.settle() == {
        "received": sent, "stored": sent, "duplicate": 0, "rejected": 0, "buffered": 0,
    }  # fmt: skip
    rows = running.select("SELECT customdata ->> '$.n' AS n FROM events ORDER BY 1")
    assert [row["n"] for row in rows] == list(range(1, sent + 1))
    assert [each.name for each in (running.folder / "data/journal").glob("worker-*")] == []
    assert running.stop() == 0


# --- what they share -----------------------------------------------------------------------------


def test_a_player_who_identified_at_one_worker_is_known_at_all(
    start_gateway: StartGateway,
) -> None:
    settings = {name.removeprefix("PLAYSMART_"): value for name, value in ENVIRONMENT.items()}
    settings |= {"BUFFER__FLUSH_INTERVAL_SECONDS": "3600", "TEAK__LIMITS": NO_LIMITS}
    running = start_workers(start_gateway, 3, **settings)
    with connections(running, 3) as clients:
        for turn in range(30):
            for country in ("US", "DE"):
                player = {**CREDENTIALS, "user_id": f"player-{turn}"}
                here, *others = clients[turn % 3 :] + clients[: turn % 3]
                sent = {**player, "country_code": country}
                assert here.post(IDENTIFY, json=sent).status_code == 201
                for other in others:
                    spin = {**player, "action_type": f"spin in {country}"}
                    assert other.post(EVENTS, json=spin).status_code == 200
        os.kill(workers(running)[2], signal.SIGKILL)
        wait_until(lambda: metrics(running)["playsmart_worker_restarts_total"] == 1 or None)
        wait_until(lambda: get(running, "/readyz").is_success or None)
    with connections(running, 3) as clients:  # the new life has heard of those who wait elsewhere
        for client in clients:
            events = [{"user_id": f"player-{turn}", "action_type": "late"} for turn in range(30)]
            body = client.post(BATCH, json={**CREDENTIALS, "events": events}).text
            assert "could not be found" not in body
    assert running.stop() == 0
    rows = running.select(
        "SELECT type, customdata ->> '$.country_code' AS country, count(*) AS n FROM events"
        " WHERE type LIKE 'spin%' GROUP BY 1, 2"
    )
    assert {(row["type"], row["country"]): row["n"] for row in rows} == {
        ("spin in US", "US"): 60,
        ("spin in DE", "DE"): 60,
    }
    assert running.select("SELECT count(*) FROM events WHERE type = 'Installed'")[0][0] == 30


def test_no_second_takes_more_than_the_limit_whoever_answers(start_gateway: StartGateway) -> None:
    limit = 20
    settings = {name.removeprefix("PLAYSMART_"): value for name, value in ENVIRONMENT.items()}
    settings |= {"TEAK__LIMITS": f"{{analytics_events = {limit}}}"}
    running = start_workers(start_gateway, 2, **settings)
    answers: Counter[int] = Counter()

    def insist(client: httpx.Client) -> None:
        deadline = time.monotonic() + 2.5
        while time.monotonic() < deadline:
            answers[client.post(EVENTS, json={**CREDENTIALS, **event("ada", "x")}).status_code] += 1

    with connections(running, 4) as clients:
        player = {**CREDENTIALS, "user_id": "ada", "country_code": "DE"}
        assert clients[0].post(IDENTIFY, json=player).status_code == 201
        wait_until(lambda: True if 0.05 < time.time() % 1 < 0.5 else None)
        threads = [threading.Thread(target=insist, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    running.settle()
    rows = running.select(
        "SELECT substr(occurred_at, 1, 19) AS second, count(*) AS n FROM events"
        " WHERE type = 'x' GROUP BY 1"
    )
    taken = {row["second"]: row["n"] for row in rows}
    assert max(taken.values()) == limit, "all of it, and no more"
    assert sum(taken.values()) == answers[200]
    assert answers[429] > limit
    assert running.stop() == 0


def test_lynes_pays_a_completion_once_whoever_answers(start_gateway: StartGateway) -> None:
    events = '[{id="once",kind="fix",points=10,max_completions=1},{id="each",kind="fix",points=1}]'
    running = start_workers(start_gateway, LYNES__EVENTS=events)
    paid: list[int] = []
    headers = {"authorization": f"Bearer {running.token('app')}"}

    def send(client: httpx.Client) -> None:
        for name in ("once", "each") * 5:
            body = {"eventId": name, "userId": "ada", "metadata": {"n": 1}}
            answer = client.post("/event", content=json.dumps(body), headers={
                **headers, "content-type": "application/json",
            })  # fmt: skip
            paid.append(answer.json()["data"]["pointsAwarded"])

    with connections(running, 8) as clients:
        threads = [threading.Thread(target=send, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Counter(paid) == {10: 1, 0: 39, 1: 40}
        assert clients[0].get("/user/ada/points", headers=headers).json()["points"] == 50
        law(metrics(running))
    assert running.stop() == 0


def test_erase_works_while_workers_take_events(start_gateway: StartGateway, tmp_path: Path) -> None:
    """Each stores what it accepted and empties its journal; nobody who posts is kept waiting."""
    running = start_workers(start_gateway, 2, BUFFER__FLUSH_INTERVAL_SECONDS="3600")
    journal = tmp_path / "data" / "journal"
    with connections(running, 4) as clients:
        for user in ("ada-lovelace", "eve"):
            headers = {"authorization": f"Bearer {running.token(user)}"}
            for client in clients:
                assert client.post("/ingest/events", json=make_upload(user), headers=headers)
        held = [each.read_bytes() for each in journal.glob("worker-*/*.journal")]
        assert sum(b"ada-lovelace" in each for each in held) == 2
        told = run_command(tmp_path, "erase", "ada-lovelace", "--yes")
        assert "erased: " in told
        files = [each for each in (tmp_path / "data").rglob("*") if each.is_file()]
        assert [each for each in files if b"ada-lovelace" in each.read_bytes()] == []
        assert not [each for each in files if each.suffix in (".errand", ".done", ".draft")]
        assert "no player goes by that id" in run_command(tmp_path, "erase", "nobody", "--yes")
        assert [row[0] for row in running.select("SELECT user_id FROM events")] == ["eve"] * 4
        assert clients[0].post("/ingest/events", json=make_upload("eve"), headers=headers)
    assert running.stop() == 0
    assert len(running.select("SELECT user_id FROM events")) == 5


def test_erase_and_doctor_see_the_journals_of_all(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_workers(start_gateway, BUFFER__FLUSH_INTERVAL_SECONDS="3600")
    with connections(running, 4) as clients:
        headers = {"authorization": f"Bearer {running.token('ada')}"}
        for client in clients:
            assert client.post("/ingest/events", json=make_upload("ada"), headers=headers)
    pids = workers(running)
    os.kill(running.process.pid, signal.SIGSTOP)
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    running.close()
    assert "4 events in 4 batches wait" in run_command(tmp_path, "doctor")
    assert "event_rows" in run_command(tmp_path, "erase", "ada", "--yes")
    assert "nothing waits" in run_command(tmp_path, "doctor")
    again = start_workers(start_gateway)
    assert again.select("SELECT count(*) FROM events")[0][0] == 0
    assert again.stop() == 0


def test_without_a_journal_what_a_dead_worker_held_is_lost_and_the_law_says_so(
    start_gateway: StartGateway,
) -> None:
    running = start_workers(
        start_gateway, JOURNAL__ENABLED="false", BUFFER__FLUSH_INTERVAL_SECONDS="3600"
    )
    with connections(running, 2) as clients:
        headers = {"authorization": f"Bearer {running.token('ada')}"}
        for client in clients:
            assert client.post("/ingest/events", json=make_upload("ada"), headers=headers)
        assert metrics(running)["playsmart_buffered_events"] == 2
    os.kill(workers(running)[1], signal.SIGKILL)
    wait_until(lambda: metrics(running)["playsmart_worker_restarts_total"] == 1 or None)
    wait_until(lambda: get(running, "/readyz").is_success or None)
    found = metrics(running)
    law(found)
    assert found["playsmart_events_rejected_total{reason=worker_died}"] == 1
    assert running.stop() == 0
    assert running.select("SELECT count(*) FROM events")[0][0] == 1


def test_a_worker_that_cannot_start_again_is_tried_again_and_its_journal_is_not_forgotten(
    start_gateway: StartGateway,
) -> None:
    running = start_workers(start_gateway, BUFFER__FLUSH_INTERVAL_SECONDS="3600")
    with connections(running, 2) as clients:
        headers = {"authorization": f"Bearer {running.token('ada')}"}
        for client in clients:
            assert client.post("/ingest/events", json=make_upload("ada"), headers=headers)
    journal = running.folder / "data/journal/worker-1"
    aside = running.folder / "aside"
    journal.rename(aside)
    journal.write_text("a file where a folder should be")
    os.kill(workers(running)[1], signal.SIGKILL)
    running.wait_for_log(r"(?s)(worker 1 ended with 2, starting it again.*){3}")
    assert running.log.count("worker-1 cannot be used") >= 3
    assert get(running, "/readyz").json()["error"]["details"][0]["path"] == "worker.1"
    assert running.stop() == 1, "its events wait in its journal"
    journal.unlink()
    aside.rename(journal)
    again = start_workers(start_gateway)
    assert again.settle()["stored"] == 1
    assert again.stop() == 0
    assert again.select("SELECT count(*) FROM events")[0][0] == 2
