"""Who asks the lake finds the store's views, with the same columns and rows."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from playsmart_gateway.asking.relations import RELATIONS
from playsmart_gateway.build import properties_of
from playsmart_gateway.config import Config, Game, Properties
from playsmart_gateway.errors import QueryError
from playsmart_gateway.events.about import About, Program
from playsmart_gateway.events.batch import Batch, run_key
from playsmart_gateway.lake import views
from playsmart_gateway.lake.query import ask
from playsmart_gateway.metrics import Stats
from playsmart_gateway.stores.background import properties_task
from playsmart_gateway.stores.open import open_store
from tests.lake.stored import lake_in, write_all
from tests.support.counted import MONDAY, batch, keeper, row
from tests.support.figures import follow_to_the_end
from tests.support.stores import execute, select

VIEWS = [name for name in RELATIONS if name.startswith("v_")]


def sold(**said: object) -> list[Any]:
    return row("IAPPurchase", None, **said)


def batches() -> list[Batch]:
    """Of two games, and of several days: purchases that say all, nothing, or nonsense."""
    of_client = batch(4, "eve", MONDAY + timedelta(days=1), sold(price=1), sold(platform="  "))
    of_client.run = run_key(bytes(16), "a", "eve")
    of_client.about = About(client=Program(app_version="2.1.5", platform="ios"))
    return [
        batch(1, "ada", MONDAY, row(), sold(price=4.99, currency="EUR", country="de")),
        batch(2, "bob", MONDAY, sold(price="-4.99", currency="usd", country=" Narnia ")),
        batch(3, "ada", MONDAY, sold(price="x", currency=5, app_version="9"), row("AdImpression")),
        of_client,
        batch(5, "ada", MONDAY + timedelta(days=1), row("Custom", "Jump", level=3), row()),
        batch(6, "bob", MONDAY, sold(usd=99, price=1, geo="at"), sold(Usd=1), game="b"),
        batch(7, "bob", MONDAY, sold(price=True), sold(price=2e9), sold(), source="teak"),
        batch(8, "eve", MONDAY + timedelta(days=2), row("LevelCompleted", level=2), sold()),
        batch(9, "eve", MONDAY + timedelta(days=2), sold(price=[1], country="fr")),
    ]


@pytest.mark.parametrize("in_lake", [0, 5, 9])
async def test_every_view_of_the_store_is_there_with_the_same_columns_and_rows(
    in_lake: int, database_url: str, tmp_path: Path
) -> None:
    place, sent = lake_in(tmp_path), batches()
    games = (Game(id="b", properties=Properties(price="usd", country="geo")), Game(id="a"))
    async with open_store(database_url) as sink, keeper(sink) as figures:
        await properties_task(figures, properties_of(Config(games=games)), Stats()).once()
        async with open_store(database_url).reader() as reader:
            for some, is_written in ((sent[:in_lake], True), (sent[in_lake:], False)):
                await sink.write(some)
                if is_written and some:
                    await write_all(place, reader)
        await sink.adjust("ada", 70, "gift")
        await follow_to_the_end(figures)
    async with open_store(database_url).reader() as reader:
        for name in VIEWS:
            columns = RELATIONS[name].columns.split()
            found = (await ask(place, reader, f"SELECT * FROM {name.title()}")).table
            assert found.column_names == columns, name
            query = f"SELECT {', '.join(columns)} FROM {name}"
            stored = [tuple(map(plain, each)) for each in await select(database_url, query)]
            rows = [tuple(map(plain, each.values())) for each in found.to_pylist()]
            assert rows or name == "v_versions", name  # which has what is over by the clock
            assert sorted(rows, key=str) == sorted(stored, key=str), name


def plain(value: Any) -> Any:
    """A number as PostgreSQL, SQLite and DuckDB all have it."""
    return value if value is None or isinstance(value, str) else round(float(value), 9)


async def test_views_can_be_joined_with_events(database_url: str, tmp_path: Path) -> None:
    place = lake_in(tmp_path)
    async with open_store(database_url) as sink, keeper(sink) as figures:
        await sink.write(batches())
        await follow_to_the_end(figures)
    async with open_store(database_url).reader() as reader:
        await write_all(place, reader)
        found = await ask(
            place, reader,
            "SELECT d.day, d.players, count(*) AS events FROM events AS e JOIN v_daily AS d"
            " ON d.day = CAST(e.day AS VARCHAR) AND d.game_id = '' GROUP BY ALL ORDER BY ALL",
        )  # fmt: skip
    assert found.table.to_pylist() == [
        {"day": "2026-03-02", "players": 2, "events": 10},
        {"day": "2026-03-03", "players": 2, "events": 4},
        {"day": "2026-03-04", "players": 1, "events": 3},
    ]  # fmt: skip


async def test_what_the_store_keeps_no_more_is_still_sold_in_the_lake(
    database_url: str, tmp_path: Path
) -> None:
    place, query = lake_in(tmp_path), "SELECT count(*) AS n, sum(price) AS price FROM v_purchases"
    async with open_store(database_url) as sink:
        await sink.write(batches()[:3])
    async with open_store(database_url).reader() as reader:
        await write_all(place, reader)
        await execute(database_url, "DELETE FROM event_rows")
        found = await ask(place, reader, query)
    assert found.table.to_pylist() == [{"n": 3, "price": 0.0}]


@pytest.mark.parametrize("name", ["v_purchases", "v_revenue", "v_names", "v_daily", "v_counted"])
async def test_where_there_is_nothing_the_views_are_empty(
    name: str, database_url: str, tmp_path: Path
) -> None:
    async with open_store(database_url):
        pass
    async with open_store(database_url).reader() as reader:
        found = await ask(lake_in(tmp_path), reader, f"SELECT * FROM {name}")
    assert found.table.num_rows == (name == "v_counted")
    assert found.table.column_names == RELATIONS[name].columns.split()


async def test_a_view_that_would_take_all_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, place = f"sqlite:///{tmp_path}/events.db", lake_in(tmp_path)
    monkeypatch.setattr(views, "MAX_ROWS", 2)
    async with open_store(url) as sink:
        await sink.write(batches())
    async with open_store(url).reader() as reader:
        with pytest.raises(QueryError, match="more than 2 rows here"):
            await ask(place, reader, "SELECT count(*) FROM v_purchases")
        assert (await ask(place, reader, "SELECT count(*) FROM events")).is_whole
