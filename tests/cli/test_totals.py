"""``stats`` without an app."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.cli import commands
from playsmart_gateway.stores.open import open_store
from tests.support.event_batches import make_batches


@pytest.fixture
def url(tmp_path: Path) -> str:
    where = f"sqlite:///{tmp_path}/events.db"

    async def fill() -> None:
        async with open_store(where) as sink:
            await sink.write(make_batches())

    asyncio.run(fill())
    return where


def stats(url: str, *arguments: str) -> Result:
    environment = {"PLAYSMART_STORAGE__URL": url}
    return CliRunner().invoke(commands, ("stats", *arguments), env=environment)


def test_an_app_takes_no_filters(url: str) -> None:
    result = stats(url, "--app", "spin", "--player", "ada")
    assert (result.exit_code, "no filters" in result.output) == (2, True)


def test_nothing_is_told_in_words(url: str) -> None:
    result = stats(url, "--game", "nowhere")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no such events" in result.stderr


def test_events_are_counted_by_game_type_name_and_day_with_bars(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playsmart_gateway.cli.totals.EVENTS_PER_READ", 4)
    types, days, total = stats(url).stdout.split("\n\n")
    rows = [line.split()[:5] for line in types.splitlines()[1:]]
    assert ["playsmart", "stack", "AppOpen", "3", "█" * 30] in rows
    assert ["playsmart", "stack", "Custom", "j", "2"] in rows
    assert [line.split()[1] for line in days.splitlines()[1:]] == ["3", "4", "2", "1"]
    assert "2026-04-02 " in days
    assert "█" * 30 in days
    assert total == "10 events\n"


def test_counts_are_json_for_machines_and_filters_hold(url: str) -> None:
    found = json.loads(stats(url, "--json", "--player", "ada", "--name", "j").stdout)
    assert found == {
        "events": 1,
        "counts": [
            {"source": "playsmart", "game_id": "stack", "type": "Custom",
             "custom_event_name": "j", "day": "2026-04-01", "events": 1},
        ],
    }  # fmt: skip
    assert json.loads(stats(url, "--json", "--name", "k").stdout) == {"events": 0, "counts": []}
