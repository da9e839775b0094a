"""Turns at a store that takes one writer at a time, for several processes that write to it.

SQLite lets whoever waits for its lock look again after a pause, and who has just let go of it is
back long before that. So under load one worker would write and the others wait, for a second and
longer. Here nobody overtakes: there is a gate before the store, and who waits for the store stands
in the gate, so that all others, the last writer too, wait outside. The kernel lets go of both when
a process dies.
"""

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable

PATIENCE_SECONDS = 1.0
"""Who has not had a turn by then goes on without; the store then has the last word."""

_LOOK_SECONDS = 0.001
_GATE, _STORE = 0, 1


class FairLock:
    """Shared by the processes forked after it was made; each enters once at a time."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = os.memfd_create("fair_lock")
        self._clock = clock

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, which lasts while entered."""
        deadline = self._clock() + PATIENCE_SECONDS
        try:
            if await self._lock(_GATE, deadline):
                await self._lock(_STORE, deadline)
                self._unlock(_GATE)
            yield
        finally:
            self._unlock(_GATE)
            self._unlock(_STORE)

    async def _lock(self, what: int, deadline: float) -> bool:
        while True:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, what)
            except OSError:
                if self._clock() > deadline:
                    return False
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                return True

    def _unlock(self, what: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, what)
