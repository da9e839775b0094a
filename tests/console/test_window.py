"""The last minute, for those who watch."""

import pytest

from playsmart_gateway.console.dashboard.window import (
    Recent,
    quantile,
)
from playsmart_gateway.metrics import Stats
from tests.support.doubles import FakeClock


def test_who_looks_first_sees_all_since_the_start_and_then_the_last_minute() -> None:
    clock, stats = FakeClock(), Stats()
    recent = Recent(lambda: stats, {"/ingest/events"}, clock)
    clock.advance(600.0)
    stats.received = 1_000
    first = recent.window()
    assert (first.seconds, first.since_start, first.received) == (600.0, True, 1_000)
    for _ in range(45):
        clock.advance(2.0)
        stats.received += 10
        window = recent.window()
    assert (window.seconds, window.since_start, window.received) == (60.0, False, 300)


def test_many_may_watch_at_once() -> None:
    clock, stats = FakeClock(), Stats()
    recent = Recent(lambda: stats, (), clock)
    clock.advance(10.0)
    for _ in range(5_000):
        clock.advance(0.05)
        stats.stored += 1
        window = recent.window()
    assert window.seconds == pytest.approx(60.0, abs=1.1)
    assert window.stored == pytest.approx(1_200, abs=22)


def test_latencies_are_those_of_the_routes_that_take_events() -> None:
    clock, stats = FakeClock(), Stats()
    recent = Recent(lambda: stats, {"/ingest/events"}, clock)
    assert recent.window().request_p50 is None
    for status in (202, 503):
        stats.observe_request("/ingest/events", status, 0.002)
    stats.observe_request("/metrics", 200, 5.0)
    stats.observe_flush("age", 10, 0.02)
    window = recent.window()
    assert (window.requests, window.flushes) == (2, 1)
    assert window.request_p99 is not None
    assert 0.001 <= window.request_p99 <= 0.0025
    assert window.flush_p50 is not None
    assert 0.01 <= window.flush_p50 <= 0.025


def test_a_quantile_is_within_its_bucket_and_never_beyond_the_last_bound() -> None:
    assert quantile(0.5, (1.0, 2.0), [0, 0, 0]) is None
    assert quantile(0.5, (1.0, 2.0), [4, 0, 0]) == 0.5
    assert quantile(0.5, (1.0, 2.0), [1, 2, 1]) == 1.5
    assert quantile(0.99, (1.0, 2.0), [0, 0, 7]) == 2.0
