"""Targets as processes of their own: started on a free port, always reaped, bounded in time."""

import http.client
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Self

from playsmart_gateway.config.environment import PREFIX
from tests import ROOT
from tests.bench.generators import BenchError
from tests.bench.requests import SECRET
from tests.support.metrics import parse_metrics
from tests.support.ports import free_port

_DATABASE = "bench.db"
STORED = "playsmart_events_stored_total"
_START_SECONDS = 20.0
_DRAIN_SECONDS = 60.0
_POLL_SECONDS = 0.005


def environment(settings: Iterable[str] = ()) -> dict[str, str]:
    """Return the environment for a process that sees only these ``section.key=value``."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**inherited, "PYTHONPATH": str(ROOT), **variables(settings)}


def variables(settings: Iterable[str]) -> dict[str, str]:
    """Return ``section.key=value`` or ``tables=[..]`` as the variables that configure a gateway."""
    found = {}
    for setting in settings:
        match = re.fullmatch(r"(\w+(?:\.\w+)?)=(.*)", setting, re.DOTALL)
        if match is None:
            raise BenchError(f"{setting!r} is not SECTION.KEY=VALUE")
        found[f"{PREFIX}{match[1].replace('.', '__')}".upper()] = match[2]
    return found


class Process:
    """``command`` in ``folder``, listening on ``port`` while entered."""

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, port: int, settings: Iterable[str]
    ) -> None:
        self.port = port
        self._name = name
        self._command = command
        self._folder = folder
        self._log = folder / "target.log"
        self._settings = settings

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            try:
                self._process = subprocess.Popen(
                    self._command,
                    cwd=self._folder,
                    env=environment(self._settings),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            except OSError as error:
                raise BenchError(f"the {self._name} did not start: {error}") from None
        try:
            self._wait_until_it_listens()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def memory(self, field: str) -> int:
        """Return ``VmRSS`` or ``VmHWM`` (the peak of it) in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text("ascii")
        found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
        if found is None:
            raise self._broken(f"has no {field}")
        return int(found[1]) * 1024

    def cpu_seconds(self) -> float:
        """Return the processor time it has used so far, workers included, user and kernel."""
        ticks = 0
        for pid in (self.pid, *self._workers()):
            status = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2]
            ticks += sum(map(int, status.split()[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def _workers(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text("ascii")
        return [int(pid) for pid in children.split()]

    def stop(self) -> None:
        """Stop it in order."""
        self._process.terminate()
        try:
            status = self._process.wait(_DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            raise self._broken(f"did not stop in {_DRAIN_SECONDS:g} s") from None
        if status:
            raise self._broken(f"stopped with status {status}")

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(_POLL_SECONDS)
            else:
                return
        raise self._broken("did not start")

    def _broken(self, what: str) -> BenchError:
        log = self._log.read_text("utf-8", "replace").strip().splitlines()
        return BenchError("\n".join([f"the {self._name} {what}; its last words:", *log[-5:]]))


class Target(Process):
    """``kind`` of ``tests.bench.target``; once it has stopped, all that it accepted is stored."""

    def __init__(self, kind: str, folder: Path, settings: Iterable[str] = ()) -> None:
        port = free_port()
        ours = (
            f"server.port={port}",
            f"auth.secret={SECRET}",
            f"storage.url=sqlite:///{_DATABASE}",
        )
        command = [sys.executable, "-m", "tests.bench.target", kind]
        super().__init__(kind, command, folder, port, [*ours, *settings])
        self.database = folder / _DATABASE

    def figure(self, name: str) -> int:
        """Return one of its metrics."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with closing(connection):
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        try:
            return int(parse_metrics(text)[name])
        except KeyError:
            raise self._broken(f"has no {name}") from None

    def buffered(self) -> int:
        """Return how many accepted events it has not stored."""
        return self.figure("playsmart_buffered_events")

    def settle(self) -> int:
        """Wait until all that it has accepted is stored, and return how many events that are."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        while self.buffered():
            if time.monotonic() > deadline:
                raise self._broken(f"did not store all in {_DRAIN_SECONDS:g} s")
            time.sleep(0.1)
        return self.figure(STORED)

    def drain(self) -> float:
        """Stop it, and return the ``time.monotonic`` of the last commit; now, if there is none."""
        last_commit = time.monotonic()
        with closing(sqlite3.connect(self.database)) as database:
            before = _data_version(database)
            self._process.terminate()
            deadline = last_commit + _DRAIN_SECONDS
            running = True
            while running and time.monotonic() < deadline:
                running = self._process.poll() is None
                version, now = _data_version(database), time.monotonic()
                if version != before:
                    before, last_commit = version, now
                time.sleep(_POLL_SECONDS)
        self.stop()
        return last_commit

    def count(self, relation: str) -> int:
        """Count the rows of a stopped target's database."""
        with closing(sqlite3.connect(self.database)) as database:
            return int(database.execute(f"SELECT count(*) FROM {relation}").fetchone()[0])


def _data_version(database: sqlite3.Connection) -> int:
    """Return a number that changes whenever another connection commits."""
    return int(database.execute("PRAGMA data_version").fetchone()[0])
