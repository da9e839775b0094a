"""A process writes the lake beside a gateway: started, told of, killed, started again, ended."""

import asyncio
import gc
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from playsmart_gateway.lake import follower
from playsmart_gateway.lake.job import Job
from playsmart_gateway.lake.process import LakeProcess, Told
from playsmart_gateway.metrics import Stats
from tests.lake.stored import batch, ids_in, lake_in, store
from tests.support.polling import wait_until
from tests.support.process import RunningGateway, StartGateway
from tests.support.uploads import make_event, make_upload

pytestmark = pytest.mark.process

QUICK = {"LAKE__URL": "data/lake", "LAKE__INTERVAL_SECONDS": "0.1"}
JOB = Job("lake", "sqlite:///events.db", 0.1)


def until(holds: Callable[[], bool]) -> None:
    wait_until(lambda: True if holds() else None)


def send(running: RunningGateway, requests: int) -> None:
    for _ in range(requests):
        event = make_event("LevelCompleted", customdata={"level": 5})
        assert running.post(make_upload("ada", event), sub="ada").status_code == 202


def ids_stored(running: RunningGateway) -> list[int]:
    return [found for (found,) in running.select("SELECT event_id FROM events ORDER BY event_id")]


def lake_processes() -> set[int]:
    """The processes of this test's gateways, by the way that they were started."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"\0playsmart_gateway.lake\0" in (folder / "cmdline").read_bytes():
                found.add(int(folder.name))
        except OSError:
            continue
    return found


def maps_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/maps").read_bytes()


def processes_of(running: RunningGateway) -> list[int]:
    """The gateway, and those that it has started, and so on."""
    found = [running.process.pid]
    for pid in found:
        children = Path(f"/proc/{pid}/task/{pid}/children")
        found += map(int, children.read_text().split())
    return found


def lake_process_of(running: RunningGateway, folder: Path) -> int:
    """The one that works in the folder of a gateway."""

    def own() -> set[int]:
        here = set()
        for pid in lake_processes():
            try:
                if Path(f"/proc/{pid}/cwd").readlink() == folder:
                    here.add(pid)
            except OSError:
                continue
        return here

    until(lambda: len(own()) == 1)
    return own().pop()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_a_gateway_stores_is_soon_in_its_lake(
    workers: str, start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway(**QUICK, SERVER__WORKERS=workers, BUFFER__FLUSH_INTERVAL_SECONDS="0.05")
    send(running, 5)
    running.settle()
    until(lambda: running.metrics()["playsmart_lake_files"] >= 1)
    until(lambda: running.metrics()["playsmart_lake_lag_batches"] == 0)
    place = lake_in(tmp_path / "data")
    stored = ids_stored(running)
    assert ids_in(place) == stored
    own = [each for each in processes_of(running) if each not in lake_processes()]
    assert len(own) == (1 if workers == "1" else 3)
    assert not any(re.search(b"libarrow|duckdb", maps_of(each)) for each in own)
    pid = lake_process_of(running, tmp_path)
    assert os.getpriority(os.PRIO_PROCESS, pid) > os.getpriority(os.PRIO_PROCESS, 0)
    assert running.stop() == 0
    until(lambda: pid not in lake_processes())


def test_a_lake_that_is_killed_is_started_again_and_ingest_does_not_notice(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway(**QUICK, BUFFER__FLUSH_INTERVAL_SECONDS="0.05")
    for _ in range(2):
        pid = lake_process_of(running, tmp_path)
        os.kill(pid, signal.SIGKILL)
        send(running, 3)
        until(lambda pid=pid: pid not in lake_processes())  # type: ignore[misc]
    running.settle()
    stored = ids_stored(running)
    place = lake_in(tmp_path / "data")
    until(lambda: place.read("manifest.json") is not None and ids_in(place) == stored)
    metrics = running.metrics()
    assert metrics["playsmart_side_task_failures_total{task=lake}"] >= 2
    assert running.stop() == 0


def test_when_a_gateway_is_killed_its_lake_ends_too(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway(**QUICK)
    pid = lake_process_of(running, tmp_path)
    running.process.kill()
    until(lambda: pid not in lake_processes())


def test_without_a_lake_nothing_of_it_is_imported_and_no_process_started(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    running = start_gateway()
    send(running, 1)
    assert not re.search(b"libarrow|duckdb", maps_of(running.process.pid))
    assert processes_of(running) == [running.process.pid]
    assert running.stop() == 0


async def test_what_the_process_tells_is_noted_and_its_end_is_an_error(tmp_path: Path) -> None:
    told = [{"lag_batches": 7, "files": 3}, "nonsense", {"failed": True}]
    lines = "".join(json.dumps(each) + "\n" for each in told)
    stats = Stats()
    program = f"import sys; sys.stdin.readline(); sys.stdout.write({lines!r})"
    with pytest.raises(RuntimeError, match="ended with 0"):
        await LakeProcess(JOB, stats, [sys.executable, "-c", program]).run()
    assert (stats.lake_lag, stats.lake_files, stats.side_failures["lake"]) == (7, 3, 1)


async def test_a_process_that_does_not_end_when_it_is_told_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playsmart_gateway.lake.process.PATIENCE_SECONDS", 0.1)
    stats = Stats()
    program = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        " print('{\"files\": 1}', flush=True); time.sleep(600)"
    )
    running = asyncio.create_task(LakeProcess(JOB, stats, [sys.executable, "-c", program]).run())
    async with asyncio.timeout(60):
        while not stats.lake_files:  # noqa: ASYNC110 - there is nothing that tells
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_it_waits_for_its_store_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(follower, "TROUBLED_SECONDS", 0.01)
    url, told, stop = f"sqlite:///{tmp_path}/events.db", list[Told](), asyncio.Event()
    following = asyncio.create_task(
        follower.follow(Job(str(tmp_path / "lake"), url, 0.01), told.append, stop)
    )
    async with asyncio.timeout(60):
        while len(told) < 3:  # noqa: ASYNC110 - there is nothing that tells
            await asyncio.sleep(0.01)
        assert all(each.failed for each in told)
        await store(url, batch(1, {"a": 1}))
        while told[-1].failed or not told[-1].files:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        stop.set()
        await following
    assert told[-1] == Told(lag_batches=0, files=1)
    assert ids_in(lake_in(tmp_path)) == [256]
    (warning,) = [each for each in caplog.records if each.name.startswith("playsmart_gateway.lake")]
    assert "there is no database" in warning.getMessage()
    assert gc.isenabled()
