"""Figures to show of what ``analytics`` counted: mean, distribution, most common values."""

from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal

import msgspec

from playsmart_gateway.economy.points.analytics import (
    EXACT,
    FieldStats,
    MetadataStats,
    NumberStats,
    StringStats,
    bounds_of,
)

_MEAN = Context(prec=28, Emin=MIN_EMIN, Emax=MAX_EMAX)
_MAX_PLAIN_DIGITS = 21
_ONE = Decimal(1)


class Bucket(msgspec.Struct, frozen=True):
    """How many numbers lie between two bounds; None is the open end."""

    low: Decimal | None
    high: Decimal | None
    count: int


class NumberSummary(msgspec.Struct, frozen=True):
    """The numbers of a field; the mean has 28 digits, all else is exact."""

    count: int
    sum: Decimal
    min: Decimal
    max: Decimal
    mean: Decimal
    distribution: tuple[Bucket, ...]


class Frequency(msgspec.Struct, frozen=True):
    """How often a string occurs."""

    value: str
    count: int


class StringSummary(msgspec.Struct, frozen=True, rename="camel"):
    """The most common strings, then the sum of the ``other`` ones.

    ``unnamed`` of the others were not counted by name. If it is 0, the list is exact; else a
    string that is more common than those listed may be missing.
    """

    count: int
    most_common: tuple[Frequency, ...]
    other: int
    unnamed: int


class FieldSummary(msgspec.Struct, frozen=True):
    """A field; what has no values of a type is None or 0 there."""

    events: int
    numbers: NumberSummary | None
    strings: StringSummary | None
    true: int
    false: int
    null: int


class MetadataSummary(msgspec.Struct, frozen=True):
    """The fields by name."""

    events: int
    fields: dict[str, FieldSummary]
    unnamed: int


def summarize(stats: MetadataStats, most_common: int = 10) -> MetadataSummary:
    """Return the figures, with the ``most_common`` strings of each field, ties by their text."""
    stats.trim()
    fields = {
        name: _summary_of_field(field, most_common) for name, field in sorted(stats.fields.items())
    }
    return MetadataSummary(stats.events, fields, stats.unnamed)


def _summary_of_field(field: FieldStats, most_common: int) -> FieldSummary:
    return FieldSummary(
        field.events,
        _summary_of_numbers(field.numbers),
        _summary_of_strings(field.strings, most_common),
        field.true,
        field.false,
        field.null,
    )


def _summary_of_numbers(numbers: NumberStats) -> NumberSummary | None:
    if numbers.min is None or numbers.max is None:
        return None
    return NumberSummary(
        numbers.count,
        _plain(numbers.sum),
        _plain(numbers.min),
        _plain(numbers.max),
        _plain(_MEAN.divide(numbers.sum, numbers.count)),
        tuple(Bucket(*bounds_of(key), count) for key, count in sorted(numbers.buckets.items())),
    )


def _summary_of_strings(strings: StringStats, most_common: int) -> StringSummary | None:
    total = sum(strings.named.values()) + strings.unnamed
    if not total:
        return None
    ranked = sorted(strings.named.items(), key=lambda item: (-item[1], item[0]))[:most_common]
    shown = tuple(Frequency(text, count) for text, count in ranked)
    other = total - sum(each.count for each in shown)
    return StringSummary(total, shown, other, strings.unnamed)


def _plain(value: Decimal) -> Decimal:
    """Return the same number in one form: no trailing zeros, no exponent up to 21 digits."""
    if not value:
        return Decimal(0)
    value = EXACT.normalize(value)
    if value == value.to_integral_value() and value.adjusted() < _MAX_PLAIN_DIGITS:
        return EXACT.quantize(value, _ONE)
    return value
