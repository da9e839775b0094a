"""``report``: the numbers of the page, in a terminal."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.cli import commands
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.stores.open import open_store
from tests.support.counted import MONDAY, batch, keeper, row
from tests.support.figures import follow_to_the_end

DAYS = ("--from", "2026-03-02", "--to", "2026-03-03")


@pytest.fixture
def url(tmp_path: Path) -> str:
    where = f"sqlite:///{tmp_path}/events.db"

    async def fill() -> None:
        async with open_store(where) as sink, keeper(sink) as figures:
            sold = row("IAPPurchase", None, price=4.99, currency="EUR")
            late = ["AppOpen", None, "2026-02-27T10:00:00Z", None]
            await sink.write([batch(1, "ada", MONDAY, row(), sold), batch(2, "bob", MONDAY, late)])
            await follow_to_the_end(figures)

    asyncio.run(fill())
    return where


def report(url: str, *arguments: str) -> Result:
    environment = {"PLAYSMART_STORAGE__URL": url}
    return CliRunner().invoke(commands, ("report", *arguments), env=environment)


@pytest.mark.parametrize("more", [(), ("--zone", "Atlantic/Reykjavik")], ids=str)
def test_each_day_has_a_line_and_all_have_one(url: str, more: tuple[str, ...]) -> None:
    ended = report(url, *DAYS, *more)
    assert ended.exit_code == 0
    assert [line.split() for line in ended.stdout.splitlines()[1:]] == [
        ["2026-03-02", "2", "2", "2", "0", "1", "1", "4.99", "EUR"],
        ["2026-03-03", "0", "0", "0", "0", "0", "0"],
        ["all", "2", "2", "2", "0", "1", "1", "4.99", "EUR"],
    ]
    assert "counted up to 2026-03-02T00:00:00" in ended.stderr


def test_by_when_it_happened_it_is_another_day(url: str) -> None:
    ended = report(url, "--from", "2026-02-27", "--to", "2026-02-27", "--happened", "--json")
    found = json.loads(ended.stdout)
    assert (found["source"], found["total"]["players"]) == ("events", 1)


def test_what_makes_no_sense_is_a_mistake_in_what_was_asked(url: str) -> None:
    ended = report(url, "--from", "2026-03-02", "--to", "2026-03-01")
    assert isinstance(ended.exception, ConfigError)
    assert str(ended.exception) == "first: is after last"
