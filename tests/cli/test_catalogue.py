"""``catalogue``: what was learned, for people and machines."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.catalogue.follower import Follower
from playsmart_gateway.cli import commands
from playsmart_gateway.metrics import Stats
from playsmart_gateway.stores.open import open_store
from tests.support.event_batches import make_batches


@pytest.fixture
def url(tmp_path: Path) -> str:
    async def learn(url: str) -> None:
        async with open_store(url) as store:
            await store.write(make_batches())
            assert store.learned is not None
            async with store.learned as learned:
                await Follower(learned, Stats()).step()

    url = f"sqlite:///{tmp_path}/events.db"
    asyncio.run(learn(url))
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
