"""``Upkeep.erase``: nothing of the player is left, and everything of the others is."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.row import decode
from playsmart_gateway.events.sessions import (
    Session,
    session_batch,
)
from playsmart_gateway.stores.contract import Store
from playsmart_gateway.stores.models import (
    AppPlayer,
    Written,
)
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stores.sql import erasure as sql_erasure
from playsmart_gateway.stores.sql.erasure import PERSONAL_ROWS
from playsmart_gateway.stores.sqlite import erasure
from playsmart_gateway.stores.sqlite.connection import (
    Connection,
    Statements,
)
from playsmart_gateway.stores.sqlite.file import StoreFile
from tests.support.coin_batches import EVENTS, RULES, balance, batch, complaints, ledger
from tests.support.figures import count_all, following_by_hand
from tests.support.loyalty import ALWAYS, PROGRAM
from tests.support.stores import execute, select

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
    return [
        batch(1, EVENTS["level"], EVENTS["open"], user=ADA),
        batch(2, EVENTS["level"], user="eve"),
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
    async with open_store(url, RULES) as store:
        await fill(store)
        assert not any((await store.erase("nobody")).values())


async def test_the_player_is_gone_and_the_others_are_as_they_were(url: str) -> None:
    async with open_store(url, RULES) as store, store.reader() as reader:
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
    async with open_store(url, RULES) as store, store.reader() as reader:
        await fill(store)
        await store.erase(ADA)
        left = (await reader.events(upto=10**9, limit=100)).events
        assert (await store.write(history())).stored == 0
        assert (await reader.events(upto=10**9, limit=100)).events == left


async def test_who_comes_back_begins_anew(url: str) -> None:
    async with open_store(url, RULES) as store, store.reader() as reader:
        await fill(store)
        await store.erase(ADA)
        again = batch(20, EVENTS["level"], user=ADA)
        counted = batch(21, *COUNTED, user=ADA, game="counts")
        eves_fourth = batch(22, EVENTS["custom"], user="eve", game="counts")
        assert await store.write([again, counted, eves_fourth, session(ADA, 23)]) == Written(7, 0)
        assert await balance(reader, ADA) == 10
        assert (await ledger(reader, "eve"))[-1].trigger == "event_trigger"
        assert await complaints(reader) == []


BEHIND_PLAYERS = {"player_names", "player_states", "player_changes"}
"""Of SQLite, where ``players`` is a view."""


async def test_no_table_names_the_player(database_url: str) -> None:
    async with open_store(database_url, RULES) as store:
        await fill(store)
        erased = await store.erase(ADA)
        assert erased["dead_letters"] == 3
        found = await tables(database_url)
        for table, columns in found.items():
            if columns & {"user_id", "player_id", "user_number"}:
                known = {*PERSONAL_ROWS, *BEHIND_PLAYERS, "batches", "dead_letters"}
                assert table in known, "erase forgets it"
            assert ADA not in repr(await select(database_url, f"SELECT * FROM {table}"))
        for table in BEHIND_PLAYERS & found.keys():
            nobodys = (
                f"SELECT * FROM {table} WHERE player_id NOT IN (SELECT player_id FROM players)"
            )
            assert await select(database_url, nobodys) == []
        letters = await select(database_url, "SELECT rows, event_count FROM dead_letters")
        assert [([row.user_id for row in decode(rows)], n) for rows, n in letters] == [(["eve"], 1)]
        wrong = (
            "SELECT count(*) FROM batches WHERE event_count <>"
            " (SELECT count(*) FROM event_rows WHERE event_id / 256 = batch_id)"
        )
        assert await select(database_url, wrong) == [(0,)]
        with pytest.raises(Exception, match="append-only"):
            await execute(database_url, "DELETE FROM coin_entries")


PRIVATE = ["ada-lovelace", "of-ada@example.org", "her own value", "her own field", "4915112345678"]
"""What only she said, in any of the dialects: id, email, value, field, number."""

HER_METADATA = {
    "plan": "her own value",
    "mail": "of-ada@example.org",
    "tags": ["her own value", "gold"],
    "her own field": True,
    "phone": 4915112345678,
    "size": 5,
}
OTHERS_METADATA = {"plan": "gold", "mail": "of-eve@example.org", "phone": 17, "size": 5}


def occasion(sequence: int, user: str, metadata: dict[str, Any], event: str = "login") -> Batch:
    rows = [[event, None, "2026-04-22T14:30:00Z", metadata]]
    return batch(sequence, *rows, user=user, game="loyal", source="lynes")


def level(text: str) -> list[Any]:
    return ["LevelCompleted", None, "2026-04-22T14:30:00Z", {"level": text}]


def failed(text: str) -> list[Any]:
    return ["GameEnd", None, "2026-04-22T14:30:00Z", {"level": text, "reason": text}]


async def fill_by_all_dialects(store: Store, copies: int = 1) -> None:
    """Ada and others, in turn, in everything that is kept of them, and the figures up to date."""
    await fill(store)
    number = 100
    for _ in range(copies):
        for user, metadata, text in (
            (ADA, HER_METADATA, "her own value"),
            ("eve", OTHERS_METADATA, "boss"),
            (f"guest-{number}", OTHERS_METADATA, "boss"),
        ):
            number += 10
            action: list[Any] = [f"{text} action", None, "2026-04-22T14:30:00Z", {}]
            await store.write(
                [
                    batch(number, level(text), failed(text), level("57"), user=user),
                    batch(number + 1, action, user=user, game="spin", source="teak"),
                    mixed(number + 2),
                ]
            )
            await store.commit(
                [occasion(number + n, user, metadata, event)
                 for n, event in enumerate(("login", "buy"), 3)]
            )  # fmt: skip
            started = session_batch(
                Session("spin", user, "GB", "UTC", f"of-{user[:3]}@example.org", installs=True),
                f"session-{number}", datetime(2026, 4, 22, tzinfo=UTC),
            )  # fmt: skip
            started.journal, started.sequence, started.received_at = "44" * 16, number, 10**15
            await store.write([started])
            await store.set_properties("spin", user, {"title": text})
    await count_all(store)


async def everything(url: str) -> str:
    """All tables as text."""
    found = [repr(await select(url, f"SELECT * FROM {table}")) for table in await tables(url)]
    return "\n".join(found).replace("\\\\", "\\")


async def retain(store: Store) -> None:
    """Delete all events that are older than now; everything is."""
    position, done = 0, False
    while not done:
        step = await store.expire("2027-01-01T00:00:00.000000Z", after_batch=position, max_events=9)
        position, done = step.position, step.done


@pytest.mark.parametrize("retained", [False, True], ids=["all there", "after retention"])
async def test_no_table_has_id_email_or_metadata(database_url: str, retained: bool) -> None:
    """Statistics, sums, ledgers, rosters, dead letters: whatever they have by name."""
    async with open_store(database_url, RULES, PROGRAM) as store, store.reader() as reader:
        await fill_by_all_dialects(store)
        before = await everything(database_url)
        assert all(text in before for text in PRIVATE)
        if retained:
            await retain(store)
            assert "her own value" in await everything(database_url), "in the statistics"
        await store.erase(ADA)
        after = await everything(database_url)
        assert [text for text in PRIVATE if text in after] == []
        assert "boss" in after
        stats = await reader.points.event_stats("loyal", "login", **ALWAYS, group=None)
        assert stats.events == 3
        if not retained:
            assert stats.fields["plan"].strings.named == {"gold": 2}
            assert stats.fields["size"].numbers.sum == 10
            assert "tags" not in stats.fields, "nobody else has one"
        assert stats.fields["mail"].strings.named == {"of-eve@example.org": 2}
        assert stats.fields["phone"].numbers.max != 4915112345678
        assert await complaints(reader) == []


async def test_what_two_said_goes_with_the_second(url: str) -> None:
    async with open_store(url, RULES, PROGRAM) as store, store.reader() as reader:
        names = [f"twin-{n}" for n in range(3)]
        for n, user in enumerate(names, 1):
            await store.commit([occasion(n, user, {"word": "shared secret", "n": 7})])
        for n, user in enumerate(names, 1):
            await store.erase(user)
            stats = await reader.points.event_stats("loyal", "login", **ALWAYS, group=None)
            assert (stats.events, stats.unnamed) == (3, 2 * n)
            left = {"shared secret": 3 - n} if n < 3 else {}
            assert {text: number for field in stats.fields.values()
                    for text, number in field.strings.named.items()} == left  # fmt: skip
            if url != "memory:":
                assert ("shared secret" in await everything(url)) == bool(left)


async def test_what_two_said_whose_events_expired_goes_with_the_second(database_url: str) -> None:
    async with open_store(database_url, RULES, PROGRAM) as store:
        names = [f"twin-{n}" for n in range(2)]
        for n, user in enumerate(names, 1):
            await store.commit([occasion(n, user, {"word": "shared secret"})])
        await count_all(store)
        await retain(store)
        for user in names:
            await store.erase(user)
        assert "shared secret" not in await everything(database_url)


@pytest.mark.parametrize("retained", [False, True], ids=["all there", "after retention"])
async def test_no_byte_of_a_file_has_id_email_or_metadata(tmp_path: Path, retained: bool) -> None:
    """SQLite may have been built to leave what it deletes, and leaves copies of rows it moves."""
    path = tmp_path / "events.db"
    async with open_store(f"sqlite:///{path}", RULES, PROGRAM) as store, store.reader() as reader:
        await fill_by_all_dialects(store, copies=40)
        await execute(
            f"sqlite:///{path}",
            "PRAGMA secure_delete = OFF; CREATE TABLE left AS SELECT * FROM event_rows;"
            "DELETE FROM left; DROP TABLE left;",
        )
        if retained:
            await retain(store)
        await store.erase(ADA)
        await store.scrub()
        await reader.newest_event_id()
        files = contents(tmp_path)
        assert set(files) >= {"events.db", "events.db-wal", "events.db-shm"}, "it is in use"
        assert [(name, text) for name, content in files.items()
                for text in PRIVATE if text.encode() in content] == []  # fmt: skip
        assert await complaints(reader) == []


def contents(folder: Path) -> dict[str, bytes]:
    """All files in a folder."""
    return {each.name: each.read_bytes() for each in folder.iterdir()}


async def test_an_audit_on_its_way_and_a_follower_are_not_confused(database_url: str) -> None:
    """The player's number may be given to somebody else, and what was gathered is stale."""
    async with open_store(database_url, RULES) as store, store.reader() as reader:
        await store.write([batch(1, *COUNTED[:2], user="eve", game="counts")])
        await store.write([batch(2, *COUNTED[:2], user=ADA, game="counts")])
        assert (await reader.audit(100)).violations == ()
        await store.erase(ADA)
        await store.write([batch(3, *COUNTED, user="new", game="counts")])
        assert await complaints(reader) == []
        await store.write([batch(4, EVENTS["level"], user=ADA)])
        async with following_by_hand(database_url) as by_hand:
            gathered = await by_hand.gather(100)
            await store.erase(ADA)
            assert not await by_hand.add(gathered)
        await count_all(store)
        assert ADA not in await everything(database_url)


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


async def test_what_dies_in_between_is_done_by_doing_it_again(tmp_path: Path) -> None:
    """After each of the transactions; the audit is clean whenever it begins, and at the end.

    Only names of actions that nobody else sent may stay in the sums of the dashboard then.
    """
    for survived in range(30):
        path = tmp_path / f"{survived}.db"
        async with open_store(f"sqlite:///{path}", RULES, PROGRAM) as store:
            await fill_by_all_dialects(store, copies=8)
            left = survived

            @contextlib.asynccontextmanager
            async def writing(connection: Connection) -> AsyncIterator[Statements]:
                nonlocal left
                left -= 1
                if left < 0:
                    raise SinkUnavailable("the process died")
                async with connection.transaction() as db:
                    yield Statements(db)

            connection = Connection(StoreFile(path), as_it_is)
            try:
                await sql_erasure.erase(
                    ADA,
                    PROGRAM,
                    reading=connection.reading,
                    writing=partial(writing, connection),
                    ledger_open=erasure.ledger_open,
                )
            except SinkUnavailable:
                done = False
            else:
                done = True
            finally:
                await connection.leave()
            async with store.reader() as reader:
                assert await complaints(reader) == []
            await store.erase(ADA)
            await execute(
                f"sqlite:///{path}", "DELETE FROM rollup_actions; DELETE FROM rollup_counts"
            )
            found = await everything(f"sqlite:///{path}")
            assert [text for text in PRIVATE if text in found] == []
            async with store.reader() as reader:
                assert await complaints(reader) == []
        if done:
            break
    assert done
    assert survived > 3, "there is more than one transaction"


async def as_it_is(*_: object) -> None:
    """A connection needs no preparation."""
