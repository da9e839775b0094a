"""The kill -9 campaign: rounds on one data folder, so that kills also hit replays and drains.

Each round draws its load, its durability settings and its kills from the seed and its own number:

- ``load``: SIGKILL after an interval under load.
- ``replay``: as ``load``; then one or two more, while the next life replays and is loaded again.
- ``drain``: SIGTERM after the interval, SIGKILL while it drains.

In every other round the players number their events and send some again.

Then the gateway is started again, left to drain, and counted. If it has workers, one of them is
killed half-way, and all of them together at the end of a life.
"""

import asyncio
import math
import signal
from dataclasses import dataclass
from random import Random
from typing import Literal

from playsmart_gateway.stores.open import open_store
from tests.support.count import (
    Auditor,
    Verdict,
    count,
)
from tests.support.players import (
    Client,
    Ledger,
    load,
)
from tests.support.target import Target

CLIENTS = 8
LEAST_INTERVAL = 0.1
USUAL_INTERVAL = 2.0
LONG_ROUNDS = 0.04
LOAD_EVENTS = 15_000
"""About how many events a round may send, or its database would grow too large to count often."""

Kind = Literal["load", "replay", "drain"]
KINDS: tuple[Kind, ...] = ("load", "replay", "drain")


@dataclass
class Plan:
    """What one round will do."""

    number: int
    kind: Kind
    interval: float
    pause: float
    pad: int
    later_kills: list[float]
    settings: dict[str, object]

    @property
    def numbers(self) -> bool:
        """Whether the players number their events, and send some again: in every other round."""
        return self.number % 2 == 0


@dataclass
class Total:
    """The campaign so far."""

    rounds: int = 0
    kills: int = 0
    replayed_events: int = 0
    duplicate_events: int = 0
    torn_tails: int = 0
    corrupt_records: int = 0
    coin_violations: int = 0
    integrity_ok: int = 0
    seconds_under_load: float = 0.0


def make_plan(seed: int, number: int, max_interval: float) -> Plan:
    """Draw round ``number``; the same for the same arguments."""
    chance = Random(f"{seed} {number}")
    kind: Kind = chance.choices(KINDS, (5, 3, 2))[0]
    usual = min(USUAL_INTERVAL, max_interval)
    if max_interval > usual and chance.random() < LONG_ROUNDS:
        interval = chance.uniform(usual, max_interval)
    else:
        interval = math.exp(chance.uniform(math.log(LEAST_INTERVAL), math.log(usual)))
    rate = LOAD_EVENTS / interval / 50  # a batch holds 50 events on average
    return Plan(
        number,
        kind,
        interval,
        pause=max(chance.choice((0.0, 0.005, 0.02)), CLIENTS / rate),
        pad=chance.choice((0, 0, 100, 1_000)),
        later_kills=[chance.uniform(0.1, 1.5) for _ in range(chance.randint(1, 2))],
        settings={
            "journal.fsync": chance.choice(("interval", "interval", "always", "never")),
            "buffer.flush_interval_seconds": chance.choice((0.05, 0.2, 1.0)),
            "buffer.flush_max_events": chance.choice((500, 20_000)),
        },
    )


class Campaign:
    """Rounds of killing on the folder of ``target``; ``total`` adds up."""

    def __init__(self, target: Target, seed: int, max_interval: float) -> None:
        self.total = Total()
        self.ledger = Ledger()
        self._target = target
        self._seed = seed
        self._max_interval = max_interval
        self._auditor = Auditor(f"sqlite:///{target.database}", self.ledger)
        self._coins = open_store(f"sqlite:///{target.database}").reader()
        self._clients = [
            Client(f"player-{place}", target.port, self.ledger, seed=seed)
            for place in range(CLIENTS)
        ]

    async def round(self, number: int) -> Verdict:
        """Play one round on a target that is up, and leave it up."""
        plan = make_plan(self._seed, number, self._max_interval)
        for client in self._clients:
            client.pause, client.pad, client.numbers = plan.pause, plan.pad, plan.numbers
        target = self._target
        target.settings |= plan.settings
        async with load(self._clients):
            await asyncio.sleep(plan.interval / 2)
            target.kill_a_worker(plan.number)
            await asyncio.sleep(plan.interval / 2)
            if plan.kind == "drain":
                target.signal(signal.SIGTERM)
                await asyncio.sleep(plan.later_kills[0] / 5)
            target.kill()
            if plan.kind == "replay":
                for seconds in plan.later_kills:
                    target.start()
                    await asyncio.sleep(seconds)
                    target.kill()
        await target.up()
        await self._add(plan)
        verdict = self._auditor.audit()
        if target.settings.get("server.workers", 1) != 1:
            verdict.disordered.clear()  # who connects again comes to another worker's buffer
        self.total.coin_violations += await self._audit_coins()
        self.total.integrity_ok += verdict.integrity == "ok"
        return verdict

    async def finish(self) -> Verdict:
        """Stop in order, count everything once more from the start."""
        async with self._coins:
            await self._audit_coins()
        assert await self._target.stop() == 0, self._target.log
        verdict = count(self._target.database, self.ledger)
        if self._target.settings.get("server.workers", 1) != 1:
            verdict.disordered.clear()
        return verdict

    async def _audit_coins(self) -> int:
        """Return how many coins are not right among those that are new."""
        found = 0
        while True:
            audited = await self._coins.audit(100_000)
            found += len(audited.violations)
            assert not found, audited.violations[0]
            if audited.position == audited.end:
                return found

    async def _add(self, plan: Plan) -> None:
        values = await self._target.drained()
        total = self.total
        total.rounds += 1
        total.kills += 1 + len(plan.later_kills) * (plan.kind == "replay")
        total.seconds_under_load += plan.interval
        total.replayed_events += int(values["events_replayed_total"])
        total.duplicate_events += int(values["events_duplicate_total"])
        total.torn_tails += int(values["journal_torn_tails_total"])
        total.corrupt_records += int(values["journal_corrupt_records_total"])
