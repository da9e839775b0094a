"""Requests that are sent again to gateways that publish: workers store and pay each once."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from playsmart_gateway.config import Config, replaced
from playsmart_gateway.dialects.teak.section import Teak, TeakApp
from tests.stream.system import LOGGED_IN, bearer, drained, make_config, system
from tests.support.engines.nats import NatsServers
from tests.support.teak import BATCH, CREDENTIALS, EVENTS, IDENTIFY, event
from tests.support.uploads import make_event, make_upload

RUN = "0198c0de-3f00-7a61-9d2e-5b0c4f7a1e22"


def with_app(config: Config) -> Config:
    app = TeakApp(CREDENTIALS["game_id"], CREDENTIALS["secret_key"])
    return replaced(config, Teak(apps=(app,)))


def stored(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "events.db")) as db:
        return db.execute(query).fetchall()


async def test_requests_by_the_same_key_or_of_the_same_run_are_stored_and_paid_once(
    nats_server: NatsServers, tmp_path: Path
) -> None:
    config = with_app(make_config(nats_server, tmp_path))
    upload = make_upload("ada", make_event("LevelCompleted"))

    async def send(client: httpx.AsyncClient) -> list[str]:
        named = bearer("ada") | {"idempotency-key": "k"}
        answers = [
            await client.post("/ingest/events", json=upload, headers=named),
            await client.post("/event", json=LOGGED_IN, headers=named),
            *[
                await client.post(path, json={**CREDENTIALS, **fields}, headers=named)
                for path, fields in (
                    (IDENTIFY, {"user_id": "ada", "country_code": "DE"}),
                    (EVENTS, event("ada")),
                    (BATCH, {"events": [event("ada", "a"), {}]}),
                    (BATCH, {"run": RUN, "events": [event("ada", "b"), event("eve"), {}]}),
                )
            ],
        ]
        assert [answer.status_code for answer in answers] == [202, 200, 201, 200, 200, 200]
        return [answer.text for answer in answers[1:]]

    async with system(config) as (client, _):
        first = await send(client)
        assert await send(client) == first
        await drained(client, config)
    async with system(config) as (client, worker):  # which remembers nothing
        assert await send(client) == first
        await drained(client, config)
        player = (await client.get("/v1/players/ada", headers=bearer("ada"))).json()
        points = (await client.get("/user/ada/points", headers=bearer("ada"))).json()
        assert worker.stats.stored == 0
    assert (player["data"]["coins_balance"], points["points"]) == (10, 7)
    kinds = ["LevelCompleted", "login", "Played", "Installed", "spin", "a", "b"]
    assert sorted(stored(tmp_path, "SELECT type FROM events")) == sorted((kind,) for kind in kinds)
    assert stored(tmp_path, "SELECT next, missing FROM runs WHERE missing IS NOT NULL") == [
        (3, "[[1,2]]")
    ]
