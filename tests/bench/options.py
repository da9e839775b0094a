"""What to measure."""

import msgspec

COINS = 'games=[{id="com.example.stackblaster",coins_enabled=true,reward_fixed_amount=10}]'
"""One event in three is a completed level of this game."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """``settings`` are ``section.key=value`` for every gateway.

    A second gateway pays coins. Each of ``also`` adds another one, with that one setting more, to
    every round: so a choice (a journal, an interval) is compared under the same noise.
    """

    sizes: tuple[int, ...] = (1, 10, 200)
    rounds: int = 3
    seconds: int = 4
    settings: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    generator: str = "auto"
    memory_events: int = 1_000_000
    memory_sizes: tuple[int, ...] = (200, 10)

    @property
    def designs(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Return name, kind of target and settings of everything that is sent requests."""
        return {
            "bare": ("bare", ()),
            "gateway": ("gateway", self.settings),
            "gateway, coins on": ("gateway", (*self.settings, COINS)),
            **{f"gateway {each}": ("gateway", (*self.settings, each)) for each in self.also},
            "obvious": ("obvious", ()),
        }
