"""The contract that every sink keeps."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.util import find_spec
from typing import Protocol, Self

from playsmart_gateway.economy.points import Award
from playsmart_gateway.errors import ConfigError, SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.dead_letters import DeadLetter
from playsmart_gateway.stores.events import (
    NEVER,
    EventReader,
    Expired,
)
from playsmart_gateway.stores.models import (
    ActionStatistics,
    AppPlayer,
    Audited,
    Cause,
    Channel,
    CoinTransaction,
    OptOutState,
    Player,
    PropertyValue,
    Written,
)
from playsmart_gateway.stores.points import LoyaltyReader
from playsmart_gateway.stores.rollups import FigureKeeper

TakeTurn = Callable[[], AbstractAsyncContextManager[None]]
"""Has a turn at the store while entered; ``contextlib.nullcontext`` where nobody else writes."""


class Reader(EventReader, Protocol):
    """Reads what a sink wrote, on a connection of its own, opened when first used.

    Every method raises ``SinkUnavailable`` when the store cannot be read now. What ``commit``
    stored is read through ``loyalty``.
    """

    @property
    def loyalty(self) -> LoyaltyReader:
        """Read points, streaks and statistics, on the same connection."""
        ...

    async def __aenter__(self) -> Self:
        """Nothing is opened yet."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Let go of the connection; another call would open another."""
        ...

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

    async def coins_earned(self, names: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Return, of these batches (by journal and sequence), what those earned that earned any."""
        ...

    async def audit(self, max_events: int) -> Audited:
        """Check the coins of the next ``max_events`` events or so.

        A reader begins at the beginning, and once more after it lost its connection.
        """
        ...

    async def countries(self, app_id: str, user_ids: Collection[str]) -> dict[str, str]:
        """Return, of these players of an app, those who are known with their latest country."""
        ...

    async def app_player(self, app_id: str, user_id: str) -> AppPlayer:
        """Return what is stored of one player of an app, be it nothing."""
        ...

    async def buried(self) -> list[DeadLetter]:
        """Return every dead letter, in the order in which they were received."""
        ...

    async def buried_batch(self, journal: str, sequence: int) -> Batch | None:
        """Return the batch of a dead letter; None if there is no such letter."""
        ...

    async def action_statistics(self, app_id: str) -> list[ActionStatistics]:
        """Return the statistics of an app, ordered by action type and country; reads all of it."""
        ...


class Sink(Protocol):
    """A store that takes flushes.

    Entering it opens it (creating what is missing), leaving it closes it. Entering raises
    ``ConfigError`` when no waiting could help, ``SinkUnavailable`` otherwise. After the latter it
    can be used all the same, and opens with the first call that finds the store there.
    """

    async def __aenter__(self) -> Self:
        """Open the store."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Close the store."""
        ...

    async def write(self, batches: Sequence[Batch]) -> Written:
        """Store all of ``batches`` in one transaction, or none of them.

        A batch whose journal and sequence are in the store already is a no-op and counts as
        duplicate. Does not retry or sleep beyond a bounded lock wait; may be called again with
        the same batches after any error, and after a cancellation.

        Raises:
            SinkUnavailable: the same call may work later.
            SinkRejected: it never will.
        """
        ...

    async def commit(self, batches: Sequence[Batch]) -> list[Award]:
        """Store ``batches`` of one event each and return what each is awarded, in their order.

        One transaction holds events, points, completions, streaks, history and statistics, or none
        of them. The events are awarded one after the other, by the program that the sink was made
        with. For a batch that is in the store already, nothing is stored or counted, and what it
        was awarded then is returned. May be called again as ``write`` may.

        Raises:
            SinkUnavailable: the same call may work later.
            SinkRejected: it never will; an event that is not defined is one reason.
        """
        ...

    async def trial(self, batches: Sequence[Batch]) -> None:
        """Do all that ``write`` does and take it back; with no batches, see whether it could begin.

        With batches of Lynes, do what ``commit`` does.

        Raises:
            SinkUnavailable: the same call may work later.
            SinkRejected: the store does not take them.
        """
        ...

    async def bury(self, batch: Batch, reason: str) -> None:
        """Keep a batch that can never be stored among the dead letters, once, with the reason.

        Raises:
            SinkUnavailable: the same call may work later.
        """
        ...

    async def sync(self) -> None:
        """Return when everything written so far would survive a power cut.

        Raises:
            SinkUnavailable: it may not.
        """
        ...

    async def keep(self) -> None:
        """Return when everything written so far is in the store itself, as ``sync`` has it.

        A file can be moved or copied without what lies beside it.

        Raises:
            SinkUnavailable: some of it may not be.
        """
        ...

    @property
    def renewals(self) -> int:
        """How often the store became another one, which may lack what was written before."""
        ...


class Store(Sink, Protocol):
    """A sink with what is kept beside events, and can be read back and corrected.

    Every method may be called beside ``write``; each is a transaction of its own and raises
    ``SinkUnavailable`` when nothing was changed.
    """

    @property
    def damage(self) -> SinkUnavailable | None:
        """What is broken in the store, as far as anybody has met it."""
        ...

    @property
    def log_bytes(self) -> int:
        """Size of what was written and is not in the store itself yet; 0 where there is no such."""
        ...

    async def look(self) -> None:
        """See, though nothing is to be written, whether the store is still there and the same.

        Raises:
            SinkUnavailable: it is not, or not yet again.
        """
        ...

    async def adjust(
        self, user_id: str, amount: int, reason: str, *, force: bool = False
    ) -> CoinTransaction:
        """Add ``amount`` coins, or take them if it is negative, with an entry in the ledger.

        Raises:
            AdjustmentRefused: the player is unknown, or the balance would go below zero and it is
                not forced.
            SinkUnavailable: nothing was changed.
        """
        ...

    def reader(self) -> Reader:
        """Return a reader of this store; the sink itself need not be open."""
        ...

    def figures(self) -> FigureKeeper | None:
        """Return what keeps the figures of this store while it is open; None if nothing does."""
        ...

    async def replay(self, journal: str, sequence: int) -> Written | None:
        """Store the batch of a dead letter as ``write`` does, and remove the letter, or neither.

        None if there is no such letter, any more. May be called again as ``write`` may.

        Raises:
            SinkRejected: the store still refuses it; the letter stays.
        """
        ...

    async def set_properties(
        self, app_id: str, user_id: str, values: Mapping[str, PropertyValue]
    ) -> dict[str, PropertyValue]:
        """Set properties of a player of an app; return those that had a value before, with it."""
        ...

    async def exclude(self, app_id: str, user_id: str, expire_at: str | None) -> None:
        """Forget how to contact a player, and record no contact until ``expire_at`` (UTC text).

        None is until ``include``.
        """
        ...

    async def include(self, app_id: str, user_id: str) -> bool:
        """End an exclusion; False if there was none."""
        ...

    async def set_opt_out(
        self, app_id: str, user_id: str, channel: Channel, state: OptOutState
    ) -> bool:
        """Set whether a player may be contacted on a channel; False if the player is unknown."""
        ...

    async def names(self, user_id: str) -> set[str]:
        """Return the texts by which a player is known here: the id, and emails of now."""
        ...

    async def erase(self, user_id: str, *, dry_run: bool = False) -> dict[str, int]:
        """Remove all that is stored of a player in every game; return the rows by table.

        Batches of the player stay known by journal and sequence, so a replay does not bring them
        back. It goes in short transactions, so a gateway may run; what that holds in memory of the
        player has to be stored before. With ``dry_run`` rows are only counted.
        """
        ...

    async def scrub(self, *, rewrite: bool = True) -> None:
        """Leave nothing of what was deleted in files, as far as they are ours.

        With ``rewrite`` their free space, too: a file is written anew, some ten seconds a gigabyte
        in which nobody else can write. The log beside it is emptied in any case.

        Raises:
            SinkUnavailable: others use the files.
        """
        ...

    async def expire(
        self,
        before: str,
        *,
        latest: str = NEVER,
        game_id: str | None = None,
        type_: str | None = None,
        after_batch: int = 0,
        max_events: int,
        dry_run: bool = False,
    ) -> Expired:
        """Delete about ``max_events`` events that were received before then, the oldest first.

        It begins behind ``after_batch``, and is done at the first batch that was received later,
        or that the figures have not counted. A time of receipt behind ``latest`` is a wrong clock's
        and tells nothing. What they earned, and their players, stay. With ``dry_run`` they are only
        counted.
        """
        ...


def require_driver(driver: str, engine: str, extra: str) -> None:
    """Require that the package ``driver`` is installed, which the ``extra`` brings.

    Raises:
        ConfigError: it is not.
    """
    if find_spec(driver) is None:
        needed = f"pip install 'playsmart-gateway[{extra}]'"
        raise ConfigError([f"storage.url: {engine} needs its driver: {needed}"])
