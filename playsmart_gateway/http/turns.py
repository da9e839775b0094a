"""Long work on the event loop, cut into steps, so that what is quick gets in between."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Generator
from typing import TypeVar

from playsmart_gateway.errors import Overcrowded

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Work that yields wherever others may have a turn, and returns what it found."""

ARRIVALS_AT_ONCE = 8
"""Connections that are accepted, begun and read from in a round of the loop: a millisecond."""

LARGE_BODY_BYTES = 65_536
"""A body that is larger waits for its turn: to decode it can take as long as a hundred others."""

SLICE_BYTES = 65_536
"""Of a text, in a step: less than a millisecond, whatever is done with it."""


LONG_STEP_SECONDS = 0.002
"""Of a processor. A step that takes longer is one call in C over a body that was made for it."""

REST_FACTOR = 250
"""How many times what a step took beyond that its sender rests: so it is 1 in 250 of the loop."""

MAX_REST_SECONDS = 1.0
_MAX_SENDERS = 1_024


def at_once(steps: Steps[T]) -> T:
    """Do all of the steps without a turn for anybody else."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


class Spaced:
    """Calls ``at_once`` things and then others, ``rounds`` of the loop and ``seconds`` between.

    So what takes long is not done all in a row, and what is quick gets in between.
    """

    def __init__(
        self,
        rounds: int = 0,
        seconds: float = 0.0,
        *,
        at_once: int = 1,
        processor_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._rounds = rounds
        self._seconds = seconds
        self._at_once = at_once
        self._resting: set[str] = set()
        self._processor_clock = processor_clock
        self._rested_at: OrderedDict[str, float] = OrderedDict()
        self._rest = 0
        self._is_going = False
        self._queue: deque[Callable[[], None]] = deque()

    def put(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        """Have ``call`` called when it is its turn."""
        self._queue.append(call)
        if not self._is_going:
            self._is_going = True
            self._go(loop)

    async def run(self, steps: Steps[T], sender: str = "") -> T:
        """Do the first of the steps now and each other one when it is its turn.

        A ``sender`` whose work has held up the loop for longer than a step may take rests before
        the next of it begins, so that one alone cannot be what all others wait for. One body rests:
        more of a sender would hold the memory of others meanwhile.

        Raises:
            Overcrowded: a body of the sender rests already.
        """
        loop = asyncio.get_running_loop()
        while (rest := self._rested_at.get(sender, 0.0) - loop.time()) > 0:
            if sender in self._resting:
                raise Overcrowded(retry_after_seconds=1)
            self._resting.add(sender)
            try:
                await asyncio.sleep(rest)
            finally:
                self._resting.discard(sender)
        while True:
            began = self._processor_clock()
            try:
                next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                too_long = self._processor_clock() - began - LONG_STEP_SECONDS
                if too_long > 0 and sender:
                    self._must_rest(sender, loop.time(), REST_FACTOR * too_long)
            turn = asyncio.Event()
            self.put(loop, turn.set)
            await turn.wait()

    def _must_rest(self, sender: str, now: float, seconds: float) -> None:
        until = max(now, self._rested_at.pop(sender, now)) + seconds
        self._rested_at[sender] = min(until, now + MAX_REST_SECONDS)
        if len(self._rested_at) > _MAX_SENDERS:
            self._rested_at.popitem(last=False)

    def _go(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._rest:
            self._rest -= 1
        elif self._queue:
            self._rest = self._rounds
            calls = [self._queue.popleft() for _ in range(min(self._at_once, len(self._queue)))]
            if self._seconds:
                loop.call_later(self._seconds, self._go, loop)
            else:
                loop.call_soon(self._go, loop)
            for call in calls:
                try:
                    call()
                except Exception as error:  # noqa: BLE001 - the others have their turn all the same
                    told = {"message": "a turn failed", "exception": error}
                    loop.call_exception_handler(told)
            return
        else:
            self._is_going = False
            return
        loop.call_soon(self._go, loop)
