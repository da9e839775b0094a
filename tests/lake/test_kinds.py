"""What the catalogue knows of a game decides what its columns are, and of which type."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from playsmart_gateway.catalogue.definitions import Definition, Definitions, wanted_of
from playsmart_gateway.catalogue.follower import Follower
from playsmart_gateway.cli import commands
from playsmart_gateway.lake.forgetting import erase_player
from playsmart_gateway.lake.kinds import BEHIND_BATCHES, defined_kinds, learned_kinds
from playsmart_gateway.lake.manifest import Properties
from playsmart_gateway.lake.place import Place
from playsmart_gateway.lake.writer import Writer
from playsmart_gateway.metrics import Stats
from playsmart_gateway.stores.learned import EventKey, Kept
from playsmart_gateway.stores.open import open_store
from tests.lake.stored import GAME, batch, lake_in, manifest_of, rows_in, store
from tests.support.stores import execute


def defined(**properties: str) -> Definitions:
    """Definitions of one event of the game."""
    wanted = {name: wanted_of(text) for name, text in properties.items()}
    known = {name: each for name, each in wanted.items() if each is not None}
    assert len(known) == len(properties)
    return {EventKey("playsmart", GAME, "Custom", "e0"): Definition(known, more=True)}


def kept(**types: Mapping[str, int]) -> Kept:
    """What was learned of one event whose properties had types so often."""
    properties = {
        name: {"types": {each: {"looks": looks} for each, looks in seen.items()}}
        for name, seen in types.items()
    }
    text = msgspec.json.encode({"looked": 9, "properties": properties}).decode()
    return Kept(1, 1, {EventKey("playsmart", GAME, "Custom", "e0"): text})


async def learn(url: str) -> None:
    """Have the catalogue learn all that is stored."""
    async with open_store(url) as sink:
        assert sink.learned is not None
        async with sink.learned as learned:
            follower = Follower(learned, Stats())
            while await follower.step():
                pass


async def write(url: str, place: Place, definitions: Definitions | None = None) -> Properties:
    """Write the lake, and return what is a column of the game."""
    async with open_store(url).reader() as reader:
        writer = Writer(place, reader, definitions=definitions)
        while (await writer.step()).more:
            pass
    return manifest_of(place).games[GAME]


async def test_what_is_no_property_of_the_catalogue_stays_in_customdata_until_it_is(
    database_url: str, tmp_path: Path
) -> None:
    place = lake_in(tmp_path)
    await store(database_url, batch(1, {"level": 1, "score": 2.5}))
    await learn(database_url)
    await store(database_url, batch(2, {"level": 2, "fresh": 7}))
    assert await write(database_url, place) == {"level": "int", "score": "float"}
    assert rows_in(place, "p_level, customdata", "ORDER BY 1") == [(1, None), (2, '{"fresh":7}')]
    await learn(database_url)
    await store(database_url, batch(3, {"level": 3, "fresh": 8}))
    assert (await write(database_url, place))["fresh"] == "int"
    assert rows_in(place, "p_fresh, customdata", "WHERE p_level = 3") == [(8, None)]


async def test_a_definition_says_the_type_however_few_values_there_are_and_of_which(
    tmp_path: Path,
) -> None:
    url, place = f"sqlite:///{tmp_path}/events.db", lake_in(tmp_path)
    await store(url, batch(1, {"level": "x", "other": 1}, {"level": "y"}, {"level": 3}))
    definitions = defined(level="integer", boss="text?", path="list")
    assert await write(url, place, definitions) == {"level": "int", "boss": "text"}
    assert rows_in(place, "p_level, p_boss, customdata", "ORDER BY event_id") == [
        (None, None, '{"level":"x","other":1}'),
        (None, None, '{"level":"y"}'),
        (3, None, None),
    ]


async def test_a_definition_comes_before_what_was_learned(tmp_path: Path) -> None:
    url, place = f"sqlite:///{tmp_path}/events.db", lake_in(tmp_path)
    await store(url, batch(1, {"level": 1, "won": True}))
    await learn(url)
    assert await write(url, place, defined(level="number")) == {"level": "float", "won": "bool"}


async def test_a_column_that_is_there_already_only_becomes_wider(tmp_path: Path) -> None:
    url, place = f"sqlite:///{tmp_path}/events.db", lake_in(tmp_path)
    await store(url, batch(1, {"a": 1, "b": "x", "c": 1.5, "d": 2}))
    before = await write(url, place)
    assert before == {"a": "int", "b": "text", "c": "float", "d": "int"}
    await store(url, batch(2, {"a": 2.5, "b": 7, "c": 2}))
    definitions = defined(a="number", b="integer", c="integer", d="integer")
    assert await write(url, place, definitions) == before | {"a": "float"}
    assert rows_in(place, "p_a, p_b, p_c", "ORDER BY event_id") == [(1, "x", 1.5), (2.5, "7", 2)]


async def test_of_a_game_that_nobody_knows_and_behind_the_catalogue_the_lake_looks_itself(
    tmp_path: Path,
) -> None:
    url, place = f"sqlite:///{tmp_path}/events.db", lake_in(tmp_path)
    await store(url, batch(1, {"a": 1}))
    await learn(url)
    await store(url, batch(2, {"b": True}, game_id="other"))
    assert await write(url, place) == {"a": "int"}
    assert manifest_of(place).games["other"] == {"b": "bool"}
    await store(url, batch(3, {"c": "x"}))  # nobody learns any more
    assert await write(url, place) == {"a": "int", "c": "text"}


async def test_while_the_catalogue_is_far_behind_the_store_the_lake_looks_itself(
    tmp_path: Path,
) -> None:
    url, place = f"sqlite:///{tmp_path}/events.db", lake_in(tmp_path)
    await store(url, batch(1, {"a": 1}))
    await learn(url)
    await store(url, batch(2, {"b": 1}))
    far = BEHIND_BATCHES + 2
    await execute(url, f"UPDATE batches SET batch_id = {far} WHERE batch_id = 2")
    await execute(url, f"UPDATE event_rows SET event_id = {far * 256} WHERE event_id = 512")
    assert await write(url, place) == {"a": "int", "b": "int"}


async def test_a_catalogue_that_is_damaged_does_not_stop_the_lake(tmp_path: Path) -> None:
    url, place = f"sqlite:///{tmp_path}/events.db", lake_in(tmp_path)
    await store(url, batch(1, {"a": 1}))
    await execute(url, "DELETE FROM catalogue_state")
    assert await write(url, place) == {"a": "int"}


async def test_what_a_player_may_have_written_as_a_name_is_no_column(tmp_path: Path) -> None:
    """Nor if two wrote it, so that the catalogue knows it, or if a definition says it."""
    url, place = f"sqlite:///{tmp_path}/events.db", lake_in(tmp_path)
    await store(url, batch(1, {"level": 1, "ada was here": 1, "i <3 bob": 1}))
    await store(url, batch(2, {"level": 1, "i <3 bob": 2}, user_id="bob"))
    await learn(url)
    definitions = defined(level="integer", **{"dear diary": "text"})
    assert await write(url, place, definitions) == {"level": "int"}
    assert [text for (text,) in rows_in(place, "customdata", "ORDER BY event_id")] == [
        '{"ada was here":1,"i <3 bob":1}',
        '{"i <3 bob":2}',
    ]


async def test_nothing_of_an_erased_player_stays_whatever_the_catalogue_knows(
    tmp_path: Path,
) -> None:
    url, place = f"sqlite:///{tmp_path}/events.db", lake_in(tmp_path)
    ada = "ada-7f3c"
    said = {"level": 1, "note": f"by {ada}", f"of {ada}": f"{ada}!"}
    await store(url, batch(1, said, user_id=ada), batch(2, {"level": 2, "note": "hi"}))
    await learn(url)
    assert await write(url, place) == {"level": "int", "note": "text"}
    assert erase_player(place, ada) == 1
    files = [each.read_bytes() for each in (tmp_path / "lake").rglob("*") if each.is_file()]
    assert ada.encode() not in b"".join(files) + str(rows_in(place, "*")).encode()
    assert rows_in(place, "p_level, p_note") == [(2, "hi")]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("boolean", "bool"), ("integer?", "int"), ("number", "float"), ("text", "text"),
        ("integer | number", "float"), ("integer | text", "text"), ("integer | null", "int"),
        ("boolean | integer", "text"), ("list | text", "text"),
    ],
)  # fmt: skip
def test_a_definition_is_a_column_that_takes_all_its_scalars(text: str, kind: str) -> None:
    assert defined_kinds(defined(x=text)) == {GAME: {"x": kind}}


@pytest.mark.parametrize("text", ["any", "list", "object | null"])
def test_a_definition_without_a_scalar_says_nothing_of_a_column(text: str) -> None:
    assert defined_kinds(defined(x=text)) == {GAME: {}}


def test_what_was_learned_is_of_the_type_of_most_and_the_most_frequent_is_first() -> None:
    found = learned_kinds(
        kept(
            a={"integer": 5, "text": 1}, b={"integer": 4, "number": 3},
            c={"integer": 2, "boolean": 2, "text": 4, "null": 9}, d={"list": 9, "null": 1},
        )
    )  # fmt: skip
    assert list(found[GAME].items()) == [("c", "text"), ("b", "float"), ("a", "int")]


def test_the_command_reads_the_definitions_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    url = f"sqlite:///{tmp_path}/events.db"
    asyncio.run(store(url, batch(1, {"level": 3, "other": 1})))
    file = tmp_path / "events.toml"
    file.write_text(
        f'[[events]]\ngame = "{GAME}"\ntype = "Custom"\n[events.properties]\nlevel = "number"\n'
    )
    values: dict[str, Any] = {
        "STORAGE__URL": url, "LAKE__URL": tmp_path / "lake", "CATALOGUE__DEFINITIONS_FILE": file,
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(f"PLAYSMART_{name}", str(value))
    assert CliRunner().invoke(commands, ["lake", "--once"]).exit_code == 0
    assert manifest_of(lake_in(tmp_path)).games == {GAME: {"level": "float"}}
