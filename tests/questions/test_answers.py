"""At which level more attempts fail than around it."""

import pytest

from playsmart_gateway.questions.answers import MIN_ATTEMPTS, LevelRow, judged


def hard(*played: tuple[int, int]) -> list[int]:
    """The numbers, from 1, of the levels that stand out, each of so many attempts and failures."""
    rows = [LevelRow(f"{n}", 0, *each, 0, 0.0) for n, each in enumerate(played, 1)]
    marked = judged(rows)
    assert [each.level for each in marked] == [each.level for each in rows]
    return [int(each.level) for each in marked if each.stands_out]


def test_a_level_stands_out_at_which_half_as_many_again_fail_as_around_it() -> None:
    around = (1_000, 200)
    assert hard(around, around, around, (1_000, 301), around) == [4]
    assert hard(around, around, around, (1_000, 300), around) == []
    assert hard((1_000, 500), around, around) == [1]


def test_levels_that_become_harder_step_by_step_do_not_stand_out() -> None:
    assert hard(*((1_000, 50 * n) for n in range(1, 15))) == []


def test_what_chance_explains_does_not_count() -> None:
    around = (1_000, 200)
    assert hard(around, around, (40, 14), around) == []  # 0.35, of 0.2 and three times 0.063
    assert hard(around, around, (400, 140), around) == [3]


def test_where_nobody_fails_a_few_failures_are_not_many() -> None:
    around = (1_000, 0)
    assert hard(around, (100, 2), around) == []
    assert hard(around, (100, 4), around) == [2]


@pytest.mark.parametrize("few", [0, 1, MIN_ATTEMPTS - 1])
def test_of_few_attempts_nothing_is_said(few: int) -> None:
    around = (1_000, 100)
    assert hard(around, around, (few, few), around) == []
    assert hard((few, few), (few, few), (1_000, 900), around) == []


def test_those_around_are_three_on_either_side() -> None:
    hard_ones, easy = (1_000, 600), (1_000, 100)
    assert hard(hard_ones, easy, easy, easy, hard_ones, easy, easy, easy, hard_ones) == [1, 5, 9]
    assert hard(easy, easy, easy, easy, *[hard_ones] * 4) == []


def test_of_no_levels_there_is_none() -> None:
    assert hard() == []
