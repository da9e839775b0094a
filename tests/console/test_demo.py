"""The demo's routes: in development mode alone, for this machine, of one player each."""

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from playsmart_gateway.app import create_app
from playsmart_gateway.auth.tokens import mint
from playsmart_gateway.cli.common import with_examples
from playsmart_gateway.config import Auth, Buffer, Config, Game, Journal, Storage, with_game
from playsmart_gateway.console.demo import GAME
from tests.support.in_process import in_process
from tests.support.polling import until
from tests.support.process import SECRET
from tests.support.uploads import make_event, make_upload

PLAYER = "demo-0123456789ab"
CONFIG = Config(
    auth=Auth(secret=SECRET),
    journal=Journal(enabled=False),
    buffer=Buffer(flush_interval_seconds=0.05),
    storage=Storage(url="memory:"),
)


def token_for(player: str = "of-the-examples") -> str:
    return mint(player, secret=SECRET, ttl_seconds=600, now=time.time())


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(with_examples(CONFIG), development=True, development_token=token_for)
    async with in_process(app) as client:
        yield client


async def stored(client: httpx.AsyncClient, **query: int) -> dict[str, Any]:
    answer = await client.get("/demo/stored", params={"player": PLAYER, **query})
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    return told


async def test_in_production_there_is_none() -> None:
    async with in_process(create_app(CONFIG)) as client:
        assert "/demo" not in (await client.get("/")).json()["links"]
        for path in ("/demo", "/demo/demo.js", f"/demo/token?player={PLAYER}"):
            assert (await client.get(path)).status_code == 404


async def test_it_tells_a_player_s_events_behind_an_id_and_the_coins(
    client: httpx.AsyncClient,
) -> None:
    begin = await stored(client)
    assert begin == {"position": 0, "is_all": True, "events": [], "coins": 0}
    for player, game in ((PLAYER, GAME.id), (PLAYER, "another"), ("demo-ffffffffffff", GAME.id)):
        token = (await client.get("/demo/token", params={"player": player})).json()["token"]
        events = [make_event("LevelCompleted", customdata={"n": n}) for n in range(2)]
        answer = await client.post(
            "/ingest/events",
            json=make_upload(player, *events, game_id=game),
            headers={"authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 202

    async def are_paid() -> bool:
        return bool((await stored(client, after=0))["coins"] == 20)

    await until(are_paid, "coins for two levels")
    told = await stored(client, after=0)
    assert told["events"] == [{"n": 0}, {"n": 1}]
    assert (await stored(client, after=told["position"]))["events"] == []


@pytest.mark.parametrize("query", ["", "player=ada", "player=demo-", "player=demo-0123456Z"])
async def test_it_makes_tokens_for_its_own_players_alone(
    client: httpx.AsyncClient, query: str
) -> None:
    for path in ("token", "stored"):
        assert (await client.get(f"/demo/{path}?{query}")).status_code == 400
    assert (await client.get(f"/demo/stored?player={PLAYER}&after=x")).status_code == 400


async def test_a_page_of_a_stranger_gets_nothing(client: httpx.AsyncClient) -> None:
    for headers in (
        {"host": "example.com"},
        {"origin": "https://example.com"},
        {"sec-fetch-site": "cross-site"},
    ):
        for path in ("/demo", f"/demo/token?player={PLAYER}", f"/demo/stored?player={PLAYER}"):
            assert (await client.get(path, headers=headers)).status_code == 403


async def test_all_that_the_page_loads_is_there_and_links_lead_to_it(
    client: httpx.AsyncClient,
) -> None:
    assert "/demo" in (await client.get("/")).json()["links"]
    page = (await client.get("/demo")).text
    for path in ("demo/demo.js", "demo/demo.css", "dashboard/dashboard.css"):
        assert f'"{path}"' in page
    script = (await client.get("/demo/demo.js")).text
    for name in ("game.js", "playsmart_client.js"):
        assert f'"./{name}"' in script
        assert (await client.get(f"/demo/{name}")).headers["content-type"].startswith("text/java")


def test_a_game_that_is_configured_stays_as_it_is() -> None:
    own = Game(id=GAME.id, coins_enabled=False)
    assert with_game(with_game(CONFIG, own), GAME).games == (own,)
