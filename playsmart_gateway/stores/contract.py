"""What a store takes and does: one narrow contract for each who asks something of it.

The pipeline needs an ``EventSink`` and nothing else; clients that wait for points need an
``Awarding``; commands and dialects need one of the others. A ``Store`` is a database, which keeps
all of them, and is read through a ``Reader`` (see ``readers``). What takes events may be another
thing than the database that answers: a stream, or a file.
"""

import enum
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, Self, runtime_checkable

from playsmart_gateway.economy.points import Award
from playsmart_gateway.errors import SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.stores.clearing import Clearing
from playsmart_gateway.stores.learned import LearnedStore
from playsmart_gateway.stores.losses import Loss
from playsmart_gateway.stores.models import (
    NEVER,
    Account,
    Channel,
    CoinTransaction,
    Expired,
    ForgottenRuns,
    OptOutState,
    PropertyValue,
    Written,
)
from playsmart_gateway.stores.readers import Reader
from playsmart_gateway.stores.rollups import Figures, PropertyNames, RolledUp

TakeTurn = Callable[[], AbstractAsyncContextManager[None]]
"""Has a turn at the store while entered; ``contextlib.nullcontext`` where nobody else writes."""


class EventSink(Protocol):
    """Takes events: all that the pipeline asks of what is behind it.

    Entering it opens it (creating what is missing), leaving it closes it. Entering raises
    ``ConfigError`` when no waiting could help, ``SinkUnavailable`` otherwise. After the latter it
    can be used all the same, and opens with the first call that finds it there.

    A sink that can do more for the pipeline keeps ``Rehearsing`` or ``Replaceable``, too.
    """

    async def __aenter__(self) -> Self:
        """Open it."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        ...

    async def write(self, batches: Sequence[Batch]) -> Written:
        """Store all of ``batches`` in one transaction, or none of them; with none, see that it can.

        A batch whose journal and sequence are there already is a no-op and counts as duplicate. Of
        others, so do the events whose numbers in their run have come before; the rest is stored.
        Does not retry or sleep beyond a bounded lock wait; may be called again with the same
        batches after any error, and after a cancellation.

        Raises:
            SinkUnavailable: the same call may work later.
            SinkRejected: it never will. The pipeline halves what it writes until one batch stands
                alone, and buries that.
        """
        ...

    async def bury(self, batch: Batch, reason: str) -> None:
        """Keep a batch that can never be stored among the dead letters, once, with the reason.

        Its numbers have come then, and of those that had before nothing is kept here.

        Raises:
            SinkUnavailable: the same call may work later.
        """
        ...

    async def sync(self) -> None:
        """Return when nobody else need keep what was written: it would survive a power cut.

        It is in the store itself, too: a file can be moved or copied without what lies beside it.

        Raises:
            SinkUnavailable: some of it may not be.
        """
        ...


@runtime_checkable
class Quarantining(Protocol):
    """A sink that keeps many dead letters at once."""

    async def quarantine(self, letters: Sequence[tuple[Batch, str]]) -> None:
        """Do what ``bury`` does with each batch and its reason, in one transaction.

        But of a batch that is stored already nothing is kept. Raises what ``bury`` raises.
        """
        ...


@runtime_checkable
class Rehearsing(Protocol):
    """A sink that can tell what it would do, so that the pipeline can find out who is to blame."""

    async def trial(self, batches: Sequence[Batch]) -> None:
        """Do all that ``write`` does and take it back.

        With batches of Lynes, do what ``commit`` does.

        Raises:
            SinkUnavailable: the same call may work later.
            SinkRejected: the store does not take them.
        """
        ...


@runtime_checkable
class Replaceable(Protocol):
    """A sink that may become another one under us, as a file does that is moved or overwritten."""

    @property
    def renewals(self) -> int:
        """How often it became another one, which may lack what was written before."""
        ...

    async def look(self) -> None:
        """See, though nothing is to be written, whether it is still there and the same.

        Raises:
            SinkUnavailable: it is not, or not yet again.
        """
        ...


class Awarding(Protocol):
    """Stores events whose senders wait for what they earned."""

    async def commit(self, batches: Sequence[Batch]) -> list[Award]:
        """Store ``batches`` of one event each and return what each is awarded, in their order.

        One transaction holds events, points, completions, streaks, history and statistics, or none
        of them. The events are awarded one after the other, by the program that the store was made
        with. For a batch that is in the store already, nothing is stored or counted, and what it
        was awarded then is returned. So it is for one whose number of its run is: then the award
        ``is_repeated``. May be called again as ``write`` may.

        Raises:
            SinkUnavailable: the same call may work later.
            SinkRejected: it never will; an event that is not defined is one reason.
        """
        ...

    async def sync_commits(self) -> None:
        """Return when everything committed so far would survive a power cut.

        Raises:
            SinkUnavailable: it may not.
        """
        ...


class Coins(Protocol):
    """Corrects what players have; events pay on their way in."""

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


class Registered(enum.Enum):
    """What became of a registration."""

    NOW = enum.auto()
    KNOWN_EMAIL = enum.auto()
    KNOWN_PLAYER = enum.auto()


class Accounts(Protocol):
    """Keeps who may have tokens of the gateway's own; times are in seconds since the epoch."""

    async def register(self, account: Account) -> Registered:
        """Keep a new account, or say why not; then nothing was changed.

        An email has one account. So has a player, and none who has stored events, coins or points
        already: whoever knows such an id would become that player.
        """
        ...

    async def account(self, user_id: str) -> Account | None:
        """Return the account of a player."""
        ...

    async def account_with(self, email: str) -> Account | None:
        """Return the account that has an email."""
        ...

    async def revoke(self, user_id: str, not_before: int) -> bool:
        """Believe no token of a player that was issued before then; False if there is no account.

        What was revoked stays so.
        """
        ...

    async def revoked(self, since: int, limit: int) -> dict[str, int]:
        """Return from when on tokens are believed, of who was revoked to later than ``since``.

        Of more than ``limit`` players the latest.
        """
        ...


class AppPlayers(Protocol):
    """Keeps what Teak's API says of the players of an app, beside their events."""

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


class Upkeep(Protocol):
    """What operators do to a store, beside a gateway that runs, too."""

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
        upto_batch: int | None = None,
        max_events: int,
        dry_run: bool = False,
    ) -> Expired:
        """Delete about ``max_events`` events that were received before then, the oldest first.

        It begins behind ``after_batch``, and is done at the first batch that was received later,
        or that is behind ``upto_batch``, or that the figures have not counted. A time of receipt
        behind ``latest`` is a wrong clock's and tells nothing. What they earned, and their players,
        stay. With ``dry_run`` they are only counted.
        """
        ...

    async def forget_runs(self, before: int, *, after: bytes, limit: int) -> ForgottenRuns:
        """Forget which numbers of a run have come if none did since ``before``, in microseconds.

        It looks at the ``limit`` runs whose keys come behind ``after``, in one transaction.
        """
        ...

    async def replay(self, journal: str, sequence: int) -> Written | None:
        """Store the batch of a dead letter as ``write`` does, and remove the letter, or neither.

        None if there is no such letter, any more. May be called again as ``write`` may.

        Raises:
            SinkRejected: the store still refuses it; the letter stays.
        """
        ...


@runtime_checkable
class Condition(Protocol):
    """How a store is, as far as anybody can tell without asking it."""

    @property
    def damage(self) -> SinkUnavailable | None:
        """What is broken in the store, as far as anybody has met it."""
        ...

    @property
    def log_bytes(self) -> int:
        """Size of what was written and is not in the store itself yet; 0 where there is no such."""
        ...


class LossSums(Protocol):
    """Keeps which part of the events never came."""

    async def keep_losses(self, losses: Sequence[Loss]) -> None:
        """Have the figures show these from now on, in place of those before."""
        ...


class Rollups(LossSums, PropertyNames, Protocol):
    """Keeps small sums beside the stored events, and reads them back.

    Every method raises ``SinkUnavailable`` when the store cannot be used now.
    """

    busy_seconds: float
    """How long that kept a core busy so far; of a server, how long it was waited for."""

    async def __aenter__(self) -> Self:
        """Nothing is opened yet."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Let go of the connection."""
        ...

    async def roll_up(self, max_events: int) -> RolledUp | None:
        """Count the next ``max_events`` stored events or so, each exactly once for all time.

        None: nothing was done, as another process does it for this store.
        """
        ...

    async def skip(self) -> RolledUp:
        """Leave out the next batch, which cannot be counted, for good.

        Raises:
            SinkRejected: the sums take nothing else either; nothing is left out.
        """
        ...

    async def read(self, game_id: str | None, seconds: int, now: float) -> Figures:
        """Return the figures of one game, or of all, in the last ``seconds`` (see ``SPANS``)."""
        ...


class Store(
    EventSink, Rehearsing, Awarding, Coins, AppPlayers, Upkeep, Clearing, Condition, Protocol
):
    """A database: takes events, and keeps, answers and corrects what follows from them.

    Every method may be called beside ``write``; each is a transaction of its own and raises
    ``SinkUnavailable`` when nothing was changed.
    """

    accounts: Accounts
    """On the same connection."""

    learned: LearnedStore | None
    """What events are like, as far as it was learned; None if nothing keeps it."""

    def reader(self) -> Reader:
        """Return a reader of this store; the store itself need not be open."""
        ...

    def rollups(self) -> Rollups | None:
        """Return what keeps the sums of this store while it is open; None if nothing does."""
        ...
