"""The stores that a suite is held against, asked past everything that is ours."""

import asyncio
import inspect
import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.stores.contract import Store
from tests.support.engines import postgres
from tests.support.examples import examples

SQLITE = "sqlite:///"
MakeSink = Callable[[], Store]
AsyncTest = Callable[..., Coroutine[Any, Any, None]]


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of each store that can be asked in SQL."""
    return store_url(request.param, request, tmp_path)


@pytest.fixture(params=["sqlite", "postgres"])
def new_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Like ``database_url``, before any gateway has made its tables."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return store_url(request.param, request, tmp_path)


def store_url(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if kind == "postgres":
        return str(request.getfixturevalue("postgres_store_url"))
    return "memory:" if kind == "memory" else f"{SQLITE}{folder}/events.db"


def for_all(
    max_examples: int, **drawn: st.SearchStrategy[Any]
) -> Callable[[AsyncTest], Callable[..., None]]:
    """Like Hypothesis's ``given``; PostgreSQL is shown a quarter of the examples.

    Each costs it some new connections, 15 ms of a processor apiece, and its sums are SQLite's.
    """

    def decorate(test: AsyncTest) -> Callable[..., None]:
        def held(**fixtures: Any) -> None:
            tried = fixtures.get("tried")
            url = tried.url if tried else fixtures.get("url") or fixtures["database_url"]
            shown = max_examples // 4 if url.startswith("postgresql:") else max_examples

            @examples(shown)
            @given(st.fixed_dictionaries(drawn))
            def example(values: dict[str, Any]) -> None:
                asyncio.run(test(**fixtures, **values))

            example()

        held.__name__, held.__doc__, held.__module__ = test.__name__, test.__doc__, test.__module__
        asked = inspect.signature(test).parameters
        held.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [each for name, each in asked.items() if name not in drawn]
        )
        marked: Callable[..., None] = pytest.mark.hypothesis(held)
        return marked

    return decorate


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
