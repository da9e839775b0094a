"""The dashboard of players for Grafana, and the queries of the manual, asked of PostgreSQL."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from playsmart_gateway.deploy import read_file
from playsmart_gateway.events.about import About, Program
from playsmart_gateway.events.batch import run_key
from playsmart_gateway.stores.open import open_store
from tests.manual.blocks import blocks
from tests.support.counted import batch, keeper, row
from tests.support.figures import follow_to_the_end
from tests.support.stores import execute, select

GRAFANA = json.loads(read_file("grafana-players"))
APRIL = datetime(2026, 4, 14, tzinfo=UTC)
GAME = "com.example.stackblaster"
AN_HOUR_AGO = "UPDATE runs SET seen_at = seen_at - 3600000001"
RANGE = {"$__timeFrom()": "'2026-04-01T00:00:00Z'", "$__timeTo()": "'2026-04-30T00:00:00Z'"}
QUERIES = {panel["title"]: panel["targets"][0]["rawSql"] for panel in GRAFANA["panels"]}
QUERIES["games"] = GRAFANA["templating"]["list"][1]["query"]


def in_grafana(sql: str, game: str) -> str:
    """A query as Grafana sends it."""
    quoted = "'" + game.replace("'", "''") + "'"
    for macro, value in {**RANGE, "${game:sqlstring}": quoted}.items():
        sql = sql.replace(macro, value)
    assert "$" not in sql
    return sql


async def fill(url: str) -> None:
    """Two players, of whom one paid, and one of whose events never came."""
    played = [
        row(),
        row("AdImpression"),
        row("LevelCompleted", None, level=8, duration_seconds=30, score=700),
        row("GameEnd", None, level=8),
        row("Custom", "boss_defeated"),
    ]
    sold = row("IAPPurchase", None, price=4.99, currency="EUR", country="DE")
    about = About(client=Program(app_version="2.1.5", platform="ios"))
    numbered = batch(3, "eve", APRIL, *played, game=GAME)
    numbered.run, numbered.seq, numbered.about = run_key(bytes(16), GAME, "eve"), 1, about
    async with open_store(url) as sink, keeper(sink) as figures:
        await sink.write([batch(1, "ada", APRIL, *played, sold, game=GAME), numbered])
        await sink.write([batch(2, "ada", APRIL, row(), game="it's another")])
        await sink.adjust("ada", 5, "a gift")
        await follow_to_the_end(figures)
    await execute(url, AN_HOUR_AGO)


async def ask(url: str, title: str, game: str = GAME) -> list[tuple[Any, ...]]:
    return [tuple(each) for each in await select(url, in_grafana(QUERIES[title], game))]


async def test_each_panel_of_grafana_shows_the_numbers_of_its_game(postgres_store_url: str) -> None:
    await fill(postgres_store_url)
    day = datetime(2026, 4, 14)
    found = {title: await ask(postgres_store_url, title) for title in QUERIES}
    assert sorted(found["games"]) == [("all games",), (GAME,), ("it's another",)]
    assert found["Counted up to"] == [("2026-04-14T00:00:00.000000Z", 0)]
    assert found["Players, that day"] == [(day, 2, 0)]
    assert found["Sessions, events, ads a player"] == [(day, 1, 1)]
    assert found["Day, week and month"] == [(day, 2, 2, 2)]
    assert found["Retention"] == [(day, 0, 0, 0)]
    assert found["Revenue"] == [(day, "EUR", 4.99)]
    assert found["Revenue by country"] == [("DE", "EUR", 1, 4.99)]
    assert found["Levels"] == [("8", 2, 4, 50, 30.0)]
    assert [each[:4] for each in found["What never arrived"]] == [("2.1.5", "ios", 6, 1)]
    assert found["Coins earned"] == [(day, 0)]


async def test_all_games_are_all_and_a_quote_in_a_name_is_no_sql(postgres_store_url: str) -> None:
    await fill(postgres_store_url)
    ((_, new, back),) = await ask(postgres_store_url, "Players, that day", "all games")
    assert (new, back) == (2, 0)
    ((_, new, back),) = await ask(postgres_store_url, "Players, that day", "it's another")
    assert (new, back) == (1, 0)
    assert await ask(postgres_store_url, "Revenue by country", "all games")
    assert not await ask(postgres_store_url, "Revenue by country", "it's another")


@pytest.mark.parametrize("each", [b for b in blocks("sql") if b.chapter == "questions"], ids=str)
async def test_the_queries_of_the_manual_are_answered_by_postgresql_too(
    postgres_store_url: str, each: Any
) -> None:
    await fill(postgres_store_url)
    asked = [query for query in each.text.split(";\n") if query.strip()]
    for query in asked:
        assert await select(postgres_store_url, query), query
    assert asked
