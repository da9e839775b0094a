"""Questions see lake and tail as one, and can do nothing else."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from playsmart_gateway.errors import LakeError, QueryError
from playsmart_gateway.lake import query
from playsmart_gateway.lake.manifest import Manifest, load
from playsmart_gateway.lake.place import Place
from playsmart_gateway.lake.query import Answer, Limits, ask
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stores.readers import LakeReader
from tests.lake.stored import batch, files_in, lake_in, store, write_all

FEW = Limits(seconds=2.0, rows=100, memory="256MB")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/events.db"


@pytest.fixture
async def reader(url: str, tmp_path: Path) -> AsyncIterator[LakeReader]:
    """A store whose first batches are in the lake, and the rest is not."""
    async with open_store(url).reader() as reader:
        await store(url, batch(1, {"level": 1, "hat": "red"}, {"level": 2}))
        await write_all(lake_in(tmp_path), reader)
        await store(url, batch(2, {"level": 3.5}, game_id="other", day=1))
        await write_all(lake_in(tmp_path), reader)
        await store(url, batch(3, {"level": "x", "new": True}, user_id="bob", day=2))
        yield reader


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return lake_in(tmp_path)


def rows(answer: Answer) -> list[tuple[object, ...]]:
    return [tuple(each.values()) for each in answer.table.to_pylist()]


async def test_what_is_in_files_and_what_is_not_are_one(place: Place, reader: LakeReader) -> None:
    answer = await ask(place, reader, "SELECT count(*), count(DISTINCT user_id) FROM events")
    assert rows(answer) == [(4, 2)]
    assert (answer.is_whole, answer.position, answer.end) == (True, 768, 768)


async def test_properties_have_one_type_that_takes_all_of_them(
    place: Place, reader: LakeReader
) -> None:
    sql = "SELECT event_id, p_level, p_hat, p_new, slot, day::TEXT FROM events ORDER BY event_id"
    assert rows(await ask(place, reader, sql)) == [
        (256, "1", "red", None, 0, "2026-04-22"),
        (257, "2", None, None, 1, "2026-04-22"),
        (512, "3.5", None, None, 0, "2026-04-23"),
        (768, "x", None, True, 0, "2026-04-24"),
    ]


async def test_it_answers_like_the_store(place: Place, reader: LakeReader, tmp_path: Path) -> None:
    names = "event_id, source, game_id, user_id, type, custom_event_name, clock"
    sql = f"SELECT {names} FROM events ORDER BY event_id"
    with closing(sqlite3.connect(tmp_path / "events.db")) as db:
        assert rows(await ask(place, reader, sql)) == db.execute(sql).fetchall()


async def test_without_a_lake_and_without_events_there_is_the_view(
    tmp_path: Path, url: str
) -> None:
    async with open_store(url):
        pass
    async with open_store(url).reader() as reader:
        answer = await ask(
            lake_in(tmp_path), reader, "SELECT * FROM events WHERE day > '2026-01-01'"
        )
    assert answer.table.num_rows == 0
    assert {"event_id", "type", "received_at", "customdata", "slot", "day"} <= {
        *answer.table.column_names
    }


async def test_of_a_long_tail_the_oldest_is_asked_and_the_rest_told(
    place: Place, reader: LakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "TAIL_EVENTS", 1)
    async with open_store(f"sqlite:///{Path(place.root).parent}/events.db") as sink:
        await sink.write([batch(4, {}, {}, {})])
    answer = await ask(place, reader, "SELECT count(*) FROM events")
    assert rows(answer) == [(4,)]
    assert (answer.position, answer.end) == (768, 1026)


async def test_files_that_were_merged_meanwhile_are_found_where_they_went(
    place: Place, reader: LakeReader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    merged: list[set[str]] = []

    def load_and_lag(at: Place) -> Manifest | None:
        found = load(at)
        if not merged:
            merged.append(files_in(tmp_path))
            for name in merged[0]:
                place.put(f"{name.removesuffix('.parquet')}9.parquet", b"")
                place.remove(name)
        else:
            for name in merged[0]:
                place.put(name, kept[name])
        return found

    kept = {name: place.read(name) or b"" for name in files_in(tmp_path)}
    monkeypatch.setattr(query, "load", load_and_lag)
    assert rows(await ask(place, reader, "SELECT count(*) FROM events")) == [(4,)]


async def test_a_file_that_is_gone_for_good_is_told(
    place: Place, reader: LakeReader, tmp_path: Path
) -> None:
    for name in files_in(tmp_path):
        place.remove(name)
    with pytest.raises(LakeError, match="cannot be read"):
        await ask(place, reader, "SELECT count(*) FROM events")


async def test_only_so_many_rows_come_back(place: Place, reader: LakeReader) -> None:
    answer = await ask(place, reader, "FROM range(1000000000)", FEW)
    assert (answer.table.num_rows, answer.is_whole) == (100, False)
    answer = await ask(place, reader, "FROM range(100)", FEW)
    assert (answer.table.num_rows, answer.is_whole) == (100, True)


def contents(folder: Path) -> dict[Path, bytes]:
    """All files but the index of SQLite's log, in which readers say that they are there."""
    files = [each for each in folder.rglob("*") if each.is_file() and each.suffix != ".db-shm"]
    return {each: each.read_bytes() for each in files}


HOSTILE = [
    "INSERT INTO events SELECT * FROM events",
    "UPDATE events SET type = 'x'",
    "DELETE FROM events",
    "DROP VIEW events",
    "CREATE TABLE t AS SELECT 1",
    "CREATE OR REPLACE VIEW events AS SELECT 1",
    "ALTER VIEW events RENAME TO e",
    "COPY events TO '{folder}/stolen.csv'",
    "COPY (SELECT 1) TO '{file}' (FORMAT parquet)",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}' (FORMAT parquet, USE_TMP_FILE false)",
    "EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1",
    "EXPORT DATABASE '{folder}/all'",
    "ATTACH '{folder}/events.db' AS db (TYPE sqlite)",
    "ATTACH '{folder}/new.db'",
    "INSTALL httpfs",
    "LOAD sqlite",
    "PRAGMA database_list",
    "SET enable_external_access = true",
    "RESET memory_limit",
    "SELECT 1; DROP VIEW events",
    "SELECT 1; SELECT 2",
    "BEGIN",
    "CHECKPOINT",
    "CALL pragma_version()",
    "PREPARE p AS SELECT 1",
    "VACUUM",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM read_csv('{folder}/other.csv')",
    "SELECT * FROM read_blob('{folder}/events.db')",
    "SELECT * FROM read_text('{folder}/lake/manifest.json')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM parquet_metadata('{folder}/other.parquet')",
    "SELECT * FROM read_parquet('https://example.com/x.parquet')",
    "SELECT * FROM query('DROP VIEW events')",
    "SELECT getenv('HOME')",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM place",
    "SELECT count(*) FROM range(1000000) a, range(1000000) b, range(1000000) c",
    "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
    "SELECT * FROM range(1000000000) ORDER BY random()",
    "SELECT list(range) FROM range(1000000000)",
    "SELECT",
    "",
    "\x00",
    "SELECT '" + "(" * 10_000,
    "SELECT " + "(" * 5_000 + "1" + ")" * 5_000,
]


@pytest.mark.parametrize("sql", HOSTILE, ids=lambda sql: str(sql)[:40])
async def test_what_writes_looks_elsewhere_or_never_ends_is_refused(
    sql: str, place: Place, reader: LakeReader, tmp_path: Path
) -> None:
    (tmp_path / "other.csv").write_bytes(b"a\n1\n")
    before = contents(tmp_path)
    (file, *_) = files_in(tmp_path)
    sql = sql.replace("{folder}", str(tmp_path)).replace("{file}", place.path(file))
    with pytest.raises(QueryError) as refused:
        await ask(place, reader, sql, FEW)
    assert "\n" not in str(refused.value)
    assert contents(tmp_path) == before


async def test_a_day_that_is_asked_for_opens_no_file_of_another_day(
    place: Place, url: str, tmp_path: Path
) -> None:
    await store(url, *(batch(n, {"a": 1}, day=n) for n in range(4)))
    async with open_store(url).reader() as reader:
        await write_all(place, reader)
        for name in files_in(tmp_path):
            if "day=2026-04-22" not in name and "day=2026-04-24" not in name:
                place.put(name, b"it would not do to open this")
        sql = "SELECT count(*) FROM events WHERE day = '2026-04-24'"
        assert rows(await ask(place, reader, sql)) == [(1,)]


async def test_of_very_many_properties_there_are_those_that_are_asked_for(
    url: str, place: Place, reader: LakeReader
) -> None:
    """Some hundred games, which nobody need have set up, made a view of millions of terms."""
    games = query.MAX_COLUMNS // 64 + 1
    await store(
        url,
        *(
            batch(100 + n, {f"P{n}_{each}": n for each in range(64)}, game_id=f"many{n}")
            for n in range(games)
        ),
    )
    sql = "SELECT sum(p_p3_5), max(P_P1_63) FROM events WHERE game_id LIKE 'many%'"
    assert rows(await ask(place, reader, sql)) == [(3, 1)]
    await write_all(place, reader)
    assert rows(await ask(place, reader, sql)) == [(3, 1)]
    everything = await ask(place, reader, "SELECT * FROM events WHERE game_id = 'many3'")
    assert not [name for name in everything.table.column_names if name.startswith("p_")]
