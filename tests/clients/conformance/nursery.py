"""A warm process that others are forked from: an interpreter for each life of a client costs more
than all that happens in it.
"""

import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from tests import ROOT


class Newborn:
    """A forked process, in a session of its own; as much of ``Popen`` as an adapter needs."""

    def __init__(self, pid: int, pipes: tuple[int, int, int], life: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin: IO[bytes] | None = os.fdopen(pipes[0], "wb")
        self.stdout: IO[bytes] | None = os.fdopen(pipes[1], "rb")
        self.stderr: IO[bytes] | None = os.fdopen(pipes[2], "rb")
        self._life = os.fdopen(life, "rb")
        self._lock = threading.Lock()

    def wait(self, timeout: float | None = None) -> int:
        """The process holds the other end of ``life`` open; several may wait."""
        with self._lock:  # or two of them close it, the second perhaps what is another's by then
            if self.returncode is None:
                if not select.select([self._life], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired(["newborn"], timeout or 0)
                self._life.close()
                self.returncode = 0
            return self.returncode


class Nursery:
    """Starts clients by name."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._lock = threading.Lock()

    def start(self, command: Sequence[str]) -> Newborn:
        """Fork a process; ``command`` is what it is told."""
        pipes = [os.pipe() for _ in range(4)]
        (stdin, to), (out, stdout), (errors, stderr), (life, alive) = pipes
        with self._lock:
            given = [stdin, stdout, stderr, alive]
            socket.send_fds(self._control, [" ".join(command).encode()], given)
            pid = int(self._control.recv(64))
        for each in given:
            os.close(each)
        return Newborn(pid, (to, out, errors), life)


@contextlib.contextmanager
def nursery(module: str) -> Iterator[Nursery]:
    """Keep a process of ``module``, which calls ``serve``, until left."""
    ours, theirs = socket.socketpair()
    with (
        ours,
        theirs,
        subprocess.Popen([sys.executable, "-m", module], stdin=theirs.fileno(), cwd=ROOT),
    ):
        theirs.close()
        yield Nursery(ours)
        ours.close()


def serve(be: Callable[[str], None]) -> None:
    """Fork, for each command that comes on standard input, a process that does ``be`` and ends."""
    control = socket.socket(fileno=os.dup(0))
    while True:
        command, given, _, _ = socket.recv_fds(control, 1_000, 4)
        if not command:
            break
        if not os.fork():
            os.setsid()
            for number, each in enumerate(given[:3]):
                os.dup2(each, number)
                os.close(each)
            control.send(str(os.getpid()).encode())
            control.close()
            try:
                be(command.decode())
            finally:
                os._exit(0)
        for each in given:
            os.close(each)
        _bury(os.WNOHANG)
    _bury(0)


def _bury(how: int) -> None:
    """Wait for those that have ended: what they took is counted as this process's."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, how)[0]:
            pass
