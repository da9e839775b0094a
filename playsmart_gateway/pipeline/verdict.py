"""Who is to blame when a store refuses a batch: the batch, or what somebody did to the store.

A trigger, a new column or a counter set back refuses good batches one after the other, each of
which would look like a poisonous one. So before a batch is buried, the store is shown others, in
transactions that are rolled back: a plain one, of nobody and of no game, with nothing in it that
somebody sent; one of the same game; and some of those that wait. The store is at fault when it
refuses the plain one, or that of the game and no other game's is there to show that the rest gets
through, or batches of more than ``MAX_SUSPECTS`` players for one reason with nothing stored in
between. Else the batch is.
"""

import random
from collections.abc import Callable, Sequence

import msgspec

from playsmart_gateway.errors import SinkRejected, SinkUnavailable
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.row import NO_DATA, Row, decode, encode
from playsmart_gateway.stores.contract import Rehearsing

MAX_SUSPECTS = 3
MAX_WITNESSES = 4
"""Batches that wait, of other players, that are tried for one verdict."""

NOBODY = "playsmart-gateway-trial"
_JOURNAL = "trial"
_DATA = msgspec.Raw(
    b'{"session_id":"trial","country_code":"","timezone_id":"","level":1,"score":1,'
    b'"event_count":1,"value":1,"sum_of_squares":1}'
)
"""What makes any type of event take the way that one of its kind takes."""

_HINT = (
    "Somebody changed the database beside the gateway: undo that (a trigger, a column, a "
    "constraint, a counter). Nothing is buried, events wait."
)


class Judge:
    """Tells batches at fault from a ``sink`` at fault. ``chance`` draws from 0 to 1.

    A sink that is not ``Rehearsing`` cannot be asked, so what it refuses is to blame.
    """

    def __init__(self, sink: object, chance: Callable[[], float] = random.random) -> None:
        self._sink = sink if isinstance(sink, Rehearsing) else None
        self._chance = chance
        self._suspects: dict[str, set[str]] = {}
        self._convicted: set[tuple[str, str]] = set()

    def stored(self) -> None:
        """Take note that the store took something: who was suspected before was to blame."""
        self._suspects.clear()
        self._convicted.clear()

    async def judge(self, batch: Batch, refusal: SinkRejected, waiting: Sequence[Batch]) -> None:
        """Return if ``batch``, which the store refused, is to blame; ``waiting`` are others.

        What convicts it is a refusal that comes after the store was seen to be well.

        Raises:
            SinkUnavailable: the store is to blame, was until a moment ago, or cannot be asked now.
        """
        if self._sink is None or refusal.certain:
            return
        if (batch.user_id, str(refusal)) in self._convicted:
            return
        await self._require_store(batch, refusal, waiting)
        if await self._refuses(batch) is None:
            raise SinkUnavailable(f"the store refused good batches until now: {refusal}")
        self._convicted.add((batch.user_id, str(refusal)))

    async def _require_store(
        self, batch: Batch, refusal: SinkRejected, waiting: Sequence[Batch]
    ) -> None:
        if (plain := plain_copy(batch)) is None:
            return  # it cannot be read at all
        if (refused := await self._refuses(plain)) and not refused.certain:
            raise _at_fault(refused)
        plain.game_id = batch.game_id if batch.game_id.isprintable() else NOBODY
        if (refused := await self._refuses(plain)) and not refused.certain:
            waiting = [each for each in waiting if each.game_id != batch.game_id]
            if not await self._takes_one_of(batch, waiting, str(refused)):
                raise _at_fault(refused)
            return
        suspects = self._suspects.setdefault(str(refusal), set())
        suspects.add(batch.user_id)
        taken = await self._takes_one_of(batch, waiting, str(refusal))
        if not taken and len(suspects) > MAX_SUSPECTS:
            raise _at_fault(refusal)

    async def _takes_one_of(self, batch: Batch, waiting: Sequence[Batch], reason: str) -> bool:
        """Whether the store takes some batch of another player; no more than a few are tried."""
        others = list({each.user_id: each for each in waiting}.values())
        others = [each for each in others if each.user_id != batch.user_id]
        for _ in range(min(MAX_WITNESSES, len(others))):
            other = others.pop(int(self._chance() * len(others)) % len(others))
            if await self._refuses(other) is None:
                self.stored()
                return True
            self._suspects.setdefault(reason, set()).add(other.user_id)
        return False

    async def _refuses(self, batch: Batch) -> SinkRejected | None:
        assert self._sink is not None, "the store can be asked"
        try:
            await self._sink.trial([batch])
        except SinkRejected as refusal:
            return refusal
        return None


def plain_copy(batch: Batch) -> Batch | None:
    """Return a batch of as many events of the same types, with nothing that somebody sent.

    It is of nobody and of no game. None if the rows of ``batch`` cannot be read.
    """
    try:
        plain = [_plain_row(row) for row in decode(batch.rows)]
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    user_id = NOBODY if batch.user_id else ""
    rows = encode(plain)
    name = _JOURNAL, 1, batch.received_at
    return Batch(batch.source, NOBODY, user_id, len(plain), rows, *name, batch.kind)


def _plain_row(row: Row) -> Row:
    return Row(
        row.type if row.type.isascii() and row.type.isprintable() else "Custom",
        None if row.custom_event_name is None else NOBODY,
        row.occurred_at,
        NO_DATA if bytes(row.customdata) == b"null" else _DATA,
        row.draw,
        None if row.user_id is None else NOBODY,
        None if row.email is None else f"{NOBODY}@example.invalid",
    )


def _at_fault(refusal: SinkRejected) -> SinkUnavailable:
    return SinkUnavailable(f"the store refuses good batches: {refusal}", hint=_HINT)
