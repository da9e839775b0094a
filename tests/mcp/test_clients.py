"""The official client of MCP asks a real gateway's store, over standard input and over HTTP."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent

from tests.manual.blocks import block
from tests.support.commands import Command, Run, outcome
from tests.support.figures import wait_for_figures
from tests.support.hostile import SQLITE
from tests.support.polling import PATIENCE_SECONDS, eventually, wait_until
from tests.support.process import RunningGateway, StartGateway, clean_environment

pytestmark = pytest.mark.process

TOKEN = "an operator's token for tests"
GAME = "com.example.tower"
MEMORY_BYTES = 250 * 2**20
TOOLS = [
    "games", "catalogue", "daily", "levels", "retention", "losses", "schema", "query",
]  # fmt: skip
Connect = Callable[[], AbstractAsyncContextManager[Client]]


@pytest.fixture
def gateway(start_gateway: StartGateway) -> RunningGateway:
    """A gateway to which two players have sent something, which is stored, counted and learned."""
    running = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.05")
    for player in ("ada", "bob"):
        events = [
            {
                "type": kind,
                "timestamp": "2026-04-22T12:00:00Z",
                **({"customdata": {"level": 8, "duration_seconds": 5}} if "Level" in kind else {}),
            }
            for kind in ("AppOpen", "LevelCompleted")
        ]
        body = {"user_id": player, "game_id": GAME, "events": events}
        assert running.post(body, sub=player).status_code == 202
    running.settle()
    wait_for_figures(running)
    learned = "SELECT position < (SELECT max(batch_id) FROM batches) FROM catalogue_state"
    wait_until(lambda: True if running.select(learned)[0][0] == 0 else None)
    return running


def url_of(gateway: RunningGateway) -> str:
    return f"sqlite:///{gateway.folder}/data/playsmart.db"


@asynccontextmanager
async def over_stdio(gateway: RunningGateway, *arguments: str) -> AsyncIterator[Client]:
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "playsmart_gateway", "mcp", *arguments],
        env=clean_environment(PLAYSMART_STORAGE__URL=url_of(gateway)),
    )
    async with Client(server) as client:
        yield client


@asynccontextmanager
async def over_http(address: str, token: str = TOKEN) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=60) as http,
        Client(streamable_http_client(address, http_client=http)) as client,
    ):
        yield client


def listening(run: Run, gateway: RunningGateway) -> tuple[Command, str]:
    """The tools over HTTP, and where."""
    command = run("mcp", "--http", "0", STORAGE__URL=url_of(gateway), OPERATOR__TOKEN=TOKEN)

    def address() -> str | None:
        assert command.process.poll() is None, command.output
        found = re.search(r"http://127\.0\.0\.1:\d+/mcp", command.output)
        return found[0] if found else None

    return command, wait_until(address)


async def ask(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    """What a tool answers: once as structure, and as text of the same meaning."""
    result = await client.call_tool(tool, arguments)
    (content,) = result.content
    assert isinstance(content, TextContent)
    assert not result.is_error, content.text
    assert result.structured_content == json.loads(content.text)
    return result.structured_content or {}


async def refusal(client: Client, tool: str, **arguments: object) -> str:
    result = await client.call_tool(tool, arguments)
    (content,) = result.content
    assert isinstance(content, TextContent)
    assert result.is_error, content.text
    return content.text


async def use_every_tool(client: Client) -> None:
    listed = await client.list_tools()
    assert [each.name for each in listed.tools] == TOOLS
    assert all(each.annotations and each.annotations.read_only_hint for each in listed.tools)
    assert all(each.description for each in listed.tools)
    assert (await ask(client, "games"))["rows"][0][0::3] == [GAME, 4]
    catalogue = await ask(client, "catalogue")
    assert {each["label"] for each in catalogue["events"]} == {"AppOpen", "LevelCompleted"}
    told = await ask(client, "catalogue", game=GAME, event="LevelCompleted")
    (event,) = told["events"]
    assert {each["name"] for each in event["properties"]} == {"level", "duration_seconds"}
    assert "no such event" in await refusal(client, "catalogue", game=GAME, event="Jump")
    daily = await ask(client, "daily", game=GAME)
    (day,) = daily["rows"]
    numbers = dict(zip(daily["columns"], day, strict=True))
    assert (numbers["players"], numbers["sessions"], numbers["events"]) == (2, 2, 4)
    assert (await ask(client, "daily"))["rows"] == daily["rows"]
    assert (await ask(client, "daily", until="2020-01-01"))["rows"] == []
    levels = await ask(client, "levels", game=GAME)
    assert levels["rows"][0][:5] == ["8", 2, 2, 0, 0]
    assert levels["counted_up_to"]
    assert [each[1] for each in (await ask(client, "retention"))["rows"]] == [2]
    assert (await ask(client, "losses"))["rows"] == []
    schema = await ask(client, "schema")
    assert schema["dialect"] == "SQLite"
    assert "customdata" in schema["relations"]["events"]["columns"]
    found = await ask(client, "query", sql="SELECT user_id FROM events ORDER BY 1", max_rows=3)
    assert found["rows"] == [["ada"], ["ada"], ["bob"]]
    assert not found["is_whole"]
    assert "no lake" in await refusal(client, "query", sql="SELECT 1", source="lake")
    assert "since" in await refusal(client, "daily", since="yesterday")


def test_every_tool_answers_over_standard_input(gateway: RunningGateway) -> None:
    async def go() -> None:
        async with over_stdio(gateway) as client:
            await use_every_tool(client)

    asyncio.run(go())


def test_what_the_manual_has_for_a_client_starts_it(gateway: RunningGateway) -> None:
    """But for the places of the program and its configuration."""
    (entry,) = json.loads(block("assistants", "json"))["mcpServers"].values()
    assert entry["command"].endswith("/.venv/bin/playsmart-gateway")
    name, option, _, *others = entry["args"]
    assert (name, option) == ("mcp", "--config")
    config = gateway.folder / "gateway.toml"
    config.write_text(f'[storage]\nurl = "{url_of(gateway)}"\n')

    async def go() -> None:
        async with over_stdio(gateway, "--config", str(config), *others) as client:
            assert (await ask(client, "games"))["rows"][0][0] == GAME

    asyncio.run(go())


def test_every_tool_answers_over_http_and_the_process_ends_when_it_is_told(
    gateway: RunningGateway, run: Run
) -> None:
    command, address = listening(run, gateway)

    async def go() -> None:
        async with over_http(address) as client:
            await use_every_tool(client)

    asyncio.run(go())
    command.process.send_signal(signal.SIGTERM)
    code, output = outcome(command)
    assert (code, output) == (0, f"{address}\n")


def test_hostile_statements_leave_the_process_alive_and_small(
    gateway: RunningGateway, run: Run
) -> None:
    command, address = listening(run, gateway)
    quick = [each for each in SQLITE if "RECURSIVE" not in each.sql and "events k" not in each.sql]
    assert len(quick) >= 30

    async def go() -> None:
        async with over_http(address) as client:
            for each in quick:
                if each.told is None:
                    await ask(client, "query", sql=each.sql)
                else:
                    await refusal(client, "query", sql=each.sql)
            found = await ask(client, "query", sql="SELECT count(*) FROM events")
            assert found["rows"] == [[4]]

    asyncio.run(go())
    status = Path(f"/proc/{command.process.pid}/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert peak
    assert 1_024 * int(peak[1]) < MEMORY_BYTES
    assert "Traceback" not in command.output
    assert "DELETE" not in command.output


def test_nobody_without_the_token_gets_an_answer(gateway: RunningGateway, run: Run) -> None:
    _, address = listening(run, gateway)
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"accept": "application/json, text/event-stream"}
    with httpx.Client(timeout=PATIENCE_SECONDS, trust_env=False) as http:
        for headers, status in (
            ({}, 401),
            ({"authorization": "Bearer a wrong token for tests"}, 401),
            ({"authorization": f"Bearer {TOKEN}", "sec-fetch-site": "cross-site"}, 403),
            ({"authorization": f"Bearer {TOKEN}"}, 200),
        ):
            answer = http.post(address, json=call, headers={**accept, **headers})
            assert answer.status_code == status, answer.text
            assert ("daily" in answer.text) == (status == 200)
        known = {"authorization": f"Bearer {TOKEN}", **accept}
        assert http.get(address, headers=known).status_code == 405
        assert http.post(address, content=b"x" * 70_000, headers=known).status_code == 413
        other = address.replace("/mcp", "/other")
        assert http.post(other, json=call, headers=known).status_code == 404


def test_with_sums_only_there_is_no_tool_that_could_show_a_player(gateway: RunningGateway) -> None:
    async def go() -> None:
        async with over_stdio(gateway, "--sums-only") as client:
            listed = await client.list_tools()
            assert [each.name for each in listed.tools] == TOOLS[:-2]
            assert "Unknown tool" in await refusal(client, "query", sql="SELECT 1")

    asyncio.run(go())


def test_a_client_that_goes_leaves_no_process_behind(gateway: RunningGateway, run: Run) -> None:
    """Killed in the middle of a question, the process of the question ends by itself."""
    command, address = listening(run, gateway)
    endless = next(each.sql for each in SQLITE if "RECURSIVE" in each.sql)

    async def go() -> list[int]:
        async with over_http(address) as client:
            asking = asyncio.create_task(client.call_tool("query", {"sql": endless}))
            children = await eventually(lambda: children_of(command.process.pid) or None)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            return children

    children = asyncio.run(go())
    command.process.send_signal(signal.SIGTERM)
    assert command.process.wait(PATIENCE_SECONDS) == 0
    wait_until(lambda: None if any(map(is_running, children)) else True)


def children_of(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
