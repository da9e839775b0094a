"""``Store.erase``: nothing of the player is left, and everything of the others is."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from playsmart_gateway.event import Batch
from playsmart_gateway.sessions import Session, session_batch
from playsmart_gateway.sinks import AppPlayer, Store, Written, open_sink
from playsmart_gateway.sinks.sql_erasure import PERSONAL_ROWS
from tests.sinks.conftest import execute, select
from tests.sinks.test_coins import EVENTS, RULES, balance, batch, complaints, ledger

ADA = "ada-lovelace"
COUNTED = [EVENTS["custom"]] * 3


def session(user: str, sequence: int) -> Batch:
    started = session_batch(
        Session("spin", user, "GB", "UTC", f"{user}@example.org", installs=True),
        f"session-{sequence}",
        datetime(2026, 4, 22, tzinfo=UTC),
    )
    started.journal, started.sequence, started.received_at = "44" * 16, sequence, 10**15
    return started


def mixed(sequence: int) -> Batch:
    rows: list[list[Any]] = [
        ["spin", None, "2026-04-22T14:30:00Z", {}, None, user] for user in (ADA, "eve", ADA)
    ]
    return batch(sequence, *rows, user="", game="spin", source="teak")


def history() -> list[Batch]:
    level = EVENTS["level"]
    return [
        batch(1, level, EVENTS["open"], user=ADA),
        batch(2, level, user="eve"),
        batch(3, *COUNTED, user=ADA, game="counts"),
        batch(4, *COUNTED, user="eve", game="counts"),
        mixed(5),
        session(ADA, 6),
        session("eve", 7),
    ]


async def fill(store: Store) -> None:
    await store.write(history())
    await store.adjust(ADA, 5, "sorry")
    await store.adjust("eve", 5, "sorry")
    for user in (ADA, "eve"):
        await store.set_properties("spin", user, {"level": Decimal(3)})
    await store.exclude("spin", ADA, None)
    own = batch(8, EVENTS["open"], user=ADA)
    await store.bury(own, "poison")
    await store.bury(mixed(9), "poison")
    unreadable = mixed(10)
    unreadable.rows = b"[[" + ADA.encode()
    await store.bury(unreadable, "poison")


async def test_a_player_who_is_not_there_is_erased_with_nothing(url: str) -> None:
    async with open_sink(url, RULES) as store:
        await fill(store)
        assert not any((await store.erase("nobody")).values())


async def test_the_player_is_gone_and_the_others_are_as_they_were(url: str) -> None:
    async with open_sink(url, RULES) as store, store.reader() as reader:
        await fill(store)
        before = (await reader.events(upto=10**9, limit=100)).events
        eve, entries = await reader.player("eve"), await ledger(reader, "eve")
        assert await complaints(reader) == []
        counted = await store.erase(ADA, dry_run=True)
        assert (await reader.events(upto=10**9, limit=100)).events == before
        assert await store.erase(ADA) == counted
        assert counted["event_rows"] == 9
        after = (await reader.events(upto=10**9, limit=100)).events
        assert after == [event for event in before if event.user_id == "eve"]
        assert await reader.player(ADA) is None
        assert await ledger(reader, ADA) == []
        assert await reader.app_player("spin", ADA) == AppPlayer()
        assert await reader.countries("spin", [ADA, "eve"]) == {"eve": "GB"}
        assert (await reader.player("eve"), await ledger(reader, "eve")) == (eve, entries)
        async with store.reader() as auditor:
            assert await complaints(auditor) == []


async def test_a_replay_brings_nothing_back(url: str) -> None:
    async with open_sink(url, RULES) as store, store.reader() as reader:
        await fill(store)
        await store.erase(ADA)
        left = (await reader.events(upto=10**9, limit=100)).events
        assert (await store.write(history())).stored == 0
        assert (await reader.events(upto=10**9, limit=100)).events == left


async def test_who_comes_back_begins_anew(url: str) -> None:
    async with open_sink(url, RULES) as store, store.reader() as reader:
        await fill(store)
        await store.erase(ADA)
        again = batch(20, EVENTS["level"], user=ADA)
        counted = batch(21, *COUNTED, user=ADA, game="counts")
        eves_fourth = batch(22, EVENTS["custom"], user="eve", game="counts")
        assert await store.write([again, counted, eves_fourth, session(ADA, 23)]) == Written(7, 0)
        assert await balance(reader, ADA) == 10
        assert (await ledger(reader, "eve"))[-1].trigger == "event_trigger"
        assert await complaints(reader) == []


async def test_no_table_names_the_player(database_url: str) -> None:
    async with open_sink(database_url, RULES) as store:
        await fill(store)
        erased = await store.erase(ADA)
        assert erased["dead_letters"] == 3
        for table, columns in (await tables(database_url)).items():
            if columns & {"user_id", "player_id", "user_number"}:
                assert table in {*PERSONAL_ROWS, "batches", "dead_letters"}, "erase forgets it"
            assert ADA not in repr(await select(database_url, f"SELECT * FROM {table}"))
        letters = await select(database_url, "SELECT rows, event_count FROM dead_letters")
        assert [([row[5] for row in json.loads(rows)], n) for rows, n in letters] == [(["eve"], 1)]
        wrong = (
            "SELECT count(*) FROM batches WHERE event_count <>"
            " (SELECT count(*) FROM event_rows WHERE event_id / 256 = batch_id)"
        )
        assert await select(database_url, wrong) == [(0,)]
        with pytest.raises(Exception, match="append-only"):
            await execute(database_url, "DELETE FROM coin_entries")


async def test_no_page_of_a_file_names_the_player(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with open_sink(f"sqlite:///{path}", RULES) as store:
        await fill(store)
        await store.erase(ADA)
    assert ADA.encode() not in path.read_bytes()
    assert not path.with_name("events.db-wal").exists()


async def tables(url: str) -> dict[str, set[str]]:
    """The columns of each table."""
    if url.startswith("sqlite"):
        query = (
            "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c"
            " WHERE m.type = 'table'"
        )
    else:
        query = (
            "SELECT table_name, column_name FROM information_schema.columns"
            " JOIN information_schema.tables USING (table_schema, table_name)"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        )
    found: dict[str, set[str]] = {}
    for table, column in await select(url, query):
        found.setdefault(table, set()).add(column)
    return found
