"""Channels: one a worker, made before the fork; its siblings and its supervisor put letters in.

A channel is a pair of connected sockets without a name, so nobody else can reach it. It outlives
the worker whose it is: what arrives meanwhile is read by the next one. A letter is there whole or
not at all, and sending never waits: what does not fit is dropped, so nobody may depend on it.
"""

import array
import contextlib
import socket
from collections.abc import Sequence
from typing import NamedTuple

MAX_LETTER_BYTES = 196_608
"""A channel holds twice as much."""

_MAX_FILES = 1


class Letter(NamedTuple):
    """What was put into a channel: a text, and perhaps a connection to take over."""

    content: bytes
    file: int | None


class Channels:
    """The channels of ``workers`` workers."""

    def __init__(self, workers: int) -> None:
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(workers)]
        self._ins = [each[0] for each in pairs]
        self._outs = [each[1] for each in pairs]
        for each in (*self._ins, *self._outs):
            each.setblocking(False)
        for each in self._ins:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_LETTER_BYTES)  # Linux doubles

    def descriptor(self, worker: int) -> int:
        """Return what to wait on for letters to a worker."""
        return self._outs[worker].fileno()

    def put(self, worker: int, content: bytes, files: Sequence[int] = ()) -> bool:
        """Send a letter, with connections if any; False if it does not fit now."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
        try:
            self._ins[worker].sendmsg([content], rights)
        except OSError:  # full, or too large
            return False
        return True

    def take(self, worker: int) -> Letter | None:
        """Return the next letter to a worker; None if there is none."""
        size = socket.CMSG_SPACE(_MAX_FILES * array.array("i").itemsize)
        with contextlib.suppress(BlockingIOError):
            content, ancillary, _, _ = self._outs[worker].recvmsg(MAX_LETTER_BYTES, size)
            for _, _, data in ancillary:
                return Letter(content, int.from_bytes(data[:4], "little"))
            return Letter(content, None)
        return None

    def close(self) -> None:
        """Close all of them in this process."""
        for each in (*self._ins, *self._outs):
            each.close()
