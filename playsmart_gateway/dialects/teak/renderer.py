"""Renders templates of strangers off the event loop, in processes that can be abandoned.

A thread cannot be stopped while it runs, a process can. Each process inherits nothing but its end
of a socket: it ends with the gateway, by the kernel's clock when a template costs too much CPU time
(see ``templates.main``), and by our hand when no answer comes. The next template gets a new one.
Nobody who uses no templates pays for any of this: processes are started when they are needed.
"""

import asyncio
import json
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Lock

import playsmart_gateway
from playsmart_gateway.dialects.teak.deep_links import Property, holds_markup

logger = logging.getLogger(__name__)

_TEMPLATES = "playsmart_gateway.dialects.teak.templates"  # the library behind it is large
_MAIN = f"import sys; sys.path.append(sys.argv[1]); from {_TEMPLATES} import main; main()"
COMMAND = (sys.executable, "-P", "-c", _MAIN, str(Path(playsmart_gateway.__file__).parents[1]))
"""Runs ``templates.main`` of this very package, whatever the working directory holds."""

PROCESSES = 2
"""How many there are at most; an ordinary template takes a tenth of a millisecond of one."""

MAX_WAITING = 64
"""Requests whose links are being worked out; those of more are answered as they are."""

PATIENCE_SECONDS = 5.0
"""From asking until the link is answered as it is, the start of a process included."""

MAX_REQUEST_BYTES = 1_048_576
"""A template, and the properties that it names."""

_is_secret = re.compile("PLAYSMART_").match


def encoded(template: str, properties: Mapping[str, Property]) -> bytes:
    """Return the line that asks ``templates.main`` for one rendering.

    It has the properties that the template may need.
    """
    named = {name: value for name, value in properties.items() if name in template}
    values = {name: [type(value).__name__, str(value)] for name, value in named.items()}
    return json.dumps([template, values]).encode() + b"\n"


class Renderer:
    """A few processes that render, none of them before the first template; ``close`` ends them.

    ``command`` starts one, ``patience_seconds`` is the time until a rendering is given up.
    """

    def __init__(
        self,
        *,
        command: Sequence[str] = COMMAND,
        processes: int = PROCESSES,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._command = command
        self._patience_seconds = patience_seconds
        self._threads = ThreadPoolExecutor(processes, "templates")
        self._waiting = 0
        self._lock = Lock()
        self._all: set[_Process] = set()
        self._idle: list[_Process] = []
        self._closed = False

    async def render(self, template: str, properties: Mapping[str, Property]) -> str:
        """Return ``template`` with a player's properties filled in; see ``templates.render``.

        As it is, also, when too many are being rendered, or when it was not rendered in time.
        """
        if not holds_markup(template):
            return template
        request = encoded(template, properties)
        too_much = self._waiting >= MAX_WAITING or len(request) > MAX_REQUEST_BYTES
        if too_much or self._closed:
            return template
        self._waiting += 1
        try:
            rendering = asyncio.get_running_loop().run_in_executor(
                self._threads, self._ask, request
            )
            answer = await asyncio.wait_for(rendering, self._patience_seconds)
        except TimeoutError:
            answer = None
        finally:
            self._waiting -= 1
        if answer is None:
            logger.warning("a deep link was not worked out in time: answered as it is")
            return template
        return answer

    def close(self) -> None:
        """End the processes; what is being rendered is given up."""
        with self._lock:
            self._closed = True
            processes = list(self._all)
        for process in processes:
            process.kill()
        self._threads.shutdown()  # what waits for its turn finds it closed
        for process in processes:
            process.end()

    def _ask(self, request: bytes) -> str | None:
        """Have one process do it, in a thread that waits; None if it did not."""
        process = None
        try:
            process = self._take()
            answer = process.ask(request)
        except (OSError, ValueError):  # it took too long, or is gone, or could not be started
            if process is not None:
                self._drop(process)
            return None
        with self._lock:
            self._idle.append(process)
        return answer

    def _take(self) -> "_Process":
        with self._lock:
            if self._closed:
                raise ValueError
            if self._idle:
                return self._idle.pop()
            process = _Process(self._command, self._patience_seconds)
            self._all.add(process)
        return process

    def _drop(self, process: "_Process") -> None:
        process.kill()
        process.end()
        with self._lock:
            self._all.discard(process)


class _Process:
    """One process, and our end of its socket."""

    def __init__(self, command: Sequence[str], patience_seconds: float) -> None:
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(patience_seconds)
        self._answers = self._socket.makefile("rb")
        with theirs, ExitStack() as undo:
            undo.callback(self._close)
            self._popen = subprocess.Popen(  # noqa: S603 - our own interpreter
                command,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                env={name: value for name, value in os.environ.items() if not _is_secret(name)},
            )
            undo.pop_all()
        self._is_ready = False

    def ask(self, request: bytes) -> str:
        """Return the answer.

        Raises:
            OSError: there is none in time.
            ValueError: there is none at all.
        """
        if not self._is_ready:
            self._answers.readline()
            self._is_ready = True
        self._socket.sendall(request)
        answer: str = json.loads(self._answers.readline())
        return answer

    def kill(self) -> None:
        """Stop it, wherever it is."""
        self._popen.kill()

    def end(self) -> None:
        """Let go of it, after it was killed."""
        self._popen.wait()
        self._close()

    def _close(self) -> None:
        self._answers.close()
        self._socket.close()
