"""The databases that a gateway may leave its events in, as a stranger sees them.

Only relations that the manual names are read, without any of the gateway's own code; nothing is
written.
"""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from typing_extensions import override

from playsmart_gateway.load.row import COLUMNS
from playsmart_gateway.stores.open import open_store

ROWS_AT_ONCE = 20_000
_TIMEOUT_SECONDS = 5.0
_NEWEST = "SELECT coalesce(max(event_id), 0) FROM events"


class Unreadable(Exception):
    """The database cannot be read now; the text says why, and nothing that is secret."""


class Missing(Unreadable):
    """It is not there."""


class Database(Protocol):
    """Reads what a gateway stored; all methods raise ``Unreadable``."""

    def newest_event_id(self) -> int:
        """Return the highest ``event_id``; 0 if there is no event."""
        ...

    def rows_behind(self, event_id: int) -> Iterator[Sequence[Sequence[Any]]]:
        """Yield the rows with a higher one, many at once: ``event_id`` and ``COLUMNS``."""
        ...

    def ask(self, query: str, *parameters: Any) -> Sequence[Any]:
        """Return the one row of a query, which calls its parameters ``$1``, ``$2`` and so on."""
        ...


def database_at(where: str | Path) -> Database:
    """Return the database at a path or a ``postgresql://`` URL; nothing is opened yet.

    Raises:
        ConfigError: it can be no such URL, or a package that it needs is not installed.
    """
    if isinstance(where, str) and where.startswith("postgresql://"):
        open_store(where)
        return PostgresDatabase(where)
    return SqliteFile(Path(where))


class SqliteFile(Database):
    """See ``Database``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @override
    def newest_event_id(self) -> int:
        return int(self.ask(_NEWEST)[0])

    @override
    def rows_behind(self, event_id: int) -> Iterator[Sequence[Sequence[Any]]]:
        query = f"SELECT event_id, {COLUMNS} FROM events WHERE event_id > ?"  # noqa: S608 - ours
        with self._opened() as db:
            cursor = db.execute(query, (event_id,))
            while rows := cursor.fetchmany(ROWS_AT_ONCE):
                yield rows

    @override
    def ask(self, query: str, *parameters: Any) -> Sequence[Any]:
        with self._opened() as db:
            row: Sequence[Any] = db.execute(query.replace("$", "?"), parameters).fetchone()
            return row

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        if not self._path.exists():
            raise Missing(f"{self._path} does not exist; give the file that the gateway writes to")
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=_TIMEOUT_SECONDS)) as db:
                yield db
        except sqlite3.Error as error:
            text = f"{self._path} cannot be read as the gateway's SQLite file: {error}"
            raise Unreadable(text) from error


class PostgresDatabase(Database):
    """See ``Database``."""

    def __init__(self, url: str) -> None:
        self._url = url

    @override
    def newest_event_id(self) -> int:
        return int(self.ask(_NEWEST)[0])

    @override
    def rows_behind(self, event_id: int) -> Iterator[Sequence[Sequence[Any]]]:
        query = (
            f"SELECT event_id, {COLUMNS} FROM events WHERE event_id > $1"  # noqa: S608 - ours
            f" ORDER BY event_id LIMIT {ROWS_AT_ONCE}"
        )
        with self._opened() as db:
            while rows := db.fetch(query, event_id):
                yield rows
                event_id = rows[-1][0]

    @override
    def ask(self, query: str, *parameters: Any) -> Sequence[Any]:
        with self._opened() as db:
            row: Sequence[Any] = db.fetch(query, *parameters)[0]
            return row

    @contextmanager
    def _opened(self) -> Iterator["_Session"]:
        import asyncpg

        try:
            with asyncio.Runner() as runner:
                session = _Session(runner, runner.run(_connected(self._url)))
                try:
                    yield session
                finally:
                    session.close()
        except asyncpg.UndefinedTableError as error:
            raise Missing("the database has no events; give the one of the gateway") from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
            # Its text could quote the URL.
            text = f"the database cannot be read: {type(error).__name__}"
            raise Unreadable(text) from None


class _Session:
    """A connection of asyncpg's for a caller without an event loop."""

    def __init__(self, runner: asyncio.Runner, connection: Any) -> None:
        self._runner = runner
        self._connection = connection

    def fetch(self, query: str, *parameters: Any) -> list[Any]:
        return list(self._runner.run(self._connection.fetch(query, *parameters)))

    def close(self) -> None:
        self._connection.terminate()


async def _connected(url: str) -> Any:
    """Connect to read only; a pooler in between takes no setting before."""
    import asyncpg

    from playsmart_gateway.stores.postgres.url import read_url

    connection = await asyncpg.connect(read_url(url).url, timeout=_TIMEOUT_SECONDS)
    await connection.execute("SET default_transaction_read_only = on")
    return connection
