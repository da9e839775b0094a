"""One seed: several lives of a gateway, each ended by a kill, a power cut or an orderly shutdown.

The last life ends in order, with a healthy disk and store; then everything must be accounted for.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from playsmart_gateway.errors import ConfigError, NotNow
from tests.campaigns.simulation.chance import Tell
from tests.campaigns.simulation.check import check
from tests.campaigns.simulation.client import Client
from tests.campaigns.simulation.loop import (
    SimLoop,
    Stuck,
)
from tests.campaigns.simulation.parts import Bystander, Parts, sim_machine
from tests.campaigns.simulation.world import World

DRAIN_SECONDS = 3_600.0
REST_SECONDS = 30.0

START_FAULTS = (
    "disk: folder in use at start",
    "disk: read error at start",
    "disk: save error at start",
    "disk: folder sync error",
)


@dataclass
class Outcome:
    """What became of one seed."""

    seed: int
    failures: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    lives: int = 0
    steps: int = 0
    batches: int = 0
    events: int = 0
    seconds: float = 0.0


def simulate(seed: int, parts: Parts | None = None, tell: Tell | None = None) -> Outcome:
    """Run one seed from the first life to the verdict."""
    world = World(seed, tell)
    outcome = Outcome(seed, world.failures, world.chance.counts, world.ledger.excused)
    world.say(f"{world.limits}")
    planned = world.chance.randint(0, 3)
    parts = parts or Parts()
    for _ in range(planned):
        _Life(world, parts, outcome)
    ended = False
    while not ended and not world.failures:
        ended = _Life(world, parts, outcome, last=True).ended
    if world.segments_left and not world.failures:
        # A segment that was being synced, or could not be removed: the next start does that.
        world.ledger.excused["stored, but left for the next start to remove"] += 1
        world.chance.calm = True
        _Life(world, parts, outcome, last=True, players=0)
    if not world.failures:
        check(world)
    attempts = world.ledger.attempts
    outcome.lives = world.lives
    outcome.batches = len(attempts)
    outcome.events = sum(attempt.count for attempt in attempts)
    outcome.seconds = world.now
    return outcome


class _Life:
    """One process, from its start to its end; ``ended`` says that it stopped in order."""

    def __init__(
        self,
        world: World,
        parts: Parts,
        outcome: Outcome,
        *,
        last: bool = False,
        players: int | None = None,
    ) -> None:
        self.ended = False
        self._world = world
        self._chance = world.chance
        self._last = last
        self._polite = world.chance.random() < 0.5
        self._fatal = False
        self._dies_while_stopping = False
        world.lives += 1
        world.say(f"life {world.lives}{', the last' if last else ''}")
        loop = self._loop = SimLoop(world.chance, world.now)
        disk = self._disk = parts.disk(world.medium, world.chance, loop)
        sink = self._sink = parts.sink(world.store, world.chance, loop)
        drain = DRAIN_SECONDS if last else world.chance.between(0.01, 10.0)
        self._bystander = Bystander()
        machine = sim_machine(loop, disk, lambda: world.wall(loop.now))
        self._gateway = parts.make_gateway(world.limits, sink, machine, self._bystander, drain)
        self._gateway.on_fatal = self._fail
        self._clients = [
            Client(f"client-{number}", self._gateway, world.ledger, self._bystander, loop)
            for number in range(world.chance.randint(1, 5) if players is None else players)
        ]
        self._live()
        outcome.steps += loop.steps

    def _live(self) -> None:
        world, loop = self._world, self._loop
        if not self._last:
            self._plan_death()
        try:
            loop.run(self._main())
        except Stuck as error:
            world.failures.append(str(error))
        world.now = loop.now
        longest_sync = self._gateway.sim_journal.longest_sync()
        if loop.dead:
            self._chance.count("process: killed")
            world.process_ended(longest_sync)
        self._judge()
        world.medium.locked_by = None
        calm, self._chance.calm = self._chance.calm, True
        loop.bury()
        self._chance.calm = calm
        if not (self._last and self.ended):
            self._between_lives(longest_sync)

    def _plan_death(self) -> None:
        """Choose how this process ends, if not in order."""
        chance, loop = self._chance, self._loop
        way = chance.choice(("step", "call", "time", "shutdown", "while stopping"))
        self._dies_while_stopping = way == "while stopping"
        if way == "step":
            loop.kill_at_step = int(chance.between(1, 700))
        elif way == "call":
            self._disk.kill_at_call = int(chance.between(1, 100))
        elif way == "time":
            loop.call_later(chance.between(0.001, 3.0), loop.die)

    async def _main(self) -> None:
        world, chance = self._world, self._chance
        before = self._start_failures()
        try:
            async with self._gateway.running():
                world.process_started()
                await self._play()
                if self._last:
                    self._heal()
                hurry = not self._last and chance.random() < 0.2
                self._gateway.stop_soon(hurry=hurry)
                if self._dies_while_stopping:
                    self._loop.call_later(chance.between(0.0005, 3.0), self._loop.die)
                if hurry:
                    chance.count("shutdown: in a hurry")
        except (ConfigError, NotNow) as error:
            world.say(f"no start: {error}")
            if self._start_failures() == before:
                world.failures.append(f"the start failed for no reason: {error}")
            if self._last:
                self._heal()
        else:
            self.ended = True

    async def _play(self) -> None:
        """Let the clients play, for some time or to the end; no request is left in flight."""
        chance, world = self._chance, self._world
        quota, hurry = chance.randint(1, 30), chance.between(0.0005, 0.5)
        playing = [
            self._loop.create_task(client.play(quota, hurry, world.jump), name=client.name)
            for client in self._clients
        ]
        patience = None if self._last and self._polite else chance.between(0.001, 10.0)
        if not playing:
            return
        await asyncio.wait(playing, timeout=patience)
        for client in self._clients:
            client.leaving = True
            if not self._polite:
                client.hang_up()
        if not self._last:
            chance.count("shutdown: while clients play")
        await asyncio.wait(playing)

    def _heal(self) -> None:
        """Mend disk and store: from here on nothing fails."""
        self._chance.calm = True
        self._world.store.down_until = 0.0

    def _fail(self) -> None:
        self._fatal = True

    def _start_failures(self) -> int:
        """How many faults were injected that may keep a gateway from starting."""
        return sum(self._chance.counts[kind] for kind in START_FAULTS)

    def _judge(self) -> None:
        """What must hold at the end of any life, and of one that ended in order."""
        failures = list(self._complaints())
        if self.ended and not self._loop.dead:
            failures += self._complaints_at_end()
        self._world.failures += failures

    def _complaints(self) -> Iterator[str]:
        yield from self._disk.misuse
        yield from self._sink.misuse
        yield from self._loop.errors
        if not self._loop.dead:
            yield from self._loop.failed_tasks()
        if self._fatal and not self._loop.dead:
            yield "a part of the gateway died"
        for client in self._clients:
            yield from client.complaints

    def _complaints_at_end(self) -> Iterator[str]:
        gateway, stats, buffer = self._gateway, self._gateway.stats, self._gateway.buffer
        if left := self._loop.left_tasks():
            yield f"tasks left: {left}"
        if missed := stats.unaccounted(buffer.events):
            yield f"the law misses {missed} of {stats.received} events"
        told = self._bystander
        if told.accepted_events != told.left_events + buffer.events:
            yield f"told of {told.accepted_events} accepted, {told.left_events} left the buffer"
        if told.buried_events != stats.rejected["buried"]:
            yield f"told of {told.buried_events} buried, {stats.rejected['buried']} were"
        if gateway.left_behind != buffer.events:
            yield f"{gateway.left_behind} left behind were told of {buffer.events}"
        if self._last and gateway.left_behind:
            yield f"left behind in the last life: {gateway.left_behind}"
        if not len(buffer) and not buffer.has_room(buffer.max_events, buffer.max_bytes):
            yield "room was reserved and never given back"
        if self._world.medium.locked_by is not None:
            yield "the folder stays locked"
        if gateway.left_behind:
            self._chance.count("shutdown: before all was stored")

    def _between_lives(self, longest_sync: float) -> None:
        """Do to a world without a gateway what can be done to it."""
        world, chance = self._world, self._chance
        if chance.calm:
            return
        world.now += chance.between(0.001, 10.0) if not self._loop.dead else 0.0
        if chance.random() < 0.5:
            world.cut_power(longest_sync)
        elif chance.random() < 0.2:
            world.now += REST_SECONDS
            world.medium.rest()
        if chance.random() < 0.15:
            world.flip_bits()
        world.now += chance.between(0.01, 10.0)
        world.store.down_until = 0.0 if chance.random() < 0.5 else world.store.down_until


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the gateway from logging the troubles that it is put into."""
    import logging

    logger = logging.getLogger("playsmart_gateway")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
