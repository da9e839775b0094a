"""Processes of the gateway without the second of imports: one that has done them forks each.

``start`` is what ``subprocess.Popen([sys.executable, "-m", "playsmart_gateway", ...])`` is, but for
how it begins; where the beginning matters, take that. The one that forks is started with the first
of them, is named by the environment variables of then, and ends, and ends all that it forked, when
the process of the tests does, however that ends.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

from tests import ROOT

COMMAND = "playsmart_gateway.__main__:main"
LIFE_SECONDS = 3_600
_MESSAGE_BYTES = 150_000
_PROGRAM = "from tests.support.warm import fork_each; fork_each({})"
_IMPORTED = (
    "asyncpg",
    "encodings.idna",
    "nats",
    "playsmart_gateway.serve.supervisor",
    "playsmart_gateway.stores.postgres",
    "playsmart_gateway.stores.sqlite",
    "playsmart_gateway.stream.sink",
    "tests.support.forked",
    "tests.support.program",
    "uvicorn.lifespan.off",
    "uvicorn.loops.uvloop",
)


class Forked:
    """A process that was forked elsewhere; used as ``subprocess.Popen`` is."""

    def __init__(self, pid: int, ended: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended: int | None = ended

    def __del__(self) -> None:
        if self._ended is not None:
            os.close(self._ended)

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        return self._heard(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; ``subprocess.TimeoutExpired`` if it does not come in time."""
        if (code := self._heard(timeout)) is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, if there is anybody to hear it."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _heard(self, timeout: float | None) -> int | None:
        if self._ended is not None and select.select([self._ended], [], [], timeout)[0]:
            told = os.read(self._ended, 64)
            os.close(self._ended)
            self._ended = None
            self.returncode = int(told or -signal.SIGKILL)  # or nobody was left to tell it
        return self.returncode


_one_at_a_time = threading.Lock()


def start(
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    stdout: IO[Any] | int,
    stderr: IO[Any] | int | None = None,
    main: str = COMMAND,
    encoding: str = "utf-8",
    given: Mapping[str, Any] | None = None,
) -> Forked:
    """Start ``main``, a function by its name, with these arguments and nothing to read.

    It leads a session of its own. ``stderr`` goes where ``stdout`` does unless it is said.
    ``given`` is passed to ``main``, if there is any.
    """
    ends = [each if isinstance(each, int) else each.fileno() for each in (stdout, stderr or stdout)]
    ended, telling = os.pipe()
    case = {
        "arguments": list(arguments),
        "folder": str(folder),
        "environment": dict(environment),
        "main": main,
        "encoding": encoding,
        "given": dict(given or {}),
    }
    try:
        message = json.dumps(case).encode()
        assert len(message) < _MESSAGE_BYTES
        with _one_at_a_time:
            socket.send_fds(_channel(), [message], [*ends, telling])
            pid = int(_channel().recv(64))
    except BaseException:
        os.close(ended)
        raise
    finally:
        os.close(telling)
    return Forked(pid, ended)


def run(
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    timeout: float,
    main: str = COMMAND,
) -> subprocess.CompletedProcess[str]:
    """Run to the end and return the exit code and what was printed."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = start(
            arguments, folder=folder, environment=environment, stdout=out, stderr=err, main=main
        )
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    return subprocess.CompletedProcess(list(arguments), code, *texts)


@cache
def _channel() -> socket.socket:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with there:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM.format(there.fileno())],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            pass_fds=[there.fileno()],
            start_new_session=True,  # Ctrl-C is for the tests
        )

    def close() -> None:
        here.close()
        process.wait()

    atexit.register(close)
    return here


# -- the process that forks --


def fork_each(descriptor: int) -> None:
    """Fork for each message on a socket, and tell how each child ended, until it is closed."""
    from playsmart_gateway import dialects
    from playsmart_gateway.cli import COMMANDS

    commands = (f"playsmart_gateway.cli.{each.module}" for each in COMMANDS.values())
    opened = (
        each.name
        for each in pkgutil.walk_packages(dialects.__path__, "playsmart_gateway.dialects.")
    )
    for name in (*_IMPORTED, *commands, *opened):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    channel = socket.socket(fileno=descriptor)
    reader, writer = os.pipe()
    for end in (reader, writer):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    gc.collect()
    gc.freeze()  # or each child copies and collects what was imported
    telling: dict[int, int] = {}
    while True:
        ready = select.select([descriptor, reader], [], [])[0]
        if reader in ready:
            os.read(reader, 4_096)
            _tell_who_ended(telling)
        if descriptor in ready:
            message, ends, *_ = socket.recv_fds(channel, _MESSAGE_BYTES, 3)
            if not message:
                break
            child = os.fork()
            if not child:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for each in (descriptor, reader, writer, ends[2], *telling.values()):
                    os.close(each)
                channel.detach()
                _become(json.loads(message), ends[:2])
                return
            os.close(ends[0])
            os.close(ends[1])
            telling[child] = ends[2]
            channel.send(b"%d" % child)
    for child in telling:
        os.kill(child, signal.SIGKILL)
    while telling:
        _tell_who_ended(telling)
        time.sleep(0.01)


def _tell_who_ended(telling: dict[int, int]) -> None:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            end = telling.pop(ended[0])
            with contextlib.suppress(BrokenPipeError):
                os.write(end, b"%d" % os.waitstatus_to_exitcode(ended[1]))
            os.close(end)


def _become(case: Mapping[str, Any], ends: Sequence[int]) -> None:
    os.setsid()
    signal.alarm(LIFE_SECONDS)
    for place, end in enumerate(ends, 1):
        os.dup2(end, place)
    for end in {*ends} - {1, 2}:
        os.close(end)
    os.chdir(case["folder"])
    os.environ.clear()
    os.environ.update(case["environment"])
    time.tzset()
    sys.argv = ["playsmart-gateway", *case["arguments"]]
    name = case["encoding"]
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - for the rest of the process
    sys.stdout = open(1, "w", encoding=name, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding=name, errors="backslashreplace", closefd=False)  # noqa: SIM115
    module, _, function = case["main"].partition(":")
    main = getattr(importlib.import_module(module), function)
    try:
        sys.exit(main(case["given"]) if case["given"] else main())
    except SystemExit as error:
        code = error.code
    _end(code)


def _end(code: str | int | None) -> None:
    """End as Python does, but leave the modules to the kernel: to take them apart is most work.

    What waits for the collector is found as at any end: threads, handlers, and streams as well.
    """
    if isinstance(code, str):
        sys.exit(code)
    threading._shutdown()  # type: ignore[attr-defined] # as multiprocessing does
    atexit._run_exitfuncs()
    gc.collect()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(code or 0)
