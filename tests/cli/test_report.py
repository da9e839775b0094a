"""``report``: the numbers of the page, in a terminal."""

import asyncio
import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.cli import commands
from playsmart_gateway.cli.report import WHAT
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
    assert ended.exit_code == 2
    assert "there is no day from 2026-03-02 to 2026-03-01" in ended.output


def test_what_events_say_has_a_line_for_each_value(url: str) -> None:
    ended = report(url, *DAYS, "--property", "currency", "--type", "IAPPurchase", "--csv")
    assert ended.stdout.splitlines() == ["currency,events,players,before", "EUR,1,1,0"]
    ended = report(url, *DAYS, "--property", "price", "--beside", "currency", "--csv")
    assert ended.stdout.splitlines() == [
        "price,events,players,before,currency (nothing),currency EUR",
        "(nothing),2,2,0,2,0",
        "4.99,1,1,0,0,1",
    ]
    assert "numbers: mean 4.99, median 4.99" in ended.stderr


def test_revenue_and_retention_are_tables_of_their_own(url: str) -> None:
    ended = report(url, *DAYS, "--what", "revenue", "--csv")
    assert ended.stdout.splitlines()[:2] == [
        "from,EUR,purchases,unpriced,payers,conversion %,EUR a player",
        "2026-03-02,4.99,1,0,1,50.0,2.495",
    ]
    ended = report(url, *DAYS, "--what", "retention", "--csv")
    assert ended.stdout.splitlines() == [
        "from,new,D1 %,D3 %,D7 %,D14 %,D30 %", "2026-03-02,2,0.0,0.0,0.0,0.0,0.0",
    ]  # fmt: skip
    assert report(url, *DAYS, "--what", "country", "--csv").stdout.splitlines() == [
        "country,EUR,purchases,payers", "unknown,4.99,1,1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ((), "no runs to count: one counts when nothing has come of it for an hour"),
        (("--happened",), "what never arrived is known only by days of UTC"),
    ],
    ids=str,
)
def test_where_no_version_is_listed_it_says_why(url: str, more: tuple[str, ...], why: str) -> None:
    ended = report(url, *DAYS, "--what", "versions", *more)
    assert (ended.exit_code, len(ended.stdout.splitlines())) == (0, 1)
    assert why in ended.stderr


def test_sums_of_money_have_no_more_digits_than_prices(tmp_path: Path) -> None:
    where = f"sqlite:///{tmp_path}/events.db"

    async def fill() -> None:
        async with open_store(where) as sink, keeper(sink) as figures:
            sold = [row("IAPPurchase", None, price=each, currency="EUR") for each in (0.1, 0.2)]
            await sink.write([batch(1, "ada", MONDAY, *sold)])
            await follow_to_the_end(figures)

    asyncio.run(fill())
    for what in ("country", "revenue"):
        ended = report(where, *DAYS, "--what", what, "--csv")
        assert ended.stdout.splitlines()[1].split(",")[1] == "0.3"


def test_who_says_something_else_is_not_counted(url: str) -> None:
    ended = report(url, *DAYS, "--where", "currency=EUR", "--json")
    assert json.loads(ended.stdout)["total"]["events"] == 1
    ended = report(url, *DAYS, "--where", "currency=USD", "--json")
    assert json.loads(ended.stdout)["total"]["events"] == 0


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (("--where", "platform"), "must be NAME=VALUE"),
        (("--beside", "platform"), "go with --property"),
        (("--json", "--csv"), "one of --csv and --json"),
    ],
)
def test_what_contradicts_itself_is_a_mistake_of_whoever_types(
    url: str, told: tuple[str, ...], problem: str
) -> None:
    ended = report(url, *DAYS, *told)
    assert (ended.exit_code, problem in ended.stderr) == (2, True)


@pytest.mark.parametrize("what", sorted(WHAT))
def test_each_table_has_as_many_cells_as_headings(url: str, what: str) -> None:
    ended = report(url, *DAYS, "--what", what, "--csv")
    assert ended.exit_code == 0
    assert len({len(line) for line in csv.reader(ended.stdout.splitlines())}) == 1
