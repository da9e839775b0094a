"""How connections come in: each when it is its turn, so that who is here already notices little.

An event loop left to itself accepts all connections that wait in one go, and then reads from all of
them: a thousand that come at once would stop all others for a quarter of a second.
"""

import asyncio
import select
from collections.abc import Callable
from typing import Protocol

from playsmart_gateway.http.turns import Turns


class HasDescriptor(Protocol):
    """What can be waited for; its descriptor is negative once it is closed."""

    def fileno(self) -> int:
        """Return the descriptor."""
        ...


class Gate:
    """While ``file`` is readable, has one thing taken of it whenever it is its turn.

    ``take`` returns None if it took one; else for how many seconds not to look at the file.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        turns: Turns,
        file: HasDescriptor,
        take: Callable[[], float | None],
    ) -> None:
        self._loop = loop
        self._turns = turns
        self._file = file
        self._take = take

    def open(self) -> None:
        """Begin to wait, unless the file is closed."""
        if self._file.fileno() >= 0:
            self._loop.add_reader(self._file.fileno(), self._come)

    def close(self) -> None:
        """Wait no more; to be called before the file is closed."""
        self._loop.remove_reader(self._file.fileno())

    def _come(self) -> None:
        self.close()
        self._turns.put(self._loop, self._next)

    def _next(self) -> None:
        if self._file.fileno() < 0:
            return
        pause = self._take()
        if pause is None:
            self._turns.put(self._loop, self._next)
        elif pause:
            self._loop.call_later(pause, self.open)
        else:
            self.open()


class Lobby:
    """Connections that have said nothing yet; who begins to gets in when it is its turn.

    Only Linux has what is needed for it; elsewhere they get in at once.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._epoll: select.epoll | None = None
        self._waiting: dict[int, Callable[[], None]] = {}

    def wait(
        self, loop: asyncio.AbstractEventLoop, descriptor: int, enter: Callable[[], None]
    ) -> None:
        """Have ``enter`` called once the connection of that descriptor has said something."""
        if not hasattr(select, "epoll"):
            enter()
            return
        if self._epoll is None:
            self._epoll = select.epoll()
            Gate(loop, self._turns, self._epoll, self._let_in).open()
        self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLONESHOT)
        self._waiting[descriptor] = enter

    def leave(self, descriptor: int, enter: Callable[[], None]) -> None:
        """Forget a connection; the descriptor may be that of another one by now."""
        if self._waiting.get(descriptor) == enter:
            del self._waiting[descriptor]

    def _let_in(self) -> float | None:
        assert self._epoll is not None
        for descriptor, _ in self._epoll.poll(0, 1):
            if (enter := self._waiting.pop(descriptor, None)) is not None:
                self._epoll.unregister(descriptor)
                enter()
            return None
        return 0.0
