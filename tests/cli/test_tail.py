"""``tail``: beside a running gateway, and safe to look at."""

import json
import signal
from pathlib import Path

import pytest

from playsmart_gateway.cli.printing import harmless
from playsmart_gateway.cli.tail import last_events, line_of
from playsmart_gateway.stores.models import (
    EVERYTHING,
    EventFilter,
    StoredEvent,
)
from playsmart_gateway.stores.open import open_store
from tests.support import warm
from tests.support.commands import Command, Run, outcome
from tests.support.event_batches import make_batches
from tests.support.polling import PATIENCE_SECONDS, wait_until
from tests.support.process import RunningGateway, StartGateway, clean_environment
from tests.support.uploads import make_event, make_upload

EVIL = '{"t":"\x1b]0;owned\x07\u202e\x9b31m","u":"\\u001b[2J"}'


def test_what_players_wrote_can_do_nothing_to_a_terminal() -> None:
    assert (
        harmless("a\x1b[2J\r\n\x07\x9b\u202eé😀")
        == "a\\u001b[2J\\u000d\\u000a\\u0007\\u009b\\u202eé😀"
    )
    event = StoredEvent(
        1, "playsmart", "g\x1b[1m", "[red]u\n", "Custom", "n\x08", "2026-04-22T14:30:00.123456Z",
        "2026-04-22T14:30:00.123456Z", EVIL, "2026-04-22T14:30:00.123456Z", None,
    )  # fmt: skip
    line = line_of(event).plain
    assert line.isprintable()
    assert "[red]u\\u000a" in line
    assert line.startswith("2026-04-22 14:30:00.123 playsmart ")


@pytest.mark.parametrize("count", [0, 1, 3, 50])
async def test_the_last_lines_are_those_that_are_wanted(count: int) -> None:
    async with open_store("memory:") as sink:
        await sink.write(make_batches())
        reader = sink.reader()
        newest = await reader.newest_event_id()
        everything = (await reader.events(upto=newest, limit=50)).events
        for wanted in (EVERYTHING, EventFilter(user_id="ada")):
            fitting = [e for e in everything if wanted.user_id in (None, e.user_id)]
            found = await last_events(reader, wanted, newest, count)
            assert found == fitting[len(fitting) - min(count, len(fitting)) :]


@pytest.fixture
def running(start_gateway: StartGateway) -> RunningGateway:
    gateway = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.01")
    send(gateway, "ada", "old")
    gateway.settle()
    return gateway


def send(gateway: RunningGateway, player: str, name: str) -> None:
    event = make_event("Custom", customEventName=name, customdata={"t": "\x1b[31m"})
    assert gateway.post(make_upload(player, event), sub=player).status_code == 202


def printed(command: Command, lines: int) -> list[str]:
    """Wait until it has printed so many lines and return them all."""
    wait_until(lambda: command.output.count("\n") >= lines or None)
    return command.output.splitlines()


def test_new_events_follow_the_last_ones_until_ctrl_c(running: RunningGateway, run: Run) -> None:
    tail = run("tail", "--lines", "1", "--player", "ada", "--json")
    printed(tail, 1)
    for player, name in (("eve", "other"), ("ada", "new"), ("ada", "newer")):
        send(running, player, name)
    printed(tail, 3)
    tail.process.send_signal(signal.SIGINT)
    code, output = outcome(tail)
    names = [json.loads(line)["custom_event_name"] for line in output.splitlines()]
    assert (code, names) == (0, ["old", "new", "newer"])


def test_a_line_for_people_has_no_escape_when_nobody_looks(
    running: RunningGateway, run: Run
) -> None:
    tail = run("tail")
    line = printed(tail, 1)[0]
    assert line.isprintable()
    assert "com.example.game ada Custom old" in line
    tail.process.send_signal(signal.SIGINT)
    assert outcome(tail)[0] == 0


def test_a_store_that_is_not_there_is_exit_code_1(tmp_path: Path) -> None:
    finished = warm.run(
        ["tail"], folder=tmp_path, environment=clean_environment(), timeout=PATIENCE_SECONDS
    )
    assert finished.returncode == 1
    assert finished.stderr.startswith("error: there is no database at ")
