"""Long work on the event loop, cut into steps, so that what is quick gets in between."""

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Generator
from typing import TypeVar

from playsmart_gateway.errors import Overcrowded

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Work that yields wherever others may have a turn, and returns what it found."""

ARRIVAL_SECONDS = 0.0015
"""Of a round of the loop, for each connection that begins or is read from in the next one. That is
several times what one costs, so who is here already notices little of a thousand that come at once;
and the busier the loop, the more of them get their turn, so nobody waits outside for long."""

ARRIVAL_ROUNDS = 2
"""Of the loop, between two of them; a small request is answered in six."""

_MOST_AT_ONCE = 64

LARGE_BODY_BYTES = 131_072
"""A body that is larger waits for its turn: to decode it can take as long as a hundred others."""

SLICE_BYTES = 65_536
"""Of a text, in a step: less than a millisecond, whatever is done with it."""


TURN_SECONDS = 0.0005
"""Of a processor: so much of long work is done in one turn, and the step that goes beyond it. A
body of 200 plain events takes one turn or two, and not one for each of its steps."""

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


class Turns:
    """Calls what is put here one after the other, ``rounds`` of the loop and ``seconds`` between.

    So what takes long is not done all in a row, and what is quick gets in between. With
    ``each_seconds`` as many more are called at once as that is contained in the time since then.
    """

    def __init__(
        self,
        rounds: int = 0,
        seconds: float = 0.0,
        *,
        each_seconds: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rounds = rounds
        self._seconds = seconds
        self._each_seconds = each_seconds
        self._clock = clock
        self._called_at = 0.0
        self._pause = 0
        self._is_going = False
        self._queue: deque[Callable[[], None]] = deque()

    def put(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        """Have ``call`` called when it is its turn."""
        self._queue.append(call)
        if not self._is_going:
            self._is_going = True
            self._called_at = self._clock()
            self._go(loop)

    def _go(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._pause and not self._queue:
            self._is_going = False
            return
        if self._seconds:
            loop.call_later(self._seconds, self._go, loop)
        else:
            loop.call_soon(self._go, loop)
        if self._pause:
            self._pause -= 1
            return
        self._pause = self._rounds
        now = self._clock()
        at_once = 1 + int((now - self._called_at) / self._each_seconds)
        self._called_at = now
        for _ in range(min(at_once, _MOST_AT_ONCE, len(self._queue))):
            call = self._queue.popleft()
            try:
                call()
            except Exception as error:  # noqa: BLE001 - the others have their turn all the same
                told = {"message": "a turn failed", "exception": error}
                loop.call_exception_handler(told)


class LongWork:
    """Does the steps of long work when it is their turn, one of all in so many ``turns``.

    A ``sender`` whose work has held up the loop for longer than a step may take rests before the
    next of it begins, so that one alone cannot be what all others wait for.
    """

    def __init__(
        self, turns: Turns, processor_clock: Callable[[], float] = time.thread_time
    ) -> None:
        self._turns = turns
        self._processor_clock = processor_clock
        self._rests = _Rests()

    async def run(self, steps: Steps[T], sender: str = "") -> T:
        """Do the first of the steps now, and the others when it is its turn.

        Raises:
            Overcrowded: other work of the sender rests already, which is what memory there is for.
        """
        loop = asyncio.get_running_loop()
        await self._rests.rest(loop, sender)
        turn_began = self._processor_clock()
        while True:
            began = self._processor_clock()
            try:
                next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                ended = self._processor_clock()
                too_long = ended - began - LONG_STEP_SECONDS
                if too_long > 0 and sender:
                    self._rests.must_rest(sender, loop.time(), REST_FACTOR * too_long)
            if ended - turn_began >= TURN_SECONDS:
                turn = asyncio.Event()
                self._turns.put(loop, turn.set)
                await turn.wait()
                turn_began = self._processor_clock()


class _Rests:
    """Until when senders rest, of the last ones that have to."""

    def __init__(self) -> None:
        self._until: OrderedDict[str, float] = OrderedDict()
        self._resting: set[str] = set()

    async def rest(self, loop: asyncio.AbstractEventLoop, sender: str) -> None:
        while (seconds := self._until.get(sender, 0.0) - loop.time()) > 0:
            if sender in self._resting:
                told = "another large body of the sender waits already"
                raise Overcrowded(retry_after_seconds=1, told=told)
            self._resting.add(sender)
            try:
                await asyncio.sleep(seconds)
            finally:
                self._resting.discard(sender)

    def must_rest(self, sender: str, now: float, seconds: float) -> None:
        until = max(now, self._until.pop(sender, now)) + seconds
        self._until[sender] = min(until, now + MAX_REST_SECONDS)
        if len(self._until) > _MAX_SENDERS:
            self._until.popitem(last=False)
