"""Asks the lake and what is not in it yet together: one statement of SQL that only reads.

DuckDB answers it, in this process, from ``events``: the files that the manifest names, and behind
them what the store has that is in none. It may open those files and nothing else, and cannot be
told otherwise. Of what it takes, time, memory and rows are limited.
"""

import contextlib
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import duckdb
import msgspec
import pyarrow

from playsmart_gateway.errors import LakeError, QueryError
from playsmart_gateway.events.batch import MAX_EVENTS_PER_BATCH
from playsmart_gateway.lake.columns import COMMON, PREFIX
from playsmart_gateway.lake.following import read_chunk
from playsmart_gateway.lake.kinds import wider
from playsmart_gateway.lake.manifest import Kind, Manifest, Properties, load
from playsmart_gateway.lake.place import SCHEME, Place
from playsmart_gateway.lake.tables import joined
from playsmart_gateway.lake.views import Branch, make_views
from playsmart_gateway.stores.open import AsksInSql
from playsmart_gateway.stores.readers import LakeReader

TAIL_EVENTS = 500_000
TAIL_BYTES = 268_435_456
"""At most so much of what is in no file yet is asked, the oldest: it is in memory."""

MAX_COLUMNS = 1_000
"""Of properties in the view: of more, in all games, there are those that the question names."""

TRIES = 3
"""Of reading a manifest and its files, which may be merged in between."""

_SQL_TYPES: dict[Kind, str] = {
    "bool": "BOOLEAN", "int": "BIGINT", "float": "DOUBLE", "text": "VARCHAR",
}  # fmt: skip
_COMPUTED = {
    "adjusted_at": "coalesce(adjusted_at, occurred_at) AS adjusted_at",
    "slot": f"event_id % {MAX_EVENTS_PER_BATCH} AS slot",
}
_DAY = "CAST(received_at AS DATE) AS day"


class Limits(msgspec.Struct, frozen=True):
    """What a question may take; ``memory`` as DuckDB is told of it."""

    seconds: float = 30.0
    rows: int = 10_000
    memory: str = "1GB"


LIMITS = Limits()


class Answer(NamedTuple):
    """The first rows of an answer.

    ``is_whole`` says that there are no more. Events up to ``position``, of ``end`` in the store,
    were asked.
    """

    table: pyarrow.Table
    is_whole: bool
    position: int
    end: int


async def ask(place: Place, reader: LakeReader, sql: str, limits: Limits = LIMITS) -> Answer:
    """Return the answer to ``sql``, one SELECT.

    Raises:
        QueryError: it is refused, wrong, or went beyond a limit.
        LakeError: the lake cannot be read now.
        SinkUnavailable: the store cannot be read now.
    """
    for _ in range(TRIES):
        manifest = load(place) or Manifest()
        tail = await read_chunk(reader, manifest, TAIL_EVENTS, TAIL_BYTES)
        tables = [joined(pile.tables) for pile in tail.piles]
        with contextlib.closing(duckdb.connect()) as db:
            try:
                branches = _branches(db, place, manifest, tables, limits)
                db.execute(f"CREATE VIEW events AS {_view(branches, sql)}")
                await make_views(db, cast(AsksInSql, reader).reading, branches, sql)
                db.execute("SET enable_external_access = false; SET lock_configuration = true")
                table = _answer(db, sql, limits)
            except duckdb.OutOfMemoryException:
                raise QueryError(f"it needs more memory than {limits.memory}") from None
            except (duckdb.Error, OSError):  # a file was merged meanwhile, or all are away
                continue
        whole = table.num_rows <= limits.rows
        return Answer(table.slice(0, limits.rows), whole, tail.position, tail.end)
    raise LakeError("files of the lake cannot be read")


def _branches(
    db: duckdb.DuckDBPyConnection,
    place: Place,
    manifest: Manifest,
    tail: Sequence[tuple[pyarrow.Table, Properties]],
    limits: Limits,
) -> list[Branch]:
    """Return where events are, having said what may be taken and opened."""
    settings: dict[str, bool | str | Sequence[str]] = {
        "TimeZone": "UTC",
        "memory_limit": limits.memory,
        "temp_directory": "",
        "max_temp_directory_size": "0B",
        "python_enable_replacements": False,
        "allowed_paths": [place.address(each.name) for each in manifest.files],
    }
    if not place.is_folder:
        db.register_filesystem(file_system(place))
    for name, value in settings.items():
        db.execute(f"SET {name} = {literal(value)}")
    branches = []
    for number, properties in enumerate(manifest.properties):
        files = [place.address(each.name) for each in manifest.files if each.properties == number]
        source = f"read_parquet({literal(files)}, hive_types = {{'day': DATE, 'game': VARCHAR}})"
        branches.append(Branch(source, "day", properties))
    for number, (table, properties) in enumerate(tail):
        db.register(f"tail_{number}", table)
        branches.append(Branch(f"tail_{number}", _DAY, properties))
    if not branches:
        db.register("tail_0", pyarrow.schema(COMMON.items()).empty_table())
        branches.append(Branch("tail_0", _DAY, {}))
    return branches


def _view(branches: Sequence[Branch], sql: str) -> str:
    """Return the SQL of all events, given what to select from, and the day and properties there.

    ``sql`` is what will be asked of it.
    """
    columns: dict[str, tuple[str, Kind]] = {}
    for _, _, properties in branches:
        for name, kind in properties.items():
            known, so_far = columns.get(name.lower(), (name, kind))
            columns[name.lower()] = known, wider(so_far, kind)
    if len(columns) > MAX_COLUMNS:
        asked = sql.lower()
        columns = {key: each for key, each in columns.items() if f"{PREFIX}{key}" in asked}
    common = [each for each in COMMON if each not in _COMPUTED]
    selects = []
    for source, day, properties in branches:
        lifted = []
        for each in properties:
            if each.lower() not in columns:
                continue
            name, kind = columns[each.lower()]
            lifted.append(f'CAST("{PREFIX}{each}" AS {_SQL_TYPES[kind]}) AS "{PREFIX}{name}"')
        selected = ", ".join([*common, *_COMPUTED.values(), day, *lifted])
        selects.append(f"SELECT {selected} FROM {source}")  # noqa: S608 - no text of a stranger
    # What a branch has not is null. To say so for each would be a product of games and properties.
    return " UNION ALL BY NAME ".join(selects)


def _answer(db: duckdb.DuckDBPyConnection, sql: str, limits: Limits) -> pyarrow.Table:
    """Return the first rows of the answer, one more than are wanted if there are more."""
    timer = threading.Timer(limits.seconds, db.interrupt)
    timer.daemon = True
    timer.start()
    try:
        statements = db.extract_statements(sql)
        # EXPLAIN ANALYZE is no SELECT: it runs what it explains, as a COPY over a file of the lake.
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise QueryError("one SELECT can be asked, and nothing that writes or changes settings")
        return db.sql(statements[0].query).limit(limits.rows + 1).to_arrow_table()
    except duckdb.InterruptException:
        raise QueryError(f"it took longer than {limits.seconds:g} s") from None
    except duckdb.OutOfMemoryException:
        raise QueryError(f"it needs more memory than {limits.memory}") from None
    except duckdb.IOException:
        raise
    except (duckdb.Error, RecursionError) as error:
        raise QueryError(" ".join(str(error).split())) from None
    finally:
        timer.cancel()


def file_system(place: Place) -> Any:
    """Return the object store as DuckDB takes one."""
    from fsspec.implementations.arrow import ArrowFSWrapper  # for what is in no folder

    class Files(ArrowFSWrapper):  # type: ignore[misc]
        protocol = SCHEME

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return path.removeprefix(f"{SCHEME}://")

    return Files(place.files)


def literal(value: bool | str | Sequence[str]) -> str:
    """Return a value as SQL has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "[" + ", ".join(map(literal, value)) + "]"
