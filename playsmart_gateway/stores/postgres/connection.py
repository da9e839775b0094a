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
import logging
import re
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg

from playsmart_gateway.errors import ConfigError, SinkError, SinkRejected, SinkUnavailable
from playsmart_gateway.stores.postgres.url import (
    Target,
    read_url,
)

logger = logging.getLogger(__name__)
logger.addHandler(logging.NullHandler())  # commands, which have no log, tell it themselves

CLOSE_SECONDS = 1.0
DAMAGE_SECONDS = 60.0
TRANSACTION_SECONDS = 60.0
"""A server that cannot be reached any more does not say so."""

_SET = """
    SELECT set_config(name, value, false)
    FROM unnest($1::text[], $2::text[]) AS settings (name, value)
"""
_PARAMETER = re.compile(r'parameter "([\w.]+)"')
_PID = "SELECT pg_backend_pid()"
_SECOND_SECONDS = 5.0
_NO_SETTING = ("22023", "42501", "42704", "55P02")
_MAY_BE_RENEWED = (9, 10)
"""A certificate that is not valid yet, or not any more: of OpenSSL's codes."""

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
    "XX001": "Restore a backup; the server's log names the file.",
    "XX002": "REINDEX what is named; look at the server's disk.",
}
_UNFIT = ("22", "23", "27", "44", "54", "P0")
"""Classes of states: bad data, a broken constraint, a trigger, a view, more than the server can
hold, an error that a function raised."""
_OF_THE_STORE = (
    asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError,
    OSError, UnicodeError, OverflowError,
)  # fmt: skip
_DAMAGED = ("XX001", "XX002")
_UNREACHABLE = "Check that the server runs, and the network in between."
_FORBIDDEN = "the user must own the tables, or be granted CREATE on the schema to make them"
_LENT = "a pooler in transaction mode is in between; it must be in session mode"
_HOPELESS = {
    "28000": "the server refuses this user; see its pg_hba.conf",
    "28P01": "the password is wrong",
    "26000": _LENT,
    "3D000": "there is no such database; create it",
    "3F000": _FORBIDDEN,
    "42501": _FORBIDDEN,
    "42P05": _LENT,
}
_SAID_BY_POOLERS = {
    "no such database": _HOPELESS["3D000"],
    "does not exist": _HOPELESS["3D000"],
    "statement pooling": _LENT,
    "no such user": _HOPELESS["28000"],
    "authentication failed": _HOPELESS["28P01"],
    "unsupported startup parameter": "the pooler refuses a startup parameter; see its log",
}
"""What no restart without a change helps against."""


class Undone(Exception):
    """Raised in a transaction that is to leave nothing."""


class Damage:
    """What is broken in a database, as far as any connection of a gateway has met it lately."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._met: SinkUnavailable | None = None
        self._met_at = 0.0

    @property
    def found(self) -> SinkUnavailable | None:
        """What was met in the last minute; who mends it is not to start us again."""
        is_news = self._clock() - self._met_at < DAMAGE_SECONDS
        return self._met if is_news else None

    def met(self, error: SinkUnavailable) -> None:
        """Take note of it."""
        if self.found is None:
            logger.error("the database is damaged: %s. %s", error, error.hint)
        self._met, self._met_at = error, self._clock()


class Connection:
    """The connection to ``url``, opened when it is needed; ``prepare`` sees each new one first."""

    def __init__(
        self,
        url: str,
        prepare: Prepare,
        *,
        damage: Damage | None = None,
        patience_seconds: float = TRANSACTION_SECONDS,
    ) -> None:
        self._target = read_url(url)
        self._damage = damage or Damage()
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
            db = await connect(self._target)
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
                    known = classify(error)
                    if getattr(error, "sqlstate", None) in _DAMAGED:
                        self._damage.met(SinkUnavailable(str(known), hint=known.hint))
                    raise known from error
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


async def connect(target: Target) -> asyncpg.Connection:
    """Connect, and set what the session is to have.

    Raises what the driver raises, and ``ConfigError``.
    """
    try:
        db = await asyncpg.connect(target.url, timeout=target.connect_seconds)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in _MAY_BE_RENEWED:
            raise
        problem = f"the server's certificate is not to be trusted: {error.verify_message}"
        raise ConfigError([f"storage.url: {problem}"]) from None
    except ConnectionError as error:
        if "rejected SSL upgrade" not in str(error):
            raise
        raise ConfigError(["storage.url: sslmode wants TLS, the server does not do it"]) from None
    except ssl.SSLError as error:
        raise ConfigError([f"storage.url: TLS fails: {error.reason}"]) from None
    except ValueError as error:  # what it says may quote the password
        raise ConfigError([f"storage.url: {_told(error)}"]) from None
    try:
        await db.fetch(_SET, list(target.settings), list(target.settings.values()))
    except asyncpg.PostgresError as error:
        db.terminate()
        if error.sqlstate not in _NO_SETTING:
            raise
        name = found[1] if (found := _PARAMETER.search(str(error))) else "of a session"
        raise ConfigError([f"storage.url: the server refuses the setting {name}"]) from None
    except BaseException:
        db.terminate()
        raise
    return db


async def require_session(db: asyncpg.Connection, target: Target) -> None:
    """Look whether ``db`` keeps its session, as it does not behind a pooler that lends it out.

    Raises:
        ConfigError: it does not.
    """
    mine = await db.fetchval(_PID)
    if mine == db.get_server_pid():
        return  # nobody is in between
    try:
        async with asyncio.timeout(_SECOND_SECONDS):
            other = await asyncpg.connect(target.url)
    except TimeoutError:
        return  # the pool is used up, so nobody's session is lent out
    try:
        await other.execute("BEGIN")
        is_lent = mine == await other.fetchval(_PID) or mine != await db.fetchval(_PID)
    finally:
        other.terminate()
    if is_lent:
        raise ConfigError([f"storage.url: {_LENT}"])


def _told(error: ValueError) -> str:
    """Say what the driver does not like, if that is one of its own words."""
    if isinstance(error, asyncpg.InterfaceError) and "root certificate" in str(error):
        return "sslmode wants the certificate of an authority: name its file by sslrootcert"
    return f"cannot be used ({type(error).__name__})"


def _at_opening(error: Exception) -> ConfigError | SinkUnavailable:
    state = getattr(error, "sqlstate", None) or ""
    if state in _HOPELESS:
        return ConfigError([f"storage.url: {_HOPELESS[state]}"])
    pooler = str(error).lower()
    for words, problem in _SAID_BY_POOLERS.items():
        if state[:2] == "08" and words in pooler:
            return ConfigError([f"storage.url: {problem}"])
    found = classify(error)
    return SinkUnavailable(str(found), hint=found.hint)
