"""How what was stored is looked at, to learn what events are like, and where that is kept.

A ``Sight`` is what one look shows of the batches behind a position: how often each event came,
exactly, and some of the events themselves. What was learned of them is kept by ``keep``, under the
position up to which it was: it moves only from where it was read, so that nothing is learned twice.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, Self

MAX_NAME_LENGTH = 100
"""Characters of a custom event's name by which it is known here."""

MAX_DATA_LENGTH = 16_384
"""Characters of customdata; what is longer is not looked into, and ``TOO_LONG`` is in its place."""

TOO_LONG = "-"


class EventKey(NamedTuple):
    """Which events are meant; ``name`` is empty for those that have none."""

    source: str
    game_id: str
    type: str
    name: str


class Counted(NamedTuple):
    """So many events of a kind came between two instants, UTC text of 27 characters."""

    key: EventKey
    events: int
    first: str
    last: str


class Looked(NamedTuple):
    """One event: whose it is, its JSON text, what its ``clock`` is (see ``StoredEvent``)."""

    key: EventKey
    user_id: str
    received_at: str
    customdata: str | None
    clock: str | None
    app_version: str | None


class Sight(NamedTuple):
    """The batches behind ``start`` up to ``position``, of now ``end``.

    ``erasures`` is how often anybody was erased so far.
    """

    start: int
    position: int
    end: int
    counted: Sequence[Counted] = ()
    looked: Sequence[Looked] = ()
    erasures: int = 0


class Kept(NamedTuple):
    """What was learned of events, as JSON text by their keys, up to ``position``, of now ``end``.

    Of a game as a whole the type is empty. ``erasures`` is how often anybody was erased so far:
    what was learned before the last one may be of whom it was.
    """

    position: int
    end: int
    learned: dict[EventKey, str]
    erasures: int = 0


class Buried(NamedTuple):
    """So many batches of a game are dead letters for one reason, the newest since ``last``."""

    game_id: str
    reason: str
    letters: int
    events: int
    first: str
    last: str


class LearnedStore(Protocol):
    """Every method raises ``SinkUnavailable`` when the store cannot be used now."""

    busy_seconds: float
    """How long looking kept a core busy so far; of a server, how long it was waited for."""

    async def __aenter__(self) -> Self:
        """Nothing is opened yet."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Let go of the connection."""
        ...

    async def look(self, start: int, *, max_events: int, max_looked: int) -> Sight:
        """Look at the batches behind ``start`` that have about ``max_events`` events together.

        Of more than ``max_looked`` events those of every n-th batch are shown.
        """
        ...

    async def kept(self, game_id: str | None = None) -> Kept:
        """Return what was learned so far: of one game in full, and of others as a whole, or all."""
        ...

    async def keep(
        self,
        start: int,
        position: int,
        learned: Sequence[tuple[EventKey, str]],
        forgotten: Sequence[EventKey] = (),
        *,
        erasures: int = 0,
    ) -> bool:
        """Keep what was learned from ``start`` up to ``position``; what was ``forgotten`` goes.

        False, and nothing is changed, if somebody else has moved the position, or if anybody was
        erased since there were so many ``erasures``.
        """
        ...

    async def buried(self) -> list[Buried]:
        """Return how many dead letters there are, by game and reason; the most frequent first."""
        ...
