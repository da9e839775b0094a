"""What fits its definition passes, what does not is told without a value."""

from typing import Any

import msgspec
import pytest

from playsmart_gateway.catalogue.definitions import Definition, Wanted, wanted_of
from playsmart_gateway.catalogue.facts import TYPES
from playsmart_gateway.catalogue.judging import MAX_REASON_LENGTH, PREFIX, Standard
from playsmart_gateway.events.batch import PLAYSMART, TEAK, Batch
from tests.support.learning import GAME, key

VALUES: dict[str, Any] = {
    "boolean": True, "integer": 3, "list": [1, {"a": "b"}], "null": None, "number": 2.5,
    "object": {"a": [1]}, "text": "x",
}  # fmt: skip


def batch(*rows: tuple[str, str | None, Any], source: str = PLAYSMART, game: str = GAME) -> Batch:
    encoded = [[kind, name, "2026-04-22T12:00:00Z", data] for kind, name, data in rows]
    return Batch(source, game, "ada", len(rows), msgspec.json.encode(encoded))


def standard(properties: dict[str, str], *, more: bool = False) -> Standard:
    types: dict[str, Wanted] = {}
    for name, text in properties.items():
        one = wanted_of(text)
        assert one is not None
        types[name] = one
    definition = Definition(types, more)
    return Standard({key("LevelCompleted"): definition, key("Custom", "jump"): definition}, [GAME])


def misfit(held_to: Standard, data: Any) -> str | None:
    of_type = held_to.misfit(batch(("LevelCompleted", None, data)))
    of_name = held_to.misfit(batch(("Custom", "jump", data)))
    assert (of_type is None) == (of_name is None)
    return of_type


@pytest.mark.parametrize("defined", TYPES)
@pytest.mark.parametrize("sent", TYPES)
def test_a_value_of_each_type_fits_that_type_alone(defined: str, sent: str) -> None:
    fits = defined == sent or (defined, sent) == ("number", "integer")
    assert (misfit(standard({"a": defined}), {"a": VALUES[sent]}) is None) == fits
    assert misfit(standard({"a": "any"}), {"a": VALUES[sent]}) is None
    assert misfit(standard({"a": f"{defined} | {sent}"}), {"a": VALUES[sent]}) is None


@pytest.mark.parametrize(
    ("properties", "data", "problem"),
    [
        ({"level": "integer"}, {}, "object missing required field `level`"),
        ({"level": "integer"}, None, "expected object, got null"),
        ({"level": "integer?"}, {"Level": 1}, "object contains unknown field `Level`"),
        ({"level": "integer"}, {"level": "4711"}, "expected integer, got text - at `$.level`"),
        ({"level": "integer"}, {"level": 2.5}, "expected integer, got number - at `$.level`"),
    ],
)
def test_what_does_not_fit_is_told_without_its_value(
    properties: dict[str, str], data: Any, problem: str
) -> None:
    found = standard(properties).misfit(batch(("LevelCompleted", None, data)))
    assert found == f"{PREFIX}LevelCompleted: {problem}"


@pytest.mark.parametrize("data", [None, {}, {"level": 3}])
def test_what_may_be_missing_may_be(data: Any) -> None:
    assert misfit(standard({"level": "integer?"}), data) is None


def test_more_properties_pass_where_the_definition_says_so() -> None:
    assert misfit(standard({"level": "integer?"}, more=True), {"x": 1}) is None


def test_names_that_are_no_identifiers_and_large_numbers_are_held_to_it_too() -> None:
    held_to = standard({"a b": "integer", "class": "number", "": "text"})
    assert misfit(held_to, {"a b": 10**30, "class": 10**300, "": "x"}) is None
    assert misfit(held_to, {"a b": 1, "class": 1}) is not None


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "\0"])
def test_names_that_are_hard_to_write_are_held_to_it_in_the_same_way(name: str) -> None:
    held_to = standard({name: "integer", "b": "text?"})
    assert misfit(held_to, {name: 1}) is None
    assert misfit(held_to, {name: 1, "b": "x"}) is None
    assert misfit(standard({name: "integer?"}), None) is None
    assert misfit(standard({name: "any"}, more=True), {name: [1], "c": 1}) is None

    def problem(data: Any) -> str:
        found = held_to.misfit(batch(("LevelCompleted", None, data)))
        assert found is not None
        return found.removeprefix(f"{PREFIX}LevelCompleted: ")

    shown = {"a\nb": "a\\nb", "\0": "\\x00"}.get(name, name)
    assert problem({name: "4711"}) == f"expected integer, got text - at `$.{shown}`"
    assert problem({name: 1, "b": 2}) == "expected text, got integer - at `$.b`"
    assert problem({}) == problem(None) == f"object missing required field `{shown}`"
    assert problem({name: 1, "c": 1}) == "object contains unknown field `c`"


def test_one_event_that_does_not_fit_is_enough_and_one_that_is_not_defined_too() -> None:
    held_to = standard({"level": "integer"})
    right = ("LevelCompleted", None, {"level": 1})
    assert held_to.misfit(batch(*[right] * 200)) is None
    assert held_to.misfit(batch(*[right] * 199, ("AppOpen", None, None))) == (
        f"{PREFIX}AppOpen: is not defined"
    )
    long = held_to.misfit(batch(right, ("Custom", "x" * 10_000, None)))
    assert long is not None
    assert len(long) <= MAX_REASON_LENGTH


def test_other_games_and_other_dialects_are_not_held_to_it() -> None:
    held_to = standard({"level": "integer"})
    assert held_to.misfit(batch(("AppOpen", None, None), game="another")) is None
    assert held_to.misfit(batch(("AppOpen", None, None), source=TEAK)) is None


@pytest.mark.parametrize("rows", [b"", b"[[", b'[["AppOpen"]]', b"{}"])
def test_what_cannot_be_read_is_for_the_store_to_refuse(rows: bytes) -> None:
    assert standard({"level": "integer"}).misfit(Batch(PLAYSMART, GAME, "ada", 1, rows)) is None
