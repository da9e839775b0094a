"""Standard output and error of a server: writing there never waits for whoever reads it.

A pipe that nobody reads, a terminal that was stopped, a disk that hangs: whoever writes there
waits, and on an event loop everybody waits with it. Here a write puts bytes into a queue, and a
thread brings them out. While the queue is full, what comes is dropped and counted; when it flows
again, a record says how much was. At the end of the process what is left gets a moment to go out.

A forked process begins with an empty queue, and with a thread of its own at its first write. The
thread holds nothing at any moment that a child would miss, so a process that has one may fork.
"""

import atexit
import contextlib
import io
import logging
import mmap
import os
import sys
import threading
import time
from queue import Empty, SimpleQueue
from typing import TextIO

logger = logging.getLogger(__name__)

MAX_WAITING_BYTES = 524_288
"""What may wait to be read, for each of the two streams."""

MAX_WRITE_BYTES = 65_536
"""How much of it goes out in one system call, about."""

FLUSH_SECONDS = 1.0
"""How long the end of a process waits for what was not read yet."""

MAX_WORKERS = 64

# A place for each process that shares the streams: the supervisor, or the only one, and workers.
_PLACES = 1 + MAX_WORKERS
_counts = memoryview(bytearray(8 * _PLACES)).cast("Q")
_place = 0


class Outlet:
    """Brings what is ``put`` to a file descriptor in the background, or drops and counts it.

    A descriptor that is closed, or whose reader is gone, drops everything. ``name`` is how the
    record about it calls the stream.
    """

    def __init__(
        self, descriptor: int, name: str, *, max_waiting_bytes: int = MAX_WAITING_BYTES
    ) -> None:
        self._descriptor = descriptor
        self._name = name
        self._max_waiting_bytes = max_waiting_bytes
        self.begin()

    def begin(self) -> None:
        """Forget what waits: it is that of the process from which this one was forked."""
        self.dropped = 0
        self._told = 0
        self._waiting_bytes = 0
        self._queue: SimpleQueue[bytes] = SimpleQueue()
        self._lock = threading.RLock()  # a destructor may log in the middle of a write
        self._thread: threading.Thread | None = None

    def put(self, content: bytes) -> None:
        """Write ``content`` some time soon; nothing that was put in one piece is torn."""
        with self._lock:
            if self._waiting_bytes + len(content) > self._max_waiting_bytes:
                self._drop(1)
                return
            self._waiting_bytes += len(content)
            self._queue.put(content)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def flush(self, seconds: float) -> bool:
        """Wait until everything is written, but not longer; whether it is."""
        deadline = time.monotonic() + seconds
        while self._waiting_bytes and time.monotonic() < deadline:
            time.sleep(0.002)
        return not self._waiting_bytes

    def _run(self) -> None:
        while True:
            pieces = [self._queue.get()]
            size = len(pieces[0])
            with contextlib.suppress(Empty):
                while size < MAX_WRITE_BYTES:
                    pieces.append(self._queue.get_nowait())
                    size += len(pieces[-1])
            written = self._write(b"".join(pieces))
            with self._lock:
                self._waiting_bytes -= size
                if not written:
                    self._drop(len(pieces))
            if written:
                self._tell()

    def _write(self, content: bytes) -> bool:
        """Write all of it, for as long as that takes; False if there is nobody any more."""
        rest = memoryview(content)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # somebody who shares the pipe does not want to wait for it
                time.sleep(0.02)
            except OSError:
                return False
        return True

    def _drop(self, pieces: int) -> None:
        self.dropped += pieces
        _counts[_place] += pieces

    def _tell(self) -> None:
        """Say how much was dropped, once there is room again."""
        missing = self.dropped - self._told
        if missing and self._waiting_bytes <= self._max_waiting_bytes // 2:
            self._told = self.dropped
            logger.error("%d records were dropped: nobody read %s", missing, self._name)


class _Raw(io.RawIOBase):
    """What Python writes text to."""

    def __init__(self, descriptor: int, outlet: Outlet) -> None:
        self._descriptor = descriptor
        self._outlet = outlet

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, content: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        whole = bytes(content)
        self._outlet.put(whole)
        return len(whole)


_outlets = (Outlet(1, "standard output"), Outlet(2, "standard error"))


def never_wait_for_readers() -> None:
    """Have all that this process and those it forks print and log go by way of a queue."""
    global _counts
    _counts = memoryview(mmap.mmap(-1, 8 * _PLACES)).cast("Q")  # those it forks count here, too
    sys.stdout = _stream(sys.stdout, 1, _outlets[0])
    sys.stderr = _stream(sys.stderr, 2, _outlets[1])
    for outlet in _outlets:
        os.register_at_fork(after_in_child=outlet.begin)
    atexit.register(flush)


def flush(seconds: float = FLUSH_SECONDS) -> None:
    """Give what waits so long to go out."""
    deadline = time.monotonic() + seconds
    for outlet in _outlets:
        outlet.flush(max(0.0, deadline - time.monotonic()))


def count_as_worker(number: int) -> None:
    """Count from now on what is dropped as that of this worker, counted from 0."""
    global _place
    _place = 1 + number


def dropped_records() -> int:
    """Return how many records were dropped since the start, by all processes together."""
    return sum(_counts)


def open_standard_descriptors() -> None:
    """Put ``/dev/null`` in the place of standard descriptors that are closed.

    Else the next file that is opened, a database perhaps, would be standard error. It can only be
    read: whoever writes there is still told that it is closed.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # takes the lowest number that is free: this one
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, closefd=False)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


def take_any_text() -> None:
    """Have characters that an output cannot take written as escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def discard_what_nobody_takes() -> None:
    """Leave nothing behind that Python would fail to write at its end, and complain about."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _stream(before: TextIO, descriptor: int, outlet: Outlet) -> TextIO:
    before.flush()
    return io.TextIOWrapper(
        _Raw(descriptor, outlet),  # type: ignore[type-var] # it takes a raw stream as well
        encoding=before.encoding,
        errors="backslashreplace",
        line_buffering=True,
    )
