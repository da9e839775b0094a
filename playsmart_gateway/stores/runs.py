"""Which events are new by the numbers of their runs: decided the same way in every store.

A store asks in the transaction that stores and pays: it reads what is known of the runs of these
batches, has it decided here, stores what is left of the batches, and writes down the runs. A batch
of which nothing is left is stored all the same, with no events: so its name is known, and when a
journal is read again it is told by that and not counted as a repeat. So names come first.

A dead letter has claimed its numbers, too, so that they do not look lost. Until somebody replays it
only the letter knows its events, so its batch is no repeat (``require_unburied``).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from playsmart_gateway.errors import SinkRejected
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.events.intervals import Numbers, Span
from playsmart_gateway.events.row import NO_ROWS, picked

_decode_gaps = msgspec.json.Decoder(tuple[Span, ...]).decode


class ClaimedRun(NamedTuple):
    """A run after a transaction: its key, the number behind the last, and its gaps as JSON or None.

    ``duplicates`` events of it came again in this transaction; ``place`` is that of the first of
    the batches that is of it.
    """

    key: bytes
    next: int
    missing: str | None
    duplicates: int
    place: int


class Claimed(NamedTuple):
    """What is new of each batch, in their order, and the ``runs`` by their keys in order.

    ``cut`` are those of which something had come before.
    """

    batches: Sequence[Batch]
    runs: Sequence[ClaimedRun] = ()
    cut: Sequence[Batch] = ()

    @property
    def seen_at(self) -> int:
        """When the last of the batches was received, in microseconds."""
        return max(batch.received_at for batch in self.batches)


def keys_of(batches: Sequence[Batch]) -> list[bytes]:
    """Return the keys of the runs of these batches, each once, in order."""
    return sorted({batch.run for batch in batches if batch.run})


def decide(batches: Sequence[Batch], known: Iterable[Any]) -> Claimed:
    """Return what is new; ``known`` are the rows of their runs: key, next and missing of each."""
    runs = {
        key: Numbers(number, _decode_gaps(missing) if missing else ())
        for key, number, missing in known
    }
    kept, cut, places, repeated = [], [], dict[bytes, int](), Counter[bytes]()
    for place, batch in enumerate(batches):
        key = batch.run
        if not key:
            kept.append(batch)
            continue
        numbers = runs.get(key)
        if numbers is None:
            numbers = runs[key] = Numbers()
        if key not in places:
            places[key] = place
        new = numbers.claim(batch.seq, batch.seq + batch.count)
        count = sum([end - first for first, end in new])
        if count < batch.count:
            repeated[key] += batch.count - count
            batch = _cut(batch, new)
            cut.append(batch)
        kept.append(batch)
    claimed = [
        ClaimedRun(key, run.next, _encoded(run.gaps), repeated[key] if repeated else 0, places[key])
        for key, run in sorted(runs.items())
    ]
    return Claimed(kept, claimed, cut)


def require_unburied(cut: Sequence[Batch], buried: Collection[tuple[str, int]]) -> None:
    """Require that nothing was cut off batches whose names are among the dead letters.

    Raises:
        SinkRejected: something was, of what only the letter has.
    """
    if any(batch.key in buried for batch in cut):
        raise SinkRejected("it is a dead letter already", certain=True)


def _encoded(gaps: tuple[Span, ...]) -> str | None:
    return msgspec.json.encode(gaps).decode() if gaps else None


def _cut(batch: Batch, new: Sequence[Span]) -> Batch:
    """Return what is new of a batch; all of it if no rows can be read, which no store takes."""
    places = [number - batch.seq for first, end in new for number in range(first, end)]
    rows = picked(batch.rows, batch.count, places) if places else NO_ROWS
    if rows is None:
        return batch
    return msgspec.structs.replace(batch, rows=rows, count=len(places))
