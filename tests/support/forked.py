"""Commands whose standard output takes nothing, or that are interrupted at a chosen moment."""

import atexit
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from playsmart_gateway.__main__ import end_at_once
from playsmart_gateway.__main__ import main as run_command
from tests.support import warm
from tests.support.process import clean_environment

LIMIT_SECONDS = 120
WAITING_SECONDS = 1


class Ended(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    output: str
    errors: str


class Forks:
    """Runs commands in ``folder``."""

    def __init__(self, folder: Path) -> None:
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
        """Run one, and have Ctrl-C pressed after so many seconds, or at a step of its own.

        ``output`` is file, full, everything full (errors, too), closed, or unread (a pipe without a
        reader); a step is an audit event of Python's, such as ``sqlite3.connect``.
        """
        given = {"output": output, "after": interrupted_after, "at": interrupted_at}
        environment = {f"PLAYSMART_{key}": value for key, value in (settings or {}).items()}
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            with _taking(output, out.fileno()) as end:
                process = warm.start(
                    arguments,
                    folder=self._folder,
                    environment=clean_environment(**environment),
                    stdout=end,
                    stderr=end if output == "everything full" else err,
                    main="tests.support.forked:command",
                    encoding=encoding,
                    given=given,
                )
            code = process.wait()
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode("utf-8", "replace"))
        return Ended(code, *texts)


@contextlib.contextmanager
def _taking(output: str, file: int) -> Iterator[int]:
    """Yield the descriptor that stands for such an output."""
    if "full" in output:
        end = os.open("/dev/full", os.O_WRONLY)
    elif output == "unread":
        reader, end = os.pipe()
        os.close(reader)
    else:
        end = os.dup(file)
    yield end
    os.close(end)


def command(given: Mapping[str, Any]) -> None:
    """Be the command, in the process that was forked for it."""
    signal.alarm(LIMIT_SECONDS)
    if given["output"] == "closed":
        os.close(1)
        sys.stdout = None  # as Python starts then
    if given["at"]:
        signal.signal(signal.SIGINT, end_at_once)
        sys.addaudithook(partial(_interrupt_at, given["at"], []))
    if given["after"]:
        signal.signal(signal.SIGINT, end_at_once)  # as the program does first of all
        atexit.register(signal.setitimer, signal.ITIMER_VIRTUAL, 0)  # Python forgets its handler
        signal.signal(signal.SIGVTALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        signal.setitimer(signal.ITIMER_VIRTUAL, given["after"])
        signal.signal(signal.SIGALRM, _interrupt_who_waits)
        signal.setitimer(signal.ITIMER_REAL, WAITING_SECONDS, LIMIT_SECONDS)
    run_command()


def _interrupt_at(step: str, done: list[bool], event: str, _: tuple[object, ...]) -> None:
    """Press Ctrl-C once, when a command comes to that step."""
    if event == step and not done:
        done.append(True)
        os.kill(os.getpid(), signal.SIGINT)


def _interrupt_who_waits(*_: object) -> None:
    """Press Ctrl-C for a command that spends no time of its own; the next alarm ends it."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.raise_signal(signal.SIGINT)
