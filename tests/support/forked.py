"""Commands as processes of their own, without the half second of imports: one process forks each.

It reads a case a line: arguments (bytes that are not UTF-8 as surrogates), environment, folder, the
encoding of standard output, where that goes, and when Ctrl-C is pressed: after how many seconds, or
at which step of its own (an audit event of Python's, such as ``sqlite3.connect``).
"""

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from playsmart_gateway.__main__ import end_at_once
from tests import ROOT
from tests.support.process import clean_environment

LIMIT_SECONDS = 120
WAITING_SECONDS = 1

_PROGRAM = "from tests.support.forked import fork_each; fork_each()"


class Ended(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    output: str
    errors: str


class Forks:
    """Runs commands, in ``folder`` unless they ask for another."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder

    def run(
        self,
        arguments: Sequence[str],
        settings: Mapping[str, str] | None = None,
        *,
        output: str = "file",
        encoding: str = "utf-8",
        interrupted_after: float = 0.0,
        interrupted_at: str = "",
    ) -> Ended:
        """Run one; ``output`` is file, full, closed, unread (a pipe without a reader) or a path."""
        assert self._process.stdin
        assert self._process.stdout
        case = {
            "arguments": list(arguments),
            "settings": {f"PLAYSMART_{key}": value for key, value in (settings or {}).items()},
            "folder": str(self._folder),
            "output": output,
            "encoding": encoding,
            "interrupted_after": interrupted_after,
            "interrupted_at": interrupted_at,
        }
        self._process.stdin.write(json.dumps(case) + "\n")
        self._process.stdin.flush()
        return Ended(*json.loads(self._process.stdout.readline()))


@contextmanager
def forks(folder: Path) -> Iterator[Forks]:
    """Start what runs commands."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=clean_environment(),
    )
    try:
        yield Forks(process, folder)
    finally:
        process.communicate(timeout=LIMIT_SECONDS)


def fork_each() -> None:
    """Fork a command for each case, and tell how it ended."""
    from playsmart_gateway.cli import main

    gc.freeze()  # or each child copies and collects what was imported
    for line in sys.stdin:
        case = json.loads(line)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            child = os.fork()
            if not child:
                _become(case, out.fileno(), err.fileno())
                main()
            _, status = os.waitpid(child, 0)
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode("utf-8", "replace"))
        print(json.dumps([os.waitstatus_to_exitcode(status), *texts]), flush=True)


def _become(case: Mapping[str, Any], out: int, err: int) -> None:
    signal.alarm(LIMIT_SECONDS)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(err, 2)
    kind = case["output"]
    if kind == "closed":
        os.close(1)
    elif kind == "unread":
        reader, writer = os.pipe()
        os.close(reader)
        os.dup2(writer, 1)
    else:
        os.dup2(out if kind == "file" else os.open("/dev/full", os.O_WRONLY), 1)
    if kind == "everything full":
        os.dup2(1, 2)
    os.chdir(case["folder"])
    os.environ.update(case["settings"])
    sys.argv = ["playsmart-gateway", *case["arguments"]]
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - for the rest of the process
    if kind == "closed":
        sys.stdout = None  # as Python starts then
    else:
        sys.stdout = open(1, "w", encoding=case["encoding"], closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding=case["encoding"], errors="backslashreplace", closefd=False)  # noqa: SIM115
    if case["interrupted_at"]:
        signal.signal(signal.SIGINT, end_at_once)
        sys.addaudithook(partial(_interrupt_at, case["interrupted_at"], []))
    if case["interrupted_after"]:
        signal.signal(signal.SIGINT, end_at_once)  # as the program does first of all
        atexit.register(signal.setitimer, signal.ITIMER_VIRTUAL, 0)  # Python forgets its handler
        signal.signal(signal.SIGVTALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        signal.setitimer(signal.ITIMER_VIRTUAL, case["interrupted_after"])
        signal.signal(signal.SIGALRM, _interrupt_who_waits)
        signal.setitimer(signal.ITIMER_REAL, WAITING_SECONDS, LIMIT_SECONDS)


def _interrupt_at(step: str, done: list[bool], event: str, _: tuple[object, ...]) -> None:
    """Press Ctrl-C once, when a command comes to that step."""
    if event == step and not done:
        done.append(True)
        os.kill(os.getpid(), signal.SIGINT)


def _interrupt_who_waits(*_: object) -> None:
    """Press Ctrl-C for a command that spends no time of its own; the next alarm ends it."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.raise_signal(signal.SIGINT)
