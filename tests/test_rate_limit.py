"""Rate limits in fixed windows of a second."""

import os
import struct
import time
from collections.abc import Callable

import pytest

from playsmart_gateway.rate_limit import (
    RETRY_AFTER_SECONDS,
    Limit,
    RateLimit,
    SharedCounts,
    SlowLimit,
    steady_clock,
)
from tests.support.doubles import FakeClock


def test_the_call_after_the_last_allowed_one_is_refused() -> None:
    limit = RateLimit(3, FakeClock())
    assert [limit.take("app") for _ in range(5)] == [True, True, True, False, False]


def test_refused_calls_are_not_counted_against_the_next_second() -> None:
    clock = FakeClock()
    limit = RateLimit(2, clock)
    for _ in range(100):
        limit.take("app")
    clock.advance(RETRY_AFTER_SECONDS)
    assert [limit.take("app") for _ in range(3)] == [True, True, False]


def test_keys_do_not_share_their_calls() -> None:
    limit = RateLimit(1, FakeClock())
    assert limit.take("one")
    assert limit.take("other")
    assert not limit.take("one")


@pytest.mark.parametrize(
    ("start", "step", "allowed"),
    [(1_000.0, 0.999, False), (1_000.9, 0.1, True), (1_000.5, 0.5, True), (0.0, 0.5, False)],
)
def test_windows_begin_at_whole_seconds(start: float, step: float, allowed: bool) -> None:
    clock = FakeClock(start)
    limit = RateLimit(1, clock)
    assert limit.take("app")
    clock.advance(step)
    assert limit.take("app") is allowed


def test_a_pause_of_many_seconds_saves_nothing_up() -> None:
    clock = FakeClock()
    limit = RateLimit(1, clock)
    clock.advance(60)
    assert [limit.take("app") for _ in range(2)] == [True, False]


def test_a_limit_of_zero_limits_nothing() -> None:
    limit = RateLimit(0, FakeClock())
    assert all(limit.take("app") for _ in range(10_000))


def test_a_clock_set_back_opens_a_new_window() -> None:
    clock = FakeClock()
    limit = RateLimit(1, clock)
    limit.take("app")
    clock.advance(-10)
    assert limit.take("app")


def test_the_seconds_of_the_limits_begin_with_those_of_the_wall_and_nobody_sets_them() -> None:
    before = time.monotonic()
    offset = steady_clock() - before
    assert abs(offset + before - time.time()) < 60, "unless the clock is set while tests run"
    assert steady_clock() - before - offset <= time.monotonic() - before


def test_only_the_keys_of_one_second_are_remembered() -> None:
    clock = FakeClock()
    limit = RateLimit(1, clock)
    for name in range(1_000):
        limit.take(f"app-{name}")
    clock.advance(1)
    limit.take("app")
    assert limit._taken == {"app": 1}


# --- shared by processes -------------------------------------------------------------------------


def test_a_shared_limit_counts_as_a_limit_of_one_process_does() -> None:
    clock = FakeClock()
    counts = SharedCounts(3)
    limit, other = counts.limit(2, ("app", "b"), clock), counts.limit(1, ("app",), clock)
    assert [limit.take("app") for _ in range(3)] == [True, True, False]
    assert limit.take("b")
    assert [other.take("app") for _ in range(2)] == [True, False]
    clock.advance(1)
    assert [limit.take("app") for _ in range(3)] == [True, True, False]
    clock.advance(-10)
    assert limit.take("app"), "a clock set back opens a new window"


def test_a_shared_limit_of_zero_limits_nothing() -> None:
    limit = SharedCounts(1).limit(0, ("app",), FakeClock())
    assert all(limit.take("app") for _ in range(10_000))


@pytest.mark.parametrize("make", [lambda *each: RateLimit(each[0], each[2]), SharedCounts(1).limit])
def test_a_call_that_is_given_back_may_be_taken_again(make: Callable[..., Limit]) -> None:
    limit = make(2, ("app",), FakeClock())
    limit.give_back("app")
    assert [limit.take("app") for _ in range(3)] == [True, True, False], "it was none"
    limit.give_back("app")
    assert [limit.take("app") for _ in range(2)] == [True, False]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # xdist has threads
def test_processes_together_take_no_more_than_the_limit() -> None:
    counts = SharedCounts(1)
    limit = counts.limit(1_000, ("app",), FakeClock())
    read, write = os.pipe()
    children = []
    for _ in range(3):
        pid = os.fork()
        if not pid:
            taken = sum(limit.take("app") for _ in range(600))
            os.write(write, struct.pack("<q", taken))
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    assert sum(struct.unpack("<3q", os.read(read, 24))) == 1_000
    os.close(read)
    os.close(write)


# --- slow limits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("per_minute", [1, 3, 7, 60, 1_000])
def test_a_minutes_worth_may_come_at_once_and_then_one_after_the_other(per_minute: int) -> None:
    clock = FakeClock()
    limit = SlowLimit(per_minute, clock)
    assert [limit.take("ada") for _ in range(per_minute)] == [0.0] * per_minute
    wait = limit.take("ada")
    assert wait == pytest.approx(60 / per_minute)
    assert limit.take("eve") == 0.0
    clock.advance(wait)
    assert limit.take("ada") == 0.0
    assert limit.take("ada") > 0.0


def test_who_is_refused_by_a_slow_limit_does_not_wait_longer_for_it() -> None:
    clock = FakeClock()
    limit = SlowLimit(1, clock)
    assert [limit.take("ada") for _ in range(4)] == [0.0, 60.0, 60.0, 60.0]


def test_a_slow_limit_of_zero_limits_nothing() -> None:
    limit = SlowLimit(0, FakeClock())
    assert not any(limit.take("ada") for _ in range(10_000))


def test_a_slow_limit_remembers_so_many_keys_and_the_last_ones() -> None:
    limit = SlowLimit(1, FakeClock(), max_keys=2)
    assert [limit.take(key) for key in ("ada", "eve", "bob")] == [0.0] * 3
    assert limit.take("eve") > 0.0
    assert limit.take("bob") > 0.0
    assert limit.take("ada") == 0.0
