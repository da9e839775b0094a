"""Figures that are counted until all is counted."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple

from playsmart_gateway.stores.contract import Rollups, Store
from playsmart_gateway.stores.sql.rollup import (
    Chunk,
    add,
)
from playsmart_gateway.stores.sqlite.connection import Statements
from playsmart_gateway.stores.sqlite.one_go import InOneGo, Underneath
from playsmart_gateway.stores.sqlite.rollup import gather
from tests.support.engines import postgres
from tests.support.polling import wait_until
from tests.support.process import RunningGateway
from tests.support.stores import SQLITE


def wait_for_figures(running: RunningGateway) -> None:
    """Until the sums of the dashboard have counted all that is stored."""
    behind = """
        SELECT position < (SELECT max(batch_id) FROM batches) FROM rollup_state
    """
    wait_until(lambda: True if running.select(behind)[0][0] == 0 else None)


async def follow_to_the_end(figures: Rollups, max_events: int = 1_000) -> None:
    """Or until it turns out that somebody else is on the way there."""
    while (followed := await figures.roll_up(max_events)) and followed.position < followed.end:
        pass


class ByHand(NamedTuple):
    """What a follower does, step by step, on a connection of the test's own."""

    run: Callable[[str], Awaitable[object]]
    gather: Callable[[int], Awaitable[Chunk]]
    add: Callable[[Chunk], Awaitable[bool]]


@asynccontextmanager
async def following_by_hand(url: str) -> AsyncIterator[ByHand]:
    if not url.startswith(SQLITE):
        from playsmart_gateway.stores.postgres import rollup

        async with postgres.connected(url) as db:
            yield ByHand(db.execute, partial(rollup.gather, db), partial(add, db))
        return
    underneath = sqlite3.connect(
        url.removeprefix(SQLITE),
        isolation_level=None,
        check_same_thread=False,
        factory=Underneath,
    )
    file = InOneGo(underneath)
    async with file:

        async def gathered(max_events: int) -> Chunk:
            return await file.call(lambda opened: gather(opened, max_events))

        yield ByHand(file.execute, gathered, partial(add, Statements(file)))


async def count_all(store: Store) -> None:
    """Have the figures, if there are any, count all that is stored."""
    if (figures := store.rollups()) is not None:
        async with figures:
            await follow_to_the_end(figures)
