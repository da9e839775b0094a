"""The database that a URL names; a driver is imported only when it is asked for."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from importlib.util import find_spec
from typing import Protocol, cast

from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.economy.points import Program
from playsmart_gateway.errors import ConfigError, to_install
from playsmart_gateway.stores.contract import (
    Store,
    TakeTurn,
)
from playsmart_gateway.stores.sql.database import Transaction


def open_store(
    url: str,
    rules: Sequence[Rule] = (),
    program: Program | None = None,
    *,
    take_turn: TakeTurn = contextlib.nullcontext,
    migrates: bool = True,
) -> Store:
    """Return the database that ``url`` names; enter it to open it.

    It pays coins by ``rules``, and points by ``program`` (none: no event is defined). Where several
    processes of a gateway write to a store that takes one at a time, they ``take_turn``. Who does
    not ``migrate`` refuses, when it is opened, a database that an older program left behind: the
    older program may still be running, and would not start again. So does its ``reader`` then.

    ``sqlite:///relative/path.db``, ``sqlite:////absolute/path.db``,
    ``postgresql://user:password@host:5432/database`` or ``memory:``.

    Raises:
        ConfigError: no database goes by that URL.
    """
    if url == "memory:":
        from playsmart_gateway.stores.memory.store import MemorySink

        return MemorySink(rules, program)
    if url.startswith(("sqlite:", "file:", ":memory:")):
        path = _sqlite_path(url)
        from playsmart_gateway.stores.sqlite import SqliteSink

        return SqliteSink(path, rules, program, take_turn, migrates=migrates)
    if url.startswith("postgresql://"):
        require_driver("asyncpg", "PostgreSQL", "postgres")
        from playsmart_gateway.stores.postgres import PostgresSink

        return PostgresSink(url, rules, program, migrates=migrates)
    raise ConfigError(
        ["storage.url: must be sqlite:///PATH, postgresql://..., nats://HOST:PORT or memory:"]
    )


class AsksInSql(Protocol):
    """A reader whose store speaks the SQL of ``stores.sql.database``."""

    reading: Transaction
    """Opens a transaction that only reads."""


@contextlib.asynccontextmanager
async def open_questions(url: str) -> AsyncIterator[Transaction]:
    """Enter a store to ask it in SQL: what opens a transaction that only reads.

    Raises:
        ConfigError: no database that can be asked so goes by that URL.
        SinkUnavailable: it cannot be read now.
    """
    if url == "memory:":
        raise ConfigError(["storage.url: memory: cannot be asked in SQL"])
    async with open_store(url, migrates=False).reader() as reader:
        yield cast(AsksInSql, reader).reading


def _sqlite_path(url: str) -> str:
    """Return the path in a URL of SQLite, which has one meaning or is refused."""
    path = url.removeprefix("sqlite:///")
    if ":memory:" in url or not path:
        problem = "a database in memory would lose every event; memory: is for trying things out"
    elif path == url:
        problem = "must be sqlite:///relative/path.db or sqlite:////absolute/path.db"
    elif {"?", "#"} & {*path}:
        problem = "sqlite:///PATH takes no parameters, and a path with ? or # cannot be used"
    elif path.endswith("/"):
        problem = "names a folder; must be sqlite:///PATH of a file"
    else:
        return path
    raise ConfigError([f"storage.url: {problem}"])


def require_driver(driver: str, engine: str, extra: str) -> None:
    """Require that the package ``driver`` is installed, which the ``extra`` brings.

    Raises:
        ConfigError: it is not.
    """
    if find_spec(driver) is None:
        raise ConfigError([f"storage.url: {engine} needs its driver: {to_install(extra)}"])
