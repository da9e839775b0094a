"""Long work on the event loop, cut into steps, so that what is quick gets in between."""

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from typing import TypeVar

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Work that yields wherever others may have a turn, and returns what it found."""

LARGE_BODY_BYTES = 65_536
"""A body that is larger waits for its turn: to decode it can take as long as a hundred others."""

SLICE_BYTES = 65_536
"""Of a text, in a step: less than a millisecond, whatever is done with it."""


def at_once(steps: Steps[T]) -> T:
    """Do all of the steps without a turn for anybody else."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


class Spaced:
    """Calls one thing after the other, with ``rounds`` of the event loop and ``seconds`` between.

    So what takes long is not done all in a row, and what is quick gets in between.
    """

    def __init__(self, rounds: int = 0, seconds: float = 0.0) -> None:
        self._rounds = rounds
        self._seconds = seconds
        self._rest = 0
        self._is_going = False
        self._queue: deque[Callable[[], None]] = deque()

    def put(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        """Have ``call`` called when it is its turn."""
        self._queue.append(call)
        if not self._is_going:
            self._is_going = True
            self._go(loop)

    async def run(self, steps: Steps[T]) -> T:
        """Do the first of the steps now and each other one when it is its turn."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            turn = asyncio.Event()
            self.put(loop, turn.set)
            await turn.wait()

    def _go(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._rest:
            self._rest -= 1
        elif self._queue:
            self._rest = self._rounds
            self._queue.popleft()()
            if self._seconds:
                loop.call_later(self._seconds, self._go, loop)
                return
        else:
            self._is_going = False
            return
        loop.call_soon(self._go, loop)
