"""Questions of strangers to the lake: in the same bounds, and nothing else is opened."""

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from mcp.server.mcpserver.exceptions import ToolError

from playsmart_gateway.asking.process import Asker
from playsmart_gateway.asking.question import Answer, Limits
from playsmart_gateway.mcp.tools import Tools
from playsmart_gateway.stores.open import open_store
from tests.lake.stored import batch, lake_in, store, write_all

pytestmark = pytest.mark.process

LIMITS = Limits(seconds=3.0, rows=100, memory_bytes=128 * 2**20)
HASTY = msgspec.structs.replace(LIMITS, seconds=1.0)
"""For what may never end."""


@pytest.fixture(scope="module")
def asker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    """Asks a store of which one event is in the lake and one is not; so it is in the end, too."""
    folder = tmp_path_factory.mktemp("store")
    url = f"sqlite:///{folder}/events.db"
    lake = lake_in(folder)

    async def fill() -> None:
        async with open_store(url).reader() as reader:
            await store(url, batch(1, {"level": 1}))
            await write_all(lake, reader)
            await store(url, batch(2, {"level": 2}))

    asyncio.run(fill())
    asker = Asker(url, LIMITS, lake_url=lake.address("").rstrip("/"))
    yield asker
    assert ask(asker, "SELECT count(*) FROM events").rows == [[2]]


def ask(asker: Asker, sql: str) -> Answer:
    return asyncio.run(asker.ask_lake(sql))


def test_properties_are_columns_and_the_answer_says_what_was_asked(asker: Asker) -> None:
    found = ask(asker, "SELECT p_level, day FROM events ORDER BY event_id")
    assert found.rows == [[1, "2026-04-22"], [2, "2026-04-22"]]
    assert found.is_whole
    assert found.counted_up_to == "event 512 of 512"


@pytest.mark.parametrize(
    "sql",
    [
        "COPY events TO 'mine.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "ATTACH 'mine.db'",
        "PRAGMA enable_external_access = true",
        "INSTALL httpfs",
        "SELECT 1; SELECT 2",
        "SELECT count(*) FROM range(1000000000000) a, range(1000000) b",
        "SELECT repeat('x', 4000000000)",
        "SELECT list(repeat('x', 100000)) FROM range(1000000)",
        "SELECT string_agg(repeat('x', 1000), '') FROM range(1000000000)",
        "SELECT printf('%1000000000d', 1)",
        "SELECT lpad('', 2000000000, 'x')",
        "SELECT md5(repeat('x', 3000000000))",
        "SELECT range(1000000000)",
        "SELECT map(range(100000000), range(100000000))",
        "SELECT list_sort(range(200000000)::INT[])",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
        "SELECT count(*) FROM v_names a, range(1000000) b, range(1000000) c",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM read_text('/proc/self/environ')",
        "SELECT * FROM sqlite_scan('events.db', 'accounts')",
        "SELECT * FROM accounts",
        "SELECT getenv('HOME')",
        "SET memory_limit = '100GB'",
        "LOAD httpfs",
    ],
)
def test_hostile_statements_are_refused_or_bounded(asker: Asker, sql: str) -> None:
    asker.limits = HASTY
    found = ask(asker, sql)
    asker.limits = LIMITS
    assert found.problem is not None
    assert not found.rows


def test_an_assistant_is_told_of_the_lake_and_asks_it(asker: Asker) -> None:
    async def use() -> tuple[dict[str, Any], dict[str, Any]]:
        tools = Tools(asker, None)
        asked = await tools.query("SELECT sum(p_level) FROM events", source="lake")
        return await tools.schema(), asked

    schema, asked = asyncio.run(use())
    assert "p_level" in schema["lake"]["relations"]["events"]["columns"]
    assert asked["rows"] == [[3]]
    with pytest.raises(ToolError, match="keeps no catalogue"):
        asyncio.run(Tools(asker, None).catalogue())


def test_what_is_endless_has_an_end(asker: Asker) -> None:
    found = ask(asker, "SELECT range FROM range(1000000000)")
    assert (len(found.rows), found.is_whole) == (100, False)
