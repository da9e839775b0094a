"""``Numbers`` against a plain set of what has come."""

from itertools import pairwise
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.events.intervals import MAX_GAPS, Numbers, Span

spans = st.tuples(st.integers(0, 60), st.integers(1, 25)).map(lambda s: (s[0], s[0] + s[1]))


def taken(new: list[Span]) -> list[int]:
    return [number for first, end in new for number in range(first, end)]


@given(st.lists(spans, max_size=30))
def test_each_number_is_new_once_whatever_overlaps_and_in_any_order(claims: list[Span]) -> None:
    numbers, seen = Numbers(), set[int]()
    for first, end in claims:
        new = numbers.claim(first, end)
        assert all(low < high for low, high in new), "no span is empty"
        assert taken(new) == sorted(set(range(first, end)) - seen)
        seen |= set(range(first, end))
        assert numbers.next == max(seen) + 1
        assert set(taken(list(numbers.gaps))) == set(range(numbers.next)) - seen
        ends = [edge for gap in numbers.gaps for edge in gap]
        assert ends == sorted(set(ends)), "gaps are in order, none is empty, none touches another"


@given(st.integers(1, 12), st.lists(st.integers(1, 9), max_size=9), st.randoms())
def test_a_run_that_is_cut_again_and_mixed_comes_whole(
    length: int, cuts: list[int], random: Random
) -> None:
    numbers = Numbers()
    edges = sorted({0, length, *(cut % length for cut in cuts)})
    pieces = list(pairwise(edges))
    random.shuffle(pieces)
    assert sorted(taken([new for piece in pieces for new in numbers.claim(*piece)])) == [
        *range(length)
    ]
    assert numbers == Numbers(length)


def test_nothing_is_new_of_what_has_come() -> None:
    numbers = Numbers(10)
    assert numbers.claim(0, 10) == numbers.claim(9, 10) == []
    assert numbers == Numbers(10)


def test_one_gap_too_many_closes_the_oldest() -> None:
    numbers = Numbers()
    for place in range(MAX_GAPS + 1):
        numbers.claim(2 * place + 1, 2 * place + 2)
    assert len(numbers.gaps) == MAX_GAPS
    assert numbers.claim(0, 1) == [], "it is taken for a repeat"
    assert numbers.claim(2, 3) == [(2, 3)]


def test_to_cut_a_gap_in_two_closes_the_oldest_too() -> None:
    numbers = Numbers(10 * MAX_GAPS, tuple((10 * n, 10 * n + 5) for n in range(MAX_GAPS)))
    assert numbers.claim(12, 13) == [(12, 13)]
    assert numbers.gaps[:2] == ((10, 12), (13, 15))
    assert len(numbers.gaps) == MAX_GAPS


@pytest.mark.parametrize("gaps", [(), ((3, 5), (7, 2**53))])
def test_gaps_come_back_from_their_json(gaps: tuple[Span, ...]) -> None:
    assert msgspec.json.decode(msgspec.json.encode(gaps), type=tuple[Span, ...]) == gaps
