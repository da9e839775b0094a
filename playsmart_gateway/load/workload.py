"""What a run sends: the seam between the bodies and the connections."""

from collections.abc import Sequence
from typing import Protocol

from playsmart_gateway.load.lane import WHOLE, Lane, Share
from playsmart_gateway.load.tally import Tally


class Workload(Protocol):
    """Bodies by number. ``body``, ``user`` and ``events`` are pure: verifying calls them again."""

    @property
    def users(self) -> Sequence[str]:
        """Everybody who sends; each needs a token."""

    @property
    def length(self) -> int | None:
        """How many requests send everything once; None when there is no end."""

    def user(self, request: int) -> str:
        """Return whose request this is."""

    def body(self, request: int) -> bytes:
        """Return its body."""

    def events(self, request: int) -> int:
        """Return how many events are in it."""

    def lanes(self, connections: int, share: Share = WHOLE) -> list[Lane]:
        """Share the requests out among at most ``connections`` connections of one process."""

    def together(self, lanes: Sequence[Lane]) -> list[Lane]:
        """Return the lanes of all processes, in the order of their shares, as those of one."""

    def tally(self, lanes: Sequence[Lane]) -> Tally:
        """Return what compares rows of the store with what these lanes sent."""
