"""The port of several workers: connections are accepted here and dealt to the workers in turn.

Workers that accept on one listening socket share unevenly: of 16 connections and a probe one got
17, 17 and 15. With a socket each (``SO_REUSEPORT``) the kernel draws lots, 9 to 8 and 11 to 6, and
those of a dead worker wait for it. Dealt, they are 9 to 8 each time, and the living get them all.
"""

import ipaddress
import logging
import selectors
import socket
import time
from collections import deque

from playsmart_gateway.errors import GatewayError
from playsmart_gateway.peers.channels import Channels
from playsmart_gateway.peers.peer import CONNECTION
from playsmart_gateway.peers.scoreboard import Scoreboard

logger = logging.getLogger(__name__)

BACKLOG = 2_048
PORTION = 8
PORTION_SECONDS = 0.001
"""After so many in a row the workers have the processors, and the supervisor a look at the rest: of
a thousand that come at once nobody who is served already is to wait for all."""

PAUSE_SECONDS = 0.02
"""After a connection could not be accepted: too many open files do not go away at once."""


def is_wildcard(host: str) -> bool:
    """Whether a host is all addresses of a machine, as IPv6 has it; IPv4 is meant too."""
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return address == ipaddress.IPv6Address("::")


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at the first address of a host; port 0 is any that is free.

    Raises:
        GatewayError: it cannot.
    """
    first, *others = listen_everywhere(host, port, at_most=1)
    assert not others
    return first


def listen_everywhere(host: str, port: int, *, at_most: int | None = None) -> list[socket.socket]:
    """Return sockets that listen at all addresses of a host; port 0 is any that is free.

    Raises:
        GatewayError: it cannot.
    """
    listeners: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in list(dict.fromkeys(found))[:at_most]:
            try:
                listener = socket.socket(family, kind, protocol)
            except OSError:
                if len(found) > 1:  # a kernel without IPv6
                    continue
                raise
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not is_wildcard(host))
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit it
            if not port and len(listeners) > 1:  # one port for all
                address = (address[0], listeners[0].getsockname()[1], *address[2:])
            listener.bind(address)
            listener.listen(BACKLOG)
            listener.setblocking(False)
    except OSError as error:
        for each in listeners:
            each.close()
        told = (error.strerror or "").lower()
        shown = f"[{host}]" if ":" in host else host
        raise GatewayError(f"cannot listen on {shown}:{port}: {told}") from error
    return listeners


class Acceptor:
    """Deals what comes to ``listener`` to the workers that are ready, while ``selector`` is asked.

    While none of them is, connections wait in the kernel; here waits at most one, ``held``, beside
    those that a worker died without having taken.
    """

    def __init__(
        self,
        listener: socket.socket,
        board: Scoreboard,
        channels: Channels,
        selector: selectors.BaseSelector,
    ) -> None:
        self.held: socket.socket | None = None
        self._listener = listener
        self._scoreboard = board
        self._channels = channels
        self._selector = selector
        self._next = 0
        self._closed = False
        self._returned: deque[socket.socket] = deque()

    @property
    def is_busy(self) -> bool:
        """Whether connections wait here for a worker that can take them."""
        return self.held is not None or bool(self._returned)

    def deal(self) -> None:
        """Give some of those that wait to the workers in turn, as far as they can take them."""
        for _ in range(PORTION):
            if self._closed:
                return
            if self.held is None and self._returned:
                self.held = self._returned.popleft()
            if self.held is None:
                try:
                    self.held, _ = self._listener.accept()
                except BlockingIOError:
                    return
                except OSError as error:
                    logger.warning("cannot accept a connection: %s", error.strerror)
                    time.sleep(PAUSE_SECONDS)
                    return
            if not self._give(self.held):
                return
            self.held.close()
            self.held = None
        time.sleep(PORTION_SECONDS)

    def take_back(self, number: int) -> None:
        """Deal what a worker that died has not taken; letters to it wait for the next one."""
        letters = []
        while (letter := self._channels.take(number)) is not None:
            if letter.content != CONNECTION:
                letters.append(letter.content)
            elif letter.file is None:  # the kernel gives no descriptor beyond the limit
                logger.warning("a connection was lost: too many open files")
            else:
                self._returned.append(socket.socket(fileno=letter.file))
        for content in letters:
            self._channels.put(number, content)
        if self._closed:
            self.close_here()

    def look(self) -> None:
        """Wait for connections, or not, as the workers are now."""
        if self._closed:
            return
        serves = any(self._serves(number) for number in range(self._scoreboard.workers))
        if serves and self.is_busy:
            self.deal()
        wanted = serves and self.held is None
        listens = self._listener in self._selector.get_map()
        if wanted and not listens:
            self._selector.register(self._listener, selectors.EVENT_READ)
        if listens and not wanted:
            self._selector.unregister(self._listener)

    def close(self) -> None:
        """Take no more connections; the port is free for others."""
        if self._closed:
            return
        self._closed = True
        if self._listener in self._selector.get_map():
            self._selector.unregister(self._listener)
        self.close_here()

    def close_here(self) -> None:
        """Close what a forked process has inherited of it."""
        self._listener.close()
        if self.held is not None:
            self.held.close()
            self.held = None
        while self._returned:
            self._returned.popleft().close()

    def _give(self, connection: socket.socket) -> bool:
        """Send it to the next worker that serves; False if none can take it now."""
        for step in range(self._scoreboard.workers):
            number = (self._next + step) % self._scoreboard.workers
            if self._serves(number) and self._channels.put(
                number, CONNECTION, [connection.fileno()]
            ):
                self._next = number + 1
                return True
        return False

    def _serves(self, number: int) -> bool:
        board = self._scoreboard
        return board.state(number) == "ready" and not board.is_silent(number, time.monotonic())
