"""``stats --event``: the metadata of an event in the terminal, against the file of a gateway."""

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.cli import commands
from playsmart_gateway.stores.open import open_store
from tests.support.loyalty import DAY, NOON, PROGRAM, event

Invoke = Callable[..., Result]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with 40 logins on four days, and a purchase of a field that is no markup."""
    url = f"sqlite:///{tmp_path_factory.mktemp('played')}/events.db"

    async def play() -> None:
        async with open_store(url, program=PROGRAM) as sink:
            for n in range(40):
                told: dict[str, Any] = {
                    "level": n, "os": f"os {n % 3}", "flag": n % 4 == 0, "tx": f"t{n:02}",
                    **({"usergroup": "gold"} if n < 10 else {}),
                    **({"void": None} if n < 2 else {}),
                }  # fmt: skip
                await sink.commit([event(n + 1, metadata=told, at_ms=NOON + n // 10 * DAY)])
            odd: dict[str, Any] = {"[b]": "[red]", "value": Decimal("-1E+300")}
            await sink.commit([event(99, "buy", metadata=odd)])

    asyncio.run(play())
    return url


@pytest.fixture
def invoke(url: str) -> Invoke:
    def invoke_command(*arguments: str) -> Result:
        environment = {"PLAYSMART_STORAGE__URL": url, "PLAYSMART_LYNES__PROJECT": "p"}
        return CliRunner().invoke(commands, ["stats", *arguments], env=environment)

    return invoke_command


@pytest.mark.parametrize(
    "arguments",
    [["--from", "2026-04-01"], ["--app", "a", "--event", "b"], ["--app", "a", "--group", "gold"],
     ["--event", "login", "--from", "soon"],
     ["--event", "login", "--from", "2026-04-02", "--since", "2026-04-01"],
     ["--event", "login", "--from", "2026-04-02", "--to", "2026-04-01"],
     ["--event", "login", "--game", "g"]],
)  # fmt: skip
def test_what_makes_no_sense_is_a_mistake(invoke: Invoke, arguments: list[str]) -> None:
    assert invoke(*arguments).exit_code == 2


def test_an_event_that_nobody_sent_is_said_to_have_none(invoke: Invoke) -> None:
    result = invoke("--event", "watch")
    assert (result.exit_code, result.output) == (0, "no events watch are stored\n")


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    environment = {"PLAYSMART_STORAGE__URL": f"sqlite:///{tmp_path}/none.db"}
    result = CliRunner().invoke(commands, ["stats", "--event", "login"], env=environment)
    assert result.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_each_field_is_shown_with_bars(invoke: Invoke) -> None:
    lines = invoke("--event", "login").output.splitlines()
    assert lines[0] == "login: 40 events"
    assert lines[1].split() == ["2026-04-22", "10", "█" * 40]
    chapters = "\n".join(line.rstrip() for line in lines).split("\n\n")
    numbers = next(each for each in chapters if each.startswith("level"))
    assert numbers.splitlines()[:2] == [
        "level: in 40 events", "numbers: 40, min 0, mean 19.5, max 39",
    ]  # fmt: skip
    assert [line.split() for line in numbers.splitlines()[-2:]] == [
        ["10", "..", "20", "10", "█" * 20], ["20", "..", "50", "20", "█" * 40],
    ]  # fmt: skip
    strings = next(each for each in chapters if each.startswith("os"))
    assert [line.split()[:3] for line in strings.splitlines()[2:]] == [
        ["os", "0", "14"], ["os", "1", "13"], ["os", "2", "13"],
    ]  # fmt: skip
    many = next(each for each in chapters if each.startswith("tx"))
    assert many.splitlines()[-1].split()[:2] == ["(other)", "30"]
    flags = next(each for each in chapters if each.startswith("flag"))
    assert [line.split()[:2] for line in flags.splitlines()[1:]] == [
        ["true", "10"],
        ["false", "30"],
    ]
    assert next(each for each in chapters if each.startswith("void")).split()[-3:-1] == [
        "null",
        "2",
    ]


def test_days_and_a_group_limit_what_is_shown(invoke: Invoke) -> None:
    output = invoke("--event", "login", "--from", "2026-04-23", "--to", "2026-04-24").output
    assert output.startswith("login: 20 events")
    output = invoke("--event", "login", "--group", "gold").output
    assert output.startswith("login of gold: 10 events")


def test_what_clients_sent_is_no_markup(invoke: Invoke) -> None:
    output = invoke("--event", "buy").output
    assert "[b]: in 1 events" in output
    assert "[red]" in output
    assert "min -1e+300" in output


def test_machines_get_json(invoke: Invoke) -> None:
    found = json.loads(invoke("--event", "login", "--json").output)
    assert (found["event"], found["group"], found["summary"]["events"]) == ("login", None, 40)
    assert found["days"] == dict.fromkeys(
        ["2026-04-22", "2026-04-23", "2026-04-24", "2026-04-25"], 10
    )
    assert found["summary"]["fields"]["level"]["numbers"]["mean"] == 19.5
    assert found["summary"]["fields"]["tx"]["strings"]["other"] == 30
    nothing = json.loads(invoke("--event", "watch", "--json").output)
    assert nothing["summary"] == {"events": 0, "fields": {}, "unnamed": 0}


def test_what_is_not_shown_is_told(tmp_path: Path) -> None:
    async def play(url: str) -> None:
        async with open_store(url, program=PROGRAM) as sink:
            fields = {f"field {n}": n for n in range(101)}
            for n in range(33):
                await sink.commit([event(n + 1, metadata=fields, at_ms=NOON + n * DAY)])

    environment = {
        "PLAYSMART_STORAGE__URL": f"sqlite:///{tmp_path}/events.db",
        "PLAYSMART_LYNES__PROJECT": "p",
    }
    asyncio.run(play(environment["PLAYSMART_STORAGE__URL"]))
    output = CliRunner().invoke(commands, ["stats", "--event", "login"], env=environment).output
    assert "2026-04-23" not in output
    assert "\nand 2 days before\n" in output
    assert output.endswith("\nand 33 values of further fields\n")
