"""An event loop whose clock jumps: when nothing is ready it is at once the time of the next timer.

Threads are simulated too: what ``in_thread`` gets runs some time later and its caller hears of it
some time after that, so that a kill can come before or after the effect. A process dies between
two callbacks (``kill_at_step``), at an instant (``kill_at``) or inside a system call (the disk
raises ``Killed``); whatever it would do after that has no effect any more.
"""

import asyncio
import contextlib
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple, Unpack

from tests.campaigns.simulation.chance import Chance

MAX_STEPS = 100_000

STEP_SECONDS = 0.000_001
"""What a callback costs: time never stands still, so nobody can wait for it in a busy loop."""

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class Killed(BaseException):
    """The process died inside this call."""


class Stuck(Exception):
    """Nothing is ready, no timer is set, and yet the scenario is not over; or it never ends."""


class SimLoop(asyncio.BaseEventLoop):
    """Runs one life of a process, beginning at the virtual time ``now``."""

    def __init__(self, chance: Chance, now: float) -> None:
        super().__init__()
        self.chance = chance
        chance.clock = self.time
        self.now = now
        self.steps = 0
        self.dead = False
        self.kill_at_step: int | None = None
        self.errors: list[str] = []
        self.threads = 0
        self._queue: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timer_count = 0
        self._tasks: list[asyncio.Task[Any]] = []

    # ---- What asyncio asks of a loop --------------------------------------------------------

    def time(self) -> float:
        return self.now

    def call_soon(
        self,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._queue.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._timer_count += 1
        heapq.heappush(self._timers, (when, self._timer_count, handle))
        return handle

    def create_task(
        self,
        coro: Generator[Any, None, _T] | Coroutine[Any, Any, _T],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[_T]:
        task = asyncio.Task(
            coro, loop=self, name=None if name is None else str(name), context=context
        )
        self._tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Nothing may go wrong unnoticed, except in the afterlife."""
        error = context.get("exception")
        if not self.dead:
            self.errors.append(f"{context['message']}: {error!r}")

    # ---- What a scenario asks of it ---------------------------------------------------------

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run until ``main`` returned and every thread too, or until the process died.

        Raises:
            Stuck: it would never end.
        """
        events._set_running_loop(self)
        try:
            task = self.create_task(main, name="main")
            while not (self.dead or (task.done() and not self.threads)):
                self._step()
            if not self.dead and not task.cancelled() and (error := task.exception()):
                self.errors.append(f"main died: {error!r}")
        finally:
            events._set_running_loop(None)

    def die(self) -> None:
        """End the process now, at the end of this callback."""
        self.dead = True

    def left_tasks(self) -> list[str]:
        """Name the tasks that nobody waited for; there should be none at the end."""
        return [task.get_name() for task in self._tasks if not task.done()]

    def failed_tasks(self) -> list[str]:
        """Name the tasks that died of an exception nobody asked for; there should be none."""
        return [
            f"{task.get_name()}: {task.exception()!r}"
            for task in self._tasks
            if task.done() and getattr(task, "_log_traceback", False)
        ]

    def bury(self) -> None:
        """Unwind what is left of a dead process, without effect, so that nothing leaks."""
        self.dead = True
        events._set_running_loop(self)
        try:
            with contextlib.suppress(Stuck):
                while left := [task for task in self._tasks if not task.done()]:
                    for task in left:
                        task.cancel()
                    for _ in range(max(1, len(self._queue))):
                        self._step()
            self.failed_tasks()  # asking keeps asyncio from logging them
        finally:
            events._set_running_loop(None)
            self._queue.clear()
            self._timers.clear()
            self.close()

    async def in_thread(self, function: Callable[[], object], slow: float = 0.0) -> object:
        """Run a function as ``asyncio.to_thread`` would, ``slow`` seconds late."""
        done = self.create_future()
        self.threads += 1
        self.call_later(slow + self._moment(), self._work, function, done)
        return await done

    def _work(self, function: Callable[[], object], done: "asyncio.Future[object]") -> None:
        result: object = None
        error: BaseException | None = None
        try:
            result = None if self.dead else function()
        except (Exception, Killed) as caught:  # noqa: BLE001 - the caller gets it
            error = caught
        self.call_later(self._moment(), self._finish, done, result, error)

    def _finish(
        self, done: "asyncio.Future[object]", result: object, error: BaseException | None
    ) -> None:
        self.threads -= 1
        if done.done():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def _moment(self) -> float:
        """Return how long a thread takes to begin, or its end to be heard."""
        return self.chance.random() * 0.002

    def _step(self) -> None:
        if not self.dead:
            self.steps += 1
            if self.steps == self.kill_at_step:
                self.die()
                return
            if self.steps > MAX_STEPS:
                raise Stuck(f"no end after {MAX_STEPS} steps")
        if not self._queue:
            self._advance()
        self.now += STEP_SECONDS
        handle = self._queue.popleft()
        if not handle.cancelled():
            handle._run()

    def _advance(self) -> None:
        """Jump to the next timer."""
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not timers:
            raise Stuck(f"deadlock: {', '.join(self.left_tasks())} wait for ever")
        self.now = max(self.now, timers[0][0])
        while timers and timers[0][0] <= self.now:
            self._queue.append(heapq.heappop(timers)[2])
