"""The apps of the configuration, checked as a whole."""

import tomllib
from typing import Any

import msgspec
import pytest

from playsmart_gateway.dialects.teak.apps import App, read_apps
from playsmart_gateway.dialects.teak.deep_links import resolve
from playsmart_gateway.dialects.teak.section import TeakApp
from playsmart_gateway.errors import ConfigError

MINIMAL = {"id": "app", "secret_key": "secret"}
NOTHING = {"id": "", "secret_key": ""}
LINKED = MINIMAL | {"link_domains": ["Game.example"]}


def as_configured(*tables: dict[str, Any]) -> list[TeakApp]:
    return [msgspec.convert(table, TeakApp) for table in tables]


def problems(*tables: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_apps(as_configured(*tables))
    assert "secret-4711" not in str(caught.value)
    return list(caught.value.problems)


def test_an_app_with_everything() -> None:
    tables = tomllib.loads("""
        [[teak.apps]]
        id = "app"
        secret_key = ["new", "old"]
        link_domains = ["game.example", "GO.example"]
        [teak.apps.links]
        "/shop/" = "teak1:///shop"
        "https://Go.example/shop?x=1" = "teak1:///sale?level={{ level }}"
        [teak.apps.properties]
        level = "string"
        coins = "number"
    """)["teak"]["apps"]
    app = read_apps(as_configured(*tables))["app"]
    assert app == App(
        "app",
        (b"new", b"old"),
        frozenset({"game.example", "go.example"}),
        {"/shop": "teak1:///shop", "go.example/shop": "teak1:///sale?level={{ level }}"},
        {"level": "string", "coins": "number"},
    )
    assert resolve("https://game.example/shop", app.link_domains, app.links) == "teak1:///shop"
    assert resolve("https://go.example/shop", app.link_domains, app.links) != "teak1:///shop"


def test_no_apps_are_no_mistake() -> None:
    assert read_apps([]) == {}


def test_every_secret_is_believed_and_nothing_else() -> None:
    app = App("app", (b"new", b"old", "s\u00e4cret".encode()))
    assert all(map(app.believes, ["new", "old", "s\u00e4cret"]))
    assert not any(map(app.believes, ["", "ne", "newx", "New", "secret", "s\u00e4", "x" * 100_000]))
    assert not App("app", ()).believes("")


NO_SECRETS: list[Any] = ["", [], [""], ["secret-4711", ""]]
NO_HOSTS: list[Any] = [[""], ["https://a"], ["a/b"], ["a..b"], ["*.a"]]
NO_KINDS: list[Any] = [{"a": "text"}, {"a": ""}]
NOT_OURS = ["", "a", "game.example/a", "https://other.example/a", "teak1:///", "https:///a"]
MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    (MINIMAL | {"id": ""}, ["id: must be a string of 1 to 256 characters"]),
    (MINIMAL | {"id": "x" * 257}, ["id: must be a string of 1 to 256 characters"]),
    *[
        (
            MINIMAL | {"secret_key": wrong},
            ["secret_key: must be a string or an array of strings, none of them empty"],
        )
        for wrong in NO_SECRETS
    ],
    *[
        (MINIMAL | {"link_domains": wrong}, ["link_domains: must be an array of host names"])
        for wrong in NO_HOSTS
    ],
    *[
        (LINKED | {"links": {wrong: "a:///"}}, [f'links."{wrong}": is not on a link domain'])
        for wrong in NOT_OURS
    ],
    (MINIMAL | {"links": {"/a": "a:///"}}, ['links."/a": is not on a link domain']),
    (
        LINKED | {"links": {"/a": "a:///", "/a/": "b:///"}},
        ['links."/a/": is the same link as another'],
    ),
    *[
        (
            LINKED | {"links": {"/a": wrong}},
            ['links."/a": must lead to a link with a scheme of the game'],
        )
        for wrong in ("", "/b", "HTTPS://game.example/b", "http://b", "{{ a }}:///")
    ],
    *[
        (
            LINKED | {"links": {"/a": wrong}},
            ['links."/a": is not a Liquid template that can be used here'],
        )
        for wrong in ("a:///{{", "a:///{% for i in (1..9) %}{% endfor %}", "a:" + "x" * 3_000)
    ],
    *[
        (
            MINIMAL | {"properties": wrong},
            ["properties: must be a table of string and number"],
        )
        for wrong in NO_KINDS
    ],
    (
        MINIMAL | {"properties": {f"p{n}": "number" for n in range(129)}},
        ["properties: has more than 128 of kind number"],
    ),
]


@pytest.mark.parametrize(("table", "expected"), MISTAKES)
def test_a_mistake_is_led_by_its_key(table: dict[str, Any], expected: list[str]) -> None:
    assert problems(table) == [f"teak.apps.0.{problem}" for problem in expected]


def test_128_properties_of_each_kind_are_allowed() -> None:
    kinds = {f"s{n}": "string" for n in range(128)} | {f"n{n}": "number" for n in range(128)}
    assert len(read_apps(as_configured(MINIMAL | {"properties": kinds}))["app"].properties) == 256


def test_the_mistakes_of_all_apps_are_told_at_once() -> None:
    assert problems(MINIMAL, {"id": "other", "secret_key": []}, MINIMAL, NOTHING) == [
        "teak.apps.1.secret_key: must be a string or an array of strings, none of them empty",
        "teak.apps.2.id: is the id of another app, too",
        "teak.apps.3.id: must be a string of 1 to 256 characters",
        "teak.apps.3.secret_key: must be a string or an array of strings, none of them empty",
    ]
