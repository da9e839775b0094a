"""The data of the panel: of the running gateway, for operators alone, true when it is tried."""

import asyncio
import json
import signal
from typing import Any

import pytest

from playsmart_gateway.app import create_app
from playsmart_gateway.config import Auth, Config, Journal, Operator, Storage
from playsmart_gateway.console.promise import Terms
from playsmart_gateway.console.promise.routes import Follows, Panel
from playsmart_gateway.errors import Detail, SinkUnavailable
from playsmart_gateway.metrics import Snapshot, Stats
from tests.support.gauges import make_gauges
from tests.support.in_process import in_process
from tests.support.polling import wait_until
from tests.support.process import SECRET, RunningGateway, StartGateway
from tests.support.uploads import make_event, make_upload

TOKEN = "the token of an operator"
FOLLOWS = Follows(figures=True, catalogue=True, lake=True)


class Watched:
    """A gateway that is in a state of the test's making."""

    def __init__(self) -> None:
        self.stats = Stats()
        self.gauges = make_gauges()
        self.not_ready: list[Detail] = []
        self.looks = 0

    async def refresh(self) -> None:
        self.looks += 1

    def report(self) -> Snapshot:
        return Snapshot(self.stats, self.gauges, self.not_ready)


class Stream:
    """A sink behind which there is a backlog, or that cannot be asked, or never answers."""

    def __init__(self, backlog: int | None = 0, *, hangs: bool = False) -> None:
        self._backlog = backlog
        self._hangs = hangs

    async def backlog(self) -> int:
        if self._hangs:
            await asyncio.sleep(3_600)
        if self._backlog is None:
            raise SinkUnavailable("gone")
        return self._backlog


async def told(panel: Panel) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await panel.told())
    return found


def followers(found: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each for each in found["followers"]}


async def test_the_law_is_that_of_the_counters() -> None:
    watched = Watched()
    watched.stats.received, watched.stats.stored, watched.stats.duplicate = 110, 70, 20
    watched.stats.rejected["buried"] = 8
    watched.gauges.in_buffer = 12
    law = (await told(Panel(watched, None, Terms(), FOLLOWS)))["law"]
    assert law == {
        "received": 110, "replayed": 0, "stored": 70, "duplicate": 20, "rejected": 8, "waiting": 12,
        "missing": 0,
    }  # fmt: skip


async def test_however_many_look_it_is_worked_out_once_a_second() -> None:
    watched, now = Watched(), [10.0]
    panel = Panel(watched, None, Terms(), FOLLOWS, clock=lambda: now[0])
    assert len({*await asyncio.gather(*(panel.told() for _ in range(200)))}) == 1
    assert watched.looks == 1
    now[0] += 1
    await panel.told()
    assert watched.looks == 2


async def test_what_follows_is_told_with_how_far_it_is_behind() -> None:
    watched = Watched()
    watched.stats.audit_lag, watched.stats.lake_lag = 7, 0
    found = followers(await told(Panel(watched, None, Terms(), FOLLOWS)))
    assert list(found) == ["store", "figures", "audit", "catalogue", "lake"]
    assert (found["audit"]["behind"], found["audit"]["seconds"]) == (7, None)
    assert (found["lake"]["behind"], found["lake"]["state"]) == (0, "done")
    bare = Follows(figures=False, catalogue=False, lake=False)
    assert list(followers(await told(Panel(watched, None, Terms(), bare)))) == ["store", "audit"]


@pytest.mark.parametrize(
    ("stream", "behind"), [(Stream(41), 41), (Stream(None), None), (Stream(hangs=True), None)]
)
async def test_a_stream_that_cannot_be_asked_is_not_known_and_keeps_nobody_waiting(
    stream: Stream, behind: int | None
) -> None:
    found = followers(await told(Panel(Watched(), stream, Terms(stream=True), FOLLOWS)))
    assert found["store"]["does"] == "published to the stream"
    assert found["stream"]["behind"] == behind
    assert found["stream"]["seconds"] is None


async def test_sizes_are_of_the_files_that_there_are() -> None:
    watched = Watched()
    watched.gauges.journal_bytes, watched.gauges.store_log_bytes = 1_000, 2_000
    for terms, sizes in (
        (Terms(), (1_000, 2_000)),
        (Terms(journal=False), (None, 2_000)),
        (Terms(database="postgresql"), (1_000, None)),
    ):
        found = await told(Panel(watched, None, terms, FOLLOWS))
        assert (found["journal_bytes"], found["store_log_bytes"]) == sizes


async def test_the_store_keeps_up_while_nothing_waits_longer_than_always() -> None:
    watched, now = Watched(), [0.0]
    panel = Panel(watched, None, Terms(flush_interval=2.0), FOLLOWS, clock=lambda: now[0])
    for waiting, age, state in (
        (40_000, 1.9, "keeps_up"),
        (50_000, 3.9, "keeps_up"),
        (60_000, 30.0, "falling_behind"),
        (30_000, 30.0, "catching_up"),
        (0, 0.0, "done"),
    ):
        watched.gauges.in_buffer, watched.gauges.oldest_age = waiting, age
        now[0] += 5
        assert followers(await told(panel))["store"]["state"] == state


async def test_why_it_is_not_ready_is_told() -> None:
    watched = Watched()
    watched.not_ready = [Detail("store", "locked")]
    assert (await told(Panel(watched, None, Terms(), FOLLOWS)))["not_ready"] == ["store: locked"]


async def test_it_is_for_operators_alone() -> None:
    config = Config(
        auth=Auth(secret=SECRET),
        journal=Journal(enabled=False),
        storage=Storage(url="memory:"),
        operator=Operator(token=TOKEN),
    )
    async with in_process(create_app(config)) as client:
        for path in ("/promise/data", "/promise/promise.js", "/promise/promise.css"):
            assert (await client.get(path)).status_code == 401
            headers = {"authorization": f"Bearer {TOKEN}"}
            assert (await client.get(path, headers=headers)).status_code == 200
            other = {**headers, "sec-fetch-site": "cross-site"}
            assert (await client.get(path, headers=other)).status_code == 403
    without = Config(auth=config.auth, journal=config.journal, storage=config.storage)
    async with in_process(create_app(without)) as client:
        assert (await client.get("/promise/data")).status_code == 404


# --- true when it is tried -----------------------------------------------------------------------


def panel_of(running: RunningGateway) -> dict[str, Any]:
    answer = running.client.get("/promise/data", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def kept(running: RunningGateway, fault: str) -> str:
    (found,) = [each for each in panel_of(running)["promise"]["fates"] if each["name"] == fault]
    return str(found["kept"])


@pytest.mark.process
@pytest.mark.parametrize("journal", ["true", "false"])
def test_a_killed_process_keeps_all_where_that_is_said_and_only_there(
    start_gateway: StartGateway, journal: str
) -> None:
    settings = {
        "OPERATOR__TOKEN": TOKEN,
        "JOURNAL__ENABLED": journal,
        "BUFFER__FLUSH_INTERVAL_SECONDS": "3600",
    }
    running = start_gateway(**settings)
    said = kept(running, "killed")
    assert running.post(make_upload("ada", *[make_event()] * 5), sub="ada").status_code == 202
    law = wait_until(lambda: found if (found := panel_of(running)["law"])["received"] else None)
    assert (law["waiting"], law["received"]) == (5, 5)
    running.process.send_signal(signal.SIGKILL)
    running.process.wait()
    again = start_gateway(**settings)
    assert again.stop() == 0
    stored = again.select("SELECT count(*) FROM events")[0][0]
    assert (said == "all") is (stored == 5)


@pytest.mark.process
@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_follows_the_store_catches_up_and_that_is_told(
    start_gateway: StartGateway, workers: str
) -> None:
    running = start_gateway(
        "--workers", workers, OPERATOR__TOKEN=TOKEN, BUFFER__FLUSH_INTERVAL_SECONDS="0.1"
    )
    wait_until(lambda: running.client.get("/readyz").is_success or None)
    for _ in range(20):
        assert running.post(make_upload("ada", *[make_event()] * 50), sub="ada").is_success
    follows_a_thousand_events(running)
    found = panel_of(running)
    assert found["journal_bytes"] > 0
    assert found["store_log_bytes"] >= 0
    words = {each["name"]: each["words"] for each in found["promise"]["settings"]}
    assert words["store"] == "SQLite"
    assert words["processes"].startswith(workers)


@pytest.mark.process
def test_of_postgresql_the_same_is_told(start_gateway: StartGateway, postgres_url: str) -> None:
    running = start_gateway(
        OPERATOR__TOKEN=TOKEN, STORAGE__URL=postgres_url, BUFFER__FLUSH_INTERVAL_SECONDS="0.1"
    )
    for _ in range(20):
        assert running.post(make_upload("ada", *[make_event()] * 50), sub="ada").is_success
    follows_a_thousand_events(running)
    found = panel_of(running)
    assert found["store_log_bytes"] is None
    assert kept(running, "disk_lost") == "most"


def follows_a_thousand_events(running: RunningGateway) -> None:
    def all_done() -> dict[str, Any] | None:
        found = panel_of(running)
        assert found["law"]["missing"] == 0
        done = all(each["state"] == "done" for each in found["followers"])
        return found["law"] if done and found["law"]["stored"] == 1_000 else None

    law = wait_until(all_done)
    assert law["received"] == law["stored"] == 1_000
