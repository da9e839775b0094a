"""Phones and gateways that are broken on purpose: each has to fail, or the campaign is blind."""

import sys
from dataclasses import dataclass

from tests.campaigns.phones.lives import Commands
from tests.campaigns.phones.scene import SceneName

_WHOLE = "playsmart_gateway.clients.python.adapter"
_BROKEN = "tests.clients.conformance.broken_clients"
_GATEWAYS = "tests.campaigns.phones.broken_gateways"


@dataclass(frozen=True)
class Mutant:
    """The phone that is broken, or what is started instead of the gateway, and where it shows."""

    phone: str | None = None
    gateway: str | None = None
    scene: SceneName = "sqlite"

    @property
    def clients(self) -> Commands:
        """What the phones are."""
        module = (_BROKEN, self.phone) if self.phone else (_WHOLE,)
        return {"phone": (sys.executable, "-m", *module)}


def _gateway(name: str, scene: SceneName = "sqlite") -> Mutant:
    return Mutant(gateway=f"{_GATEWAYS}:{name}", scene=scene)


MUTANTS = {
    **{
        f"phone: {name}": Mutant(phone=name)
        for name in (
            "NewRunOnRetry",
            "NumbersEveryFileFrom0",
            "DeletesBeforeTheAnswer",
            "DeletesOn401",
            "DeletesOnAny2xx",
        )
    },
    "gateway: claim outside the transaction": _gateway("claims_outside_the_transaction", "workers"),
    "gateway: forgets at restart": _gateway("forgets_at_restart"),
    "gateway: memory by worker": _gateway("remembers_by_worker", "workers"),
    "gateway: cuts the wrong end": _gateway("cuts_the_wrong_end"),
    "gateway: replay counted as repeat": _gateway("counts_replays_as_repeats"),
}
