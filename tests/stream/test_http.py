"""A gateway that publishes, asked over HTTP, with a worker behind it."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from playsmart_gateway.app import create_app
from playsmart_gateway.build import jetstream_for, rules_for
from playsmart_gateway.config import (
    Journal,
)
from playsmart_gateway.dialects.lynes.access import program_for
from playsmart_gateway.dialects.playsmart.accounts import DEVICE, LOGIN, REFRESH, REGISTER
from playsmart_gateway.stores.open import open_store
from tests.stream.pipeline import (
    working,
)
from tests.stream.system import LOGGED_IN, bearer, drained, make_config, system
from tests.support.engines.nats import NatsServers
from tests.support.in_process import in_process
from tests.support.polling import until
from tests.support.uploads import make_event, make_upload

CREDENTIALS = {"email": "ada@example.org", "password": "correct horse"}
ADA = {**CREDENTIALS, "deviceId": "ada"}


async def test_events_are_stored_and_paid_by_the_worker_and_read_at_the_gateway(
    nats_server: NatsServers, tmp_path: Path
) -> None:
    config = make_config(nats_server, tmp_path)
    async with system(config) as (client, worker):
        upload = make_upload("ada", *[make_event("LevelCompleted") for _ in range(5)])
        for _ in range(3):
            answer = await client.post("/ingest/events", json=upload, headers=bearer("ada"))
            assert answer.status_code == 202
        await drained(client, config)
        player = (await client.get("/v1/players/ada", headers=bearer("ada"))).json()
    assert worker.stats.stored == 15
    assert player["data"]["coins_balance"] == 150


async def test_points_are_answered_at_once_from_the_database_of_the_workers(
    nats_server: NatsServers, tmp_path: Path
) -> None:
    config = make_config(nats_server, tmp_path)
    async with system(config) as (client, worker):
        answer = await client.post("/event", json=LOGGED_IN, headers=bearer("ada"))
        assert answer.status_code == 200, answer.text
        points = await client.get("/user/ada/points", headers=bearer("ada"))
    assert points.json()["points"] == 7
    assert worker.fetched == 0


async def test_a_stream_that_cannot_be_had_is_told_of_and_events_wait_in_the_buffer(
    tmp_path: Path,
) -> None:
    pytest.importorskip("nats", reason="nats-py is not installed")
    with NatsServers() as servers:
        config = make_config(servers, tmp_path)
        async with system(config) as (client, worker):
            servers.nodes[0].kill()
            upload = make_upload("ada")
            answer = await client.post("/ingest/events", json=upload, headers=bearer("ada"))
            assert answer.status_code == 202

            async def is_told() -> bool:
                answer = await client.get("/readyz")
                return answer.status_code == 503 and "NATS" in answer.text

            await until(is_told, "/readyz tells of NATS")
            servers.nodes[0].start()
            await asyncio.to_thread(servers.wait_healthy)
            await drained(client, config)
    assert worker.stats.stored == 1


async def test_a_gateway_starts_and_publishes_while_the_database_is_down(
    nats_server: NatsServers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config(nats_server, tmp_path)
    with closing(sqlite3.connect(tmp_path / "events.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        async with in_process(create_app(config)) as client:
            assert "no database to read from yet: database is locked" in caplog.text
            upload = make_upload("ada", make_event("LevelCompleted"))
            answer = await client.post("/ingest/events", json=upload, headers=bearer("ada"))
            assert answer.status_code == 202
            waiting = await client.post("/event", json=LOGGED_IN, headers=bearer("ada"))
            assert waiting.status_code == 503
            assert (await client.post(DEVICE, json={})).status_code == 503
            other.execute("ROLLBACK")
            sink = open_store(str(config.storage.reads_url), rules_for(config), program_for(config))
            async with working(config.storage.url, jetstream_for(config), sink):
                await drained(client, config)
            player = (await client.get("/v1/players/ada", headers=bearer("ada"))).json()
            assert player["data"]["coins_balance"] == 10
            assert (await client.post(DEVICE, json={})).status_code == 201
            paid = await client.post("/event", json=LOGGED_IN, headers=bearer("ada"))
            assert paid.json()["data"]["pointsAwarded"] == 7


async def test_an_account_is_at_every_gateway_at_once_and_what_its_player_did_once_it_is_stored(
    nats_server: NatsServers, tmp_path: Path
) -> None:
    config = make_config(nats_server, tmp_path)
    beside = msgspec.structs.replace(config, journal=Journal(path=str(tmp_path / "beside")))
    async with system(config) as (client, worker), in_process(create_app(beside)) as other:
        registered = await client.post(REGISTER, json=ADA)
        assert registered.status_code == 201, registered.text
        assert worker.fetched == 0
        session = (await other.post(LOGIN, json=CREDENTIALS)).json()["data"]
        headers = {"authorization": f"Bearer {session['access_token']}"}
        upload = make_upload("ada", make_event("GameEnd"), make_event("LevelCompleted"))
        assert (await other.post("/ingest/events", json=upload, headers=headers)).status_code == 202
        stranger = make_upload("eve")
        await client.post("/ingest/events", json=stranger, headers=bearer("eve"))
        for each in (client, other):
            await drained(each, config)
        taken = await other.post(REGISTER, json={**ADA, "email": "e@x.org", "deviceId": "eve"})
        assert (taken.status_code, taken.json()["error"]["code"]) == (409, "CONFLICT")
        again = await client.post(REFRESH, json={"refresh_token": session["refresh_token"]})
        assert again.json()["data"]["user"]["total_games_completed"] == 1
        player = (await client.get("/v1/players/ada", headers=headers)).json()["data"]
    assert player["coins_balance"] == 10
    assert worker.stats.stored == 3
