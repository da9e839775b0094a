"""The page of the catalogue: who sees it, and that it says what was stored within seconds."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from playsmart_gateway.app import create_app
from playsmart_gateway.auth.tokens import open_verifier
from playsmart_gateway.catalogue.drift import SETTLED_EVENTS
from playsmart_gateway.config import Auth, Config, Journal, Operator
from playsmart_gateway.stores.memory.store import MemorySink
from tests.support.in_process import in_process
from tests.support.polling import wait_until
from tests.support.process import SECRET, RunningGateway, StartGateway
from tests.support.uploads import make_event, make_upload

TOKEN = "a token of operators"
GAME = "com.example.tower"
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
HOSTILE = "<img src=x onerror=\"document.title='hacked'\">"


@asynccontextmanager
async def client(token: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    config = Config(
        journal=Journal(enabled=False), auth=Auth(secret=SECRET), operator=Operator(token=token)
    )
    app = create_app(config, verifier=open_verifier(secret=SECRET), sink=MemorySink())
    async with in_process(app) as http:
        yield http


@pytest.mark.parametrize("file", ["", "/catalogue.css", "/catalogue.js", "/data"])
async def test_who_has_the_token_sees_it_and_nobody_else(file: str) -> None:
    async with client(TOKEN) as http:
        assert (await http.get(f"/catalogue{file}")).status_code == 401
        assert (await http.get(f"/catalogue{file}", auth=("me", TOKEN))).status_code == 200
    async with client() as http:
        assert (await http.get(f"/catalogue{file}")).status_code == 404


async def test_a_store_that_keeps_none_says_so_and_a_long_game_is_refused() -> None:
    async with client(TOKEN) as http:
        told = (await http.get("/catalogue/data", auth=("me", TOKEN))).json()
        assert told["catalogue"] is None
        assert "no catalogue is kept" in told["trouble"]
        answer = await http.get(f"/catalogue/data?game={'x' * 257}", auth=("me", TOKEN))
        assert answer.status_code == 400


def post(running: RunningGateway, player: str, *events: dict[str, Any]) -> None:
    answer = running.post(make_upload(player, *events, game_id=GAME), sub=player)
    assert answer.status_code == 202, answer.text


def data_of(running: RunningGateway) -> dict[str, Any]:
    told: dict[str, Any] = running.client.get("/catalogue/data").json()["catalogue"]
    return told


@pytest.mark.process
def test_what_is_odd_is_on_the_page_and_in_the_metrics_soon(
    start_gateway: StartGateway,
) -> None:
    running = start_gateway("--dev")
    usual = [make_event("LevelCompleted", customdata={"level": 1})] * 50
    for player in range(SETTLED_EVENTS // 50):
        post(running, f"p{player}", *usual)
    wait_until(lambda: [1 for each in data_of(running)["events"] if each["events"] == 200] or None)
    post(running, "ada", make_event("LevelCompleted", customdata={"Level": "1"}))
    post(running, "ada", make_event("Custom", customEventName="jump"))
    kinds = {"near_miss", "new_property", "new_event"}
    wait_until(lambda: kinds <= {each["kind"] for each in data_of(running)["findings"]} or None)
    metric = 'playsmart_catalogue_findings{kind="new_event"} 1.0'
    wait_until(lambda: metric in running.client.get("/metrics").text or None)
    assert "ada" not in running.client.get("/catalogue/data").text


@pytest.mark.process
def test_versions_are_those_of_the_property_that_the_game_names(
    start_gateway: StartGateway,
) -> None:
    games = f'[{{id = "{GAME}", properties = {{app_version = "build"}}}}]'
    running = start_gateway("--dev", GAMES=games)
    post(running, "ada", make_event("LevelCompleted", customdata={"build": "2.1.5"}))
    versions = wait_until(
        lambda: [v["version"] for g in data_of(running)["games"] for v in g["versions"]] or None
    )
    assert versions == ["2.1.5"]


@pytest.mark.process
def test_customdata_under_another_name_is_told_and_nothing_that_only_sounds_like_it(
    start_gateway: StartGateway,
) -> None:
    running = start_gateway("--dev")
    right = make_event("Custom", customEventName="customData", customdata={"custom_data": 1})
    post(running, "ada", right, make_event())
    assert running.client.get("/catalogue/data").json()["customdata_misspelt"] == 0
    for name in ("customData", "CustomData", "custom_data"):
        misspelt: dict[str, Any] = {name: {"level": 1}}
        post(running, "ada", make_event(**misspelt))
    assert running.client.get("/catalogue/data").json()["customdata_misspelt"] == 3
    assert "playsmart_customdata_misspelt_requests_total 3.0" in running.exposition()


@pytest.mark.process
@pytest.mark.skipif(not (BROWSER and DRIVER), reason="there is no chromium with chromedriver")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_draws_it_runs_nothing_that_players_sent_and_asks_nobody_else(
    start_gateway: StartGateway, width: int
) -> None:
    running = start_gateway("--dev")
    for user in ("ada", "bob") * 2:  # what one alone may have written is not shown
        post(
            running, user,
            make_event("LevelCompleted", customdata={HOSTILE: 1, "level": 3}),
            make_event("Custom", customEventName=HOSTILE, customdata={"app_version": HOSTILE}),
        )  # fmt: skip
    wait_until(lambda: data_of(running)["events"] or None)
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.get(f"{running.url}/catalogue")
        names = "return [...document.querySelectorAll('.event .name')].map((e) => e.textContent)"
        found = wait_until(lambda: driver.execute_script(names) or None)
        assert sorted(found) == sorted([HOSTILE, "LevelCompleted"])
        driver.execute_script("document.querySelectorAll('.event').forEach((e) => e.open = true)")
        cells = (
            "return [...document.querySelectorAll('.inside td:first-child')]"
            ".map((e) => e.textContent)"
        )
        shown = wait_until(lambda: driver.execute_script(cells) or None)
        assert {HOSTILE, "level"} <= {*shown}
        assert driver.title == "Catalogue · playsmart_gateway"
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        assert driver.get_log("browser") == []  # type: ignore[no-untyped-call]
        driver.execute_script(
            "const find = document.getElementById('find'); find.value = 'levelc';"
            "find.dispatchEvent(new Event('input'))"
        )
        assert driver.execute_script(names) == ["LevelCompleted"]
    finally:
        driver.quit()
