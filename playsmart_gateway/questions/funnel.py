"""Who does one thing after another, and who comes back to it."""

from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from statistics import median

from playsmart_gateway.questions.answers import (
    FunnelAnswer,
    ReturnAnswer,
    StepRow,
)
from playsmart_gateway.questions.asked import MAX_STEPS, MEANINGS, Funnel, Mark, Return, Span
from playsmart_gateway.questions.looking import (
    Company,
    conditions_of,
    events_of,
    needed,
    read_names,
    wanted_of,
)
from playsmart_gateway.questions.said import Names
from playsmart_gateway.questions.sources import Looked, Query, Sources, Wanted, pieces
from playsmart_gateway.questions.tally import MAX_PLAYERS, cohorts_of

EVENTS_PER_READ = 100_000
MAX_SEEN = 10_000_000
"""Marks that are kept, eight bytes each; more are not looked at, and the answer says so."""

_MICROSECONDS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Done = tuple[str, str, int]
"""Who did what when: a bit for each mark."""

Seen = Mapping[str, "array[int]"]
"""Of each player, what was done when: microseconds, and below them a bit for each mark."""


async def funnel(sources: Sources, asked: Funnel, until: float) -> FunnelAnswer:
    """Return it, of what is looked at until the monotonic clock says so.

    The first step is in the span; those after it may be behind it.

    Raises:
        SinkUnavailable: the store cannot be read.
        LakeError: the lake cannot be read.
    """
    looked = Looked(until)
    seen = await _look(sources, asked, asked.steps, looked, to_the_end=True)
    within = asked.within_days * 86_400 * _MICROSECONDS
    begin, end = _microseconds(asked.moments[0]), _microseconds(asked.moments[-1])
    took: list[list[int]] = [[] for _ in asked.steps]
    for marks in seen.values():
        for step, microseconds in enumerate(walk(marks, len(asked.steps), within, begin, end)):
            took[step].append(microseconds)
    return FunnelAnswer(
        from_lake=sources.lake is not None,
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


async def comes_back(sources: Sources, asked: Return, until: float) -> ReturnAnswer:
    """Return it, of what is looked at until the monotonic clock says so.

    Raises:
        SinkUnavailable: the store cannot be read.
        LakeError: the lake cannot be read.
    """
    looked = Looked(until)
    marks = (asked.start, asked.again)
    seen = await _look(sources, asked, marks, looked, to_the_end=False)
    begins = [_microseconds(moment) for moment in asked.day_moments]
    came: list[tuple[int, set[int]]] = []
    for found in seen.values():
        days: tuple[set[int], set[int]] = set(), set()
        for mark in found:
            day = bisect_right(begins, mark >> MAX_STEPS) - 1
            if 0 <= day < len(begins) - 1:
                for which in (0, 1):
                    if mark >> which & 1:
                        days[which].add(day)
        if days[0]:
            came.append((min(days[0]), days[1]))
    return ReturnAnswer(
        from_lake=sources.lake is not None,
        counted_up_to=looked.upto,
        complete=looked.complete,
        looked_at=looked.events,
        cohorts=cohorts_of(asked, came),
    )


async def _look(
    sources: Sources,
    span: Span,
    marks: Sequence[Mark | None],
    looked: Looked,
    *,
    to_the_end: bool,
) -> Seen:
    """Return who did what when; to the end of what is stored, or of the span if that will do."""
    seen: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
    names = await read_names(sources.reading)
    wanted = wanted_of(span, needed(names, span.where), to_the_end=to_the_end)
    found = _of_some if span.where else _of_all
    kept = 0
    async for user_id, when, which in found(sources, span, marks, wanted, looked, names):
        if kept >= MAX_SEEN or (user_id not in seen and len(seen) >= MAX_PLAYERS):
            looked.complete = False
            return seen
        seen[user_id].append(_microseconds(when) << MAX_STEPS | which)
        kept += 1
    return seen


async def _of_all(
    sources: Sources,
    span: Span,
    marks: Sequence[Mark | None],
    wanted: Wanted,
    looked: Looked,
    _: Names,
) -> AsyncIterator[Done]:
    """Yield who did which of these marks when."""
    conditions, values = conditions_of(marks)
    bits = " + ".join(
        f"CASE WHEN {each} THEN {1 << n} ELSE 0 END" for n, each in enumerate(conditions)
    )
    when = "received_at" if span.by == "received" else "adjusted_at"
    text = f"""
        SELECT user_id, {when}, {bits} FROM events
        WHERE event_id > $1 AND event_id <= $2 AND game_id = coalesce($3, game_id)
              AND user_id <> '' AND ({" OR ".join(conditions)})
    """  # noqa: S608 - values are parameters
    query = Query(text, text, EVENTS_PER_READ, values)
    async for piece in pieces(sources, query, wanted, looked):
        for row in piece.rows:
            yield row


async def _of_some(
    sources: Sources,
    span: Span,
    marks: Sequence[Mark | None],
    wanted: Wanted,
    looked: Looked,
    names: Names,
) -> AsyncIterator[Done]:
    """Yield the same of those who are asked for: each event is looked at, as they may say so."""
    company = Company(span.where, names)
    everything = any(key in MEANINGS for key in span.where)
    async for event in events_of(sources, wanted, looked, () if everything else marks):
        is_theirs = bool(event.user_id) and company.has(event, event.data())
        bits = sum(1 << n for n, mark in enumerate(marks) if is_theirs and event.has(mark))
        if bits:
            yield event.user_id, event.at(span), bits


def _microseconds(when: str) -> int:
    """Return a time as it is stored in microseconds since the epoch."""
    at = datetime.fromisoformat(when) - _EPOCH
    return (at.days * 86_400 + at.seconds) * _MICROSECONDS + at.microseconds
