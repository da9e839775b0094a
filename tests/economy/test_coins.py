"""The arithmetic of coins, by hand and against exact fractions."""

from decimal import Decimal
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playsmart_gateway.economy.coins import (
    MAX_BASE_AMOUNT,
    MAX_MULTIPLIER,
    Rule,
    draws_for,
    is_whole_millionths,
)


def paying(
    bounds: tuple[int, int] = (10, 10),
    level_multiplier: float = 1.0,
    trigger_threshold: int = 0,
    trigger_multiplier: float = 0.5,
    **cap: int,
) -> Rule:
    return Rule.paying(
        "game",
        bounds=bounds,
        level_multiplier=level_multiplier,
        trigger_threshold=trigger_threshold,
        trigger_multiplier=trigger_multiplier,
        **cap,
    )


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (
            paying(bounds=(0, 0)),
            "reward_fixed_amount, reward_max_amount: nothing could ever be paid",
        ),
        (paying(level_multiplier=0.01), "level_completion_multiplier: every award would round"),
        (
            paying(bounds=(1, 1), trigger_threshold=5),
            "event_trigger_multiplier: every award would round",
        ),
        (paying(level_multiplier=0.0), "level_completion_multiplier: nothing could ever be paid"),
    ],
)
def test_a_rule_that_could_never_pay_has_a_problem(rule: Rule, problem: str) -> None:
    (told,) = rule.problems()
    assert told.startswith(problem)


def test_rules_that_can_pay_have_no_problem() -> None:
    assert paying().problems() == []
    assert paying(bounds=(0, 1)).problems() == []
    assert paying(bounds=(0, 2), trigger_threshold=3).problems() == []
    assert paying(level_multiplier=0.0, trigger_threshold=3).problems() == []
    assert not Rule("off").pays


def test_every_problem_of_a_rule_is_told_at_once() -> None:
    assert paying(bounds=(1, 1), level_multiplier=0.5, trigger_threshold=1).problems() == [
        "level_completion_multiplier: every award would round down to nothing",
        "event_trigger_multiplier: every award would round down to nothing",
    ]


def test_a_multiplier_without_its_threshold_is_as_good_as_none() -> None:
    assert paying(trigger_threshold=0, trigger_multiplier=2.0).trigger_millionths == 0
    assert paying(trigger_threshold=1, trigger_multiplier=2.0).trigger_millionths == 2_000_000


@given(st.integers(0, 50), st.lists(st.integers(0, 20), max_size=20), st.integers(0, 100))
def test_a_day_pays_the_smaller_of_cap_and_awards_and_nothing_once_more_was_paid(
    cap: int, awards: list[int], paid_under_another_cap: int
) -> None:
    rule = paying(max_per_day=cap) if cap else paying()
    paid = 0
    for award in awards:
        paid += rule.capped(award, paid)
    assert paid == (min(cap, sum(awards)) if cap else sum(awards))
    assert rule.capped(7, cap + paid_under_another_cap) == (0 if cap else 7)


def test_products_are_rounded_down() -> None:
    assert [paying(level_multiplier=each).level_award(None) for each in (1.0, 1.09, 0.999999)] == [
        10, 10, 9,
    ]  # fmt: skip
    # 0.29 * 100 is 28.999999999999996 in binary floating point.
    assert paying(bounds=(100, 100), level_multiplier=0.29).level_award(None) == 29


def test_the_trigger_pays_at_each_multiple_of_its_threshold_and_is_off_at_zero() -> None:
    rule = paying(trigger_threshold=3)
    assert [rule.trigger_award(None, count) for count in range(1, 8)] == [0, 0, 5, 0, 0, 5, 0]
    assert paying().trigger_award(None, 3) == 0


def test_the_trigger_pays_by_what_was_drawn_within_the_bounds() -> None:
    rule = paying(bounds=(10, 20), trigger_threshold=1, trigger_multiplier=1.0)
    assert [rule.trigger_award(draw, 1) for draw in (None, 9, 15, 21)] == [10, 10, 15, 20]


def test_draws_are_within_both_bounds_and_only_for_games_that_need_them() -> None:
    draws = draws_for([paying(), Rule.paying("dice", bounds=(1, 3), level_multiplier=1,
                       trigger_threshold=0, trigger_multiplier=0)])  # fmt: skip
    assert set(draws) == {"dice"}
    assert {draws["dice"]() for _ in range(200)} == {1, 2, 3}


def test_the_chance_that_is_given_is_asked_for_the_bounds_of_the_game() -> None:
    asked = []

    def largest(least: int, most: int) -> int:
        asked.append((least, most))
        return most

    draws = draws_for([paying(bounds=(2, 9)), paying(bounds=(5, 5))], largest)
    assert draws["game"]() == 9
    assert asked == [(2, 9)]


@pytest.mark.parametrize(
    ("multiplier", "fits"),
    [(1.0, True), (0.000001, True), (0.0000001, False), (0.1, True), (1e3, True)],
)
def test_multipliers_have_at_most_six_decimals(multiplier: float, fits: bool) -> None:
    assert is_whole_millionths(multiplier) is fits


@given(
    st.integers(0, MAX_BASE_AMOUNT),
    st.integers(0, MAX_BASE_AMOUNT),
    st.none() | st.integers(-5, 2 * MAX_BASE_AMOUNT),
    st.integers(0, MAX_MULTIPLIER * 1_000_000).map(lambda whole: whole / 1_000_000),
)
def test_an_award_is_the_bounded_draw_times_the_multiplier_exactly_and_fits_64_bits(
    one: int, other: int, draw: int | None, multiplier: float
) -> None:
    bounds = (min(one, other), max(one, other))
    rule = paying(bounds=bounds, level_multiplier=multiplier)
    base = bounds[0] if draw is None else min(max(draw, bounds[0]), bounds[1])
    assert rule.level_award(draw) == floor(base * Fraction(Decimal(repr(multiplier))))
    assert base * rule.level_millionths < 2**63
