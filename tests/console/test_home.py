"""``/``: what a stranger, an operator and a program get."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.requests import Request

from playsmart_gateway.app import create_app
from playsmart_gateway.cli.common import with_examples
from playsmart_gateway.config import Auth, Config, Journal, Operator
from playsmart_gateway.console.home.routes import Panel, page
from playsmart_gateway.console.shell import shell_for
from playsmart_gateway.stores.memory.store import MemorySink
from tests.support.in_process import in_process
from tests.support.process import SECRET, StartGateway
from tests.support.uploads import make_event, make_upload

TOKEN = "a token of operators"
ME = ("me", TOKEN)
HTML = {"accept": "text/html"}


@asynccontextmanager
async def client(
    token: str | None = TOKEN, *, development: bool = False
) -> AsyncIterator[httpx.AsyncClient]:
    config = Config(
        journal=Journal(enabled=False), auth=Auth(secret=SECRET), operator=Operator(token=token)
    )
    mint = (lambda _="": "a token") if development else None
    app = create_app(
        with_examples(config), sink=MemorySink(), development=development, development_token=mint
    )
    async with in_process(app) as http:
        yield http


async def test_a_stranger_gets_no_figure_and_is_not_asked_for_a_password() -> None:
    async with client() as http:
        home = await http.get("/", headers=HTML)
        refused = await http.get("/home/data")
        asked = await http.get("/home/sign-in")
    assert home.status_code == 200
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "UNAUTHORIZED")
    assert "www-authenticate" not in refused.headers
    assert asked.headers["www-authenticate"].startswith("Basic ")
    assert refused.headers["cache-control"] == "no-store"


async def test_where_nobody_is_an_operator_there_are_no_figures_for_anybody() -> None:
    async with client(None) as http:
        for path in ("/home/data", "/home/sign-in"):
            assert (await http.get(path, auth=("me", ""))).status_code == 404


async def test_who_signs_in_is_led_back_and_sees_figures() -> None:
    async with client() as http:
        led = await http.get("/home/sign-in", auth=ME)
        assert (led.status_code, led.headers["location"]) == (303, "../")
        told = (await http.get("/home/data", auth=ME)).json()
    assert told["received"] == told["requests"] == 0
    assert (told["workers"], told["workers_up"], told["refused"]) == (1, 1, {})
    assert told["uptime_seconds"] >= 0
    assert "token" not in told


async def test_a_page_of_a_stranger_gets_neither_figures_nor_a_token() -> None:
    async with client(None, development=True) as http:
        assert (await http.get("/home/data")).json()["token"] == "a token"
        for headers in (
            {"host": "example.com"},
            {"origin": "https://example.com"},
            {"sec-fetch-site": "cross-site"},
        ):
            assert (await http.get("/home/data", headers=headers)).status_code == 403


async def test_a_program_gets_json_and_a_cache_tells_the_two_apart() -> None:
    async with client() as http:
        told = await http.get("/")
        shown = await http.get("/", headers=HTML)
        again = await http.get("/", headers=HTML | {"if-none-match": shown.headers["etag"]})
    assert list(told.json()) == ["name", "version", "links"]
    assert shown.headers["vary"] == "accept"
    assert again.status_code == 304


def test_what_is_taken_and_refused_is_counted_and_so_is_what_never_came_to_an_endpoint(
    start_gateway: StartGateway,
) -> None:
    running = start_gateway(OPERATOR__TOKEN=TOKEN)
    running.post(make_upload("ada", make_event(), make_event()), sub="ada")
    running.post(make_upload("ada", make_event("Teleport")), sub="ada")
    running.post(make_upload("ada"))
    running.client.get("/nowhere")
    told: dict[str, Any] = running.client.get("/home/data", auth=ME).json()
    assert (told["requests"], told["received"]) == (3, 2)
    refused = {"malformed": 1, "unauthenticated:missing": 1, "not_found:path": 1}
    assert told["refused"] == refused
    assert told["version"]


async def test_another_part_of_the_house_adds_a_panel_whose_files_wait_for_an_operator() -> None:
    panel = Panel("promise", script="/promise/promise.js", style="/promise/promise.css")
    answer = page(shell_for(operators=True, demo=False), {"/x": "a <b>"}, [panel])
    request = Request({"type": "http", "headers": []})
    html = bytes((await answer(request)).body).decode()
    assert 'data-panel="promise" data-script="./promise/promise.js"' in html
    assert "promise" not in html.partition("<main")[0]
    assert "a &lt;b&gt;" in html
