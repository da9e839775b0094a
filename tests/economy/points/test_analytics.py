"""Counts of metadata against a plain recount, and merging in any cut and order."""

import random
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zlib import crc32

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from playsmart_gateway.economy.points import (
    Metadata,
    MetadataStats,
    MetadataSummary,
    merged,
    summarize,
)
from playsmart_gateway.economy.points.analytics import (
    MAX_FIELDS,
    MAX_VALUE_LENGTH,
    MAX_VALUES,
    bounds_of,
    bucket_of,
)
from playsmart_gateway.economy.points.summary import (
    Bucket,
    FieldSummary,
    Frequency,
    NumberSummary,
    StringSummary,
)
from tests.support.examples import examples


def counted(events: list[Metadata]) -> MetadataStats:
    stats = MetadataStats()
    for metadata in events:
        stats.observe(metadata)
    return stats


# --- buckets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "low", "high"),
    [
        ("0", "-0.001", "0.001"),
        ("-0.0", "-0.001", "0.001"),
        ("0.000999", "-0.001", "0.001"),
        ("-0.000999", "-0.001", "0.001"),
        ("0.001", "0.001", "0.002"),
        ("-0.001", "-0.002", "-0.001"),
        ("1", "1", "2"),
        ("-1.99999999999999999999999999999999999", "-2", "-1"),
        ("49.99", "20", "50"),
        ("50", "50", "100"),
        ("999999999.99", "500000000", "1000000000"),
        ("1e9", "1e9", None),
        ("9.9e308", "1e9", None),
        ("1e999999999", "1e9", None),
        ("-1e9", None, "-1e9"),
        ("-1e-400", "-0.001", "0.001"),
    ],
)
def test_a_number_lies_in_a_bucket_of_steps_1_2_5(
    number: str, low: str | None, high: str | None
) -> None:
    bounds = tuple(None if each is None else Decimal(each) for each in (low, high))
    assert bounds_of(bucket_of(Decimal(number))) == bounds


@given(st.decimals(allow_nan=False, allow_infinity=False) | st.integers())
def test_a_number_lies_between_the_bounds_of_its_bucket(number: Decimal | int) -> None:
    bucket = bucket_of(number)
    low, high = bounds_of(bucket)
    assert low is None or low <= number
    assert high is None or number <= high
    assert bucket_of(Decimal(number).copy_negate()) == -bucket


def test_the_buckets_leave_no_gap() -> None:
    last = max(bucket_of(10**400), -bucket_of(-(10**400)))
    bounds = [bounds_of(bucket) for bucket in range(-last, last + 1)]
    assert [high for _, high in bounds[:-1]] == [low for low, _ in bounds[1:]]
    assert (bounds[0][0], bounds[-1][1]) == (None, None)


# --- what is counted -----------------------------------------------------------------------------


def test_the_figures_of_a_field_are_kept_for_each_type() -> None:
    values: list[Any] = [1, Decimal("2.50"), -4, "1", "a", "a", True, False, True, None]
    values += [["a", "b", "a"], []]
    events: list[Metadata] = [{"f": each} for each in values]
    summary = summarize(counted([*events, {}]))
    assert summary.events == 13
    field = summary.fields["f"]
    assert (field.events, field.true, field.false, field.null) == (12, 2, 1, 1)
    assert field.strings == StringSummary(
        5, (Frequency("a", 3), Frequency("1", 1), Frequency("b", 1)), 0, 0
    )
    assert field.numbers is not None
    assert (field.numbers.count, field.numbers.sum) == (3, Decimal("-0.5"))
    assert (field.numbers.min, field.numbers.max) == (Decimal(-4), Decimal("2.5"))
    assert field.numbers.mean == Decimal("-0.1666666666666666666666666667")
    assert field.numbers.distribution == (
        Bucket(Decimal(-5), Decimal(-2), 1),
        Bucket(Decimal(1), Decimal(2), 1),
        Bucket(Decimal(2), Decimal(5), 1),
    )


def test_figures_are_written_without_needless_zeros_and_exponents() -> None:
    def written(*numbers: str) -> bytes:
        field = summarize(counted([{"f": Decimal(each)} for each in numbers])).fields["f"]
        assert field.numbers is not None
        return msgspec.json.Encoder(decimal_format="number").encode(field.numbers.sum)

    assert written("1e2", "2.50", "-0.50") == b"102"
    assert written("1.10", "2.40") == b"3.5"
    assert written("-0.0") == b"0"
    assert written("1e20") == b"100000000000000000000"
    assert written("1e21") == b"1E+21"
    assert written("1e-30") == b"1E-30"


def test_the_largest_and_the_smallest_numbers_have_an_exact_sum() -> None:
    largest = 10**309 - 1
    events: list[Metadata] = [{"f": largest}, {"f": Decimal("1e-400")}] * 1_000
    numbers = summarize(counted(events)).fields["f"].numbers
    assert numbers is not None
    assert Fraction(numbers.sum) == 1_000 * (largest + Fraction(1, 10**400))


def test_most_common_values_come_first_and_ties_by_their_text() -> None:
    events: list[Metadata] = [{"f": each} for each in "ccbbad"]
    strings = summarize(counted(events), most_common=3).fields["f"].strings
    shown = (Frequency("b", 2), Frequency("c", 2), Frequency("a", 1))
    assert strings == StringSummary(6, shown, 1, 0)


def test_long_strings_are_counted_without_a_name() -> None:
    events: list[Metadata] = [{"f": "x" * (MAX_VALUE_LENGTH + each)} for each in (0, 1)]
    strings = summarize(counted(events)).fields["f"].strings
    assert strings == StringSummary(2, (Frequency("x" * MAX_VALUE_LENGTH, 1),), 1, 1)


def test_a_thousand_distinct_values_lose_nothing() -> None:
    events: list[Metadata] = [{"f": str(each % MAX_VALUES)} for each in range(2 * MAX_VALUES)]
    strings = summarize(counted(events), most_common=MAX_VALUES).fields["f"].strings
    assert strings is not None
    assert {each.count for each in strings.most_common} == {2}
    assert (len(strings.most_common), strings.other, strings.unnamed) == (MAX_VALUES, 0, 0)


def test_of_more_values_and_fields_those_with_the_smallest_checksums_are_named() -> None:
    chance = random.Random(1)
    texts = [str(chance.randint(1, 3_000)) for _ in range(9_000)]
    alone: list[Metadata] = [{"z": text} for text in texts]
    events: list[Metadata] = [{f"f{int(text) % 300}": 1, "z": text} for text in texts]
    stats = counted(events)
    assert len(stats.fields) < 2 * MAX_FIELDS
    summary = summarize(stats, most_common=MAX_VALUES)
    assert list(summary.fields) == sorted(smallest([f"f{n}" for n in range(300)] + ["z"], 100))
    assert summary == recount(events, MAX_VALUES)
    assert summarize(counted(alone), MAX_VALUES) == recount(alone, MAX_VALUES)
    thirds = [counted(events[start::3]) for start in range(3)]
    assert summarize(merged(thirds), most_common=MAX_VALUES) == summary
    assert merged(thirds) == stats


def test_counts_go_through_json_unchanged() -> None:
    events: list[Metadata] = [{"f": 1, "g": "a"}, {"f": Decimal("-2.50"), "g": None}, {"f": True}]
    stats = counted(events)
    kept = msgspec.json.decode(msgspec.json.encode(stats), type=MetadataStats)
    assert kept == stats
    kept.observe({"f": 5})
    stats.observe({"f": 5})
    assert summarize(kept) == summarize(stats)


def test_merging_leaves_the_other_as_it_was() -> None:
    other = counted([{"f": 1, "g": ["a"]}])
    kept = msgspec.json.encode(other)
    whole = MetadataStats()
    whole.merge(other)
    whole.observe({"f": 2, "g": "a"})
    assert msgspec.json.encode(other) == kept


# --- a plain recount -----------------------------------------------------------------------------


def smallest(names: Any, limit: int) -> set[str]:
    return set(sorted(set(names), key=lambda name: (crc32(name.encode()), name))[:limit])


def recount(events: list[Metadata], most_common: int) -> MetadataSummary:
    every_name = [name for metadata in events for name in metadata]
    names = smallest(every_name, MAX_FIELDS)
    return MetadataSummary(
        len(events),
        {
            name: recount_field([each[name] for each in events if name in each], most_common)
            for name in sorted(names)
        },
        sum(name not in names for name in every_name),
    )


def recount_field(values: list[Any], most_common: int) -> FieldSummary:
    numbers = [
        each for each in values if isinstance(each, int | Decimal) and not isinstance(each, bool)
    ]
    texts = [each for each in values if isinstance(each, str)]
    texts += [text for each in values if isinstance(each, list) for text in set(each)]
    return FieldSummary(
        len(values),
        recount_numbers(numbers) if numbers else None,
        recount_strings(texts, most_common) if texts else None,
        sum(each is True for each in values),
        sum(each is False for each in values),
        sum(each is None for each in values),
    )


def recount_numbers(numbers: list[Any]) -> NumberSummary:
    total = sum((Fraction(each) for each in numbers), Fraction(0))
    ordered = sorted(numbers)
    buckets: Counter[tuple[Any, Any]] = Counter()
    edges = [step * Fraction(10) ** decade for decade in range(-3, 10) for step in (1, 2, 5)][:-2]
    for number in numbers:
        size = abs(Fraction(number))
        low = max((edge for edge in edges if edge <= size), default=None)
        high = min((edge for edge in edges if edge > size), default=None)
        if low is None:
            buckets[-edges[0], edges[0]] += 1
        elif number > 0:
            buckets[low, high] += 1
        else:
            buckets[None if high is None else -high, -low] += 1
    by_size = sorted(buckets, key=lambda each: (each[0] is not None, each[0] or 0))
    distribution = tuple(
        Bucket(low and exactly(low), high and exactly(high), buckets[low, high])
        for low, high in by_size
    )
    mean = rounded(total / len(numbers))
    return NumberSummary(len(numbers), exactly(total), ordered[0], ordered[-1], mean, distribution)


def exactly(number: Fraction) -> Decimal:
    """A fraction of tenths as a decimal."""
    places = next(n for n in range(1_000) if 10**n % number.denominator == 0)
    return Decimal(f"{number.numerator * 10**places // number.denominator}e-{places}")


def rounded(number: Fraction) -> Decimal:
    """The decimal of 28 digits that is nearest."""
    if not number:
        return Decimal(0)
    exponent = len(str(abs(number.numerator))) - len(str(number.denominator)) - 28
    digits = round(number / Fraction(10) ** exponent)
    if abs(digits) >= 10**28:
        exponent += 1
        digits = round(number / Fraction(10) ** exponent)
    return Decimal(f"{digits}e{exponent}")


def recount_strings(texts: list[str], most_common: int) -> StringSummary:
    short = [text for text in texts if len(text) <= MAX_VALUE_LENGTH]
    named = smallest(short, MAX_VALUES)
    counts = Counter(text for text in short if text in named)
    shown = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most_common]
    other = len(texts) - sum(count for _, count in shown)
    unnamed = len(texts) - counts.total()
    return StringSummary(len(texts), tuple(Frequency(*each) for each in shown), other, unnamed)


numbers = st.one_of(
    st.integers(-(10**12), 10**12),
    st.decimals(-1000, 1000, places=3),
    st.decimals(-1, 1, places=20),
    st.builds("{}e{}".format, st.integers(-99, 99), st.integers(-380, 300)).map(Decimal),
)
texts = st.sampled_from(["", "a", "b", "web", "true", "1", "é", "x" * 100, "x" * 101])
values = numbers | texts | st.booleans() | st.none() | st.lists(texts, max_size=3)
fields = st.sampled_from(["platform", "amount", "usergroup"])
histories = st.lists(st.dictionaries(fields, values, max_size=3), max_size=12)


@given(histories, st.lists(st.integers(0, 3), min_size=12, max_size=12), st.randoms())
@examples(200)
@example([{"amount": Decimal("-0.0")}, {"amount": 0}], [0, 1] * 6, random.Random(0))
def test_the_summary_is_that_of_a_recount_however_the_events_are_cut(
    events: list[Metadata], cuts: list[int], chance: random.Random
) -> None:
    expected = recount(events, 2)
    assert summarize(counted(events), most_common=2) == expected
    parts = [
        counted([each for each, cut in zip(events, cuts, strict=False) if cut == part])
        for part in range(4)
    ]
    chance.shuffle(parts)
    assert summarize(merged(parts), most_common=2) == expected
    left, right = merged(parts[:2]), merged(parts[2:])
    right.merge(left)
    shown = summarize(right, most_common=2)
    assert msgspec.json.encode(shown) == msgspec.json.encode(summarize(counted(events), 2))
