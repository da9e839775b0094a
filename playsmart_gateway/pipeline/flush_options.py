"""When the buffer is flushed, and how much of it at once."""

import msgspec

from playsmart_gateway.catalogue.judging import Standard

AWAITED_SECONDS = 0.03
"""How long a transaction should take that requests wait for."""

LEAST_SHARE = 4
"""It takes at least so great a part of a full one: in a quarter an event costs a tenth more."""


class FlushOptions(msgspec.Struct, frozen=True, kw_only=True):
    """When the buffer is flushed for its age, and how much one transaction takes at most.

    With ``syncs_commits`` a commit is answered when it would survive a power cut, too. What is not
    as the ``standard`` wants it becomes a dead letter.
    """

    interval_seconds: float
    max_events: int
    max_bytes: int
    syncs_commits: bool = False
    standard: Standard | None = None

    def most_events(self, is_awaited: bool, pace: float | None) -> int:
        """Return how many events to store at once, if so many a second are stored of late.

        Requests that wait for room wait for all of a transaction: the longer, the fewer get in.
        """
        if not is_awaited or not pace:
            return self.max_events
        share = max(self.max_events // LEAST_SHARE, int(pace * AWAITED_SECONDS))
        return min(self.max_events, share)
