"""The stores that a suite is held against, each empty."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from playsmart_gateway.sinks import Store, open_sink
from tests.engines import postgres

SQLITE = "sqlite:///"
MakeSink = Callable[[], Store]


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of each kind of store in turn."""
    return store_url(request.param, request, tmp_path)


@pytest.fixture
def make_sink(url: str) -> MakeSink:
    """Make sinks of the same store."""
    return partial(open_sink, url)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of each store that can be asked in SQL."""
    return store_url(request.param, request, tmp_path)


def store_url(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if kind == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return "memory:" if kind == "memory" else f"{SQLITE}{folder}/events.db"


async def select(url: str, query: str) -> list[tuple[Any, ...]]:
    """Ask a store in SQL, past everything that is ours."""
    if not url.startswith(SQLITE):
        return await postgres.fetch(url, query)
    with closing(sqlite3.connect(url.removeprefix(SQLITE))) as db:
        return db.execute(query).fetchall()


async def execute(url: str, script: str) -> None:
    """Change a store past everything that is ours."""
    if not url.startswith(SQLITE):
        await postgres.execute(url, script)
        return
    with closing(sqlite3.connect(url.removeprefix(SQLITE))) as db:
        db.executescript(script)


async def empty(url: str) -> None:
    """Forget what is in a store; it may not be open."""
    if url.startswith(SQLITE):
        _remove(Path(url.removeprefix(SQLITE)))
    elif url != "memory:":
        await postgres.empty(url)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
