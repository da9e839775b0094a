"""Who sends: wrk where it is installed, else the project's own generator."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import uvloop

from playsmart_gateway.load import Lane, LoadOptions, Replay, Report, run_load
from tests.bench.requests import PATH, Request

CONNECTIONS = 16
_TIMEOUT_SECONDS = 10
_GRACE_SECONDS = 30


class BenchError(Exception):
    """A measurement cannot be made; the message says why."""


class Load(msgspec.Struct, frozen=True):
    """What a generator saw; latencies are those of all answers, refusals included."""

    seconds: float
    answered: int
    refused: int
    errors: int
    p50_ms: float
    p99_ms: float

    @property
    def accepted(self) -> int:
        return self.answered - self.refused


class Generator(Protocol):
    @property
    def name(self) -> str:
        """How the report calls it."""

    def run(self, port: int, requests: Sequence[Request], seconds: int) -> Load:
        """Send ``requests`` in turn, as fast as they are answered."""


class Wrk:
    """wrk with one thread; LuaJIT hands it finished requests, so it is never what limits a run."""

    def __init__(self, program: str) -> None:
        self._program = program
        banner = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
        version = (banner.stdout or banner.stderr).partition("\n")[0].partition(" [")[0]
        self.name = f"{version}, 1 thread, {CONNECTIONS} connections"

    def run(
        self,
        port: int,
        requests: Sequence[Request],
        seconds: int,
        path: str = PATH,
        *,
        connections: int = CONNECTIONS,
    ) -> Load:
        with tempfile.NamedTemporaryFile(suffix=".requests") as file:
            for each in requests:
                file.write(b"%b\n%b\n" % (each.token.encode(), each.body))
            file.flush()
            done = subprocess.run(
                [
                    self._program,
                    "--threads=1",
                    f"--connections={connections}",
                    f"--duration={seconds}s",
                    f"--timeout={_TIMEOUT_SECONDS}s",
                    f"--script={Path(__file__).with_name('wrk.lua')}",
                    f"http://127.0.0.1:{port}{path}",
                    "--",
                    file.name,
                ],
                capture_output=True,
                check=False,
                timeout=seconds + _GRACE_SECONDS,
            )
        try:
            return msgspec.json.decode(done.stdout.splitlines()[-1], type=Load)
        except (IndexError, msgspec.DecodeError):
            raise BenchError(f"wrk failed: {(done.stdout + done.stderr).decode()}") from None


class Own:
    """``playsmart_gateway.load``, in this process; being Python, it costs a core of its own."""

    name = f"playsmart_gateway.load, {CONNECTIONS} connections"

    def run(self, port: int, requests: Sequence[Request], seconds: int) -> Load:
        report = _own(port, requests, duration_seconds=float(seconds))
        return Load(
            seconds=report.duration_seconds,
            answered=report.requests_sent - report.unknown,
            refused=sum(report.refused.values()),
            errors=sum(report.errors.values()),
            p50_ms=report.latency_ms.p50,
            p99_ms=report.latency_ms.p99,
        )

    def send(self, port: int, requests: Sequence[Request], count: int) -> int:
        """Send exactly ``count`` requests and return how many were accepted."""
        return _own(port, requests, requests=count).responses_2xx


class _InTurn(Replay):
    """Unlike a replay, whoever is free sends the next request, whosever it is."""

    def lanes(self, connections: int) -> list[Lane]:
        return [Lane((0,), cycle=1, connections=connections)]


def _own(
    port: int,
    sent: Sequence[Request],
    *,
    duration_seconds: float | None = None,
    requests: int | None = None,
) -> Report:
    options = LoadOptions(
        url=f"http://127.0.0.1:{port}",
        connections=CONNECTIONS,
        duration_seconds=duration_seconds,
        requests=requests,
        timeout_seconds=_TIMEOUT_SECONDS,
    )
    tokens = {each.user: each.token for each in sent}
    workload = _InTurn([each.body for each in sent])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run_load(options, workload, tokens.__getitem__)).report


def generator(choice: str) -> Generator:
    """Return the generator of that name; ``auto`` is wrk if installed."""
    program = shutil.which("wrk") if choice != "own" else None
    if program is not None:
        return Wrk(program)
    if choice == "wrk":
        raise BenchError("wrk is not installed; leave --generator away to use our own")
    return Own()
