"""The program under test: it takes commands as lines of JSON and answers each with one.

It is the leader of a session of its own, so that a kill takes a shell with all that it started.
Whatever it writes to standard error is kept, up to a bound, and searched for the token.
"""

import contextlib
import json
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any, Protocol, TypeAlias

from typing_extensions import override

MAX_STDERR_BYTES = 1_048_576
MAX_LINE_BYTES = 1_048_576


class Broken(Exception):
    """It did not answer, not in time, or with something that is no answer."""


class Unsupported(Exception):
    """It says that it cannot do a thing; the case is skipped."""


class Process(Protocol):
    """What of ``subprocess.Popen`` is used here; ``pid`` is that of its group, too."""

    stdin: IO[bytes] | None
    stdout: IO[bytes] | None
    stderr: IO[bytes] | None
    pid: int
    returncode: int | Any

    def wait(self, timeout: float | None = None) -> int:
        """Return when it has ended; raise ``subprocess.TimeoutExpired`` if it does not in time."""


Start: TypeAlias = Callable[[Sequence[str]], Process]


def start_program(command: Sequence[str]) -> Process:
    """Start a program in a session of its own, in which a write beyond a limit is an error."""
    return subprocess.Popen(  # noqa: S603 - it is what the operator wants to try
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        restore_signals=False,  # SIGXFSZ would end it
    )


class Adapter:
    """One process from start to end; a context manager, which leaves nothing running.

    Anything asked raises ``Broken`` after ``seconds`` without an answer.

    Raises:
        OSError: the program cannot be started.
    """

    def __init__(
        self, command: Sequence[str], seconds: float, start: Start = start_program
    ) -> None:
        self._seconds = seconds
        self._process = start(command)
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        self._errors = bytearray()
        self._readers = [
            threading.Thread(target=read, args=(stream,), daemon=True)
            for read, stream in (
                (self._read_answers, self._process.stdout),
                (self._read_errors, self._process.stderr),
            )
        ]
        for each in self._readers:
            each.start()

    def __enter__(self) -> "Adapter":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def errors(self) -> str:
        """What it wrote to standard error; all of it once it has ended."""
        return bytes(self._errors).decode("utf-8", "replace")

    def ask(self, command: Mapping[str, object]) -> dict[str, Any]:
        """Give one command and return its answer.

        Raises:
            Broken: no answer, or one that says that it failed.
            Unsupported: it does not know the command.
        """
        self.tell([command])
        return self.answer(command)

    def tell(self, commands: Sequence[Mapping[str, object]]) -> None:
        """Give commands without waiting for their answers."""
        lines = b"".join(json.dumps(each).encode() + b"\n" for each in commands)
        deadline = threading.Timer(self._seconds, self.kill)  # if it reads nothing
        deadline.start()
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(lines)
            self._process.stdin.flush()
        except (OSError, ValueError):
            raise Broken(f"{self._ending()} before it took {_named(commands[0])}") from None
        finally:
            deadline.cancel()

    def answer(self, command: Mapping[str, object]) -> dict[str, Any]:
        """Wait for the answer of ``command``, which is the next one; raises as ``ask``."""
        try:
            line = self._lines.get(timeout=self._seconds)
        except Empty:
            text = f"no answer to {_named(command)} within {self._seconds:g} s"
            raise Broken(text) from None
        if not line:
            self._lines.put(b"")
            raise Broken(f"{self._ending()} before it answered {_named(command)}")
        try:
            told = json.loads(line)
        except ValueError:
            told = None
        if not isinstance(told, dict) or not isinstance(told.get("ok"), bool):
            shown = line.decode("utf-8", "replace").strip()[:80]
            raise Broken(f"the answer to {_named(command)} is {shown!r}, not an object with ok")
        if told["ok"]:
            return told
        if told.get("error") == "unsupported":
            raise Unsupported(f"the adapter does not support {_named(command)}")
        raise Broken(f"{_named(command)} failed: {str(told.get('error'))[:120]}")

    def limit_files(self, most_bytes: int | None) -> None:
        """Let no file that it writes grow beyond this; None for no limit.

        A write that would is short, or fails, as on a disk that is full.

        Raises:
            Unsupported: the platform cannot do that from outside.
        """
        if not hasattr(resource, "prlimit"):
            raise Unsupported("this platform sets no limits to other processes")
        most = resource.RLIM_INFINITY if most_bytes is None else most_bytes
        for process in self._session():
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(process, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    def _session(self) -> list[int]:
        """Return it and all that it started."""
        found = []
        for each in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                session = each.read_text().rpartition(")")[2].split()[3]
                found += [int(each.parent.name)] if int(session) == self._process.pid else []
        return found

    def kill(self) -> None:
        """End it by SIGKILL, with all that it started, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for each in self._readers:
            each.join(1)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError, ValueError):
                if stream is not None and not self._is_read(stream):
                    stream.close()

    def ends(self) -> bool:
        """Wait until it has ended by itself; false if it has not in time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self._seconds)
        return self._process.returncode is not None

    def _is_read(self, stream: IO[bytes]) -> bool:
        """Tell whether a reader still holds it: what escaped the session may have it open."""
        return stream is not self._process.stdin and any(each.is_alive() for each in self._readers)

    def _ending(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.returncode
        if code is None:
            return "the adapter closed its standard output"
        return f"the adapter ended ({f'signal {-code}' if code < 0 else f'exit code {code}'})"

    def _read_answers(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            while line := stream.readline(MAX_LINE_BYTES):
                self._lines.put(line)
        self._lines.put(b"")

    def _read_errors(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            while piece := os.read(stream.fileno(), 65_536):
                del self._errors[: max(0, len(self._errors) + len(piece) - MAX_STDERR_BYTES)]
                self._errors += piece

    @override
    def __repr__(self) -> str:
        return f"Adapter(pid={self._process.pid})"


def _named(command: Mapping[str, object]) -> str:
    return str(command["do"])


def wait(seconds: float, until: float) -> None:
    """Rest, but not beyond a moment ``until`` of the monotonic clock."""
    time.sleep(max(0.0, min(seconds, until - time.monotonic())))
