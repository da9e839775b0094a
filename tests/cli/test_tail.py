"""``tail``: beside a running gateway, and safe to look at."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
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
from tests.support.event_batches import make_batches
from tests.support.polling import PATIENCE_SECONDS
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
        "2026-04-22T14:30:00.123456Z", EVIL,
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


@pytest.fixture
def tail(
    running: RunningGateway, request: pytest.FixtureRequest
) -> Iterator[subprocess.Popen[str]]:
    """``tail`` beside ``running``, with the arguments that the test asks for."""
    process = subprocess.Popen(
        [sys.executable, "-m", "playsmart_gateway", "tail", *request.param],
        cwd=running.folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate(timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("tail", [["--lines", "1", "--player", "ada", "--json"]], indirect=True)
def test_new_events_follow_the_last_ones_until_ctrl_c(
    running: RunningGateway, tail: subprocess.Popen[str]
) -> None:
    assert tail.stdout is not None
    names = [json.loads(tail.stdout.readline())["custom_event_name"]]
    for player, name in (("eve", "other"), ("ada", "new"), ("ada", "newer")):
        send(running, player, name)
    names += [json.loads(tail.stdout.readline())["custom_event_name"] for _ in range(2)]
    assert names == ["old", "new", "newer"]
    tail.send_signal(signal.SIGINT)
    rest, complaints = tail.communicate(timeout=PATIENCE_SECONDS)
    assert (tail.returncode, rest, complaints) == (0, "", "")


@pytest.mark.parametrize("tail", [[]], indirect=True)
def test_a_line_for_people_has_no_escape_when_nobody_looks(
    running: RunningGateway, tail: subprocess.Popen[str]
) -> None:
    assert tail.stdout is not None
    line = tail.stdout.readline()
    assert line.rstrip("\n").isprintable()
    assert "com.example.game ada Custom old" in line
    tail.send_signal(signal.SIGINT)
    assert tail.wait(PATIENCE_SECONDS) == 0


def test_a_store_that_is_not_there_is_exit_code_1(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "playsmart_gateway", "tail"],
        cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 1
    assert finished.stderr.startswith("error: there is no database at ")
