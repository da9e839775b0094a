"""Turns of several processes: one at a time, nobody overtakes, and a death lets the next one in."""

import asyncio
import os
import signal
from collections.abc import Callable

import pytest

from playsmart_gateway.peers.fair_lock import (
    PATIENCE_SECONDS,
    FairLock,
)
from tests.support.doubles import FakeClock
from tests.support.polling import eventually

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # xdist has threads


class Other:
    """Another process: it takes a turn, says so, and keeps it until it is told to end."""

    def __init__(self, fair_lock: FairLock, turns: int = 1) -> None:
        said, say = os.pipe()
        end, self._end = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(self._end)

            async def take() -> None:
                for _ in range(turns):
                    async with fair_lock.turn():
                        os.write(say, b"i")
                        os.read(end, 1)
                os.write(say, b"o")

            asyncio.run(take())
            os._exit(0)
        os.close(say)
        os.close(end)
        self._said = said
        os.set_blocking(said, False)

    def says(self) -> bytes | None:
        try:
            return os.read(self._said, 1) or None
        except BlockingIOError:
            return None

    def end_turn(self) -> None:
        os.write(self._end, b"e")

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._said)
        os.close(self._end)


async def in_turn(fair_lock: FairLock, note: Callable[[], None]) -> None:
    async with fair_lock.turn():
        note()


async def test_one_at_a_time_and_the_one_who_waits_is_not_overtaken() -> None:
    fair_lock = FairLock()
    other = Other(fair_lock, turns=2)
    taken: list[str] = []
    try:
        await eventually(other.says)
        mine = asyncio.create_task(in_turn(fair_lock, lambda: taken.append("mine")))
        await asyncio.sleep(0.01)
        assert not taken
        other.end_turn()  # it wants the next one, too, and has to wait for ours
        await mine
        assert taken == ["mine"]
        assert await eventually(other.says) == b"i"
        other.end_turn()
        assert await eventually(other.says) == b"o"
    finally:
        other.close()


async def test_the_turn_of_who_dies_is_over() -> None:
    fair_lock = FairLock()
    other = Other(fair_lock)
    await eventually(other.says)
    other.close()
    async with fair_lock.turn():
        pass


async def test_who_waits_in_vain_goes_on_without_a_turn() -> None:
    clock = FakeClock()
    fair_lock = FairLock(clock=clock)
    other = Other(fair_lock)
    try:
        await eventually(other.says)
        waiting = asyncio.create_task(in_turn(fair_lock, lambda: None))  # stands in the gate
        await asyncio.sleep(0.01)
        assert not waiting.done()
        clock.advance(PATIENCE_SECONDS + 0.1)
        await waiting
        third = Other(fair_lock)  # stands in the gate now, and we come behind it
        while await fair_lock._lock(0, deadline=0):
            fair_lock._unlock(0)
            await asyncio.sleep(0.001)
        waiting = asyncio.create_task(in_turn(fair_lock, lambda: None))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        clock.advance(PATIENCE_SECONDS + 0.1)
        await waiting
        third.close()
    finally:
        other.close()


async def test_who_is_cancelled_while_waiting_leaves_nothing_behind() -> None:
    fair_lock = FairLock()
    other = Other(fair_lock)
    try:
        await eventually(other.says)
        waiting = asyncio.create_task(in_turn(fair_lock, lambda: None))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait([waiting])
        other.end_turn()
        assert await eventually(other.says) == b"o"
        again = Other(fair_lock)
        assert await eventually(again.says) == b"i"
        again.close()
    finally:
        other.close()
