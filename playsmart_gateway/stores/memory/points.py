"""The memory sink's points, streaks and statistics, event by event in plain dicts.

It is what other sinks are compared with, and their readers with its reader.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date

from msgspec import structs
from typing_extensions import override

from playsmart_gateway.economy.points import (
    Award,
    Metadata,
    MetadataStats,
    Program,
    State,
    Streak,
    apply,
    merged,
)
from playsmart_gateway.economy.points.stored import occurrence, repeated
from playsmart_gateway.errors import SinkRejected
from playsmart_gateway.events.batch import (
    Batch,
    first_event_id,
)
from playsmart_gateway.stores.models import (
    MAX_COUNTS,
    Entry,
    EntryType,
    StreakFigures,
)
from playsmart_gateway.stores.readers import PointsReader

Cell = tuple[str, str, date, str]
NOBODY = State()


def values_in(stats: MetadataStats) -> int:
    """Return how many values of fields were counted, by name or without."""
    return stats.unnamed + sum(field.events for field in stats.fields.values())


class MemoryPoints(PointsReader):
    """Awards by ``program``; it is its own reader."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.states: dict[tuple[str, str], State] = {}
        self.cells: dict[Cell, MetadataStats] = {}
        self._entries: dict[tuple[str, str], list[Entry]] = {}
        self._awards: dict[tuple[str, int], Award] = {}
        self._awards_of_runs: dict[bytes, Award] = {}
        self._said: list[tuple[tuple[str, str], Cell, Metadata]] = []

    def require_known(self, batches: Sequence[Batch]) -> None:
        """Raise ``SinkRejected`` if any of the events cannot be awarded."""
        if any(occurrence(batch).event_id not in self.program.events for batch in batches):
            raise SinkRejected("an event that is not defined", certain=True)

    def award(self, batch: Batch, batch_id: int | None) -> None:
        """Award the one event of a batch; without an id it is the repeat of another one."""
        event = occurrence(batch)
        if batch_id is None:
            award = self._awards_of_runs.get(batch.run, repeated(event))
            self._awards[batch.key] = structs.replace(award, is_repeated=True)
            return
        program = self.program
        state = self.states.get(event.user, NOBODY)
        award, state = apply(program, state, event.event_id, event.metadata, event.received_at_ms)
        self.states[event.user] = state
        self._awards[batch.key] = award
        if batch.run:
            self._awards_of_runs[batch.run] = award
        first_id = first_event_id(batch_id)
        self._entries.setdefault(event.user, []).extend(
            Entry(entry_id, each.type, each.source_id, each.points, each.timestamp_ms)
            for entry_id, each in enumerate(award.history, first_id)
        )
        day, group = program.calendar.day(event.received_at_ms), program.group_of(event.metadata)
        cell = event.user[0], event.event_id, day, group
        self.cells.setdefault(cell, MetadataStats()).observe(event.metadata)
        self._said.append((event.user, cell, event.metadata))

    def knows(self, user_id: str) -> bool:
        """Whether there is a user of that id in any project."""
        return any(user == user_id for _, user in self.states)

    def forget(self, user_id: str) -> None:
        """Forget a user in every project; in the statistics what they said has no names."""
        for user in [user for user in self.states if user[1] == user_id]:
            del self.states[user], self._entries[user]
        self._said = [
            (user, cell, {} if user[1] == user_id else metadata)
            for user, cell, metadata in self._said
        ]
        totals = {cell: values_in(stats) for cell, stats in self.cells.items()}
        self.cells = {cell: MetadataStats() for cell in self.cells}
        for _, cell, metadata in self._said:
            self.cells[cell].observe(metadata)
        for cell, stats in self.cells.items():
            stats.unnamed += totals[cell] - values_in(stats)

    def awarded(self, batch: Batch) -> Award:
        """Return what was awarded for a stored batch."""
        return self._awards[batch.key]

    @override
    async def points(self, project: str, user_id: str) -> int | None:
        state = self.states.get((project, user_id))
        return None if state is None else state.points

    @override
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
        found = [
            each
            for each in self._entries.get((project, user_id), [])
            if each.type in types and from_ms <= each.timestamp_ms <= to_ms
        ]
        found.sort(key=lambda each: (each.timestamp_ms, each.id), reverse=True)
        return found[offset : offset + limit]

    @override
    async def streaks(self, project: str, user_id: str) -> dict[str, Streak]:
        return dict(self.states.get((project, user_id), NOBODY).streaks)

    @override
    async def streak_figures(
        self, project: str, streak_id: str, active_since: date
    ) -> StreakFigures:
        streaks = [
            state.streaks[streak_id]
            for (where, _), state in self.states.items()
            if where == project and streak_id in state.streaks
        ]
        counts = [each.count for each in streaks if each.day >= active_since]
        longest = max((each.longest for each in streaks), default=0)
        by_count = dict(sorted(Counter(counts).items())[:MAX_COUNTS])
        return StreakFigures(len(streaks), len(counts), longest, sum(counts), by_count)

    @override
    async def event_stats(
        self, project: str, event_id: str, *, first: date, last: date, group: str | None
    ) -> MetadataStats:
        return merged(cell for _, cell in self._cells(project, event_id, first, last, group))

    @override
    async def event_days(
        self, project: str, event_id: str, *, first: date, last: date, group: str | None
    ) -> dict[date, int]:
        days: Counter[date] = Counter()
        for day, cell in self._cells(project, event_id, first, last, group):
            days[day] += cell.events
        return dict(sorted(days.items()))

    def _cells(
        self, project: str, event_id: str, first: date, last: date, group: str | None
    ) -> list[tuple[date, MetadataStats]]:
        return [
            (day, cell)
            for (where, event, day, segment), cell in self.cells.items()
            if (where, event) == (project, event_id)
            and first <= day <= last
            and group in (None, segment)
        ]
