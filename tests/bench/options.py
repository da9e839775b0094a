"""What to measure."""

import msgspec

from tests.bench.peers import Peer

COINS = 'games=[{id="com.example.stackblaster",coins_enabled=true,reward_fixed_amount=10}]'
"""One event in three is a completed level of this game."""

GATEWAY = "gateway"
WITH_COINS = "gateway, coins on"


class Subject(msgspec.Struct, frozen=True):
    """What is measured: ``kind`` of ``tests.bench.target``, or a ``peer``, and who sends to it."""

    name: str
    kind: str
    players: int
    settings: tuple[str, ...] = ()
    peer: Peer | None = None


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """``settings`` are ``section.key=value`` for every gateway.

    A gateway is measured for each number of ``players``; what is compared with it, by the most of
    them. A second one pays coins. Each of ``also`` adds another one, with that one setting more, to
    every round, and so does each of ``peers``: so a choice is compared under the same noise.
    """

    sizes: tuple[int, ...] = (1, 10, 200)
    players: tuple[int, ...] = (1, 10_000, 100_000)
    rounds: int = 3
    seconds: int = 4
    sustained_seconds: int = 30
    settings: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    peers: tuple[Peer, ...] = ()
    generator: str = "auto"
    memory_events: int = 1_000_000
    memory_sizes: tuple[int, ...] = (200, 10)

    @property
    def subjects(self) -> list[Subject]:
        """Return everything that is sent requests, in the order of a round."""
        most = max(self.players)
        return [
            Subject("bare", "bare", most),
            *(Subject(GATEWAY, "gateway", each, self.settings) for each in sorted(self.players)),
            self.paying,
            *(Subject(f"{GATEWAY} {e}", "gateway", most, (*self.settings, e)) for e in self.also),
            *(Subject(peer.name, "peer", most, peer=peer) for peer in self.peers),
            Subject("obvious", "obvious", most),
        ]

    @property
    def paying(self) -> Subject:
        """Return the gateway that pays coins."""
        return Subject(WITH_COINS, "gateway", max(self.players), (*self.settings, COINS))

    @property
    def sustained(self) -> list[Subject]:
        """Return what is sent more than it can store for ``sustained_seconds``."""
        plain = Subject(GATEWAY, "gateway", max(self.players), self.settings)
        return [plain, self.paying] if self.sustained_seconds else []
