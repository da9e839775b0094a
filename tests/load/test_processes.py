"""Several processes that load together, against a server in this one or a real gateway."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from playsmart_gateway.cli import commands
from playsmart_gateway.load import (
    Job,
    LoadOptions,
    Outcome,
    Played,
    Profile,
    Progress,
    Recorded,
    Run,
    Unreachable,
    always,
    player_names,
    run_processes,
)
from tests.load.fake_server import FakeServer, Request, accept, response
from tests.support.polling import wait_until
from tests.support.process import SECRET, StartGateway

pytestmark = pytest.mark.process

RUN = 1_767_225_600_000_000
PLAYED = Played(player_names(1, 4), 5, 1, RUN, "load.playsmart")
BODY = '{"user_id":"%s","game_id":"g","events":[]}'


async def run(
    job: Job,
    processes: int = 2,
    *,
    stop: asyncio.Event | None = None,
    seen: list[Progress] | None = None,
    said: list[str] | None = None,
) -> Run:
    return await run_processes(
        job,
        processes,
        stop=stop or asyncio.Event(),
        on_progress=([] if seen is None else seen).append,
        say=([] if said is None else said).append,
    )


def children() -> list[int]:
    """The processes of load that this one has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            mine = f"\nPPid:\t{os.getpid()}\n" in (folder / "status").read_text()
            if mine and b"playsmart_gateway.load" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


async def test_every_request_is_sent_once_and_all_figures_are_added() -> None:
    seen: list[Progress] = []
    async with FakeServer() as server:
        options = LoadOptions(url=server.url, connections=5, requests=101)
        done = await run(Job(options, PLAYED, always("x")), 3, seen=seen)
    workload = PLAYED.workload()
    report = done.report
    assert sorted(r.body for r in server.requests) == sorted(workload.body(i) for i in range(101))
    assert (report.requests_sent, report.responses_2xx, report.never_sent) == (101, 101, 0)
    assert (report.events_sent, report.events_acknowledged) == (505, 505)
    assert (report.processes, report.lost_processes, report.interrupted) == (3, 0, False)
    assert server.connections == 5
    (lane,) = done.lanes
    assert lane.outcomes[:101] == bytes([Outcome.ACKNOWLEDGED] * 101)
    assert not lane.outcomes[101:].strip(bytes([Outcome.REFUSED])), "what was not sent"
    assert sum(moment.sent for moment in report.timeline) == 101
    assert not children()


async def test_refusals_of_all_are_told_by_reason() -> None:
    async def refuse(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(response(503, b'{"error": {"code": "UNAVAILABLE", "message": "full"}}'))

    async with FakeServer(refuse) as server:
        options = LoadOptions(url=server.url, connections=2, requests=20)
        done = await run(Job(options, PLAYED, always("x")))
    assert done.report.refused == {"503 UNAVAILABLE": 20}
    assert (done.report.responses_2xx, done.report.unknown) == (0, 0)


async def test_bodies_of_a_file_are_sent_by_two_each_user_by_one(tmp_path: Path) -> None:
    file = tmp_path / "bodies.ndjson"
    bodies = [BODY % f"u{n % 3}" for n in range(30)]
    file.write_text("\n".join(bodies))
    async with FakeServer() as server:
        options = LoadOptions(url=server.url, connections=4, requests=30)
        done = await run(Job(options, Recorded(file), always("x")))
    assert Counter(r.body.decode() for r in server.requests) == Counter(bodies)
    senders = {(json.loads(r.body)["user_id"], r.connection) for r in server.requests}
    assert len(senders) == 3
    assert sum(lane.outcomes.count(Outcome.ACKNOWLEDGED) for lane in done.lanes) == 30


async def test_at_a_rate_all_keep_to_the_same_clock() -> None:
    async with FakeServer() as server:
        options = LoadOptions(url=server.url, connections=4, rate=40, duration_seconds=2)
        done = await run(Job(options, PLAYED, always("x")))
    assert done.report.requests_sent + done.report.never_sent == 80
    due = [moment.wanted for moment in done.report.timeline][:2]
    assert due == pytest.approx([40, 40], abs=1)


async def test_who_is_stopped_stops_all_and_tells_what_was_done() -> None:
    stop = asyncio.Event()

    async def accept_some(request: Request, writer: asyncio.StreamWriter) -> None:
        await accept(request, writer)
        if len(server.requests) > 20:
            stop.set()

    async with FakeServer(accept_some) as server:
        options = LoadOptions(url=server.url, connections=2, duration_seconds=600)
        done = await run(Job(options, PLAYED, always("x")), stop=stop)
    assert done.report.interrupted
    assert done.report.responses_2xx >= 20
    assert not children()


async def test_a_process_that_is_killed_is_told_and_what_it_had_told_counts() -> None:
    said: list[str] = []
    killed: list[int] = []
    began = time.monotonic()

    async def accept_and_kill(request: Request, writer: asyncio.StreamWriter) -> None:
        await accept(request, writer)
        if not killed and time.monotonic() - began > 5 and len(server.requests) > 40:
            killed.extend(children()[:1])
            os.kill(killed[0], signal.SIGKILL)

    async with FakeServer(accept_and_kill) as server:
        options = LoadOptions(url=server.url, connections=2, rate=40, duration_seconds=12)
        done = await run(Job(options, PLAYED, always("x")), said=said)
    (told,) = said
    assert "of 2 is lost (by SIGKILL)" in told
    report = done.report
    assert (report.processes, report.lost_processes) == (2, 1)
    assert 150 <= report.requests_sent <= 480, "the other one went on"
    assert not report.interrupted


async def test_nobody_who_listens_is_told_by_one_of_them() -> None:
    options = LoadOptions(url="http://127.0.0.1:9", connections=2, requests=4)
    with pytest.raises(Unreachable, match="cannot connect to"):
        await run(Job(options, PLAYED, always("x")))
    assert not children()


async def test_a_ramp_ends_all_where_it_breaks() -> None:
    """The server refuses from some moment on, whatever the rate is then."""
    began = time.monotonic()

    async def accept_at_first(request: Request, writer: asyncio.StreamWriter) -> None:
        late = time.monotonic() - began > 12
        writer.write(response(503 if late else 202))

    async with FakeServer(accept_at_first) as server:
        options = LoadOptions(
            url=server.url, connections=4, rate=5, duration_seconds=300, profile=Profile.RAMP
        )
        done = await run(Job(options, PLAYED, always("x")))
    assert done.report.broke is not None
    assert done.report.broke.why == "refusals"
    assert done.report.duration_seconds < 200
    assert not done.report.interrupted


def test_two_processes_load_a_gateway_and_each_event_is_stored_once(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.05")
    told = tmp_path / "report.json"
    sent = ("--url", running.url, "--requests", "60", "--events", "20", "--players", "7")
    database = str(tmp_path / "data" / "playsmart.db")
    result = CliRunner().invoke(
        commands,
        ("load", *sent, "--processes", "2", "--retries", "0.3", "--verify", database,
         "--json", str(told), "--html", str(tmp_path / "report.html")),
        env={"PLAYSMART_AUTH__SECRET": SECRET},
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    report = json.loads(told.read_text())
    assert (report["processes"], report["responses_2xx"]) == (2, 60)
    assert report["verify"]["exactly_once"]
    assert report["verify"]["retries"]["counted"] > 0
    assert "exactly once" in result.stdout
    page = (tmp_path / "report.html").read_text()
    assert "Requests a second" in page


def test_ctrl_c_ends_all_processes_and_reports(start_gateway: StartGateway, tmp_path: Path) -> None:
    """As a terminal sends it: to the whole group."""
    running = start_gateway()
    told = tmp_path / "report.json"
    command = [
        sys.executable, "-m", "playsmart_gateway", "load", "--url", running.url, "--processes", "2",
        "--duration", "600", "--json", str(told),
    ]  # fmt: skip
    environment = {**os.environ, "PLAYSMART_AUTH__SECRET": SECRET}
    process = subprocess.Popen(
        command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: running.law()["received"] > 0 or None)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    report = json.loads(told.read_text())
    assert report["interrupted"]
    assert report["responses_2xx"] > 0
    assert report["lost_processes"] == 0
