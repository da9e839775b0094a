"""What can be read of a store: one contract for each who reads.

A ``Reader`` keeps them all on one connection, but who is handed one should ask for no more than
the contract that has what is read. Every method raises ``SinkUnavailable`` when the store cannot
be read now.
"""

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date
from typing import NamedTuple, Protocol, Self

from playsmart_gateway.economy.coins import Rule
from playsmart_gateway.economy.points import MetadataStats, Streak
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.learned import Buried, Kept
from playsmart_gateway.stores.losses import LossPage
from playsmart_gateway.stores.models import (
    EVERYTHING,
    ActionStatistics,
    AppPlayer,
    Audited,
    Cause,
    CoinTransaction,
    CountPage,
    DeadLetter,
    Entry,
    EntryType,
    EventFilter,
    EventPage,
    Outcome,
    Player,
    StoredBatch,
    StoreHealth,
    StreakFigures,
)


class BatchName(NamedTuple):
    """How one stored batch is called, and the key and first number of its run (none: no run)."""

    batch_id: int
    journal: str
    sequence: int
    run: bytes | None
    seq: int | None


class EventReader(Protocol):
    """Reads events by their ids, a bounded piece at a time.

    Ids rise in the order in which events are stored: behind the newest one there is nothing that
    could still come before it. So an id is a cursor, and every piece is a short read that keeps
    nobody from moving the write-ahead log into the file.
    """

    async def newest_event_id(self) -> int:
        """Return the id of the event that was stored last; 0 if there is none."""
        ...

    async def events(
        self,
        wanted: EventFilter = EVERYTHING,
        *,
        after: int = 0,
        upto: int,
        limit: int,
        newest_first: bool = False,
    ) -> EventPage:
        """Look at ``limit`` events with ``after < event_id <= upto``, and return those wanted.

        Fewer if they are large. The next piece begins behind the page's ``position`` (or, with
        ``newest_first``, ends before it); at the end ``position`` is ``upto`` (``after + 1``).
        """
        ...

    async def count_events(
        self, wanted: EventFilter = EVERYTHING, *, after: int = 0, upto: int, limit: int
    ) -> CountPage:
        """Look at ``limit`` events with ``after < event_id <= upto``, and count those wanted."""
        ...


class CoinReader(Protocol):
    """Reads players and the ledger of their coins."""

    async def player(self, user_id: str) -> Player | None:
        """Return one player; None if no event of theirs was stored yet."""
        ...

    async def coin_transactions(
        self, user_id: str, *, before: int | None = None, limit: int
    ) -> list[CoinTransaction]:
        """Return the newest ``limit`` entries of a player whose ``id`` is less than ``before``."""
        ...

    async def causes(self, entry_ids: Sequence[int]) -> dict[int, Cause]:
        """Return the cause of each of these ledger entries that is a grant."""
        ...

    async def outcomes(self, names: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Outcome]:
        """Return what became of those of these batches (journal and sequence) that are stored."""
        ...

    async def rules_in_force(self) -> list[Rule]:
        """Return by what each game was paid that was stored last, of those that ever paid."""
        ...


class AppPlayerReader(Protocol):
    """Reads what ``AppPlayers`` keeps, and the statistics of the events of an app."""

    async def countries(self, app_id: str, user_ids: Collection[str]) -> dict[str, str]:
        """Return, of these players of an app, those who are known with their latest country."""
        ...

    async def app_player(self, app_id: str, user_id: str) -> AppPlayer:
        """Return what is stored of one player of an app, be it nothing."""
        ...

    async def action_statistics(self, app_id: str) -> list[ActionStatistics]:
        """Return the statistics of an app, ordered by action type and country; reads all of it."""
        ...


class PointsReader(Protocol):
    """Reads what ``Awarding.commit`` wrote; a project is the ``game_id`` of its batches."""

    async def points(self, project: str, user_id: str) -> int | None:
        """Return the balance of a user; None if no event of theirs was stored yet."""
        ...

    async def history(
        self,
        project: str,
        user_id: str,
        *,
        types: Collection[EntryType],
        from_ms: int,
        to_ms: int,
        offset: int,
        limit: int,
    ) -> list[Entry]:
        """Return entries of these types and times, both ends included, the newest first."""
        ...

    async def streaks(self, project: str, user_id: str) -> dict[str, Streak]:
        """Return where a user's streaks stand, by streak id."""
        ...

    async def streak_figures(
        self, project: str, streak_id: str, active_since: date
    ) -> StreakFigures:
        """Return the figures of a streak; it is active whose last day is not before that one."""
        ...

    async def event_stats(
        self, project: str, event_id: str, *, first: date, last: date, group: str | None
    ) -> MetadataStats:
        """Return what was counted on these days, both included, of one group or of all."""
        ...

    async def event_days(
        self, project: str, event_id: str, *, first: date, last: date, group: str | None
    ) -> dict[date, int]:
        """Return how many events there were on each of these days that had any, in order."""
        ...


class BatchReader(Protocol):
    """Reads batches by their names."""

    async def stored_batch(self, journal: str, sequence: int) -> StoredBatch | None:
        """Return one; None if it was not stored here."""
        ...

    async def batch_names(self, first: int, last: int) -> list[BatchName]:
        """Return the names of the batches with ``first <= batch_id <= last``, in that order."""
        ...


class LearnedReader(Protocol):
    """Reads what was learned of events."""

    async def all_learned(self) -> Kept:
        """Return all of it; nothing where nothing is learned."""
        ...


class DeadLetterReader(Protocol):
    """Reads what was buried."""

    async def buried(self) -> list[DeadLetter]:
        """Return every dead letter, in the order in which they were received."""
        ...

    async def newest_buried(
        self, limit: int, *, game_id: str | None = None, reason: str | None = None
    ) -> list[DeadLetter]:
        """Return at most ``limit`` dead letters, those buried last first; of a game, a reason."""
        ...

    async def buried_by_reason(self) -> list[Buried]:
        """Return how many there are, by game and reason, the most frequent first."""
        ...

    async def buried_batch(self, journal: str, sequence: int) -> Batch | None:
        """Return the batch of a dead letter; None if there is no such letter."""
        ...


class LossReader(Protocol):
    """Reads which numbers of runs never came."""

    async def losses(self, before: int, *, after: bytes, limit: int) -> LossPage:
        """Return what the runs lost of which nothing came since ``before``, in microseconds.

        It looks at the ``limit`` runs whose keys come behind ``after``: a short read.
        """
        ...


class Checks(Protocol):
    """Looks whether what is stored is whole and right."""

    async def examine(self) -> StoreHealth:
        """Look at the whole store for damage; takes as long as reading all of it."""
        ...

    async def audit(self, max_events: int) -> Audited:
        """Check the coins of the next ``max_events`` events or so.

        A reader begins at the beginning, and once more after it lost its connection.
        """
        ...


class Turns(Protocol):
    """Lets one at a time of all who copy what is stored to another place, in any process."""

    def turn(self, patience_seconds: float) -> AbstractAsyncContextManager[None]:
        """Have the turn while entered; no transaction of the store is open for it.

        Raises:
            SinkUnavailable: somebody else had it for all of ``patience_seconds``.
        """
        ...


class LakeReader(EventReader, BatchReader, LearnedReader, Turns, Protocol):
    """All that is read of a store to copy its events."""


class Reader(
    EventReader,
    CoinReader,
    AppPlayerReader,
    BatchReader,
    LearnedReader,
    DeadLetterReader,
    LossReader,
    Checks,
    Turns,
    Protocol,
):
    """Reads what a store holds, on a connection of its own, opened when first used."""

    @property
    def points(self) -> PointsReader:
        """Read points, streaks and statistics, on the same connection."""
        ...

    async def __aenter__(self) -> Self:
        """Nothing is opened yet."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Let go of the connection; another call would open another."""
        ...
