"""How far behind, and for how long: of any sequence of numbers, never nonsense."""

import math

from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.console.promise.pace import LITTLE, WINDOW_SECONDS, Behind, Pace


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def watch(*amounts: int | None, every: float = 2.0, failures: tuple[int, ...] = ()) -> Behind:
    """What is told after these amounts were seen, one after another."""
    clock = Clock()
    pace = Pace(clock)
    for place, amount in enumerate(amounts):
        failed = failures[place] if failures else 0
        told = pace.look({"audit": amount}, {"audit": failed})["audit"]
        clock.now += every
    return told


def test_what_is_not_known_is_not_timed() -> None:
    assert watch(None) == Behind(None, "unknown", None)
    assert watch(1_000, 900, None).seconds is None


def test_one_look_tells_how_far_and_not_how_long() -> None:
    assert watch(5_000) == Behind(5_000, "unknown", None)


def test_nothing_behind_is_done() -> None:
    assert watch(0) == Behind(0, "done", 0.0)
    assert watch(50_000, 0) == Behind(0, "done", 0.0)


def test_what_gets_less_evenly_is_timed_by_that() -> None:
    for looks in (2, 3, 10, 25):
        amounts = [100_000 - 1_000 * each for each in range(looks)]
        told = watch(*amounts)
        assert told.state == "catching_up"
        assert told.seconds is not None
        assert math.isclose(told.seconds, amounts[-1] / 500, rel_tol=1e-6)


def test_what_was_seen_more_than_a_minute_ago_tells_nothing() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.look({"lake": 1_000_000}, {})
    clock.now += WINDOW_SECONDS + 1
    assert pace.look({"lake": 10_000}, {})["lake"].state == "unknown"


def test_what_grows_falls_behind_and_what_stands_still_is_not_timed() -> None:
    assert watch(1_000, 2_000, 3_000, 4_000) == Behind(4_000, "falling_behind", None)
    assert watch(1_000, 1_000, 1_000) == Behind(1_000, "unknown", None)


def test_a_little_that_comes_and_goes_keeps_up() -> None:
    assert watch(3, 40, 7, 12, 60, 9).state == "keeps_up"


def test_what_fails_is_not_said_to_be_done() -> None:
    assert watch(0, 0, failures=(0, 1)) == Behind(0, "unknown", None)
    assert watch(0, 0, failures=(1, 1)) == Behind(0, "done", 0.0)


def test_those_who_look_at_once_do_not_make_the_minute_shorter() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.look({"audit": 100_000}, {})
    for _ in range(1_000):
        pace.look({"audit": 99_000}, {})
    clock.now += 10
    told = pace.look({"audit": 90_000}, {})["audit"]
    assert told.seconds == 90.0


@given(
    st.lists(
        st.tuples(st.none() | st.integers(0, 10**12), st.floats(0, 100), st.integers(0, 2)),
        min_size=1,
        max_size=60,
    )
)
def test_whatever_is_seen_a_time_is_finite_and_not_negative_or_there_is_none(
    seen: list[tuple[int | None, float, int]],
) -> None:
    clock = Clock()
    pace = Pace(clock)
    failed = 0
    for amount, passed, more in seen:
        clock.now += passed
        failed += more
        told = pace.look({"it": amount}, {"it": failed})["it"]
        assert told.behind == amount
        assert told.seconds is None or (math.isfinite(told.seconds) and told.seconds >= 0)
        assert (told.state == "catching_up") == bool(told.seconds)
        if amount is not None and amount > LITTLE:
            assert told.state not in ("done",)
