"""Connections that come, or begin to speak, all at once: who is let in when."""

import asyncio
import contextlib
import select
import socket
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any

import pytest
import uvloop

from playsmart_gateway.config import Config
from playsmart_gateway.http.arrivals import Gate, Lobby
from playsmart_gateway.http.slots import Limits, Slots
from playsmart_gateway.http.turns import ARRIVAL_ROUNDS, Turns
from playsmart_gateway.metrics import Stats
from playsmart_gateway.serve.server import Server, uvicorn_config
from tests.support.doubles import FakeClock
from tests.support.polling import eventually

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
SPOKEN = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Iterator[Callable[[Coroutine[Any, Any, None]], None]]:
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner.run


@contextlib.contextmanager
def pairs(count: int) -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Connections, ours and theirs."""
    made = [socket.socketpair() for _ in range(count)]
    try:
        for pair in made:
            for each in pair:
                each.setblocking(False)
        yield made
    finally:
        for pair in made:
            for each in pair:
                each.close()


async def most_in_a_round(count: Callable[[], int], *, upto: int) -> int:
    """Return how many were added at most in a round of the loop, until there were so many."""
    found, before = 0, count()
    async with asyncio.timeout(20):
        while before < upto:
            await asyncio.sleep(0)
            now = count()
            found, before = max(found, now - before), now
    return found


def test_what_waits_is_taken_one_by_one_in_turn(
    run: Callable[[Coroutine[Any, Any, None]], None],
) -> None:
    taken: list[bytes] = []
    pauses: list[float] = []

    async def scene() -> None:
        with pairs(1) as [(ours, theirs)]:

            def take() -> float | None:
                with contextlib.suppress(BlockingIOError):
                    taken.append(ours.recv(1))
                    return None
                return pauses.pop() if pauses else 0.0

            turns = Turns(ARRIVAL_ROUNDS, each_seconds=1.0, clock=FakeClock())
            gate = Gate(asyncio.get_running_loop(), turns, ours, take)
            gate.open()
            theirs.send(b"abcdefgh")
            assert await most_in_a_round(partial(len, taken), upto=8) == 1
            await asyncio.sleep(0.01)
            pauses.append(3_600.0)
            theirs.send(b"ij")
            await eventually(lambda: len(taken) == 10 or None)
            theirs.send(b"k")
            for _ in range(50):
                await asyncio.sleep(0)
            assert len(taken) == 10, "it was said not to look for an hour"
            gate.close()
        gate.open()  # an hour later it is closed

    run(scene())
    assert b"".join(taken) == b"abcdefghij"


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="elsewhere they get in at once")
def test_of_many_who_speak_at_once_few_get_in_in_a_round_and_none_who_left(
    run: Callable[[Coroutine[Any, Any, None]], None],
) -> None:
    entered: list[int] = []

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        lobby = Lobby(Turns(ARRIVAL_ROUNDS, each_seconds=1.0, clock=FakeClock()))
        with pairs(30) as made:
            enters = [partial(entered.append, place) for place in range(len(made))]
            for (ours, _), enter in zip(made, enters, strict=True):
                lobby.wait(loop, ours.fileno(), enter)
            for _ in range(50):
                await asyncio.sleep(0)
            assert not entered, "nobody has said anything"
            lobby.leave(made[3][0].fileno(), enters[3])
            lobby.leave(made[4][0].fileno(), enters[5])
            made[7][0].close()
            for place, (_, theirs) in enumerate(made):
                if place != 7:
                    theirs.send(b"x")
            assert await most_in_a_round(partial(len, entered), upto=28) == 1

    run(scene())
    assert sorted(entered) == [place for place in range(30) if place not in (3, 7)]


def test_connections_that_all_speak_at_once_are_read_from_in_turn(
    run: Callable[[Coroutine[Any, Any, None]], None],
) -> None:
    """Whatever an event loop makes of it that a new connection is not to be read from yet."""
    asked: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    async def scene(speaks_first: bool) -> None:
        asked.clear()
        slots = Slots(Limits(), Stats())
        slots.arrivals = Turns(ARRIVAL_ROUNDS, each_seconds=1.0, clock=FakeClock())
        slots.lobby = Lobby(slots.arrivals)
        config = uvicorn_config(application, Config(), slots)
        config.load()
        server = Server(config, slots, on_signal=lambda _: None)
        server.lifespan = config.lifespan_class(config)
        with pairs(40) as made:
            if speaks_first:
                for _, theirs in made:
                    theirs.send(SPOKEN)
            for ours, _ in made:
                server._take_over(ours.detach())  # as a peer gives them
            if not speaks_first:
                await eventually(lambda: len(slots.connections) == len(made) or None)
                for _, theirs in made:
                    theirs.send(SPOKEN)
            assert await most_in_a_round(partial(len, asked), upto=len(made)) <= 2
        await eventually(lambda: not slots.connections or None)

    run(scene(speaks_first=False))
    run(scene(speaks_first=True))
