"""The players: each sends one numbered batch after the other, and notes what it was told."""

import asyncio
from collections.abc import Callable

from playsmart_gateway.errors import Overloaded, Refused
from playsmart_gateway.events.batch import Batch
from tests.campaigns.simulation.ledger import (
    GAME,
    Attempt,
    Ledger,
)
from tests.campaigns.simulation.loop import SimLoop
from tests.campaigns.simulation.numbering import MAX_EVENTS
from tests.campaigns.simulation.parts import Bystander, SimGateway

PATIENCE_SECONDS = 120.0
"""Nothing that the simulation does to a request can make it take longer than this."""

Jump = Callable[[float], None]


class Client:
    """One player over one life of a gateway; ``complaints`` are answers that must not happen."""

    def __init__(
        self, name: str, gateway: SimGateway, ledger: Ledger, bystander: Bystander, loop: SimLoop
    ) -> None:
        self.name = name
        self.complaints: list[str] = []
        self.leaving = False
        self._gateway = gateway
        self._ledger = ledger
        self._chance = loop.chance
        self._loop = loop
        self._request: asyncio.Task[None] | None = None
        bystander.after_room.append(self._room_came)

    async def play(self, batches: int, hurry: float, jump: Jump) -> None:
        """Send that many batches, ``hurry`` seconds apart at most."""
        chance = self._chance
        numbering = self._ledger.numbering(self.name, chance)
        for _ in range(batches):
            await asyncio.sleep(chance.random() * hurry)
            if self.leaving:
                return
            if chance.strikes("clock: jumps forward"):
                jump(chance.between(1.0, 1e8))
            if chance.strikes("clock: jumps back"):
                jump(-chance.between(1.0, 1e8))
            count = 1 if chance.random() < 0.5 else chance.randint(1, MAX_EVENTS)
            poisoned = chance.strikes("store: rejects a poisoned batch")
            if numbering is None:
                attempt = self._ledger.begin(self.name, count, poisoned)
            else:
                first, count = numbering.part(count, chance)
                attempt = self._ledger.begin(self.name, count, poisoned, numbering.run, first)
            self._request = self._loop.create_task(self._send(attempt), name=f"request {attempt}")
            if chance.strikes("client: cancels"):
                self._loop.call_later(chance.between(0.00001, 0.5), self._request.cancel)
            _, hanging = await asyncio.wait([self._request], timeout=PATIENCE_SECONDS)
            if hanging:
                self.complaints.append(f"no answer: {attempt}")
                return

    def hang_up(self) -> None:
        """Stop playing, and cancel the request in flight."""
        self.leaving = True
        if self._request is not None:
            self._request.cancel()

    def _room_came(self) -> None:
        """Hang up in the very moment in which the gateway wants to go on with the request."""
        request = self._request
        if request is None or request.done():
            return
        if self._chance.strikes("client: cancels as room comes"):
            request.cancel()

    async def _send(self, attempt: Attempt) -> None:
        intake = self._gateway.intake
        size = len(attempt.rows)
        try:
            await intake.room_for(size)
            if self._chance.strikes("client: malformed body"):
                return
            attempt.outcome = "unknown"
            receipt = await intake.accept(
                Batch(
                    *("playsmart", GAME, self.name, attempt.count, attempt.rows),
                    run=attempt.run,
                    seq=attempt.first,
                )
            )
        except Refused as refusal:
            if self._loop.dead:
                return
            attempt.outcome, attempt.tag = "refused", refusal.tag
            if isinstance(refusal, Overloaded) and self._gateway.buffer.has_room(
                self._gateway.buffer.max_events, 0
            ):
                self.complaints.append(f"refused for want of room by an empty buffer: {attempt}")
        else:
            if self._loop.dead:
                return
            attempt.outcome, attempt.at = "acknowledged", self._loop.now
            if receipt.accepted != attempt.count:
                self.complaints.append(f"a receipt for {receipt.accepted}: {attempt}")
            if receipt.buffered > self._most_buffered():
                self.complaints.append(f"the buffer holds {receipt.buffered}: {attempt}")
        if self._chance.traced:
            self._chance.say(f"client: {attempt}")

    def _most_buffered(self) -> int:
        """What an earlier process left has room of its own."""
        gateway = self._gateway
        return max(gateway.buffer.max_events, gateway.stats.replayed)
