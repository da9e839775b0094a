"""``catalogue``: what was learned, for people and machines."""

import asyncio
import json
import tomllib
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.catalogue.follower import Follower
from playsmart_gateway.cli import commands
from playsmart_gateway.events.batch import Batch
from playsmart_gateway.metrics import Stats
from playsmart_gateway.stores.open import open_store
from tests.support.event_batches import make_batches


async def learn(url: str, batches: list[Batch]) -> None:
    async with open_store(url) as store:
        await store.write(batches)
        assert store.learned is not None
        async with store.learned as learned:
            await Follower(learned, Stats()).step()


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/events.db"
    asyncio.run(learn(url, make_batches()))
    return url


def run(url: str, *arguments: str) -> Result:
    environment = {"PLAYSMART_STORAGE__URL": url}
    return CliRunner().invoke(commands, ("catalogue", *arguments), env=environment)


def test_names_are_listed_with_how_many_there_are(url: str) -> None:
    told = run(url)
    assert told.exit_code == 0, told.output
    rows = {tuple(line.split()[:3]) for line in told.output.splitlines()}
    assert {("stack", "AppOpen", "3"), ("spin", "AppOpen", "2"), ("spin", "j", "2")} < rows


def test_one_event_is_shown_with_its_properties(url: str) -> None:
    told = run(url, "--event", "j", "--game", "stack")
    assert "j of stack, 2 looked at" in told.output
    assert "integer 100 %" in told.output
    assert "spin" not in told.output


def test_machines_get_all_of_it_and_nothing_of_players(url: str) -> None:
    told = run(url, "--json")
    content = json.loads(told.output)
    assert content["followed"] == {"position": 4, "end": 4}
    assert sum(each["events"] for each in content["events"]) == 10
    assert {"ada", "bob", "eve"}.isdisjoint(told.output.replace('"', " ").split())


def test_without_anything_learned_it_says_why(tmp_path: Path) -> None:
    async def make() -> None:
        async with open_store(f"sqlite:///{tmp_path}/new.db"):
            pass

    asyncio.run(make())
    told = run(f"sqlite:///{tmp_path}/new.db")
    assert told.exit_code == 0
    assert "nothing is learned yet" in told.output


def test_a_store_that_keeps_none_says_so() -> None:
    told = run("memory:")
    assert told.exit_code == 1
    assert "keeps no catalogue" in told.output


ODD = (
    "my game", "it's \"odd\"", "ünï.cödé 游戏 \U0001f3ae", "a.b.c", "back\\slash", "$HOME `id`",
    "-dash", "tab\there", "new\nline", "[x] = #y", "\u202eevil\x7f\x85\u2028",
)  # fmt: skip


@pytest.mark.parametrize("charset", ["utf-8", "latin-1", "ascii"])
def test_an_export_is_toml_in_any_locale_whatever_games_events_and_properties_are_called(
    tmp_path: Path, charset: str
) -> None:
    url = f"sqlite:///{tmp_path}/odd.db"
    batches: list[Batch] = []
    for player in ("ada", "bob"):
        for game in ODD:
            rows = [["Custom", name, "2026-04-22T14:30:00Z", {name: 1}] for name in ODD]
            batch = Batch("playsmart", game, player, len(rows), msgspec.json.encode(rows))
            batch.journal, batch.sequence = "44" * 16, len(batches) + 1
            batch.received_at = 1_776_868_200_000_001
            batches.append(batch)
    asyncio.run(learn(url, batches))
    environment = {"PLAYSMART_STORAGE__URL": url}
    for arguments, games in (*((("--game", game), {game}) for game in ODD), ((), set(ODD))):
        told = CliRunner(charset=charset).invoke(
            commands, ("catalogue", "export", *arguments), env=environment
        )
        assert told.exit_code == 0, told.exception
        events = tomllib.loads(told.stdout_bytes.decode())["events"]
        assert {each["game"] for each in events} == games
        assert len(events) == len(games) * len(ODD)
    assert {name for each in events for name in each.get("properties", {})} == set(ODD)


def test_an_export_of_a_game_that_nobody_sent_says_so(url: str) -> None:
    told = run(url, "export", "--game", "stak")
    assert "[[events]]" not in told.stdout
    assert "no event of the game 'stak' is known. Did you mean stack?" in told.stderr
