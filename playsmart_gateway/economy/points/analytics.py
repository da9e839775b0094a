"""What events say about themselves, counted by field (contract section 9).

A ``MetadataStats`` is one cell of a table that its owner keeps by event id, local day and user
group; all days, or all groups, are the cells merged. Every count is exact and the order of events
and of merges makes no difference: the summary of merged cells is that of one cell that saw all.

What grows with the data is bounded by name. Of the distinct strings of a field, and of the
distinct fields, those with the smallest CRC-32 of their text are counted by name and the rest
together as *unnamed*. That rule, unlike "the first 1,000", gives the same names however the events
are cut into cells: a name that is among the smallest of the whole is so in each part. A field with
no more distinct values than that, which is any that is meant as a category, loses nothing.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, InvalidOperation
from typing import TypeVar
from zlib import crc32

import msgspec

from playsmart_gateway.economy.points.metadata import (
    Metadata,
    Number,
    Value,
)

MAX_FIELDS = 100
"""Fields counted by name."""

MAX_VALUES = 1_000
"""Distinct strings of a field counted by name."""

MAX_VALUE_LENGTH = 100
"""Longer strings are no categories; they are counted as unnamed."""

_STEPS = [Decimal(f"{step}E{decade}") for decade in range(-3, 9) for step in (1, 2, 5)]
_BOUNDS = (*_STEPS, Decimal("1E9"))
EXACT = Context(prec=1_000, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[Inexact, InvalidOperation])
"""Sums of numbers below 1e309 with at most 400 decimal places never need as many digits."""

_V = TypeVar("_V")


def bucket_of(value: Number) -> int:
    """Return the bucket of a number: 0 for those nearer to 0 than 0.001, else 1 to 37 by size.

    Buckets begin at 0.001, 0.002, 0.005, 0.01 and so on to 1e9; those below 0 mirror them.
    """
    value = Decimal(value)
    bucket = bisect_right(_BOUNDS, value.copy_abs())  # abs() and - would round to 28 digits
    return -bucket if value < 0 else bucket


def bounds_of(bucket: int) -> tuple[Decimal | None, Decimal | None]:
    """Return from where to where a bucket reaches; None at the open end.

    The bound nearer to 0 belongs to the bucket, the other one to its neighbour.
    """
    if bucket == 0:
        return -_BOUNDS[0], _BOUNDS[0]
    near = _BOUNDS[abs(bucket) - 1]
    far = _BOUNDS[abs(bucket)] if abs(bucket) < len(_BOUNDS) else None
    return (near, far) if bucket > 0 else (None if far is None else -far, -near)


class NumberStats(msgspec.Struct):
    """The numbers of a field. Its numbers are below 1e309 and have at most 400 decimal places."""

    count: int = 0
    sum: Decimal = Decimal(0)
    min: Decimal | None = None
    max: Decimal | None = None
    buckets: dict[int, int] = {}

    def observe(self, value: Number) -> None:
        """Count one number."""
        value = Decimal(value)
        self._extend(1, value, value, value)
        bucket = bucket_of(value)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1

    def merge(self, other: "NumberStats") -> None:
        """Add what ``other`` counted."""
        if other.min is not None and other.max is not None:
            self._extend(other.count, other.sum, other.min, other.max)
        _add_counts(self.buckets, other.buckets)

    def _extend(self, count: int, total: Decimal, least: Decimal, most: Decimal) -> None:
        self.count += count
        self.sum = EXACT.add(self.sum, total)
        self.min = least if self.min is None or least < self.min else self.min
        self.max = most if self.max is None or most > self.max else self.max


class StringStats(msgspec.Struct):
    """The strings of a field: how often each occurs, and how often those without a name do."""

    named: dict[str, int] = {}
    unnamed: int = 0

    def observe(self, text: str) -> None:
        """Count one string."""
        if len(text) > MAX_VALUE_LENGTH:
            self.unnamed += 1
            return
        self.named[text] = self.named.get(text, 0) + 1
        if len(self.named) >= 2 * MAX_VALUES:  # not each time: finding the smallest takes a while
            self.trim()

    def merge(self, other: "StringStats") -> None:
        """Add what ``other`` counted."""
        _add_counts(self.named, other.named)
        self.unnamed += other.unnamed

    def trim(self) -> None:
        """Count as unnamed what does not belong to the smallest ``MAX_VALUES``."""
        self.unnamed += sum(_cut(self.named, MAX_VALUES))


class FieldStats(msgspec.Struct):
    """A field, by the types of its values as they come; ``events`` had it.

    The strings of an array count one by one, each once an event.
    """

    events: int = 0
    numbers: NumberStats = msgspec.field(default_factory=NumberStats)
    strings: StringStats = msgspec.field(default_factory=StringStats)
    true: int = 0
    false: int = 0
    null: int = 0

    def observe(self, value: Value) -> None:
        """Count the value of one event."""
        self.events += 1
        match value:
            case None:
                self.null += 1
            case True:
                self.true += 1
            case False:
                self.false += 1
            case str():
                self.strings.observe(value)
            case list():
                for text in set(value):
                    self.strings.observe(text)
            case _:
                self.numbers.observe(value)

    def merge(self, other: "FieldStats") -> None:
        """Add what ``other`` counted."""
        self.events += other.events
        self.numbers.merge(other.numbers)
        self.strings.merge(other.strings)
        self.true += other.true
        self.false += other.false
        self.null += other.null


class MetadataStats(msgspec.Struct):
    """The fields of ``events`` events; ``unnamed`` counts values of fields that are not named.

    ``msgspec`` turns it into JSON and back. Between calls it may hold up to twice the names that
    the bounds allow; ``trim`` and ``merge`` cut them.
    """

    events: int = 0
    fields: dict[str, FieldStats] = {}
    unnamed: int = 0

    def observe(self, metadata: Metadata) -> None:
        """Count one event."""
        self.events += 1
        for name, value in metadata.items():
            field = self.fields.get(name)
            if field is None:
                field = self.fields[name] = FieldStats()
            field.observe(value)
        if len(self.fields) >= 2 * MAX_FIELDS:
            self.trim()

    def merge(self, other: "MetadataStats") -> None:
        """Add what ``other`` counted; it is left as it was."""
        self.events += other.events
        self.unnamed += other.unnamed
        for name, field in other.fields.items():
            self.fields.setdefault(name, FieldStats()).merge(field)
        self.trim()

    def trim(self) -> None:
        """Cut fields and strings to those that are named, which is the form to store."""
        self.unnamed += sum(field.events for field in _cut(self.fields, MAX_FIELDS))
        for field in self.fields.values():
            field.strings.trim()


def merged(parts: Iterable[MetadataStats]) -> MetadataStats:
    """Return one that counted what all ``parts`` did."""
    whole = MetadataStats()
    for part in parts:
        whole.merge(part)
    return whole


def _add_counts(counts: dict[_V, int], more: Mapping[_V, int]) -> None:
    for key, count in more.items():
        counts[key] = counts.get(key, 0) + count


def _cut(named: dict[str, _V], limit: int) -> list[_V]:
    """Remove all but the ``limit`` smallest names and return what they had.

    A name that comes back later is removed again: the smaller ones that drove it out are there.
    """
    if len(named) <= limit:
        return []
    largest = sorted(named, key=lambda name: (crc32(name.encode()), name))[limit:]
    return [named.pop(name) for name in largest]
