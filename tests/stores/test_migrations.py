"""The scripts of the schema: frozen once released, and good for a database that 0.1.0 left behind.

``recorded/`` has two small databases as an earlier gateway made them, after players of all three
dialects, awards, points and an adjustment: SQLite's file at version 6, and a dump of PostgreSQL's
at version 1.
"""

import gzip
import hashlib
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.errors import ConfigError, SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stores.postgres import schema as postgres_schema
from playsmart_gateway.stores.sql.migrations import read_migrations
from playsmart_gateway.stores.sqlite import schema as sqlite_schema
from tests.support.engines import postgres
from tests.support.stores import select

RECORDED = Path(__file__).parent / "recorded"
RELEASED = {
    "sqlite": [
        "60ba53b63bca3c5f1d0ce7b35580228f6f173af37b1fbf8ebc82bd9dcdcc8d28",
        "da53c5be55046143869a49a8f9c649b68148f88c1c006346f200a2aeb74ddc6b",
        "cb685f3dd3fc01c3b4eaeb577dc0912af0b88e88af265b130f9211c3a272be78",
        "eaf7f29507c4b0e5ca833afc2d8ceb627eac81a833a53efc87fef78ae8ad2656",
        "8b3e1fc6630a4e2bd38c57b536fa6eacbf1cae0b2c5ecc5a82476a2bca7ac153",
        "79df0a6633c5cbe3341c0b8d2a3d2f6e3909c239208509b242e6eeef6128c12b",
        "9099d69b05856b8923476669d607bc6e76d4986793830beef45af87248065f41",
        "b6262bf4f9b01987e5de3f908470b1f942502de800bc6d0f8e891ca04fecb3b6",
        "f6578be085923a21a7d2555bb9103c143491254f1b5303c2fafde28d90bc777e",
        "8fa1c9159490144d5416f94ff88393a90a99110e1b9f31f7cdc37b18053664b0",
        "2eddbce90e429b6de0c449ce43f83e0d3ea516f0987ee1d11d8262018e022730",
        "9f55bf2937f668cd156322e846c82579d9df5cfbcc05ad00afcc16d6ebecb78d",
        "221e3ba5d651c81293158f291a95ab8286de403ab89f0ba3c0509585857485c9",
        "baeb8aa8d2ad05ec1a696a8b0512e060cab936b584a2da8db0ed3d1eca155b4c",
        "3b5f6c38151e5ce12f513ba53523ab4b5ae914849488318d9bf346634b42a7a3",
        "cccc66de33125d17256f16e31ab1c5c8288a594899bae68a8690ab6f519d0ddd",
        "db4be9822a0adffb8d3c233c9cd195602310ca3837bb668af70a63630800189e",
        "db0a0f5bde73afaf2de1c37eb48d16d65948cc5db15ed6ebf7169d14ea92a5cc",
        "c5aaba21175993355b57d6d2d68b94cc8d31fbbdd4b21ab6c29ce3b65883d349",
    ],
    "postgres": [
        "a955044903202cda6a581a24b5352c210266f0f5735a7b88541b7a4f41ca2009",
        "1fd9ad62262b7b3897a9adbd8d63d6eb5129959a9984d4515fb488d412c5073b",
        "2be3cd7e60640a0d682e24b03dcc71f68b6f4d22b849c60f59a872186c374364",
        "4b120ac82fd0f82f3c6504db389612408ffcaf2a857a36a783b42b14a7aefcfb",
        "bda284320aeffd874cc1ea2b0d20b12c5a77f7057fd538009f8f175ea00f48c0",
        "17979a06f6633ae5b82aa5b402a0e3d68d1edbc39c9a1ec279f02e9a845a07c5",
        "ed7488fa882abb2f849dd3cbff22e832321b58ba7b936addeab0fdfcc089a1ef",
        "fa1981453d5ce9f4fb8f5a21c4129e08cd6566545486fcb5de33ce1a91d79bcc",
        "25b02daf0e216d111dbbb0af763a40aaabdd2630487be4b4868295fdb9f0fd47",
        "561a51794a9afbb6a151da8595ca73ffdf7d2d7e10dbfc684f4888632b728302",
        "e2c2d92a0c43092a04f6a1addbd3a8a47aa2d0353d7ee06d9289eed19162012e",
        "3b00f96cbc7a5bb38fc7fd8b9e706e981c59523f569727261539df276e7e3330",
        "9318085a296b797eebd1bada51ab6352c428c7c4eab3c459c1075623b9236459",
    ],
}
FIXED = Rule.paying(
    "com.example.fixed",
    bounds=(10, 10),
    level_multiplier=1.5,
    trigger_threshold=2,
    trigger_multiplier=0.5,
)
CHANCE = Rule.paying(
    "com.example.random",
    bounds=(5, 50),
    level_multiplier=1.0,
    trigger_threshold=0,
    trigger_multiplier=1.0,
)
SEEN = {
    "events": "SELECT event_id, source, game_id, user_id, type, custom_event_name, occurred_at,"
    " received_at, customdata FROM events ORDER BY event_id",
    "ledger": "SELECT * FROM coin_transactions ORDER BY id",
    "players": "SELECT user_id, coins_balance, sessions FROM players ORDER BY user_id",
    "app players": "SELECT user_id, country_code, email, sessions FROM app_players ORDER BY 1",
    "properties": "SELECT app_id, user_id, name, kind, value FROM app_properties ORDER BY 3",
    "points": "SELECT project, user_id, points FROM lynes_users ORDER BY 2",
    "streaks": "SELECT user_number, streak_id, count, day FROM lynes_streaks ORDER BY 1",
    "history": "SELECT user_number, entry_id, source_id, points FROM lynes_history ORDER BY 2",
    "sums": "SELECT game_id, day, players, new_players FROM rollup_days ORDER BY 1, 2",
}


def migrations(engine: Any) -> list[Path]:
    return sorted((Path(engine.__file__).parent / "migrations").iterdir())


def test_a_released_script_is_never_edited() -> None:
    """A new one is added here with its hash; a changed hash is an edit of what databases have."""
    found = {
        name: [hashlib.sha256(path.read_bytes()).hexdigest() for path in migrations(engine)]
        for name, engine in (("sqlite", sqlite_schema), ("postgres", postgres_schema))
    }
    assert found == RELEASED


@pytest.mark.parametrize("engine", [sqlite_schema, postgres_schema])
def test_each_script_is_one_version(engine: Any) -> None:
    assert list(engine.MIGRATIONS) == [path.read_text("utf-8") for path in migrations(engine)]


@pytest.mark.parametrize("second", ["0001_b.sql", "0003_c.sql"])
def test_scripts_are_numbered_from_1_without_a_gap(tmp_path: Path, second: str) -> None:
    for name in ("0001_a.sql", second):
        (tmp_path / name).write_text("SELECT 1;\n")
    with pytest.raises(ValueError, match="not numbered"):
        read_migrations(tmp_path)


def test_other_files_beside_them_are_no_scripts(tmp_path: Path) -> None:
    for name in ("0001_a.sql", "0001_a.sql~", "README", "2_b.sql"):
        (tmp_path / name).write_text("SELECT 1;\n")
    assert read_migrations(tmp_path) == ("SELECT 1;\n",)


@pytest.fixture(params=["sqlite", "postgres"])
def recorded(
    request: pytest.FixtureRequest, tmp_path: Path
) -> tuple[str, Callable[[], Awaitable[None]]]:
    """The URL of a database, and what fills it with what was recorded."""
    if request.param == "sqlite":
        path = tmp_path / "events.db"

        async def copy() -> None:
            path.write_bytes(gzip.decompress((RECORDED / "sqlite.db.gz").read_bytes()))

        return f"sqlite:///{path}", copy
    url = str(request.getfixturevalue("postgres_url"))

    async def load() -> None:
        await postgres.execute(
            url, gzip.decompress((RECORDED / "postgres.sql.gz").read_bytes()).decode()
        )

    return url, load


async def seen(url: str) -> dict[str, list[tuple[Any, ...]]]:
    return {name: await select(url, query) for name, query in SEEN.items()}


async def test_a_database_of_an_earlier_gateway_keeps_all_it_has_and_goes_on(
    recorded: tuple[str, Callable[[], Awaitable[None]]],
) -> None:
    url, fill = recorded
    await fill()
    before = await seen(url)
    assert all(before.values())
    assert len(before["events"]) == 19
    row = b'[["LevelCompleted",null,"2026-05-01T10:00:00Z",{"level":6}]]'
    async with open_store(url, [FIXED, CHANCE]) as store:
        assert await seen(url) == before
        await store.write([Batch("playsmart", FIXED.game_id, "ada", 1, row, "ab" * 16, 1)])
        async with store.reader() as reader:
            health = await reader.examine()
            assert (health.schema_version, health.problems) == (health.known_version, ())
            audited = await reader.audit(1_000)
            assert (audited.violations, audited.position) == ((), audited.end)
            (ada,) = [each for each in before["players"] if each[0] == "ada"]
            player = await reader.player("ada")
            assert player is not None
            assert player.coins_balance == ada[1] + 15


async def test_a_command_leaves_a_database_of_an_earlier_gateway_as_it_is(
    recorded: tuple[str, Callable[[], Awaitable[None]]],
) -> None:
    """That gateway may still run: it would not start again."""
    url, fill = recorded
    await fill()
    version = (
        "PRAGMA user_version" if url.startswith("sqlite") else "SELECT version FROM schema_version"
    )
    before = await select(url, version)
    with pytest.raises(ConfigError, match=r"has schema version \d+ of \d+; start the gateway once"):
        async with open_store(url, migrates=False):
            pass
    with pytest.raises((ConfigError, SinkUnavailable), match=r"start the gateway once first"):
        async with open_store(url, migrates=False).reader() as reader:
            await reader.audit(1_000)
    async with open_store(url).reader() as reader:
        assert (await reader.examine()).schema_version < (await reader.examine()).known_version
    assert await select(url, version) == before
    async with open_store(url):
        pass
    async with open_store(url, migrates=False) as store, store.reader() as reader:
        assert (await reader.audit(1_000)).violations == ()


async def test_an_upgraded_database_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    shapes = []
    for name in ("old.db", "new.db"):
        path = tmp_path / name
        if name == "old.db":
            path.write_bytes(gzip.decompress((RECORDED / "sqlite.db.gz").read_bytes()))
        async with open_store(f"sqlite:///{path}"):
            pass
        with closing(sqlite3.connect(path)) as db:
            shapes.append(
                sorted(
                    db.execute(
                        "SELECT m.type, m.name, c.name, c.type, c.pk FROM sqlite_master AS m"
                        " LEFT JOIN pragma_table_info(m.name) AS c"
                    )
                )
            )
    assert shapes[0] == shapes[1]


ADDITIONS = {
    "the rich": 'CREATE VIEW "the rich" AS SELECT user_id FROM players'
    " WHERE coins_balance > 5 ORDER BY user_id",
    "their_names": 'CREATE VIEW their_names AS SELECT user_id FROM "the rich"',
    "aimless": "CREATE VIEW aimless AS SELECT * FROM what_is_not_there",
    "by_coins": "CREATE INDEX by_coins ON players (coins_balance)",
    "by_source": "CREATE INDEX by_source ON batches (source)",
    "noted": "CREATE TRIGGER noted AFTER INSERT ON batches BEGIN"
    " INSERT INTO notes SELECT coins_balance FROM players WHERE user_id = NEW.user_id; END",
    "seen": "CREATE TRIGGER seen AFTER UPDATE ON players BEGIN"
    " INSERT INTO notes VALUES (NEW.coins_balance); END",
}


async def test_what_others_added_to_a_database_keeps_it_from_no_new_schema(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Views, triggers and indexes come back as they were; what cannot is told with its SQL."""
    path = tmp_path / "events.db"
    path.write_bytes(gzip.decompress((RECORDED / "sqlite.db.gz").read_bytes()))
    with closing(sqlite3.connect(path)) as db:
        db.executescript(";".join(["CREATE TABLE notes (note)", *ADDITIONS.values(), ""]))
        rich = db.execute('SELECT * FROM "the rich"').fetchall()
    row = b'[["AppOpen",null,"2026-05-01T10:00:00Z",{}]]'
    async with open_store(f"sqlite:///{path}", [FIXED, CHANCE]) as store:
        await store.write([Batch("playsmart", FIXED.game_id, "ada", 1, row, "ab" * 16, 1)])
    with closing(sqlite3.connect(path)) as db:
        assert rich
        assert db.execute('SELECT * FROM "the rich"').fetchall() == rich
        assert db.execute("SELECT count(*) FROM notes").fetchone() == (1,)
        there = dict(db.execute("SELECT name, sql FROM sqlite_master"))
    gone = {"by_coins", "seen"}
    assert {name: there.get(name) for name in ADDITIONS} == {
        name: None if name in gone else sql for name, sql in ADDITIONS.items()
    }
    told = [each.getMessage() for each in caplog.records if "is gone" in each.getMessage()]
    assert sorted(each.split(" made by: ")[1] for each in told) == sorted(
        ADDITIONS[name] for name in gone
    )
