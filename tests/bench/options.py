"""What to measure."""

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """``settings`` are ``section.key=value`` for every gateway.

    Each of ``also`` adds a second gateway, with that one setting more, to every round: so a choice
    (a journal, an interval) is compared with the other one under the same noise.
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
            **{f"gateway {each}": ("gateway", (*self.settings, each)) for each in self.also},
            "obvious": ("obvious", ()),
        }
