"""Which events are new by the numbers of their runs: decided the same way in every store.

A store asks in the transaction that stores and pays: it reads what is known of the runs of these
batches, has it decided here, stores what is left of the batches, and writes down the runs. A batch
of which nothing is left is stored all the same, with no events: so its name is known, and when a
journal is read again it is told by that and not counted as a repeat. So names come first.

A number that is given to another event than before is a fault of the client. To look for it costs
nothing where nothing is repeated: of a batch of which nothing is new the last batch that brought
something of its run is compared with it, if it is the same span. Type, name and time are, as coins
are drawn anew each time, and each store has customdata in its own way.

A dead letter has claimed its numbers, too, so that they do not look lost. Until somebody replays it
only the letter knows its events, so its batch is no repeat (``require_unburied``).
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from playsmart_gateway.errors import SinkRejected
from playsmart_gateway.events.about import Program
from playsmart_gateway.events.batch import PLAYSMART, Batch
from playsmart_gateway.events.intervals import Numbers, Span
from playsmart_gateway.events.row import NO_ROWS, decode, picked

MAX_COMPARED = 8
"""Repeats of one transaction that are compared with what was stored."""

_decode_gaps = msgspec.json.Decoder(tuple[Span, ...]).decode


class ClaimedRun(NamedTuple):
    """A run after a transaction: its key, the number behind the last, and its gaps as JSON or None.

    ``duplicates`` events of it came again in this transaction; ``place`` is that of the last of
    the batches that brought something of it, None if none did.
    """

    key: bytes
    next: int
    missing: str | None
    duplicates: int
    place: int | None


class ToldRun(NamedTuple):
    """What a transaction tells of a run that was not known of it; None where it is nothing new.

    ``client`` is the program that sends it. ``offset_ms`` is by how much the gateway's clock is
    ahead of its clock, in milliseconds: the smallest time between when a batch says that it was
    sent and when it was received, as the way takes long or short, but never less than nothing.
    """

    key: bytes
    client: Program | None
    offset_ms: int | None


class Claimed(NamedTuple):
    """What is new of each batch, in their order, and the ``runs`` by their keys in order.

    ``cut`` are those of which something had come before; ``told`` is in the order of keys, too.
    ``repeats`` are the first ``MAX_COMPARED`` of which all had, as they came.
    """

    batches: Sequence[Batch]
    runs: Sequence[ClaimedRun] = ()
    cut: Sequence[Batch] = ()
    told: Sequence[ToldRun] = ()
    repeats: Sequence[Batch] = ()

    @property
    def seen_at(self) -> int:
        """When the last of the batches was received, in microseconds."""
        return max(batch.received_at for batch in self.batches)


def keys_of(batches: Sequence[Batch]) -> list[bytes]:
    """Return the keys of the runs of these batches, each once, in order."""
    return sorted({batch.run for batch in batches if batch.run})


def says_more(batches: Sequence[Batch]) -> bool:
    """Whether ``decide`` has to know ``client_id`` and ``offset_ms`` of runs, too."""
    return any(batch.about is not None for batch in batches)


def decide(batches: Sequence[Batch], known: Collection[Any]) -> Claimed:
    """Return what is new.

    ``known`` are the rows of their runs: key, next, missing and, if the batches say more, client_id
    and offset_ms of each.
    """
    runs = {
        key: Numbers(number, _decode_gaps(missing) if missing else ())
        for key, number, missing, *_ in known
    }
    kept, cut, repeats, repeated = [], [], list[Batch](), Counter[bytes]()
    places = dict[bytes, int]()
    is_told = False
    for place, batch in enumerate(batches):
        key = batch.run
        if not key:
            kept.append(batch)
            continue
        numbers = runs.get(key)
        if numbers is None:
            numbers = runs[key] = Numbers()
        span = batch.count
        if batch.about is not None:
            is_told = True
            span += len(batch.about.refused)
        new = numbers.claim(batch.seq, batch.seq + span)
        if new:
            places[key] = place
        elif len(repeats) < MAX_COMPARED and batch.source == PLAYSMART:
            repeats.append(batch)
        if sum([end - first for first, end in new]) < span:
            rest = _cut(batch, new)
            if rest.count < batch.count:
                repeated[key] += batch.count - rest.count
                cut.append(rest)
            batch = rest
        kept.append(batch)
    claimed = [
        ClaimedRun(
            *(key, run.next, _encoded(run.gaps), repeated[key] if repeated else 0),
            places.get(key),
        )
        for key, run in sorted(runs.items())
    ]
    return Claimed(kept, claimed, cut, _told(batches, known) if is_told else (), repeats)


def compared(batch: Batch) -> list[tuple[str, str | None, datetime]]:
    """Return by what the events of a batch are told from others; [] if they cannot be read."""
    try:
        rows = decode(batch.rows)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return []
    return [(row.type, row.custom_event_name, row.occurred_at) for row in rows]


def require_unburied(cut: Sequence[Batch], buried: Collection[tuple[str, int]]) -> None:
    """Require that nothing was cut off batches whose names are among the dead letters.

    Raises:
        SinkRejected: something was, of what only the letter has.
    """
    if any(batch.key in buried for batch in cut):
        raise SinkRejected("it is a dead letter already", certain=True)


def _encoded(gaps: tuple[Span, ...]) -> str | None:
    return msgspec.json.encode(gaps).decode() if gaps else None


def _told(batches: Sequence[Batch], known: Collection[Any]) -> list[ToldRun]:
    clients, offsets = dict[bytes, Program](), dict[bytes, int]()
    for batch in batches:
        if not batch.run or (about := batch.about) is None:
            continue
        if about.client is not None:
            clients.setdefault(batch.run, about.client)
        if about.sent_at is not None:
            offset = (batch.received_at - about.sent_at) // 1_000
            offsets[batch.run] = min(offset, offsets.get(batch.run, offset))
    for key, _, _, client_id, offset_ms in known:
        if client_id is not None:
            clients.pop(key, None)
        if offset_ms is not None and offsets.get(key, offset_ms) >= offset_ms:
            offsets.pop(key, None)
    told = sorted(clients.keys() | offsets.keys())
    return [ToldRun(key, clients.get(key), offsets.get(key)) for key in told]


def _cut(batch: Batch, new: Sequence[Span]) -> Batch:
    """Return what is new of a batch; all of it if no rows can be read, which no store takes."""
    numbers = {number for first, end in new for number in range(first, end)}
    left = [n for n, place in enumerate(batch.places) if batch.seq + place in numbers]
    rows = picked(batch.rows, batch.count, left) if left else NO_ROWS
    if rows is None:
        return batch
    seq = batch.seq + batch.places[left[0]] if left else batch.seq
    return msgspec.structs.replace(batch, rows=rows, count=len(left), seq=seq, about=None)
