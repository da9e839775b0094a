from functools import partial
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.load import Histogram

durations = st.lists(st.floats(min_value=1e-9, max_value=1e6), min_size=1, max_size=200)


def histogram_of(seconds: list[float]) -> Histogram:
    histogram = Histogram()
    for each in seconds:
        histogram.record(each)
    return histogram


@given(durations, st.floats(min_value=0, max_value=100))
def test_a_percentile_is_within_one_percent_of_the_nearest_rank(
    seconds: list[float], percent: float
) -> None:
    found = histogram_of(seconds).percentile(percent)
    exact = sorted(seconds)[max(1, ceil(len(seconds) * percent / 100)) - 1]
    assert found == pytest.approx(exact, rel=0.01, abs=1e-9)


@given(durations)
def test_the_largest_and_the_mean_are_exact(seconds: list[float]) -> None:
    histogram = histogram_of(seconds)
    assert histogram.count == len(seconds)
    exact = partial(pytest.approx, rel=1e-12, abs=1e-9)  # as a float can be
    assert histogram.max == histogram.percentile(100) == exact(max(seconds))
    assert histogram.mean == exact(sum(seconds) / len(seconds))


@given(durations)
def test_percentiles_grow_with_the_percentage(seconds: list[float]) -> None:
    histogram = histogram_of(seconds)
    found = [histogram.percentile(percent) for percent in (0, 50, 90, 99, 99.9, 100)]
    assert found == sorted(found)


def test_an_empty_histogram_says_zero() -> None:
    histogram = Histogram()
    assert (histogram.percentile(99), histogram.max, histogram.mean) == (0.0, 0.0, 0.0)


def test_a_clock_that_went_backwards_counts_as_no_time_and_eternity_still_fits() -> None:
    histogram = histogram_of([-1.0, 1e30])
    assert histogram.percentile(50) == 0.0
    assert histogram.max > 1e10
