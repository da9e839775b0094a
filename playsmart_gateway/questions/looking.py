"""Events one by one, with what they say, and whether they are of those that are asked for."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from playsmart_gateway.events.batch import MAX_EVENTS_PER_BATCH, run_key
from playsmart_gateway.questions.asked import MEANINGS, Mark, Meaning, Span
from playsmart_gateway.questions.said import Names, said, text_of
from playsmart_gateway.questions.sources import Looked, Query, Sources, Wanted, pieces
from playsmart_gateway.stores.rollups import Property
from playsmart_gateway.stores.sql.database import Transaction

EVENTS_PER_READ = 5_000
MAX_CUSTOMDATA = 65_536
"""Characters of it; of an event with more nothing is said, as a read of them must fit in memory."""

EARLY = timedelta(hours=27)
"""So much before a moment something may have come that is told to have happened then."""

MAX_RUNS = 200_000
"""Whose programs are remembered at a time, a hundred bytes each."""

RUNS_PER_READ = 500

_COLUMNS = f"""
    events.event_id, events.source, events.game_id, events.user_id, events.type,
    events.custom_event_name, events.received_at, events.adjusted_at,
    CASE WHEN length(CAST(events.customdata AS TEXT)) <= {MAX_CUSTOMDATA}
        THEN events.customdata END
"""
_SPAN = """
    WHERE events.event_id > $1 AND events.event_id <= $2
          AND events.game_id = coalesce($3, events.game_id)
"""
_EVENTS = f"""
    SELECT {_COLUMNS}, clients.platform, clients.app_version FROM events
    LEFT JOIN batches ON batches.batch_id = events.event_id / {MAX_EVENTS_PER_BATCH}
    LEFT JOIN runs ON runs.run = batches.run
    LEFT JOIN clients ON clients.client_id = runs.client_id {_SPAN}
"""  # noqa: S608 - built from our own constants
_OF_LAKE = f"SELECT {_COLUMNS}, run, lifted FROM events {_SPAN}"  # noqa: S608 - the same
_PROPERTIES = "SELECT game_id, meaning, name FROM game_properties"
_NOBODY = (None, None)
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Event(NamedTuple):
    """A row of what is read; ``lifted`` is what the lake has in columns, as JSON."""

    event_id: int
    source: str
    game_id: str
    user_id: str
    type: str
    name: str | None
    received_at: str
    adjusted_at: str
    customdata: str | None
    platform: str | None
    app_version: str | None
    lifted: str | None = None

    def data(self) -> Mapping[str, Any]:
        """Return what it says; nothing if that is no object."""
        found = _object(self.customdata)
        if self.lifted is not None:
            lifted = _object(self.lifted).items()
            found = {**found, **{name: value for name, value in lifted if value is not None}}
        return found

    def has(self, mark: Mark | None) -> bool:
        """Return whether it is one with that mark; without one every event is."""
        if mark is None:
            return True
        return self.type == mark.type and mark.name in (None, self.name)

    def at(self, span: Span) -> str:
        """Return when it was, by what the span goes by."""
        return self.received_at if span.by == "received" else self.adjusted_at


def _object(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        return _decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return {}


class Company:
    """Who is asked for: players that say so, and events that do.

    Who says nothing of country, platform or version has what they said last.
    """

    def __init__(self, where: Mapping[str, str], names: Names) -> None:
        self._where = where
        self._names = names
        self.said: dict[str, dict[Meaning, str]] = {}

    def has(self, event: Event, data: Mapping[str, Any]) -> bool:
        """Return whether an event is of it, having heard what it says."""
        names = self._names.of(event.game_id)
        theirs = self.said.setdefault(event.user_id, {})
        for meaning in MEANINGS:
            value = (data and said(data, names, meaning)) or getattr(event, meaning, None)
            if value:
                theirs[meaning] = value
        return all(
            value == (theirs.get(key) if key in MEANINGS else text_of(data.get(key)))
            for key, value in self._where.items()
        )

    def tells(self, event: Event, data: Mapping[str, Any], key: str) -> Any:
        """Return what the player of an event it has said, or the event says."""
        if key in MEANINGS:
            return self.said[event.user_id].get(key)
        return data.get(key)


def needed(names: Names, keys: Iterable[str] = ()) -> frozenset[str]:
    """Return the properties by which games say what reports ask, and ``keys``."""
    usual = ("price", "currency", *MEANINGS, "level", "reason", "duration_seconds")
    return frozenset({*usual, *names.all(), *keys})


def early(when: str) -> str:
    """Return from when on something may have come that happened then: of a clock ahead."""
    return f"{datetime.fromisoformat(when) - EARLY:%Y-%m-%dT%H:%M:%S}.000000Z"


def wanted_of(
    span: Span, properties: frozenset[str] = frozenset(), *, to_the_end: bool = False
) -> Wanted:
    """Return which events may be in a span, or behind it ``to_the_end``."""
    first = early(span.moments[0]) if span.by == "happened" else span.moments[0]
    is_open = to_the_end or span.by == "happened"
    return Wanted(first, None if is_open else span.moments[-1], span.game, properties)


async def events_of(
    sources: Sources, wanted: Wanted, looked: Looked, marks: Sequence[Mark | None] = ()
) -> AsyncIterator[Event]:
    """Yield these events, of all kinds or with one of these ``marks``, in the order of their ids.

    Raises:
        SinkUnavailable: the store cannot be read.
        LakeError: the lake cannot be read.
    """
    condition, values = any_of(marks) if marks else ("1 = 1", [])
    rest = f" AND ({condition}) ORDER BY events.event_id"
    query = Query(_EVENTS + rest, _OF_LAKE + rest, EVENTS_PER_READ, values)
    known: dict[bytes, tuple[str | None, str | None]] = {}
    async for piece in pieces(sources, query, wanted, looked):
        if not piece.is_of_lake:
            for row in piece.rows:
                yield Event(*row)
            continue
        runs = [
            None if run is None else run_key(bytes.fromhex(run), game, user)
            for _, _, game, user, *_, run, _ in piece.rows
        ]
        await know_programs(sources.reading, runs, known)
        for run, (*row, _, lifted) in zip(runs, piece.rows, strict=True):
            platform, version = _NOBODY if run is None else known[run]
            yield Event(*[*row, platform, version, lifted])


async def know_programs(
    reading: Transaction,
    runs: Iterable[bytes | None],
    known: dict[bytes, tuple[str | None, str | None]],
) -> None:
    """Have ``known`` say of each run the platform and version of its program, if it is known.

    Of ``MAX_RUNS`` it is, the last ones, and of all in ``runs``.

    Raises:
        SinkUnavailable: the store cannot be read now.
    """
    new = [*{run for run in runs if run is not None and run not in known}]
    if len(known) + len(new) > MAX_RUNS:
        known.clear()
        new = [*{run for run in runs if run is not None}]
    known.update(dict.fromkeys(new, _NOBODY))
    for n in range(0, len(new), RUNS_PER_READ):
        some = new[n : n + RUNS_PER_READ]
        places = ", ".join(f"${place}" for place in range(1, len(some) + 1))
        query = f"""
            SELECT runs.run, clients.platform, clients.app_version
            FROM runs JOIN clients ON clients.client_id = runs.client_id
            WHERE runs.run IN ({places})
        """  # noqa: S608 - places of parameters
        async with reading() as db:
            rows = await db.fetch(query, *some)
        known.update({bytes(run): (platform, version) for run, platform, version in rows})


def any_of(marks: Sequence[Mark | None]) -> tuple[str, list[str]]:
    """Return the condition that an event has one of these marks, and its parameters from ``$4``."""
    conditions, values = conditions_of(marks)
    return " OR ".join(conditions), values


def conditions_of(marks: Sequence[Mark | None]) -> tuple[list[str], list[str]]:
    """Return the condition of each mark, and their parameters from ``$4`` on."""
    values: list[str] = []

    def given(value: str) -> str:
        values.append(value)
        return f"${len(values) + 3}"

    def condition(mark: Mark | None) -> str:
        if mark is None:
            return "1 = 1"
        name = ""
        if mark.name is not None:
            name = f" AND events.custom_event_name = {given(mark.name)}"
        return f"(events.type = {given(mark.type)}{name})"

    return [condition(mark) for mark in marks], values


async def read_names(reading: Transaction) -> Names:
    """Return how games name their properties."""
    async with reading() as db:
        return Names([Property(*row) for row in await db.fetch(_PROPERTIES)])
