"""Definitions: exported they fit what was learned, and every mistake in a file is told."""

from pathlib import Path
from typing import Any

import pytest

from playsmart_gateway.catalogue.configured import definitions_for, expected_of, standard_for
from playsmart_gateway.catalogue.definitions import (
    NOTHING,
    Definition,
    Expected,
    Wanted,
    misfits,
    read_definitions,
    written,
)
from playsmart_gateway.catalogue.drift import Finding, findings
from playsmart_gateway.catalogue.facts import Facts
from playsmart_gateway.config import Catalogue, Config, Game
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.stores.learned import EventKey
from tests.support.learning import GAME, NOW, key, learn, learn_at_once, looked

LEVEL = key("LevelCompleted")
HOSTILE = '"]]\n[games]\\ \u202e\x7f\U0001f3ae = é'


def read(tmp_path: Path, text: str) -> dict[EventKey, Definition]:
    path = tmp_path / "events.toml"
    path.write_text(text, "utf-8")
    return read_definitions(path)


@pytest.fixture
def facts() -> Facts:
    known = Facts()
    learn(known, looked(LEVEL, {"level": 1, "score": 2.5}), looked(LEVEL, {"level": "boss"}))
    learn_at_once(
        known,
        looked(LEVEL, {"level": 1, "score": 3, HOSTILE: None}, player="ada"),
        looked(LEVEL, {"level": 1, "score": 3, HOSTILE: None}, player="bob"),
    )
    learn(known, looked(key("Custom", HOSTILE), {}), looked(key("Custom", "jump"), None))
    return known


def test_what_is_exported_is_what_was_learned(facts: Facts, tmp_path: Path) -> None:
    found = read(tmp_path, "\n".join(written(facts)))
    assert found[LEVEL] == Definition(
        {
            HOSTILE: Wanted(frozenset({"null"}), required=False),
            "level": Wanted(frozenset({"integer", "text"}), required=True),
            "score": Wanted(frozenset({"number"}), required=False),
        },
        more=False,
    )
    assert set(found) == set(facts.entries)
    assert not [*misfits(facts, Expected(found, [GAME]))]


def test_of_one_game_or_of_all(facts: Facts) -> None:
    learn(facts, looked(key("AppOpen", game="other"), {}))
    assert "other" in "\n".join(written(facts))
    assert "other" not in "\n".join(written(facts, GAME))


def test_an_event_that_was_not_looked_at_may_have_any_properties(tmp_path: Path) -> None:
    facts = Facts()
    learn(facts, looked(LEVEL)._replace(customdata="{"))
    assert read(tmp_path, "\n".join(written(facts)))[LEVEL] == Definition({}, more=True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[events]]\ngame = 1\ntype = 'A'", "events.0.game: Expected `str`, got `int`"),
        ("[[events]]\ngame = 'g'", "events.0.type: is required"),
        ("[[events]]\ngame = 'g'\ntype = 'A'\nprops = {}", "props: unknown key"),
        ("[[event]]", "event: unknown key; did you mean events?"),
        ("[[events]]\ngame='g'\ntype='A'\n" * 2, "events.1: is there twice"),
        ("[[events]]\ngame='g'\ntype='A'\nproperties={a='int'}", "events.0.properties.a: must be"),
        ("[[events]]\ngame='g'\ntype='A'\nproperties={a='any | text'}", "properties.a: must be"),
        ("[[events]]\ngame='g'\ntype='A'\nproperties={a=''}", "properties.a: must be"),
        ("events = 3", "events: must be an array of tables"),
        ("[[events", "is not TOML"),
    ],
)
def test_every_mistake_is_told_with_its_key(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as told:
        read(tmp_path, text)
    assert problem in str(told.value)
    assert "events.toml" in str(told.value)


def undefined(facts: Facts, definitions: Any, game: str = GAME) -> list[Finding]:
    expected = Expected(definitions, [game])
    return [each for each in findings(facts, NOW, expected) if each.kind == "undefined"]


def test_what_is_not_as_defined_is_told_and_what_is_fits(facts: Facts) -> None:
    definitions = {
        LEVEL: Definition(
            {
                "level": Wanted(frozenset({"integer"}), required=True),
                "score": Wanted(frozenset({"number"}), required=True),
            },
            more=False,
        ),
        key("Custom", "jump"): Definition({}, more=False),
    }
    found = {(each.event, each.property, each.text) for each in undefined(facts, definitions)}
    assert found == {
        (HOSTILE, None, "is not defined"),
        ("LevelCompleted", HOSTILE, "is not defined"),
        ("LevelCompleted", "level", "is text in 1 of 4, and defined as integer"),
        ("LevelCompleted", "score", "is missing in 1 of 4"),
    }
    assert not undefined(facts, definitions, "another game")


def config(tmp_path: Path, events: Any, game: str = GAME) -> Config:
    path = tmp_path / "events.toml"
    path.write_text(f"[[events]]\ngame = '{game}'\ntype = 'AppOpen'\n")
    return Config(
        games=(Game(id=GAME, events=events),), catalogue=Catalogue(definitions_file=str(path))
    )


def test_what_definitions_are_for_the_game_says(tmp_path: Path) -> None:
    assert standard_for(config(tmp_path, "observe")) is None
    assert expected_of(config(tmp_path, "observe")) is NOTHING
    assert standard_for(config(tmp_path, "warn")) is None
    assert expected_of(config(tmp_path, "warn")).games == [GAME]
    assert standard_for(config(tmp_path, "enforce")) is not None


@pytest.mark.parametrize("events", ["warn", "enforce"])
def test_a_game_without_a_definition_would_have_none_of_its_events_stored(
    tmp_path: Path, events: str
) -> None:
    with pytest.raises(ConfigError, match=r"games\.0\.events: is .* defines no event"):
        definitions_for(config(tmp_path, events, "another game"))
