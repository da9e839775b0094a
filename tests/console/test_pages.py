"""What is read once for all who watch."""

import asyncio

from playsmart_gateway.console.pages import FRESH_SECONDS, MAX_KEPT, Cache
from playsmart_gateway.errors import SinkUnavailable
from tests.support.doubles import FakeClock


class Store:
    """Counts how often it is read, and fails when it is told to."""

    def __init__(self) -> None:
        self.reads = 0
        self.fails = False

    async def read(self, game: str) -> str:
        self.reads += 1
        if self.fails:
            raise SinkUnavailable("gone")
        return f"{game}, read {self.reads}"


async def test_however_many_watch_the_store_is_asked_once_a_second() -> None:
    clock, store = FakeClock(), Store()
    cache = Cache(store.read, clock)
    assert [await cache.take("a") for _ in range(3)] == ["a, read 1"] * 3
    assert await cache.take("b") == "b, read 2"
    clock.advance(FRESH_SECONDS)
    assert await cache.take("a") == "a, read 3"


async def test_of_more_choices_than_are_kept_the_others_are_read_each_time() -> None:
    store = Store()
    cache = Cache(store.read, FakeClock())
    for number in range(MAX_KEPT + 1):
        await cache.take(f"game {number}")
    assert await cache.take("game 0") == "game 0, read 1"
    last = f"game {MAX_KEPT}"
    assert await cache.take(last) == f"{last}, read {MAX_KEPT + 2}"


async def test_however_many_wait_for_a_store_that_fails_it_is_asked_once_a_second() -> None:
    clock, store = FakeClock(), Store()

    async def slowly(game: str) -> str:
        clock.advance(10.0)  # as one that is locked
        return await store.read(game)

    cache = Cache(slowly, clock)
    store.fails = True
    outcomes = await asyncio.gather(*(cache.take("a") for _ in range(5)), return_exceptions=True)
    assert [str(each) for each in outcomes] == ["gone"] * 5
    assert store.reads == 1
    store.fails = False
    clock.advance(FRESH_SECONDS)
    assert await cache.take("a") == "a, read 2"
