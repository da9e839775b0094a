"""Who sends: wrk where it is installed, else the project's own generator."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Protocol

import msgspec
import uvloop
from typing_extensions import override

from playsmart_gateway.load import WHOLE, Lane, LoadOptions, Replay, Report, Share, run_load
from tests.bench.requests import PATH, Crowd, Request

CONNECTIONS = 16
_TIMEOUT_SECONDS = 10
_GRACE_SECONDS = 30
_PART_SECONDS = 2
_FEW = 1_000


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

    def once(self, port: int, requests: Sequence[Request]) -> Load:
        """Send each of ``requests``, one or another of them twice."""


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
        start: int = 0,
    ) -> Load:
        with tempfile.NamedTemporaryFile(suffix=".requests") as file:
            file.write(_lines(requests))
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
                    str(start),
                ],
                capture_output=True,
                check=False,
                timeout=seconds + _GRACE_SECONDS,
            )
        try:
            return msgspec.json.decode(done.stdout.splitlines()[-1], type=Load)
        except (IndexError, msgspec.DecodeError):
            raise BenchError(f"wrk failed: {(done.stdout + done.stderr).decode()}") from None

    def once(self, port: int, requests: Sequence[Request]) -> Load:
        """Send each of ``requests``; as wrk counts seconds and not requests, some of them twice.

        Few are sent by our own generator, which counts them.
        """
        if len(requests) <= _FEW:
            return Own().once(port, requests)
        sent, loads = 0, []
        while sent < len(requests):
            loads.append(self.run(port, requests, _PART_SECONDS, start=sent))
            if not loads[-1].answered:
                raise BenchError("nothing is answered")
            sent += loads[-1].answered  # what was under way at the end comes again
        return Load(
            seconds=sum(each.seconds for each in loads),
            answered=sent,
            refused=sum(each.refused for each in loads),
            errors=sum(each.errors for each in loads),
            p50_ms=median(each.p50_ms for each in loads),
            p99_ms=max(each.p99_ms for each in loads),
        )


def _lines(requests: Sequence[Request]) -> bytes:
    """Return the file that ``wrk.lua`` reads; tabs and line ends are escaped in JSON."""
    if isinstance(requests, Crowd):
        first, owns = (requests.before, requests.behind), requests.names
        each = zip(requests.tokens, owns, strict=True)
        lines = "\n".join(map("\t".join, each)).encode()
    else:
        first = (b"", b"")
        lines = b"\n".join(b"%b\t%b" % (each.token.encode(), each.body) for each in requests)
    return b"\t".join(first) + b"\n" + lines + b"\n"


class Own:
    """``playsmart_gateway.load``, in this process; being Python, it costs a core of its own."""

    name = f"playsmart_gateway.load, {CONNECTIONS} connections"

    def run(self, port: int, requests: Sequence[Request], seconds: int) -> Load:
        return _load(_own(port, requests, duration_seconds=float(seconds)))

    def once(self, port: int, requests: Sequence[Request]) -> Load:
        return _load(_own(port, requests, requests=len(requests)))

    def send(self, port: int, requests: Sequence[Request], count: int) -> int:
        """Send exactly ``count`` requests and return how many were accepted."""
        return _own(port, requests, requests=count).responses_2xx


def _load(report: Report) -> Load:
    return Load(
        seconds=report.duration_seconds,
        answered=report.requests_sent - report.unknown,
        refused=sum(report.refused.values()),
        errors=sum(report.errors.values()),
        p50_ms=report.latency_ms.p50,
        p99_ms=report.latency_ms.p99,
    )


class _InTurn(Replay):
    """Unlike a replay, whoever is free sends the next request, whosever it is.

    Bodies are made when they are sent: those of many players would not fit into memory.
    """

    def __init__(self, sent: Sequence[Request]) -> None:
        super().__init__([sent[0].body])
        self._sent = sent

    @property
    @override
    def users(self) -> Sequence[str]:
        return [each.user for each in self._sent]

    @override
    def user(self, request: int) -> str:
        return self._sent[request % len(self._sent)].user

    @override
    def body(self, request: int) -> bytes:
        return self._sent[request % len(self._sent)].body

    @override
    def lanes(self, connections: int, share: Share = WHOLE) -> list[Lane]:
        return [Lane((share.place,), cycle=share.of, connections=connections)]


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
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run_load(options, _InTurn(sent), tokens.__getitem__)).report


def generator(choice: str) -> Generator:
    """Return the generator of that name; ``auto`` is wrk if installed."""
    program = shutil.which("wrk") if choice != "own" else None
    if program is not None:
        return Wrk(program)
    if choice == "wrk":
        raise BenchError("wrk is not installed; leave --generator away to use our own")
    return Own()
