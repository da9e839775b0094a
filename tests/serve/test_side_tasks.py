"""What goes on beside ingest may fail, and takes nothing down with it."""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Self

import pytest

from playsmart_gateway.app import create_app
from playsmart_gateway.auth.tokens import mint
from playsmart_gateway.config import Auth, Config, Journal
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.metrics import Stats
from playsmart_gateway.stores.background import rollup_task
from playsmart_gateway.stores.contract import Rollups
from playsmart_gateway.stores.losses import Loss
from playsmart_gateway.stores.memory.store import MemorySink
from playsmart_gateway.stores.models import Audited
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stores.rollups import (
    Figures,
    Property,
    RolledUp,
)
from tests.support.doubles import make_batch
from tests.support.in_process import in_process
from tests.support.metrics import parse_metrics
from tests.support.polling import eventually, wait_until
from tests.support.process import SECRET, StartGateway
from tests.support.stores import execute, select
from tests.support.uploads import make_event, make_upload


class BrokenFigures:
    """Figures with a bug in each method."""

    busy_seconds = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def roll_up(self, max_events: int) -> RolledUp | None:
        raise ZeroDivisionError

    async def skip(self) -> RolledUp:
        raise ZeroDivisionError

    async def keep_losses(self, losses: Sequence[Loss]) -> None:
        raise ZeroDivisionError

    async def name_properties(self, properties: Sequence[Property]) -> None:
        raise ZeroDivisionError

    async def read(self, game_id: str | None, seconds: int, now: float) -> Figures:
        raise ZeroDivisionError


class BrokenBeside(MemorySink):
    """A store in which all is well but what nobody waits for."""

    def rollups(self) -> Rollups:  # type: ignore[override]
        return BrokenFigures()

    async def audit(self, max_events: int) -> Audited:
        raise KeyError("audit")


async def test_a_bug_beside_ingest_is_logged_and_counted_and_events_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = Config(auth=Auth(secret=SECRET), journal=Journal(enabled=False))
    sink = BrokenBeside()
    app = create_app(config, sink=sink)
    gateway = app.state.gateway

    def explode(_: object) -> None:
        raise IndexError

    gateway.inspector.left_the_buffer = explode
    gateway.known_players.left_the_buffer = explode
    async with in_process(app) as client:
        await eventually(lambda: len(gateway.stats.side_failures) >= 2 or None)
        token = mint("ada", secret=SECRET, ttl_seconds=60, now=time.time())
        answer = await client.post(
            "/ingest/events",
            json=make_upload("ada", make_event()),
            headers={"authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 202
        await gateway.flusher.flush()
        assert (await client.get("/readyz")).status_code == 200
        metrics = parse_metrics((await client.get("/metrics")).text)
    for task in ("audit", "figures", "inspector", "known_players"):
        assert metrics[f"playsmart_side_task_failures_total{{task={task}}}"] >= 1
        assert f"{task} failed" in caplog.text
    assert not gateway.failed
    assert len(sink.batches) == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_mark_that_is_gone_stops_the_figures_and_nothing_else(
    start_gateway: StartGateway, tmp_path: Path, workers: str
) -> None:
    first = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.02")
    first.post(make_upload("ada"), sub="ada")
    first.settle()
    assert first.stop() == 0
    with closing(sqlite3.connect(tmp_path / "data/playsmart.db")) as database:
        database.execute("DELETE FROM rollup_state")
        database.commit()
    running = start_gateway(
        "--workers", workers,
        BUFFER__FLUSH_INTERVAL_SECONDS="0.02", OPERATOR__TOKEN="a token of operators, long enough",
    )  # fmt: skip
    wait_until(lambda: running.client.get("/readyz").status_code == 200 or None)
    assert running.post(make_upload("ada"), sub="ada").status_code == 202
    running.settle()
    failures = "playsmart_side_task_failures_total{task=figures}"
    wait_until(lambda: running.metrics().get(failures) or None)
    running.told("rollup_state has 0 rows")
    operator = {"authorization": "Bearer a token of operators, long enough"}
    shown = running.client.get("/dashboard/data", headers=operator)
    assert shown.status_code == 200
    assert "rollup_state" in shown.json()["trouble"]
    assert running.client.get("/readyz").status_code == 200
    assert running.stop() == 0
    assert running.select("SELECT count(*) FROM events")[0][0] == 2
    assert "Traceback" not in running.log


async def follow_all(keeper: Rollups, stats: Stats) -> None:
    steps = rollup_task(keeper, 1.0, stats)
    for _ in range(60):
        await steps.once()
        if not stats.figures_lag and not steps._failing:
            return
        if steps._failing:
            return


def batches(count: int) -> Sequence[Batch]:
    made = [make_batch(number, 2, f"player-{number}") for number in range(1, count + 1)]
    for batch in made:
        batch.rows = batch.rows.replace(b'"Custom","e0"', b'"LevelCompleted",null')
    return made


def damage_for(url: str) -> dict[str, str]:
    if url.startswith("sqlite"):
        return {
            "customdata": "UPDATE event_rows SET customdata = '{oops' WHERE event_id / 256 = 3",
            "a time": "UPDATE batches SET received_at = 'yesterday' WHERE batch_id = 3",
        }
    long = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 400) AS n)"
    return {"a name": f"UPDATE batches SET game_id = {long} WHERE batch_id = 3"}


@pytest.mark.parametrize("kind", ["customdata", "a time", "a name"])
async def test_one_bad_row_does_not_stop_the_figures(database_url: str, kind: str) -> None:
    if kind not in damage_for(database_url):
        pytest.skip("that store takes this, or does not let it in")
    stats = Stats()
    async with open_store(database_url) as sink:
        await sink.write(batches(6))
        await execute(database_url, damage_for(database_url)[kind])
        keeper = sink.rollups()
        assert keeper is not None
        async with keeper:
            await follow_all(keeper, stats)
    assert stats.figures_skipped == 1
    assert await select(database_url, "SELECT position FROM rollup_state") == [(6,)]
    counted = "SELECT sum(events) FROM rollup_counts WHERE span = 86400"
    assert [int(row[0]) for row in await select(database_url, counted)] == [10]


async def test_sums_that_somebody_broke_leave_nothing_out(database_url: str) -> None:

    stats = Stats()
    sqlite = database_url.startswith("sqlite")
    async with open_store(database_url) as sink:
        await sink.write(batches(6))
        await execute(
            database_url,
            "CREATE TRIGGER guard BEFORE INSERT ON rollup_counts"
            " BEGIN SELECT RAISE(ABORT, 'no'); END"
            if sqlite
            else "ALTER TABLE rollup_counts ADD CONSTRAINT guard CHECK (events < 0)",
        )
        keeper = sink.rollups()
        assert keeper is not None
        async with keeper:
            await follow_all(keeper, stats)
            assert (stats.figures_skipped, stats.side_failures["figures"]) == (0, 1)
            await execute(
                database_url,
                "DROP TRIGGER guard"
                if sqlite
                else "ALTER TABLE rollup_counts DROP CONSTRAINT guard",
            )
            await follow_all(keeper, stats)
    assert stats.figures_skipped == 0
    assert await select(database_url, "SELECT position FROM rollup_state") == [(6,)]
    assert await select(database_url, "SELECT count(*) FROM rollup_players") == [(12,)]
