"""What is odd is told at once, by counts; what is as ever is not."""

from typing import Any

import pytest

from playsmart_gateway.catalogue.drift import (
    MAX_FINDINGS,
    MISSED,
    SETTLED_EVENTS,
    SETTLED_LOOKS,
    TOLD_SECONDS,
    findings,
)
from playsmart_gateway.catalogue.facts import Facts
from tests.support.learning import NOW, key, learn, looked

LEVEL = key("LevelCompleted")
OPEN = key("AppOpen")
LATER = "2026-04-22T12:00:01.000000Z"
USUAL: dict[str, Any] = {"level": 3, "score": 10}


@pytest.fixture
def facts() -> Facts:
    """A game that is known well."""
    known = Facts()
    usual = [looked(LEVEL, USUAL, version="2.1.4"), looked(OPEN, {"mode": "fast"}, version="2.1.4")]
    learn(known, *usual, times=SETTLED_EVENTS)
    return known


def told(facts: Facts) -> set[tuple[str, str, str | None]]:
    return {(each.kind, each.event, each.property) for each in findings(facts, NOW)}


def test_what_is_as_ever_is_not_odd(facts: Facts) -> None:
    assert told(facts) == set()


def test_in_a_new_game_nothing_is_news() -> None:
    facts = Facts()
    for place in range(SETTLED_EVENTS):
        learn(facts, looked(key("Custom", f"event {place}"), {f"p{place}": 1}))
    assert told(facts) == set()


def test_a_new_name_is_told_with_its_first_event(facts: Facts) -> None:
    learn(facts, looked(key("Custom", "boss_defeated"), {}))
    assert told(facts) == {("new_event", "boss_defeated", None)}


def test_a_new_property_is_told_with_its_first_event(facts: Facts) -> None:
    learn(facts, looked(LEVEL, {**USUAL, "hearts": 2}))
    assert told(facts) == {("new_property", "LevelCompleted", "hearts")}


def test_another_type_is_told_with_its_first_event(facts: Facts) -> None:
    learn(facts, looked(LEVEL, {**USUAL, "level": "3"}))
    (found,) = findings(facts, NOW)
    assert (found.kind, found.property) == ("type_changed", "level")
    assert found.text == f"was integer, and is text in 1 of {SETTLED_EVENTS + 1}"


@pytest.mark.parametrize("value", [2.5, None])
def test_a_fraction_or_a_null_is_no_other_type(facts: Facts, value: object) -> None:
    learn(facts, looked(LEVEL, {**USUAL, "score": value}))
    assert told(facts) == set()


def test_a_property_that_is_not_there_any_more_is_told(facts: Facts) -> None:
    without = looked(LEVEL, {"level": 3}, version="2.1.4")
    learn(facts, without, times=int(MISSED) - 1)
    assert told(facts) == set()
    learn(facts, without)
    assert told(facts) == {("vanished_property", "LevelCompleted", "score")}
    learn(facts, looked(LEVEL, USUAL, version="2.1.4"))
    assert told(facts) == set()


def test_a_property_that_is_rare_may_be_away_for_long(facts: Facts) -> None:
    rare = {**USUAL, "level": 4, "score": 11}
    for _ in range(SETTLED_LOOKS):
        learn(facts, looked(OPEN, {"mode": "fast", "gift": 1}))
        learn(facts, looked(OPEN, {"mode": "fast"}), looked(LEVEL, rare), times=9)
    learn(facts, looked(OPEN, {"mode": "fast"}), looked(LEVEL, rare), times=9 * int(MISSED))
    assert ("vanished_property", "AppOpen", "gift") not in told(facts)
    learn(facts, looked(OPEN, {"mode": "fast"}), looked(LEVEL, rare), times=2 * int(MISSED))
    assert ("vanished_property", "AppOpen", "gift") in told(facts)


def test_an_event_that_does_not_come_any_more_is_told(facts: Facts) -> None:
    learn(facts, looked(LEVEL, USUAL, version="2.1.4"), times=2 * int(MISSED) + 1)
    assert told(facts) == {("vanished_event", "AppOpen", None)}


def test_an_event_that_only_a_newer_version_does_not_send_is_told(facts: Facts) -> None:
    both = [
        looked(LEVEL, USUAL, version="2.1.5", at=LATER),
        looked(LEVEL, USUAL, version="2.1.4", at=LATER),
        looked(OPEN, {"mode": "fast"}, version="2.1.4", at=LATER),
    ]
    learn(facts, *both, times=2 * int(MISSED) - 1)
    assert told(facts) == set()
    learn(facts, *both)
    (found,) = findings(facts, NOW)
    assert (found.kind, found.event) == ("vanished_event", "AppOpen")
    assert found.text == "does not come of version 2.1.5, where 100 would have come"
    learn(facts, looked(OPEN, {"mode": "fast"}, version="2.1.5", at=LATER))
    assert told(facts) == set()


def test_an_event_that_an_older_version_never_had_is_as_ever(facts: Facts) -> None:
    boss = key("Custom", "boss")
    mixed = [
        looked(LEVEL, USUAL, version="2.1.4", at=LATER),
        looked(OPEN, {"mode": "fast"}, version="2.1.4", at=LATER),
        looked(boss, {}, version="2.1.5", at=LATER),
        looked(LEVEL, USUAL, version="2.1.5", at=LATER),
        looked(OPEN, {"mode": "fast"}, version="2.1.5", at=LATER),
    ]
    learn(facts, *mixed, times=4 * int(MISSED))
    assert told(facts) == {("new_event", "boss", None)}


def test_a_version_of_which_nothing_comes_any_more_is_told(facts: Facts) -> None:
    learn(
        facts,
        looked(LEVEL, USUAL, version="2.1.5"),
        looked(OPEN, {"mode": "fast"}, version="2.1.5"),
        times=int(MISSED),
    )
    (found,) = findings(facts, NOW)
    assert found.kind == "version_stopped"
    assert "2.1.4" in found.text


@pytest.mark.parametrize(
    ("spelt", "usual"), [("Level", "level"), ("le_vel", "level"), ("SCORE", "score")]
)
def test_a_property_that_is_spelt_in_another_way_is_told(
    facts: Facts, spelt: str, usual: str
) -> None:
    learn(facts, looked(OPEN, {"mode": "fast", spelt: 3}))
    (found,) = (each for each in findings(facts, NOW) if each.kind == "near_miss")
    assert found.text == f"is spelt {spelt}, where others spell it {usual}"


def test_what_the_gateway_itself_looks_for_is_spelt_right_though_nobody_does() -> None:
    facts = Facts()
    learn(facts, looked(LEVEL, {"Level": 3, "durationSeconds": 7}), times=3)
    found = {each.property: each.text for each in findings(facts, NOW)}
    assert found == {
        "Level": "is spelt Level, where others spell it level",
        "durationSeconds": "is spelt durationSeconds, where others spell it duration_seconds",
    }


def test_a_custom_event_that_is_called_like_a_type_or_another_one_is_told(facts: Facts) -> None:
    learn(facts, looked(key("Custom", "level_completed"), {}))
    learn(facts, looked(key("Custom", "boss_down"), {}), times=2)
    learn(facts, looked(key("Custom", "BossDown"), {}))
    found = {each.event for each in findings(facts, NOW) if each.kind == "near_miss"}
    assert found == {"level_completed", "BossDown"}


@pytest.mark.parametrize(
    ("clock", "words"), [("past", "before 2007"), ("future", "more than 26 hours ahead")]
)
def test_a_clock_that_is_out_of_the_question_is_told(facts: Facts, clock: str, words: str) -> None:
    learn(facts, looked(LEVEL, USUAL, clock=clock))
    (found,) = findings(facts, NOW)
    assert (found.kind, found.event) == ("clock", "LevelCompleted")
    assert found.text.startswith(f"1 of {SETTLED_EVENTS + 1} are dated ")
    assert found.text.endswith(words)


def test_what_was_odd_is_not_told_for_ever(facts: Facts) -> None:
    learn(facts, looked(key("Custom", "boss_defeated"), {}))
    assert findings(facts, NOW + TOLD_SECONDS - 86_401)
    assert not findings(facts, NOW + TOLD_SECONDS)


def test_there_are_never_more_findings_than_one_can_read(facts: Facts) -> None:
    for place in range(MAX_FINDINGS):
        data = {f"p{place}_{each}": 1 for each in range(20)}
        learn(facts, looked(key("Custom", f"new {place}"), data))
    learn(facts, *(looked(key("Custom", f"new {place}"), {}) for place in range(MAX_FINDINGS)))
    assert len(findings(facts, NOW)) <= MAX_FINDINGS
