"""What a commit of the commit queue awards, in the transaction that stores the events.

The states that the events need are loaded by one statement a table, the step is taken in Python
event by event, and what changed is written back by one statement a table: a commit of one request
and one of a hundred take the same number of statements.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec

from playsmart_gateway.economy.points import (
    Award,
    Completions,
    HistoryEntry,
    MetadataStats,
    Program,
    State,
    Streak,
    StreakAward,
    apply,
)
from playsmart_gateway.economy.points.stored import (
    Occurrence,
    milliseconds,
    occurrence,
    repeated,
)
from playsmart_gateway.errors import SinkRejected
from playsmart_gateway.events.batch import (
    MAX_EVENTS_PER_BATCH,
    Batch,
    first_event_id,
)
from playsmart_gateway.stores.models import EntryType
from playsmart_gateway.stores.runs import Claimed
from playsmart_gateway.stores.sql.database import (
    Database,
    run,
)
from playsmart_gateway.stores.sql.metadata import (
    Cell,
    count_cells,
)

ENTRY_TYPES: tuple[EntryType, ...] = ("event", "streak_milestone")
"""``lynes_history.type`` is the place in here."""

MAX_POINTS = 2**63 - 1
"""Of one user; what the integers of both stores hold."""

User = tuple[str, str]

_USERS = """
    SELECT project, user_id, user_number, points FROM json_each($1) JOIN lynes_users
    ON project = value ->> 0 AND user_id = value ->> 1
"""
_ADD_USERS = """
    INSERT INTO lynes_users (project, user_id, created_at_ms)
    SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS BIGINT) FROM json_each($1)
"""
_COMPLETIONS = """
    SELECT user_number, event_id, count, day FROM json_each($1) JOIN lynes_completions
    ON user_number = CAST(value ->> 0 AS BIGINT) AND event_id = value ->> 1
"""
_STREAKS = """
    SELECT user_number, streak_id, count, longest, day, updated_at_ms
    FROM json_each($1) JOIN lynes_streaks
    ON user_number = CAST(value ->> 0 AS BIGINT) AND streak_id = value ->> 1
"""
_SET_POINTS = """
    UPDATE lynes_users SET points = CAST(value ->> 1 AS BIGINT)
    FROM json_each($1) WHERE user_number = CAST(value ->> 0 AS BIGINT)
"""
_SET_COMPLETIONS = """
    INSERT INTO lynes_completions (user_number, event_id, count, day)
    SELECT CAST(value ->> 0 AS BIGINT), value ->> 1, CAST(value ->> 2 AS BIGINT), value ->> 3
    FROM json_each($1) WHERE true
    ON CONFLICT (user_number, event_id) DO UPDATE SET count = excluded.count, day = excluded.day
"""
_SET_STREAKS = """
    INSERT INTO lynes_streaks (user_number, streak_id, count, longest, day, updated_at_ms)
    SELECT CAST(value ->> 0 AS BIGINT), value ->> 1, CAST(value ->> 2 AS BIGINT),
           CAST(value ->> 3 AS BIGINT), value ->> 4, CAST(value ->> 5 AS BIGINT)
    FROM json_each($1) WHERE true
    ON CONFLICT (user_number, streak_id) DO UPDATE SET count = excluded.count,
        longest = excluded.longest, day = excluded.day, updated_at_ms = excluded.updated_at_ms
"""
_ADD_HISTORY = """
    INSERT INTO lynes_history (user_number, at_ms, entry_id, type, source_id, points, streaks)
    SELECT CAST(value ->> 0 AS BIGINT), CAST(value ->> 1 AS BIGINT), CAST(value ->> 2 AS BIGINT),
           CAST(value ->> 3 AS BIGINT), value ->> 4, CAST(value ->> 5 AS BIGINT), value ->> 6
    FROM json_each($1)
"""
_AWARDED = f"""
    SELECT type, source_id, lynes_history.points, streaks
    FROM batches JOIN journals ON journals.journal_id = batches.journal_id
    JOIN lynes_users ON project = game_id AND lynes_users.user_id = batches.user_id
    JOIN lynes_history ON lynes_history.user_number = lynes_users.user_number
    WHERE identity = $1 AND sequence = $2 AND at_ms = $3 AND entry_id
          BETWEEN batch_id * {MAX_EVENTS_PER_BATCH}
          AND batch_id * {MAX_EVENTS_PER_BATCH} + {MAX_EVENTS_PER_BATCH - 1}
    ORDER BY entry_id
"""  # noqa: S608 - built from our own constants
_FIRST_OF_RUN = """
    SELECT identity, sequence, {received_at} FROM runs
    JOIN batches ON batches.batch_id = runs.batch_id
    JOIN journals ON journals.journal_id = batches.journal_id
    WHERE runs.run = $1
"""
_decode_streaks = msgspec.json.Decoder(tuple[tuple[str, int, int, bool, int], ...]).decode


class Loyalty:
    """Awards events by ``program``; ``printed`` returns SQL that prints a time."""

    def __init__(self, program: Program, printed: Callable[[str], str]) -> None:
        self.program = program
        self._first_of_run = _FIRST_OF_RUN.format(received_at=printed("received_at"))

    def occurrences(self, batches: Sequence[Batch]) -> list[Occurrence]:
        """Return the event of each batch.

        Raises:
            SinkRejected: one of them cannot be awarded.
        """
        events = [occurrence(batch) for batch in batches]
        if any(event.event_id not in self.program.events for event in events):
            raise SinkRejected("an event that is not defined", certain=True)
        return events

    async def settle(
        self,
        db: Database,
        batches: Sequence[Batch],
        events: Sequence[Occurrence],
        *,
        claimed: Claimed,
        first_batch_id: int,
    ) -> list[Award]:
        """Return the award of each of these batches, whose ``events`` these are.

        What was claimed of them is in the store, with ids from ``first_batch_id`` on: that is
        awarded now, and all else was awarded before.
        """
        theirs = {batch.key: event for batch, event in zip(batches, events, strict=True)}
        ids = {
            batch.key: batch_id
            for batch_id, batch in enumerate(claimed.batches, first_batch_id)
            if batch.count
        }
        awarded = await self.award(db, {ids[name]: theirs[name] for name in ids})
        awards = dict(zip(ids, awarded, strict=True))
        return [
            awards.get(batch.key) or await self._awarded(db, batch, theirs[batch.key])
            for batch in batches
        ]

    async def award(self, db: Database, events: Mapping[int, Occurrence]) -> list[Award]:
        """Award these events, by the ids of their batches, one after the other."""
        program = self.program
        numbers, before = await self._load(db, list(events.values()))
        states = dict(before)
        awards, history = [], []
        cells: dict[Cell, MetadataStats] = {}
        for batch_id, event in events.items():
            user, event_id, metadata, at_ms = event
            award, states[user] = apply(program, states[user], event_id, metadata, at_ms)
            awards.append(award)
            history += _rows(numbers[user], first_event_id(batch_id), award)
            day, group = program.calendar.day(at_ms), program.group_of(metadata)
            cell = user[0], event_id, day.isoformat(), group
            cells.setdefault(cell, MetadataStats()).observe(metadata)
        await self._save(db, numbers, before, states)
        await run(db, _ADD_HISTORY, history)
        await count_cells(db, cells)
        return awards

    async def _awarded(self, db: Database, batch: Batch, event: Occurrence) -> Award:
        """Return what was awarded for the event of a batch, or for that which it repeats."""
        name, at_ms = batch.key, event.received_at_ms
        if batch.run:
            first = await db.fetch(self._first_of_run, batch.run)
            if not first:
                return repeated(event)
            journal, sequence, received_at = first[0]
            name, at_ms = (journal, sequence), milliseconds(received_at)
        rows = await db.fetch(_AWARDED, *name, at_ms)
        if not rows:
            return repeated(event)
        history = [
            self._entry(kind, source_id, points, at_ms) for kind, source_id, points, _ in rows
        ]
        streaks = tuple(StreakAward(*each) for each in _decode_streaks(rows[0][3] or "[]"))
        return Award(history[0].points, streaks, tuple(history), is_repeated=name != batch.key)

    def _entry(self, kind: int, source_id: str, points: int, at_ms: int) -> HistoryEntry:
        program = self.program
        source = program.streaks.get(source_id) if kind else program.events.get(source_id)
        title, description = source_id, ""
        if source is not None:  # it was defined then
            title, description = source.title or source_id, source.description
        return HistoryEntry(ENTRY_TYPES[kind], source_id, title, description, points, at_ms)

    async def _load(
        self, db: Database, events: Sequence[Occurrence]
    ) -> tuple[dict[User, int], dict[User, State]]:
        """Return the numbers and states of the users, who are added if they are new."""
        seen: dict[User, int] = {}
        for event in events:
            seen.setdefault(event.user, event.received_at_ms)
        rows = await run(db, _USERS, list(seen))
        if len(rows) < len(seen):
            known = {(project, user_id) for project, user_id, _, _ in rows}
            await run(db, _ADD_USERS, [(*u, at) for u, at in seen.items() if u not in known])
            rows = await run(db, _USERS, list(seen))
        numbers = {(project, user_id): number for project, user_id, number, _ in rows}
        completions: dict[int, dict[str, Completions]] = {n: {} for n in numbers.values()}
        streaks: dict[int, dict[str, Streak]] = {n: {} for n in numbers.values()}
        limited, fed = set(), set()
        for user, event_id, _, _ in events:
            if self.program.events[event_id].max_completions is not None:
                limited.add((numbers[user], event_id))
            fed |= {(numbers[user], streak.id) for streak in self.program.streaks_of[event_id]}
        for number, event_id, count, day in await run(db, _COMPLETIONS, list(limited)):
            completions[number][event_id] = Completions(count, date.fromisoformat(day))
        for number, streak_id, count, longest, day, at_ms in await run(db, _STREAKS, list(fed)):
            streaks[number][streak_id] = Streak(count, longest, date.fromisoformat(day), at_ms)
        states = {
            (project, user_id): State(points, completions[number], streaks[number])
            for project, user_id, number, points in rows
        }
        return numbers, states

    async def _save(
        self,
        db: Database,
        numbers: dict[User, int],
        before: dict[User, State],
        after: dict[User, State],
    ) -> None:
        """Write what changed."""
        points, completions, streaks = [], [], []
        for user, state in after.items():
            number, was = numbers[user], before[user]
            if state.points > MAX_POINTS:
                raise SinkRejected("more points than a balance can hold", certain=True)
            if state.points != was.points:
                points.append((number, state.points))
            completions += [
                (number, event_id, done.count, done.day.isoformat())
                for event_id, done in state.completions.items()
                if done is not was.completions.get(event_id)
            ]
            streaks += [
                (number, streak_id, s.count, s.longest, s.day.isoformat(), s.updated_at_ms)
                for streak_id, s in state.streaks.items()
                if s is not was.streaks.get(streak_id)
            ]
        await run(db, _SET_POINTS, points)
        await run(db, _SET_COMPLETIONS, completions)
        await run(db, _SET_STREAKS, streaks)


def _rows(number: int, event_id: int, award: Award) -> list[tuple[Any, ...]]:
    """Return the rows of an award's history."""
    streaks = [msgspec.structs.astuple(each) for each in award.streaks] or None
    return [
        (
            *(number, entry.timestamp_ms, entry_id, ENTRY_TYPES.index(entry.type)),
            *(entry.source_id, entry.points, None if entry_id > event_id else streaks),
        )
        for entry_id, entry in enumerate(award.history, event_id)
    ]
