"""The campaign: phones live and die, the gateway does, too; in the end all is sent and judged."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from random import Random

from playsmart_gateway.auth.tokens import mint
from tests import ROOT
from tests.campaigns.phones.judge import Seen, Verdict, judge
from tests.campaigns.phones.phone import Life
from tests.campaigns.phones.proxy import FATES, Proxy
from tests.campaigns.phones.scene import GAME, Scene
from tests.support.players import token
from tests.support.polling import until
from tests.support.program import SECRET

PHONE = ("tests.campaigns.phones.phone",)
PATIENCE_SECONDS = 500
"""For a phone to send all it has left; on a busy machine that is many files."""


@dataclass(frozen=True)
class Plan:
    """How much is played: at least ``lives`` of the phones, ``events``, ``kills`` of the rest.

    Each fate is met ``fates`` times at least. ``program`` is the phone: the name of a module and
    its arguments. A life takes between the two ``life_seconds`` from its first event on, one of the
    gateway between the ``gateway_seconds``.
    """

    seed: int = 1
    phones: int = 8
    lives: int = 500
    events: int = 0
    kills: int = 1
    fates: int = 1
    life_seconds: tuple[float, float] = (0.3, 2.5)
    gateway_seconds: tuple[float, float] = (2.0, 8.0)
    program: Sequence[str] = PHONE


@dataclass
class Figures:
    """What was played."""

    lives: int
    kills: int
    fates: dict[str, int]
    verdict: Verdict


class Campaign:
    """Plays a plan on a scene that is up."""

    def __init__(self, scene: Scene, folder: Path, plan: Plan) -> None:
        self._scene = scene
        self._folder = folder
        self._plan = plan
        self._chance = Random(f"lives {plan.seed}")
        self._proxy = Proxy(scene.gateway.port, plan.seed)
        self._lives = 0
        self._kills = 0
        self._conflicts = 0

    @property
    def so_far(self) -> str:
        """What was played up to now."""
        events = sum(self._kept().values())
        return f"{self._lives:,} lives, {events:,} events, {self._kills:,} kills"

    async def play(self) -> Figures:
        """Play it to its end; ``AssertionError`` if a process does not come to its own."""
        self._ledgers.mkdir(parents=True)
        async with self._proxy:
            names = [f"phone-{place}" for place in range(self._plan.phones)]
            async with asyncio.TaskGroup() as group:
                killing = group.create_task(self._kill_the_gateway())
                phones = [group.create_task(self._live_and_die(name)) for name in names]
                await asyncio.wait(phones)
                killing.cancel()
            self._scene.kill()  # the killing may have ended at any moment
            await self._scene.up()
            self._proxy.calm = True
            await self._proxy.settled()
            async with asyncio.TaskGroup() as group:
                for name in names:
                    group.create_task(self._send_the_rest(name))
            await self._proxy.settled()
        await self._scene.drained()
        self._conflicts += await self._scene.run_conflicts()
        await self._scene.stop()
        seen = Seen(self._kept(), self._proxy.taken, self._proxy.sent, self._conflicts)
        verdict = await judge(self._scene.url, seen, has_order=self._scene.has_order)
        return Figures(self._lives, self._kills, dict(self._proxy.met), verdict)

    @property
    def _ledgers(self) -> Path:
        return self._folder / "ledgers"

    def _kept(self) -> dict[int, int]:
        """Return how many events each life has kept."""
        return {int(each.name): each.stat().st_size for each in self._ledgers.iterdir()}

    async def _kill_the_gateway(self) -> None:
        while True:
            await asyncio.sleep(self._chance.uniform(*self._plan.gateway_seconds))
            if self._kills % 3 == 0:
                await self._lose_answers()
            self._conflicts += await self._scene.run_conflicts()
            self._kills += 1
            if self._kills % 3 == 2:
                part = asyncio.create_task(self._scene.end_a_part(self._chance))
                try:
                    await asyncio.shield(part)
                finally:
                    await part  # or it would stay down if all is over meanwhile
                continue
            self._scene.kill()
            self._proxy.loses_answers = False
            await asyncio.sleep(self._chance.uniform(0, 0.3))
            await self._scene.up()

    async def _lose_answers(self) -> None:
        """See to it that something is stored that a phone sends again after the kill."""
        self._proxy.loses_answers = True
        taken = self._proxy.taken.total()

        async def is_taken() -> bool:
            return self._proxy.taken.total() > taken

        await until(is_taken, "an answer is lost")
        await self._scene.gateway.drained()

    async def _live_and_die(self, name: str) -> None:
        plan = self._plan
        while self._is_young():
            self._lives += 1
            number = self._lives
            process = await self._start(name, self._life(name, number))
            try:
                await until(partial(self._has_begun, number), f"{name} plays")
                await asyncio.sleep(self._chance.uniform(*plan.life_seconds))
                assert process.returncode is None, f"{name} ended by itself"
            finally:
                await _kill(process)

    async def _has_begun(self, number: int) -> bool:
        """Whether a life has kept an event: on a busy machine a process takes long to start."""
        ledger = self._ledgers / str(number)
        return ledger.exists() and ledger.stat().st_size > 0

    def _is_young(self) -> bool:
        plan = self._plan
        if self._lives < plan.lives or self._kills < plan.kills:
            return True
        if any(self._proxy.met[fate] < plan.fates for fate in FATES):
            return True
        return sum(self._kept().values()) < plan.events

    async def _send_the_rest(self, name: str) -> None:
        life = self._life(name, 0, is_last=True, answer_seconds=10.0)
        process = await self._start(name, life)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert await process.wait() == 0, f"{name} could not send the rest"
        finally:
            await _kill(process)

    def _life(self, name: str, number: int, **more: object) -> dict[str, object]:
        tokens = [token(name)]
        if self._chance.random() < 0.3:  # one that was kept for too long
            tokens.insert(0, _expired(name))
        life = Life(
            number,
            str(self._folder / name),
            str(self._ledgers / str(number)),
            self._proxy.port,
            name,
            GAME,
            tokens,
            is_patient=self._chance.random() < 0.5,
        )
        return asdict(life) | more

    async def _start(self, name: str, life: dict[str, object]) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-S", "-m", *self._plan.program),
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(life).encode())
        process.stdin.close()
        return process


def _expired(name: str) -> str:
    return mint(name, secret=SECRET, ttl_seconds=60, now=time.time() - 3_600)


async def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()
