"""A connection to PostgreSQL that survives what happens to the server, and what its errors mean.

One writer at a time: each transaction that writes takes an advisory lock of the database first. So
batch ids are committed in their order, and a reader that has come to one never misses a smaller one
that is committed later; no two writers can deadlock; and what holds for the one writer of SQLite
holds here. A writer holds the lock for a flush, some ten to a hundred milliseconds, and the server
hands it on in the order of asking.

After an error or a cancellation nobody knows what the connection is about to do, so it is cut and
the next transaction opens another. A COMMIT whose answer is lost may have worked: batches are known
by their names, so writing them again is harmless.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

import asyncpg

from playsmart_gateway.errors import ConfigError, SinkError, SinkRejected, SinkUnavailable

CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 1.0
TRANSACTION_SECONDS = 60.0
"""A server that cannot be reached any more does not say so."""
_SESSION = {
    "application_name": "playsmart-gateway",
    "lock_timeout": "5s",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "15s",
}
"""A writer waits for the others so long, then the flusher comes back; and where a gateway went away
in mid-transaction, the server ends that, and frees the lock. The URL may say otherwise, as in
``?lock_timeout=1s``."""

WRITER_LOCK = 0x706C_6179_736D_7274
"""Ours among the advisory locks of the database."""

WRITE = f"BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({WRITER_LOCK})"
READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
"""All statements of a reader see the same moment; those of a writer what was there under the lock,
where nobody else writes."""

Prepare = Callable[[asyncpg.Connection], Awaitable[None]]

_HINTS = {
    "25006": "The server is a standby or read-only; point storage.url at the primary.",
    "25P03": "The gateway was held up in a transaction; look at its load.",
    "26000": "A pooler in transaction mode is in between; use session mode.",
    "42501": "Grant the user what was revoked.",
    "42703": "Undo the change of the table.",
    "42P01": "Start the gateway once: it makes the tables.",
    "53100": "Free space on the server's disk.",
    "53300": "Raise max_connections, or start fewer gateways.",
    "55P03": "Another gateway or program holds a lock; end its transaction.",
    "57014": "The server is slow; look at its load and at locks.",
    "57P01": "The server is stopping, or somebody ended the connection.",
    "57P03": "The server is starting or stopping.",
    "58030": "Check the server's disk.",
}
_UNFIT = ("22", "23", "27", "44", "54", "P0")
"""Classes of states: bad data, a broken constraint, a trigger, a view, more than the server can
hold, an error that a function raised."""
_OF_THE_STORE = (
    asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError,
    OSError, UnicodeError, OverflowError,
)  # fmt: skip
_UNREACHABLE = "Check that the server runs, and the network in between."
_FORBIDDEN = "the user must own the tables, or be granted CREATE on the schema to make them"
_HOPELESS = {
    "28000": "the server refuses this user; see its pg_hba.conf",
    "28P01": "the password is wrong",
    "3D000": "there is no such database; create it",
    "3F000": _FORBIDDEN,
    "42501": _FORBIDDEN,
}
"""What no restart without a change helps against."""


class Undone(Exception):
    """Raised in a transaction that is to leave nothing."""


class Connection:
    """The connection to ``url``, opened when it is needed; ``prepare`` sees each new one first."""

    def __init__(
        self, url: str, prepare: Prepare, *, patience_seconds: float = TRANSACTION_SECONDS
    ) -> None:
        self._url = url
        self._patience_seconds = patience_seconds
        self._prepare = prepare
        self._db: asyncpg.Connection | None = None
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Open it.

        Raises:
            ConfigError: no restart without a change could help.
            SinkUnavailable: it may work later.
        """
        db = None
        try:
            db = await _connect(self._url)
            await self._prepare(db)
        except _OF_THE_STORE as error:
            raise _at_opening(error) from error
        else:
            self._db, db = db, None
        finally:
            if db is not None:
                db.terminate()

    async def close(self) -> None:
        """Close it, if it is open."""
        db, self._db = self._db, None
        if db is not None:
            try:
                await db.close(timeout=CLOSE_SECONDS)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                db.terminate()

    @contextlib.asynccontextmanager
    async def transaction(
        self, begin: str = WRITE, *, patient: bool = False
    ) -> AsyncIterator[asyncpg.Connection]:
        """Commit at the end, or leave nothing; every error comes out as a ``SinkError``.

        One transaction at a time: another one waits for its turn. With ``patient`` it may take as
        long as it takes.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(None if patient else self._patience_seconds):
                    if self._db is None or self._db.is_closed():
                        await self.open()
                    assert self._db is not None
                    await self._db.execute(begin)
                    if patient:
                        await self._db.execute("SET LOCAL statement_timeout = 0")
                    yield self._db
                    await self._db.execute("COMMIT")
            except BaseException as error:
                db, self._db = self._db, None
                if db is not None:
                    db.terminate()
                if isinstance(error, ConfigError):
                    raise SinkUnavailable(str(error)) from None
                if isinstance(error, _OF_THE_STORE):
                    raise classify(error) from error
                raise


async def as_it_is(_: asyncpg.Connection) -> None:
    """Prepare nothing: whether the tables are there is seen when they are read."""


def classify(error: Exception) -> SinkError:
    """Tell what may work later from what never will."""
    state = getattr(error, "sqlstate", None) or ""
    if state[:2] in _UNFIT or isinstance(error, asyncpg.DataError | UnicodeError | OverflowError):
        return SinkRejected(f"the store refuses these rows: {_place(error)}")
    if isinstance(error, TimeoutError):
        return SinkUnavailable("the database does not answer", hint=_UNREACHABLE)
    # Beside its message an error has details, which may quote what somebody sent.
    text = str(error.args[0] if error.args and isinstance(error.args[0], str) else error)
    hint = _HINTS.get(state, "" if state and state[:2] != "08" else _UNREACHABLE)
    return SinkUnavailable(text.partition("\n")[0], hint=hint)


_NAMED = ("constraint", "column", "table")
_IN_FUNCTION = re.compile(r"PL/pgSQL function (\w+)\(")
_IN_COPY = re.compile(r"^COPY (\w+), line \d+(?:, column (\w+))?")


def _place(error: Exception) -> str:
    """Name what refused: constraint, column, table, trigger's function; never a value."""
    names = ((name, getattr(error, f"{name}_name", None)) for name in _NAMED)
    found = [type(error).__name__, *(f"{name} {text}" for name, text in names if text)]
    context = getattr(error, "context", None) or ""
    if function := _IN_FUNCTION.search(context):
        found.append(f"function {function[1]}")
    if len(found) == 1 and (copied := _IN_COPY.search(context)):
        found += [f"column {copied[2]}"] * bool(copied[2]) + [f"table {copied[1]}"]
    return ", ".join(found)


def check_url(url: str) -> None:
    """Look at what can be seen without a server.

    Raises:
        ConfigError: it cannot be the URL of a database; the text has nothing of it.
    """
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname or "host=" in parts.query) and parts.path.strip("/")
        if "," not in parts.netloc:
            _ = parts.port
    except ValueError:
        usable = False
    if not usable:
        form = "postgresql://USER:PASSWORD@HOST:5432/DATABASE, the password percent-encoded"
        raise ConfigError([f"storage.url: must be {form}"])


async def _connect(url: str) -> asyncpg.Connection:
    given = parse_qs(urlsplit(url).query)
    settings = {name: text for name, text in _SESSION.items() if name not in given}
    try:
        return await asyncpg.connect(url, timeout=CONNECT_SECONDS, server_settings=settings)
    except ValueError as error:  # what it says may quote the password
        raise ConfigError([f"storage.url: cannot be used ({type(error).__name__})"]) from None


def _at_opening(error: Exception) -> ConfigError | SinkUnavailable:
    state = getattr(error, "sqlstate", None) or ""
    if state in _HOPELESS:
        return ConfigError([f"storage.url: {_HOPELESS[state]}"])
    found = classify(error)
    return SinkUnavailable(str(found), hint=found.hint)
