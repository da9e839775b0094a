"""The campaign: phones live and die, the gateway does, too; in the end all is sent and judged."""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from playsmart_gateway.auth.tokens import mint
from tests.campaigns.phones.judge import Seen, Verdict, judge
from tests.campaigns.phones.phone import Phone, recut, start
from tests.campaigns.phones.proxy import FATES, Proxy
from tests.campaigns.phones.scene import GAME, Scene
from tests.support.players import token
from tests.support.polling import until
from tests.support.program import SECRET

PATIENCE_SECONDS = 500
"""For a phone to start, or to send all it has left; on a busy machine that is many files."""

HURRY = 30
"""It gives up after half a second, and pauses 2 at most."""

Commands = Mapping[str, Sequence[str]]
"""What starts an adapter, by the name of the client."""


@dataclass(frozen=True)
class Plan:
    """How much is played: at least ``lives`` of the phones, ``events``, ``kills`` of the rest.

    Each fate is met ``fates`` times at least. The ``clients`` go round the phones. A life takes
    between the two ``life_seconds`` from its first event on, and rests ``rest_seconds`` at most
    between what it does; a life of the gateway takes between the ``gateway_seconds``.
    """

    clients: Commands
    seed: int = 1
    phones: int = 8
    lives: int = 500
    events: int = 0
    kills: int = 1
    fates: int = 1
    life_seconds: tuple[float, float] = (0.3, 2.5)
    rest_seconds: float = 0.05
    gateway_seconds: tuple[float, float] = (2.0, 8.0)


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
        self._kept: dict[int, int] = {}
        self._kills = 0
        self._conflicts = 0

    @property
    def so_far(self) -> str:
        """What was played up to now."""
        events = sum(self._kept.values())
        return f"{len(self._kept):,} lives, {events:,} events, {self._kills:,} kills"

    async def play(self) -> Figures:
        """Play it to its end; ``AssertionError`` if a process does not come to its own."""
        async with self._proxy:
            kinds = [*self._plan.clients] * self._plan.phones
            names = {f"{kinds[place]}-{place}": kinds[place] for place in range(self._plan.phones)}
            async with asyncio.TaskGroup() as group:
                killing = group.create_task(self._kill_the_gateway())
                phones = [group.create_task(self._live_and_die(*each)) for each in names.items()]
                await asyncio.wait(phones)
                killing.cancel()
            self._scene.kill()  # the killing may have ended at any moment
            await self._scene.up()
            self._proxy.calm = True
            await self._proxy.settled()
            async with asyncio.TaskGroup() as group:
                for each in names.items():
                    group.create_task(self._send_the_rest(*each))
            await self._proxy.settled()
        await self._scene.drained()
        self._conflicts += await self._scene.run_conflicts()
        await self._scene.stop()
        seen = Seen(self._kept, self._proxy.taken, self._proxy.sent, self._conflicts)
        verdict = await judge(
            self._scene.url, seen, has_order=self._scene.has_order, is_once=self._scene.is_once
        )
        return Figures(len(self._kept), self._kills, dict(self._proxy.met), verdict)

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

    async def _live_and_die(self, name: str, kind: str) -> None:
        chance = self._chance
        while self._is_young():
            number = len(self._kept)
            self._kept[number] = 0
            phone = await self._start(name, kind)
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await phone.begin(self._who(name) | {"hurry": HURRY})
                    if chance.random() < 0.5:
                        await phone.leave_alone()
                    await phone.track(number, 1)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(chance.uniform(*self._plan.life_seconds)):
                        await phone.play(number, token(name), chance, self._plan.rest_seconds)
            finally:
                await phone.kill()
                self._kept[number] = phone.kept
            if chance.random() < 0.5:
                recut(self._folder / name, chance)

    def _is_young(self) -> bool:
        plan = self._plan
        if len(self._kept) < plan.lives or self._kills < plan.kills:
            return True
        if any(self._proxy.met[fate] < plan.fates for fate in FATES):
            return True
        return sum(self._kept.values()) < plan.events

    async def _send_the_rest(self, name: str, kind: str) -> None:
        phone = await self._start(name, kind)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await phone.begin(self._who(name))
                await phone.send_all(token(name))
        finally:
            await phone.kill()

    def _who(self, name: str) -> dict[str, object]:
        is_stale = self._chance.random() < 0.3  # its token was kept for too long
        return {
            "dir": str(self._folder / name),
            "url": f"http://127.0.0.1:{self._proxy.port}",
            "user": name,
            "game": GAME,
            "token": _expired(name) if is_stale else token(name),
        }

    async def _start(self, name: str, kind: str) -> Phone:
        return await start(self._plan.clients[kind], self._folder / f"{name}.log")


def _expired(name: str) -> str:
    return mint(name, secret=SECRET, ttl_seconds=60, now=time.time() - 3_600)
