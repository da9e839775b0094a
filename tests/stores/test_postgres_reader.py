"""Reading PostgreSQL in trouble: told, bounded, and over when the trouble is."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import pytest

from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.stores.contract import Rollups
from playsmart_gateway.stores.models import StoreHealth
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stores.postgres.connection import (
    Connection,
    as_it_is,
)
from playsmart_gateway.stores.postgres.dashboard import PostgresRollups
from playsmart_gateway.stores.postgres.schema import MIGRATIONS
from playsmart_gateway.stores.readers import Reader
from playsmart_gateway.stores.rollups import (
    RolledUp,
)
from tests.support.coin_batches import EVENTS, RULES, batch, complaints
from tests.support.engines.postgres import END_SESSIONS, PostgresServer, connected, execute, fetch
from tests.support.polling import until

READS: dict[str, Callable[[Reader], Awaitable[object]]] = {
    "player": lambda reader: reader.player("ada"),
    "coin_transactions": lambda reader: reader.coin_transactions("ada", limit=5),
    "causes": lambda reader: reader.causes([256]),
    "outcomes": lambda reader: reader.outcomes([("22" * 16, 1)]),
    "stored_batch": lambda reader: reader.stored_batch("22" * 16, 1),
    "audit": lambda reader: reader.audit(10),
    "countries": lambda reader: reader.countries("app", ["ada"]),
    "app_player": lambda reader: reader.app_player("app", "ada"),
    "action_statistics": lambda reader: reader.action_statistics("app"),
    "newest_event_id": lambda reader: reader.newest_event_id(),
    "events": lambda reader: reader.events(upto=10**9, limit=5),
    "count_events": lambda reader: reader.count_events(upto=10**9, limit=5),
    "examine": lambda reader: reader.examine(),
    "points": lambda reader: reader.points.points("p", "ada"),
    "streaks": lambda reader: reader.points.streaks("p", "ada"),
    "event_stats": lambda reader: reader.points.event_stats(
        "p", "login", first=date.min, last=date.max, group=None
    ),
}


async def test_whatever_was_read_when_the_connection_broke_is_read_the_next_time(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    async with open_store(postgres_url, RULES) as sink, sink.reader() as reader:
        await sink.write([batch(1, EVENTS["level"])])
        before = {name: await read(reader) for name, read in READS.items() if name != "audit"}
        await asyncio.to_thread(postgres_server.stop)
        try:
            for name, read in READS.items():
                with pytest.raises(SinkUnavailable) as caught:
                    await read(reader)
                assert caught.value.hint, name
        finally:
            await asyncio.to_thread(postgres_server.start)
        after = {name: await read(reader) for name, read in READS.items() if name != "audit"}
        assert after == before


async def test_an_audit_begins_anew_on_a_new_connection(postgres_url: str) -> None:
    async with open_store(postgres_url, RULES) as sink, sink.reader() as reader:
        customs = [EVENTS["custom"]] * 3
        await sink.write([batch(n, *customs, game="counts") for n in range(1, 9)])
        steps = [await reader.audit(3) for _ in range(2)]
        assert [step.start for step in steps] == [0, steps[0].position]
        await execute(postgres_url, END_SESSIONS)
        with contextlib.suppress(SinkUnavailable):  # unless the end was noticed before
            await reader.newest_event_id()
        assert (await reader.audit(3)).start == 0
        assert await complaints(reader) == []


async def test_a_lock_holds_a_reader_up_for_a_bounded_time(postgres_url: str) -> None:
    async with (
        open_store(postgres_url) as sink,
        open_store(f"{postgres_url}?lock_timeout=50").reader() as reader,
        connected(postgres_url) as other,
    ):
        await sink.write([batch(1, EVENTS["open"])])
        async with other.transaction():
            await other.execute("LOCK TABLE event_rows")
            with pytest.raises(SinkUnavailable, match="lock timeout"):
                await reader.newest_event_id()
        assert await reader.newest_event_id() == 256


async def test_figures_go_on_where_they_were(postgres_url: str) -> None:
    async with open_store(postgres_url) as sink:
        figures: Rollups | None = sink.rollups()
        assert figures is not None
        async with figures:
            await sink.write([batch(n, EVENTS["open"]) for n in range(1, 5)])
            assert await figures.roll_up(2) == RolledUp(2, 4)
            await execute(postgres_url, END_SESSIONS)
            with contextlib.suppress(SinkUnavailable):
                assert await figures.roll_up(2) == RolledUp(4, 4)
            assert (await figures.read(None, 3_600, 1e9)).followed.end == 4
            with contextlib.suppress(SinkUnavailable):  # the connection that adds is another one
                await figures.roll_up(2)
            assert await figures.roll_up(2) == RolledUp(4, 4)


async def test_one_gateway_follows_and_another_goes_on_when_it_has_gone(
    postgres_url: str,
) -> None:
    async with open_store(postgres_url) as sink, open_store(postgres_url) as another:
        first, second = sink.rollups(), another.rollups()
        assert first is not None
        assert second is not None
        await sink.write([batch(n, EVENTS["open"]) for n in range(1, 7)])
        async with second:
            async with first:
                assert await first.roll_up(2) == RolledUp(2, 6)
                assert await second.roll_up(2) is None
                assert (await second.read(None, 3_600, 1e9)).followed == RolledUp(2, 6)
                assert await first.roll_up(2) == RolledUp(4, 6)
            assert await second.roll_up(2) == RolledUp(6, 6)
            async with first:
                assert await first.roll_up(2) is None
    counted = "SELECT sum(events) FROM rollup_counts GROUP BY span"
    assert set(await fetch(postgres_url, counted)) == {(6,)}


async def test_a_gateway_that_falls_silent_loses_the_lead(postgres_url: str) -> None:
    async with open_store(postgres_url) as sink:
        other = sink.rollups()
        assert other is not None
        unused = Connection(postgres_url, as_it_is)

        async def other_follows() -> bool:
            return await other.roll_up(2) is not None

        async with PostgresRollups(postgres_url, unused, silent_seconds=3.0) as silent, other:
            assert await silent.roll_up(2) == RolledUp(0, 0)
            assert await other.roll_up(2) is None
            await until(other_follows, "the server ends the session")
            with contextlib.suppress(SinkUnavailable):  # unless the end was noticed before
                assert await silent.roll_up(2) is None
            assert await silent.roll_up(2) is None


@pytest.mark.parametrize(
    ("score", "kept"),
    [(12, 12), (12.0, 12), (12.5, 12.5), (-3, -3), (2**70, float(2**70)), (1e300, 1e300)],
)
async def test_a_score_is_a_number_of_json(postgres_url: str, score: Any, kept: float) -> None:
    end = ["GameEnd", None, "2026-04-22T14:30:00Z", {"score": score}]
    async with open_store(postgres_url) as sink, sink.reader() as reader:
        await sink.write([batch(1, end)])
        player = await reader.player("ada")
    assert player is not None
    assert (player.best_score, type(player.best_score)) == (kept, type(kept))


# --- health --------------------------------------------------------------------------------------


async def test_the_health_of_a_store_is_told_from_its_tables(postgres_url: str) -> None:
    async with open_store(postgres_url).reader() as reader:
        assert await reader.examine() == StoreHealth(0, len(MIGRATIONS))
        async with open_store(postgres_url) as sink:
            assert await reader.examine() == StoreHealth(len(MIGRATIONS), len(MIGRATIONS))
            await sink.write([batch(1, EVENTS["open"])])
        assert await reader.examine() == StoreHealth(len(MIGRATIONS), len(MIGRATIONS))
        await execute(postgres_url, "UPDATE schema_version SET version = 7")
        assert (await reader.examine()).schema_version == 7


async def test_a_table_that_cannot_be_read_is_a_problem_and_the_others_are_looked_at(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    async with open_store(postgres_url) as sink:
        await sink.write([batch(1, EVENTS["open"])])
    async with connected(postgres_url) as db:
        await db.execute("CHECKPOINT")
        paths = [
            await db.fetchval(f"SELECT pg_relation_filepath('{table}')")
            for table in ("event_rows", "players")
        ]
    await asyncio.to_thread(postgres_server.stop)
    for path in paths:
        postgres_server.overwrite(path, b"\xff" * 64)
    await asyncio.to_thread(postgres_server.start)
    async with open_store(postgres_url).reader() as reader:
        health = await reader.examine()
    assert [problem.partition(":")[0] for problem in health.problems] == ["event_rows", "players"]
    assert all("invalid page" in problem for problem in health.problems)
