"""One server, attack after attack, and what a player who means it well notices of them."""

import asyncio
import contextlib
import json
import math
import os
import resource
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests import ROOT
from tests.campaigns.abuse.attacks import (
    APP,
    Scale,
)
from tests.campaigns.crash.slow import p99
from tests.support import warm
from tests.support.count import (
    Verdict,
    count,
)
from tests.support.players import Client, Ledger, fetch, load
from tests.support.polling import until
from tests.support.target import Target

MEGABYTE = 1_048_576
PROBE_SECONDS = 0.1
ATTACKERS = "tests.campaigns.abuse.attacks:main"
PLAYERS = 2


@dataclass
class Limits:
    """What an attack may do to everybody else; None is not judged."""

    healthz_seconds: float | None = 1.0
    rss_growth_bytes: int = 150 * MEGABYTE
    p99_ratio: float | None = 5.0
    heal_seconds: float = 30.0


@dataclass
class Round:
    """One attack, and what was measured of it."""

    attack: str
    answers: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    probes: int = 0
    failed_probes: int = 0
    slowest_healthz_seconds: float = 0.0
    p99_alone_seconds: float = 0.0
    p99_beside_seconds: float = 0.0
    rss_growth_bytes: int = 0
    healed_after_seconds: float = 0.0

    @property
    def p99_ratio(self) -> float:
        """How many times longer the p99 of the player is beside the attackers."""
        return self.p99_beside_seconds / self.p99_alone_seconds

    def problems(self, limits: Limits) -> list[str]:
        """Return what is beyond the limits, in words."""
        found = list(self.wrong)
        if self.failed_probes:
            found.append(f"{self.failed_probes} of {self.probes} probes had no 200")
        if limits.healthz_seconds and self.slowest_healthz_seconds > limits.healthz_seconds:
            found.append(f"/healthz took {self.slowest_healthz_seconds:.2f} s")
        if self.rss_growth_bytes > limits.rss_growth_bytes:
            found.append(f"memory grew by {self.rss_growth_bytes / MEGABYTE:.0f} MB")
        if limits.p99_ratio and self.p99_ratio > limits.p99_ratio:
            found.append(f"the player's p99 was {self.p99_ratio:.1f} times its own alone")
        if self.healed_after_seconds > limits.heal_seconds:
            found.append(f"it took {self.healed_after_seconds:.1f} s to heal")
        return [f"{self.attack}: {each}" for each in found]


def target(data: Path, *, workers: int = 1, max_connections: int = 1_000) -> Target:
    """Return a server with accounts, and an app for deep links, which believes what proxies say."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # for it, too
    return Target(
        data,
        server__workers=workers,
        server__max_connections=max_connections,
        auth__trust_forwarded="true",
        accounts__enabled="true",
        accounts__requests_per_minute_of_address=0,
        accounts__tries_per_minute_of_account=0,
        teak__apps=f"[{APP}]",
    )


class Campaign:
    """Rounds on one target that is up; ``finish`` counts what is stored."""

    def __init__(self, server: Target, scale: Scale) -> None:
        self._server = server
        self._scale = scale
        self.ledger = Ledger()
        self._players = [
            Client(f"player-{place}", server.port, self.ledger, size=lambda _: 10)
            for place in range(PLAYERS)
        ]

    async def round(self, name: str) -> Round:
        """Play one attack, by turns with peace; the attackers leave before it returns."""
        found = Round(name)
        alone: list[float] = []
        beside: list[float] = []
        async with load(self._players), self._watched(found):
            await asyncio.sleep(self._scale.seconds / 10)
            seconds = self._scale.seconds / self._scale.turns
            scale = {**asdict(self._scale), "seconds": seconds}
            for turn in range(self._scale.turns):
                alone += await self._latencies(seconds)
                attackers = asyncio.create_task(self._attack(name, scale, turn, found))
                while not attackers.done():
                    beside += await self._latencies(0.1)
                await attackers
                healed = await self._heal(f"healed-{name}-{turn}")
                found.healed_after_seconds = max(found.healed_after_seconds, healed)
        found.p99_alone_seconds = _p99(alone)
        found.p99_beside_seconds = _p99(beside)
        return found

    async def finish(self) -> Verdict:
        """Stop the server in order, and hold its store against everything it acknowledged."""
        await self._server.drained()
        assert await self._server.stop() == 0, self._server.log
        assert "Traceback" not in self._server.log, self._server.log
        return count(self._server.database, self.ledger)

    async def _latencies(self, seconds: float) -> list[float]:
        for player in self._players:
            player.latencies.clear()
        await asyncio.sleep(seconds)
        return [each for player in self._players for each in player.latencies]

    async def _attack(self, name: str, scale: dict[str, float], turn: int, found: Round) -> None:
        arguments = [name, "--port", str(self._server.port)]
        arguments += ["--scale", json.dumps(scale), "--turn", str(turn)]
        with tempfile.TemporaryFile() as out:
            process = warm.start(
                arguments, folder=ROOT, environment=os.environ, stdout=out, stderr=2, main=ATTACKERS
            )
            try:
                code = await asyncio.to_thread(process.wait, scale["seconds"] + 300)
            finally:
                process.kill()
            assert code == 0, name
            out.seek(0)
            seen = json.load(out)
        for answer, times in seen["answers"].items():
            found.answers[answer] = found.answers.get(answer, 0) + times
        found.wrong += sorted(set(seen["wrong"]))
        for player, number, size, outcome in seen["batches"]:
            self.ledger.batches[player, number] = (size, outcome)

    @contextlib.asynccontextmanager
    async def _watched(self, found: Round) -> AsyncIterator[None]:
        """Probe, and weigh the server, while entered."""
        before = self._memory()
        stop = asyncio.Event()
        watching = asyncio.create_task(self._watch(found, before, stop))
        try:
            yield
        finally:
            stop.set()
            await watching

    async def _watch(self, found: Round, before: int, stop: asyncio.Event) -> None:
        while not stop.is_set():
            started = time.perf_counter()
            try:
                status, _ = await fetch(self._server.port, "/healthz")
            except (OSError, TimeoutError):
                status = 0
            found.probes += 1
            found.failed_probes += status != 200
            taken = time.perf_counter() - started
            found.slowest_healthz_seconds = max(found.slowest_healthz_seconds, taken)
            found.rss_growth_bytes = max(found.rss_growth_bytes, self._memory() - before)
            await asyncio.sleep(PROBE_SECONDS)

    def _memory(self) -> int:
        """Return the resident memory of the server and all its processes."""
        pids = [self._server.process.pid]
        for pid in pids:
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    pids += map(int, (task / "children").read_text().split())
        total = 0
        for pid in pids:
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                total += int(status.partition("VmRSS:")[2].split()[0]) * 1_024
        return total

    async def _heal(self, name: str) -> float:
        """Return after how many seconds it was ready, and took events of somebody new."""
        started = time.perf_counter()
        newcomer = Client(name, self._server.port, self.ledger)

        async def is_well() -> bool:
            return await self._server.is_ready() and await newcomer.send(1) == 202

        try:
            await until(is_well, "it heals", seconds=120)
        finally:
            await newcomer.close()
        return time.perf_counter() - started


def _p99(seconds: list[float]) -> float:
    """Return the 99th percentile; of a player who was never answered it is infinite."""
    return p99(seconds) if len(seconds) > 1 else max(seconds, default=math.inf)
