"""Takes out of the statistics what is in them only by one player: texts, and numbers by themselves.

Statistics count, and their counts stay when a player is erased. But they have names in them: of
metadata fields, of values, of levels, of actions. What a player's events say is counted once more
while these are deleted (``Said.note``), and taken off where it was counted by name; in its cell it
counts as unnamed from then on. So a text is gone with the last one who said it.

Of events that ``retention`` deleted earlier only the history of points knows, and only when they
were received. On such a day whatever was said no more often than players sent events who are erased
now counts as unnamed, as it may be theirs. A text with the player's id or email goes anyway.

A least and a most value is one event's: where it is, or may be, the player's, the bound of its
bucket takes its place. Where there may be numbers of theirs in a sum, it is told with two digits.
"""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import NamedTuple
from zlib import crc32

import msgspec

from playsmart_gateway.economy.points import (
    MetadataStats,
    Program,
)
from playsmart_gateway.economy.points.analytics import (
    EXACT,
    FieldStats,
    NumberStats,
    bounds_of,
    bucket_of,
)
from playsmart_gateway.events.batch import LYNES, TEAK
from playsmart_gateway.stores.sql.database import Database
from playsmart_gateway.stores.sql.metadata import Cell

MIN_TELLING = 6
"""Characters of an id that is looked for inside of texts; shorter ones are in many by chance."""

CELLS_IN_A_STEP = 10
"""Gone through in one transaction; each has up to 200 fields of up to 2,000 values."""

_MILLISECOND = timedelta(milliseconds=1)
_ROUGH = Context(prec=2)
_NOTHING = FieldStats()

_HISTORY = """
    SELECT project, source_id, at_ms FROM lynes_history JOIN lynes_users
    ON lynes_users.user_number = lynes_history.user_number WHERE user_id = $1 AND type = 0
"""
_CELLS = """
    SELECT cell_id, usergroup FROM lynes_cells WHERE project = $1 AND event_id = $2 AND day = $3
"""
_CELL = "SELECT last_name, erased FROM lynes_cells WHERE cell_id = $1"
_FIELDS = "SELECT field_id, name, stats, last_value FROM lynes_fields WHERE cell_id = $1"
_VALUES = "SELECT value, count FROM lynes_values WHERE field_id = $1"
_DROP_VALUES = "DELETE FROM lynes_values WHERE field_id = $1"
_DROP_VALUE = "DELETE FROM lynes_values WHERE field_id = $1 AND crc = $2 AND value = $3"
_SET_VALUE = "UPDATE lynes_values SET count = $4 WHERE field_id = $1 AND crc = $2 AND value = $3"
_DROP_FIELD = "DELETE FROM lynes_fields WHERE field_id = $1"
_SET_FIELD = "UPDATE lynes_fields SET stats = $2, names = $3, last_value = $4 WHERE field_id = $1"
_SET_CELL = """
    UPDATE lynes_cells SET unnamed = unnamed + $2, erased = $3, last_name = $4 WHERE cell_id = $1
"""
_NAMING_CELLS = """
    SELECT cell_id FROM lynes_fields WHERE replace(name, $1, '') <> name
    UNION
    SELECT cell_id FROM lynes_fields JOIN lynes_values USING (field_id)
    WHERE replace(value, $1, '') <> value
"""
_DROP_LEVELS = """
    DELETE FROM rollup_levels
    WHERE (length(level) > 6 OR ltrim(level, '-.0123456789') <> '') AND (game_id, day) IN (
        SELECT game_id, day FROM rollup_players JOIN rollup_player_days USING (player_id)
        WHERE user_id = $1
    ) AND NOT EXISTS (
        SELECT 1 FROM rollup_player_levels JOIN rollup_players USING (player_id)
        WHERE rollup_player_levels.level = rollup_levels.level AND user_id <> $1
        AND rollup_players.game_id = rollup_levels.game_id
    )
"""
"""Texts and long numbers that nobody else completed, on days on which the player was there."""

_OURS = ("Played", "Installed")
_ACTIONS = "SELECT action, sum(events) FROM rollup_actions WHERE game_id = $1 GROUP BY action"
_DROP_ACTION = "DELETE FROM rollup_actions WHERE game_id = $1 AND action = $2"
_DROP_COUNTS = f"""
    DELETE FROM rollup_counts WHERE game_id = $1 AND type = $2 AND source = '{TEAK}'
"""  # noqa: S608 - built from our own constants
_DROP_NAMING = (
    "DELETE FROM rollup_levels WHERE replace(level, $1, '') <> level",
    "DELETE FROM rollup_player_levels WHERE replace(level, $1, '') <> level",
    "DELETE FROM rollup_actions WHERE replace(action, $1, '') <> action",
    f"DELETE FROM rollup_counts WHERE source = '{TEAK}' AND replace(type, $1, '') <> type",  # noqa: S608
)

Place = tuple[str, str, str]
"""Project, event id and local day."""


class _Task(NamedTuple):
    """A cell to go through: what the player said there, and how many of their events are gone."""

    cell_id: int
    said: MetadataStats
    gone: int


class Said:
    """What a player's events said, by where the statistics of ``program`` have it."""

    def __init__(self, user_id: str, program: Program) -> None:
        self.names = {user_id}
        self._user_id = user_id
        self._program = program
        self._cells: dict[Cell, MetadataStats] = {}
        self._sent: Counter[Place] = Counter()
        self._actions: Counter[tuple[str, str]] = Counter()
        self._gone: Counter[str] = Counter()

    def note(
        self, source: str, game_id: str, at: datetime | str, kind: str, customdata: str | None
    ) -> None:
        """Take note of an event that is deleted; ``at`` is when it was received."""
        if source == TEAK:
            self._actions[game_id, kind] += 1
        if source == LYNES:
            when = at if isinstance(at, datetime) else datetime.fromisoformat(at)
            at_ms = (when - datetime(1970, 1, 1, tzinfo=UTC)) // _MILLISECOND
            metadata = json.loads(customdata or "{}", parse_float=Decimal)
            day = self._program.calendar.day(at_ms).isoformat()
            cell = game_id, kind, day, self._program.group_of(metadata)
            self._cells.setdefault(cell, MetadataStats()).observe(metadata)
            self._sent[cell[:3]] -= 1

    def note_gone(self, source: str, game_id: str) -> None:
        """Take note of a request whose events are deleted already."""
        if source == TEAK:
            self._gone[game_id] += 1

    async def read_history(self, db: Database) -> None:
        """Find out what the player sent, before that is deleted."""
        for project, event_id, at_ms in await db.fetch(_HISTORY, self._user_id):
            day = self._program.calendar.day(at_ms).isoformat()
            self._sent[project, event_id, day] += 1

    async def take_tasks(self, db: Database) -> list[_Task]:
        """Return the cells to go through for what was noted, once."""
        noted, self._cells = self._cells, {}
        gone, self._sent = +self._sent, Counter()
        tasks = []
        for place in {*gone, *(cell[:3] for cell in noted)}:
            for cell_id, group in await db.fetch(_CELLS, *place):
                said = noted.pop((*place, group), None)
                tasks.append(_Task(cell_id, said or MetadataStats(), gone[place]))
        for (project, event_id, day, _), said in noted.items():  # by another time zone or groups
            for offset in (-1, 0, 1):
                other = (date.fromisoformat(day) + timedelta(days=offset)).isoformat()
                cells = await db.fetch(_CELLS, project, event_id, other)
                tasks += [_Task(cell_id, MetadataStats(), said.events) for cell_id, _ in cells]
        return tasks

    async def forget_cells(self, db: Database, tasks: Sequence[_Task]) -> None:
        """Go through cells."""
        for task in tasks:
            await _forget_in_cell(db, task, self._telling())

    async def forget_sums(self, db: Database) -> None:
        """Take texts out of the dashboard's sums, and whatever has a name in it anywhere."""
        await db.fetch(_DROP_LEVELS, self._user_id)
        for game_id in {*self._gone, *(game_id for game_id, _ in self._actions)}:
            for action, events in await db.fetch(_ACTIONS, game_id):
                theirs = self._actions[game_id, action] + self._gone[game_id]
                if action not in _OURS and events <= theirs:
                    await db.fetch(_DROP_ACTION, game_id, action)
                    await db.fetch(_DROP_COUNTS, game_id, action)
        for name in self._telling():
            for statement in _DROP_NAMING:
                await db.fetch(statement, name)
            for (cell_id,) in await db.fetch(_NAMING_CELLS, name):
                await _forget_in_cell(db, _Task(cell_id, MetadataStats(), 0), [name])

    def _telling(self) -> list[str]:
        return [name for name in self.names if len(name) >= MIN_TELLING]


async def _forget_in_cell(db: Database, task: _Task, names: Sequence[str]) -> None:
    rows = await db.fetch(_FIELDS, task.cell_id)
    ((last_name, erased),) = await db.fetch(_CELL, task.cell_id)
    doubtful = erased + task.gone if task.gone else 0
    unnamed, kept = 0, []
    for field_id, name, stats, last_value in rows:
        field = msgspec.json.decode(stats, type=FieldStats)
        theirs = task.said.fields.get(name, _NOTHING)
        if field.events <= theirs.events + doubtful or any(each in name for each in names):
            unnamed += field.events
            await db.fetch(_DROP_VALUES, field_id)
            await db.fetch(_DROP_FIELD, field_id)
            continue
        kept.append(name)
        unnamed += theirs.events
        before = msgspec.json.encode(field)
        _subtract(field, theirs)
        left = await _forget_values(db, field_id, field, theirs, doubtful, names)
        _blur(field.numbers, theirs.numbers, doubtful)
        if last_value is not None and last_value not in left:
            last_value = max(left, key=_order, default="")
        if (after := msgspec.json.encode(field)) != before:
            await db.fetch(_SET_FIELD, field_id, after.decode(), len(left), last_value)
    if last_name is not None and last_name not in kept:
        last_name = max(kept, key=_order, default="")
    await db.fetch(_SET_CELL, task.cell_id, unnamed, erased + task.gone, last_name)


def _subtract(field: FieldStats, theirs: FieldStats) -> None:
    """Take off what can be counted, but for strings."""
    field.events -= theirs.events
    field.true -= theirs.true
    field.false -= theirs.false
    field.null -= theirs.null
    numbers, other = field.numbers, theirs.numbers
    numbers.count -= other.count
    numbers.sum = EXACT.subtract(numbers.sum, other.sum)
    for bucket, count in other.buckets.items():
        numbers.buckets[bucket] = numbers.buckets.get(bucket, 0) - count
    numbers.buckets = {bucket: count for bucket, count in numbers.buckets.items() if count > 0}


async def _forget_values(
    db: Database,
    field_id: int,
    field: FieldStats,
    theirs: FieldStats,
    doubtful: int,
    names: Sequence[str],
) -> list[str]:
    """Take off what strings were said; return those that are still counted by name."""
    said = Counter(theirs.strings.named)
    unnamed = theirs.strings.unnamed
    kept = []
    for value, count in await db.fetch(_VALUES, field_id):
        left = count - said.pop(value, 0)
        key = field_id, crc32(value.encode()), value
        if left <= doubtful or any(each in value for each in names):
            field.strings.unnamed += max(left, 0)
            await db.fetch(_DROP_VALUE, *key)
            continue
        kept.append(value)
        if left != count:
            await db.fetch(_SET_VALUE, *key, left)
    field.strings.unnamed = max(0, field.strings.unnamed - unnamed - said.total())
    return kept


def _blur(numbers: NumberStats, theirs: NumberStats, doubtful: int) -> None:
    """Leave no number that is, or may be, the player's."""
    if numbers.min is None or numbers.max is None:
        return
    if numbers.count <= 0:
        numbers.sum, numbers.min, numbers.max = Decimal(0), None, None
        return
    if doubtful:
        numbers.sum = _ROUGH.plus(numbers.sum)
    if doubtful or numbers.min == theirs.min:
        numbers.min = _bound(min(numbers.buckets, default=bucket_of(numbers.min)), 0)
    if doubtful or numbers.max == theirs.max:
        numbers.max = _bound(max(numbers.buckets, default=bucket_of(numbers.max)), 1)


def _bound(bucket: int, side: int) -> Decimal:
    """Return where a bucket begins or ends; its other end if that one is open."""
    bounds = bounds_of(bucket)
    found = bounds[side] if bounds[side] is not None else bounds[1 - side]
    assert found is not None, "a bucket is open at one end at most"
    return found


def _order(text: str) -> tuple[int, str]:
    return crc32(text.encode()), text
