"""The queries of the cookbook mean the same in both databases: they are run in each."""

import re

import pytest

from playsmart_gateway.events.about import About, Program
from playsmart_gateway.events.batch import run_key
from playsmart_gateway.stores.open import open_store
from tests.manual.blocks import ALL
from tests.support.counted import MONDAY, batch, keeper, row
from tests.support.figures import follow_to_the_end
from tests.support.stores import select

GAME = "com.example.stackblaster"
QUERIES = [
    query.strip()
    for each in ALL
    if each.chapter == "questions" and each.language == "sql"
    for query in each.text.split(";\n")
    if query.strip()
]


def test_there_is_a_cookbook() -> None:
    assert len(QUERIES) > 12


async def test_each_query_is_understood_and_finds_what_there_is(database_url: str) -> None:
    rows = [
        row(), row("LevelCompleted", None, level=8, mode="hard", score=4800, duration_seconds=42),
        row("Custom", "boss"), row("GameEnd", None, level=8),
        row("IAPPurchase", None, price="4.99", currency="EUR", country="DE"),
    ]  # fmt: skip
    one = batch(1, "ada", MONDAY, *rows, game=GAME)
    one.run, one.seq = run_key(bytes(16), GAME, "ada"), 0
    one.about = About(client=Program(app_version="2.1.5", platform="ios"))
    async with open_store(database_url) as sink, keeper(sink) as figures:
        await sink.write([one])
        await follow_to_the_end(figures)
    for query in QUERIES:
        # Whatever time it asks for is that of this test.
        found = await select(database_url, re.sub(r"'2026-\d\d-\d\d'", "'2026-03-02'", query))
        if not re.search("v_versions|v_coins|FROM players", query):
            assert found, query


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.split("\n")[0][:60])
def test_it_reads_views_and_documented_relations_only(query: str) -> None:
    known = {"events", "players", "sold"}
    for name in re.findall(r"(?:FROM|JOIN) (\w+)", query):
        assert name in known or name.startswith("v_"), query
