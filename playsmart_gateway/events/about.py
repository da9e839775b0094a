"""What a batch of a run says beside its events: who sends it and when, what of it was refused."""

from typing import Annotated, NamedTuple

import msgspec

MAX_CLIENT_TEXT_LENGTH = 64
"""Characters of what a client says of itself."""

_MAX_PLACE = 255
_OVERHEAD_BYTES = 512


class Program(NamedTuple):
    """The program that sends, in words of its own; empty where it says nothing."""

    name: str = ""
    version: str = ""
    app_version: str = ""
    platform: str = ""


class About(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What is said of a batch.

    ``sent_at`` is when it was sent by the clock of its sender, in microseconds since the epoch.
    ``refused`` are the places of events in the request of which the batch has no rows, in order:
    they use their numbers all the same.
    """

    sent_at: int | None = None
    client: Program | None = None
    refused: tuple[Annotated[int, msgspec.Meta(ge=0, le=_MAX_PLACE)], ...] = ()

    @property
    def size(self) -> int:
        """Bytes of memory that it holds, at most."""
        return _OVERHEAD_BYTES + 4 * sum(map(len, self.client or ())) + 8 * len(self.refused)

    def fits(self, count: int) -> bool:
        """Whether the places can be those of a request of which ``count`` events are left."""
        places = self.refused
        return not places or (sorted({*places}) == [*places] and places[-1] < count + len(places))
