"""Stored events in plain Python: what other sinks are compared with."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime, timedelta

import msgspec
from typing_extensions import override

from playsmart_gateway.events.batch import (
    Batch,
    first_event_id,
)
from playsmart_gateway.events.row import Row
from playsmart_gateway.stores.losses import LossPage
from playsmart_gateway.stores.memory.runs import MemoryRuns
from playsmart_gateway.stores.models import (
    AHEAD_HOURS,
    EVERYTHING,
    FIRST_YEAR,
    MAX_NAMED,
    MAX_SKEW_MS,
    NEVER,
    CountPage,
    EventCount,
    EventFilter,
    EventPage,
    Expired,
    StoredBatch,
    StoredEvent,
    StoreHealth,
    latest_sane,
)
from playsmart_gateway.stores.readers import (
    BatchName,
    BatchReader,
    Checks,
    EventReader,
    LossReader,
    Turns,
)


def printed_time(when: datetime) -> str:
    """Print a time of an event as all times are printed."""
    text = when.isoformat(timespec="microseconds")
    return f"{text.removesuffix('+00:00')}Z"


def printed(microseconds: int) -> str:
    """Print microseconds since the epoch as all times are printed."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"


def repaired(occurred_at: datetime, offset_ms: int | None) -> datetime:
    """Return when something happened by the gateway's clock; see ``StoredEvent``."""
    if offset_ms is None or abs(offset_ms) <= MAX_SKEW_MS:
        return occurred_at
    try:
        return occurred_at + timedelta(seconds=int(offset_ms / 1_000))
    except OverflowError:
        return (datetime.max if offset_ms > 0 else datetime.min).replace(tzinfo=UTC)


def clock_of(adjusted_at: datetime, received_at: int) -> str | None:
    """Return in which way a time cannot be right, None if it can."""
    if adjusted_at.year < FIRST_YEAR:
        return "past"
    late = datetime.fromtimestamp(0, UTC) + timedelta(hours=AHEAD_HOURS, microseconds=received_at)
    return "future" if adjusted_at > late else None


class MemoryEvents(EventReader, BatchReader, LossReader, Checks, Turns):
    """What ``EventReader`` says. Where a row was taken out again there is None."""

    def __init__(self) -> None:
        self.batches: dict[tuple[str, int], tuple[Batch, list[Row | None]]] = {}
        self.batch_ids: list[int] = []
        self._last_batch_id = 0
        self.runs = MemoryRuns()

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
        """See ``Upkeep.expire``."""
        events, last, ahead = 0, 0, []
        for batch_id, (batch, _) in zip(self.batch_ids, self.batches.values(), strict=True):
            if (at := printed(batch.received_at)) > latest:
                ahead.append(batch_id)
            elif at < before:
                last = batch_id
            else:
                break
        most, last = last, last if upto_batch is None else min(last, upto_batch)
        for batch_id, (batch, rows) in zip(self.batch_ids, self.batches.values(), strict=True):
            if not after_batch < batch_id <= last or game_id not in (None, batch.game_id):
                continue
            for place, row in enumerate(rows):
                if row is not None and type_ in (None, row.type):
                    events += 1
                    rows[place] = row if dry_run else None
        return Expired(
            events, last, self._last_batch_id, True, most > last, tuple(ahead[:MAX_NAMED])
        )

    @override
    async def stored_batch(self, journal: str, sequence: int) -> StoredBatch | None:
        if (found := self.batches.get((journal, sequence))) is None:
            return None
        batch, rows = found
        batch_id = self.batch_ids[list(self.batches).index((journal, sequence))]
        first = first_event_id(batch_id)
        here = tuple(first + place for place, row in enumerate(rows) if row)
        when = printed(batch.received_at)
        return StoredBatch(batch_id, batch.source, batch.game_id, batch.user_id, when, here)

    @override
    async def batch_names(self, first: int, last: int) -> list[BatchName]:
        return [
            BatchName(batch_id, *batch.key, batch.run or None, batch.seq if batch.run else None)
            for batch_id, (batch, _) in zip(self.batch_ids, self.batches.values(), strict=True)
            if first <= batch_id <= last
        ]

    @override
    def turn(self, patience_seconds: float) -> AbstractAsyncContextManager[None]:
        return nullcontext()  # no other process sees it

    @override
    async def newest_event_id(self) -> int:
        return max((event.event_id for event in self._all()), default=0)

    @override
    async def events(
        self,
        wanted: EventFilter = EVERYTHING,
        *,
        after: int = 0,
        upto: int,
        limit: int,
        newest_first: bool = False,
    ) -> EventPage:
        found = [event for event in self._all() if after < event.event_id <= upto]
        page = found[::-1][:limit] if newest_first else found[:limit]
        end = after + 1 if newest_first else upto
        position = page[-1].event_id if len(page) == limit else end
        return EventPage([event for event in page if _is_wanted(event, wanted)], position)

    @override
    async def count_events(
        self, wanted: EventFilter = EVERYTHING, *, after: int = 0, upto: int, limit: int
    ) -> CountPage:
        page = await self.events(wanted, after=after, upto=upto, limit=limit)
        counts = Counter(
            (e.source, e.game_id, e.type, e.custom_event_name, e.occurred_at[:10])
            for e in page.events
        )
        return CountPage([EventCount(*key, counts[key]) for key in counts], page.position)

    @override
    async def losses(self, before: int, *, after: bytes, limit: int) -> LossPage:
        return self.runs.losses(before, after, limit)

    @override
    async def examine(self) -> StoreHealth:
        late = latest_sane()
        ahead = [
            batch_id
            for batch_id, (batch, _) in zip(self.batch_ids, self.batches.values(), strict=True)
            if printed(batch.received_at) > late
        ]
        return StoreHealth(0, 0, (), len(ahead), min(ahead, default=0))

    def _all(self) -> Iterator[StoredEvent]:
        for batch_id, (batch, rows) in zip(self.batch_ids, self.batches.values(), strict=True):
            for place, row in enumerate(rows):
                if row is not None:
                    data = json.loads(bytes(row.customdata))  # as lenient with numbers as SQLite
                    adjusted = repaired(row.occurred_at, self.runs.offset_ms(batch.run))
                    yield StoredEvent(
                        first_event_id(batch_id) + place,
                        batch.source,
                        batch.game_id,
                        batch.user_id or row.user_id or "",
                        row.type,
                        row.custom_event_name,
                        printed_time(row.occurred_at),
                        printed(batch.received_at),
                        None if data is None else msgspec.json.encode(data).decode(),
                        printed_time(adjusted),
                        clock_of(adjusted, batch.received_at),
                    )


def _is_wanted(event: StoredEvent, wanted: EventFilter) -> bool:
    return (
        all(
            getattr(wanted, name) in (None, getattr(event, name))
            for name in ("game_id", "user_id", "type", "source", "custom_event_name")
        )
        and (wanted.since is None or event.occurred_at >= wanted.since)
        and (wanted.until is None or event.occurred_at < wanted.until)
    )
