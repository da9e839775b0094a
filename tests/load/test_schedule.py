"""When requests are due, and what happened when: all of it with times that are told."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.errors import ConfigError
from playsmart_gateway.load import LoadOptions, Profile
from playsmart_gateway.load.breaking import broke
from playsmart_gateway.load.figures import Figures
from playsmart_gateway.load.histogram import Histogram
from playsmart_gateway.load.processes import Telling
from playsmart_gateway.load.run import Progress
from playsmart_gateway.load.schedule import (
    DOUBLING_SECONDS,
    Ramp,
    Schedule,
    Spike,
    Steady,
    schedule,
)
from playsmart_gateway.load.timeline import MAX_STRETCHES, Stretch, Timeline
from tests.support.examples import examples

NOW = Progress(0.5, 1, 1.0, 0.1)
SCHEDULES = st.one_of(
    st.builds(Steady, st.floats(0.1, 1e5)),
    st.builds(Spike, st.floats(0.1, 1e4), st.floats(1, 1e4)),
    st.builds(Ramp, st.floats(0.1, 1e4)),
)


@examples(200)
@given(SCHEDULES, st.integers(0, 10_000))
def test_requests_are_due_one_after_the_other_as_many_as_have_come(
    of: Schedule, request: int
) -> None:
    due = of.due(request)
    assert due >= 0
    assert of.due(request + 1) > due
    assert of.arrivals(due) == pytest.approx(request, abs=1e-3, rel=1e-6)
    assert of.due(0) == 0


def test_a_spike_is_ten_times_as_much_in_the_middle_fifth() -> None:
    spike = Spike(10, 100)
    assert [spike.rate(at) for at in (0, 39, 41, 59, 61, 99)] == [10, 10, 100, 100, 10, 10]
    assert spike.arrivals(100) == 80 * 10 + 20 * 100
    assert spike.arrivals(60) - spike.arrivals(40) == 2_000


def test_a_ramp_has_twice_as_many_after_each_while() -> None:
    ramp = Ramp(50)
    rates = [ramp.rate(DOUBLING_SECONDS * times) for times in range(4)]
    assert rates == [50, 100, 200, 400]


def test_a_profile_needs_a_rate_and_an_end() -> None:
    for profile in Profile:
        with pytest.raises(ConfigError, match="needs a rate and a duration"):
            LoadOptions(profile=profile, requests=1).check()
        LoadOptions(profile=profile, rate=5, duration_seconds=9).check()
    assert isinstance(schedule(Profile.SOAK, 5, None), Steady)


def test_a_ramp_that_nobody_ends_has_no_more_requests_than_can_be_counted() -> None:
    endless = LoadOptions(profile=Profile.RAMP, rate=1e6, duration_seconds=86_400)
    assert isinstance(endless.scheduled, int)


# --- what happened when --------------------------------------------------------------------------


def test_a_long_run_is_told_in_longer_stretches_and_nothing_is_lost() -> None:
    timeline = Timeline()
    for second in range(5_000):
        timeline.at(second + 0.5).sent += 1
    assert timeline.seconds == 16
    assert len(timeline.stretches) <= MAX_STRETCHES
    assert sum(each.sent for each in timeline.stretches) == 5_000
    assert {each.sent for each in timeline.stretches[:-1]} == {16}


@examples(50)
@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=60), st.integers(0, 9))
def test_what_is_told_piece_by_piece_is_what_was_counted(moments: list[int], seed: int) -> None:
    """However often it is told, and though stretches become longer meanwhile."""
    ours, told = Timeline(), Timeline()
    telling, dice = Telling(), random.Random(seed)
    for at in sorted(moments):
        ours.at(at).sent += 1
        if dice.random() < 0.5:
            piece = telling.next(ours, at, NOW)
            told.put(piece.seconds, piece.first, piece.stretches)
    piece = telling.next(ours, 10_000, NOW)
    told.put(piece.seconds, piece.first, piece.stretches)
    last = len(ours.stretches) // 2 * 2
    assert [each.sent for each in told.stretches[:last]] == [
        each.sent for each in ours.stretches[:last]
    ]


def test_figures_of_several_processes_are_added() -> None:
    one, other = Histogram(), Histogram()
    for value in (0.001, 0.002, 0.003):
        one.record(value)
    for value in (0.1, 0.2):
        other.record(value)
    one.add(other)
    assert (one.count, one.max) == (5, 0.2)
    assert one.percentile(50) == pytest.approx(0.003, rel=0.01)
    assert one.percentile(90) == pytest.approx(0.2, rel=0.01)


def test_of_a_lost_process_what_it_told_is_counted() -> None:
    timeline, histogram = Timeline(), Histogram()
    stretch = timeline.at(0)
    stretch.sent, stretch.events_sent, stretch.acknowledged, stretch.events = 5, 50, 3, 30
    stretch.refused["503 UNAVAILABLE"] = 1
    stretch.latencies[histogram.record(0.02)] = 4
    report = Figures.of(timeline).report(stopped=1.0, limit=9, schedule=None, interrupted=False)
    assert (report.requests_sent, report.responses_2xx, report.unknown) == (5, 3, 1)
    assert (report.events_sent, report.events_acknowledged) == (50, 30)
    assert report.refused == {"503 UNAVAILABLE": 1}
    assert report.latency_ms.p50 == pytest.approx(20, rel=0.01)


# --- where it breaks -----------------------------------------------------------------------------


def second(milliseconds: float, *, count: int = 100, refused: int = 0) -> Stretch:
    histogram = Histogram()
    stretch = Stretch(sent=count, acknowledged=count - refused)
    stretch.latencies[histogram.record(milliseconds / 1e3)] = count
    stretch.refused["503"] = refused
    return stretch


def run_of(*seconds: Stretch) -> Timeline:
    timeline = Timeline()
    timeline.put(1, 0, seconds)
    return timeline


def test_a_ramp_breaks_where_latency_stays_tenfold_of_its_own_beginning() -> None:
    usual, slow = [second(2)] * 8, [second(30)] * 3
    found = broke(run_of(*usual, *slow), Ramp(100), 11)
    assert found is not None
    assert (found.at_seconds, found.why, found.held) == (8, "latency", 100)
    assert found.wanted == pytest.approx(Ramp(100).rate(8), abs=0.1)
    slow_machine = [second(200)] * 8, [second(900)] * 3
    assert broke(run_of(*slow_machine[0], *slow_machine[1]), Ramp(100), 11) is None


def test_a_ramp_breaks_where_requests_are_refused() -> None:
    found = broke(run_of(*[second(2)] * 6, *[second(2, refused=5)] * 3), Ramp(100), 9)
    assert found is not None
    assert (found.at_seconds, found.why) == (6, "refusals")


def test_a_second_or_two_are_no_break() -> None:
    bump = [second(2)] * 6 + [second(50)] * 2 + [second(2)] * 3
    assert broke(run_of(*bump), Ramp(100), 11) is None
    few = [second(2)] * 6 + [second(2, refused=1)] * 3
    assert broke(run_of(*few), Ramp(100), 9) is None


def test_what_is_not_over_tells_nothing() -> None:
    timeline = run_of(*[second(2)] * 6, *[second(50)] * 3)
    assert broke(timeline, Ramp(100), 8.9) is None
    assert broke(timeline, Ramp(100), 9.0) is not None


def test_a_gateway_that_answers_nothing_any_more_is_broken() -> None:
    found = broke(run_of(*[second(2)] * 6, *[Stretch(sent=9)] * 3), Ramp(100), 9)
    assert found is not None
    assert found.why == "latency"
