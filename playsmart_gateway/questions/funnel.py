"""Who does one thing after another, and who comes back to it."""

from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import median
from time import monotonic

from playsmart_gateway.questions.answers import (
    RETAINED,
    Cohort,
    FunnelAnswer,
    ReturnAnswer,
    StepRow,
)
from playsmart_gateway.questions.asked import MAX_STEPS, Funnel, Mark, Return, Span
from playsmart_gateway.questions.events import MAX_PLAYERS, Looked, early
from playsmart_gateway.questions.store import end_of_piece, ids_between
from playsmart_gateway.stores.sql.database import Transaction

EVENTS_PER_READ = 100_000
MAX_SEEN = 10_000_000
"""Marks that are kept, eight bytes each; more are not looked at, and the answer says so."""

_MICROSECONDS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RECEIVED = """
    SELECT (SELECT received_at FROM events WHERE events.event_id = newest)
    FROM (SELECT max(event_id) AS newest FROM event_rows WHERE event_id <= $1) AS found
"""
Seen = Mapping[str, "array[int]"]
"""Of each player, what was done when: microseconds, and below them a bit for each mark."""


async def funnel(reading: Transaction, asked: Funnel, until: float) -> FunnelAnswer:
    """Return it, of what is looked at until the monotonic clock says so.

    The first step is in the span; those after it may be behind it.

    Raises:
        SinkUnavailable: the store cannot be read.
    """
    looked = Looked()
    seen = await _look(reading, asked, asked.steps, until, looked, to_the_end=True)
    within = asked.within_days * 86_400 * _MICROSECONDS
    begin, end = _microseconds(asked.moments[0]), _microseconds(asked.moments[-1])
    took: list[list[int]] = [[] for _ in asked.steps]
    for marks in seen.values():
        for step, microseconds in enumerate(walk(marks, len(asked.steps), within, begin, end)):
            took[step].append(microseconds)
    return FunnelAnswer(
        counted_up_to=looked.upto,
        complete=looked.complete,
        looked_at=looked.events,
        steps=[
            StepRow(len(each), median(each) / _MICROSECONDS if each and n else None)
            for n, each in enumerate(took)
        ],
    )


def walk(seen: Sequence[int], steps: int, within: int, begin: int, end: int) -> list[int]:
    """Return how long after the first step each was done, on the way that leads farthest.

    One event is one step; those of one moment, as of one request that is told by when it came, are
    in the order of the steps. Of two that are as far the quicker way counts. The way begins between
    ``begin`` and ``end``, and ends ``within`` that long; all are microseconds.
    """
    best: list[int] = []
    begun = [0] * steps  # of the way that got so far and began last
    ways: list[list[int]] = [[] for _ in range(steps)]
    for each in sorted(seen):
        when, marks = each >> MAX_STEPS, each & ((1 << MAX_STEPS) - 1)
        for step in reversed(range(steps)):
            if not marks >> step & 1:
                continue
            if step == 0:
                if not begin <= when < end:
                    continue
                begun[0], ways[0] = when, [0]
            elif ways[step - 1] and when - begun[step - 1] <= within:
                begun[step] = begun[step - 1]
                ways[step] = [*ways[step - 1], when - begun[step]]
            else:
                continue
            way = ways[step]
            if len(way) > len(best) or (len(way) == len(best) and way[-1] < best[-1]):
                best = way
    return best


async def comes_back(reading: Transaction, asked: Return, until: float) -> ReturnAnswer:
    """Return it, of what is looked at until the monotonic clock says so.

    Raises:
        SinkUnavailable: the store cannot be read.
    """
    looked = Looked()
    marks = (asked.start, asked.again)
    seen = await _look(reading, asked, marks, until, looked, to_the_end=False)
    cohorts = [Cohort(f"{day}", 0, [[0, 0] for _ in RETAINED]) for day in asked.days[:-1]]
    begins = [_microseconds(moment) for moment in asked.day_moments]
    today = (datetime.now(asked.tz).date() - asked.days[0]).days
    ends = min(len(begins) - 1, today)
    for found in seen.values():
        days: list[set[int]] = [set(), set()]
        for mark in found:
            day = bisect_right(begins, mark >> MAX_STEPS) - 1
            if 0 <= day < len(begins) - 1:
                for which in (0, 1):
                    if mark >> which & 1:
                        days[which].add(day)
        if not days[0]:
            continue
        first, again = min(days[0]), days[1]
        cohort = cohorts[asked.period_of[first]]
        cohort.players += 1
        for after, sums in zip(RETAINED, cohort.back, strict=True):
            if first + after < ends:
                sums[0] += 1
                sums[1] += first + after in again
    return ReturnAnswer(
        counted_up_to=looked.upto,
        complete=looked.complete,
        looked_at=looked.events,
        cohorts=cohorts,
    )


async def _look(
    reading: Transaction,
    span: Span,
    marks: Sequence[Mark | None],
    until: float,
    looked: Looked,
    *,
    to_the_end: bool,
) -> Seen:
    """Return who did what when; to the end of what is stored, or of the span if that will do."""
    seen: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
    query, values = _query(span, marks)
    first = early(span.moments[0]) if span.by == "happened" else span.moments[0]
    is_open = to_the_end or span.by == "happened"
    after, end = await ids_between(reading, first, None if is_open else span.moments[-1])
    kept = 0
    while after < end and monotonic() < until and kept < MAX_SEEN and len(seen) < MAX_PLAYERS:
        async with reading() as db:
            upto = await end_of_piece(db, after, end, EVENTS_PER_READ)
            rows = await db.fetch(query, after, upto, span.game, *values)
            ((last,),) = await db.fetch(_RECEIVED, upto)
        for user_id, when, which in rows:
            seen[user_id].append(_microseconds(when) << MAX_STEPS | which)
        kept += len(rows)
        looked.upto = last or looked.upto
        after = upto
    looked.events, looked.complete = kept, after >= end
    return seen


def _query(span: Span, marks: Sequence[Mark | None]) -> tuple[str, list[str]]:
    """Return a query of who did which of these marks when, and its parameters from ``$4`` on."""
    values: list[str] = []

    def given(value: str) -> str:
        values.append(value)
        return f"${len(values) + 3}"

    def condition(mark: Mark | None) -> str:
        if mark is None:
            return "1 = 1"
        name = "" if mark.name is None else f" AND custom_event_name = {given(mark.name)}"
        return f"type = {given(mark.type)}{name}"

    conditions = [condition(mark) for mark in marks]
    bits = " + ".join(
        f"CASE WHEN {each} THEN {1 << n} ELSE 0 END" for n, each in enumerate(conditions)
    )
    when = "received_at" if span.by == "received" else "adjusted_at"
    query = f"""
        SELECT user_id, {when}, {bits} FROM events
        WHERE event_id > $1 AND event_id <= $2 AND game_id = coalesce($3, game_id)
              AND user_id <> '' AND ({" OR ".join(conditions)})
    """  # noqa: S608 - values are parameters
    return query, values


def _microseconds(when: str) -> int:
    """Return a time as it is stored in microseconds since the epoch."""
    at = datetime.fromisoformat(when) - _EPOCH
    return (at.days * 86_400 + at.seconds) * _MICROSECONDS + at.microseconds
