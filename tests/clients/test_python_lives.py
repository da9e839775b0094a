"""The client for Python as a process, with a gateway that runs: what was kept is stored, once."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from playsmart_gateway.clients.conformance.adapter import Adapter, Broken, Unsupported
from playsmart_gateway.clients.python.adapter import Adapter as InProcess
from playsmart_gateway.clients.python.playsmart_client import Client
from tests.clients.scripted import GAME, PLAYER, scripted_gateway
from tests.support.polling import PATIENCE_SECONDS, wait_until
from tests.support.process import StartGateway

pytestmark = pytest.mark.process

ADAPTER = (sys.executable, "-m", "playsmart_gateway.clients.python.adapter")
LIVES = 4


def ask(adapter: Adapter, do: str, **more: object) -> dict[str, Any]:
    return adapter.ask({"do": do, **more})


@pytest.fixture
def lives() -> Iterator[list[Adapter]]:
    started: list[Adapter] = []
    yield started
    for each in started:
        each.kill()


def test_what_a_killed_game_has_kept_is_stored_once_and_in_its_order(
    start_gateway: StartGateway, tmp_path: Path, lives: list[Adapter]
) -> None:
    """Killed while it tracks, while it sends, and behind an answer that nobody read."""
    gateway = start_gateway(BUFFER__FLUSH_INTERVAL_SECONDS="0.01")
    who = {"url": gateway.url, "user": PLAYER, "game": GAME, "token": gateway.token(PLAYER)}
    kept = 0
    for life in range(LIVES):
        adapter = Adapter(ADAPTER, PATIENCE_SECONDS)
        lives.append(adapter)
        assert ask(adapter, "init", dir=str(tmp_path / "queue"), **who) == {"ok": True}
        for _ in range(120 + life):
            assert ask(adapter, "track", type="AppOpen", data={"n": kept})["ok"]
            kept += 1
        if life % 2:
            adapter.tell([{"do": "flush"}])
            if life > 1:
                wait_until(lambda: gateway.events_after(0) or None)
        adapter.kill()
    adapter = Adapter(ADAPTER, PATIENCE_SECONDS)
    lives.append(adapter)
    ask(adapter, "init", dir=str(tmp_path / "queue"), **who)
    assert ask(adapter, "flush")["left"] == 0
    gateway.settle()
    stored = [json.loads(row["customdata"])["n"] for row in gateway.events_after(0)]
    assert sorted(stored) == list(range(kept))
    assert stored == sorted(stored)


def test_in_a_hurry_it_pauses_less_and_gives_up_sooner(tmp_path: Path) -> None:
    with scripted_gateway() as gateway:
        who = {"url": gateway.url, "user": "a", "game": GAME, "token": "t"}
        hurried = InProcess()
        hurried.init(str(tmp_path), **who, hurry=1e6)
        assert hurried.client.answer_seconds * 1e6 == pytest.approx(Client.answer_seconds)
        hurried.client.answer_seconds = Client.answer_seconds  # or nothing would be answered
        hurried.track("AppOpen", data={"n": 0})
        gateway.script(500, 500, 500)
        for _ in range(3):
            assert hurried.flush() == {"sent": 0, "left": 1, "status": 500}
            time.sleep(0.001)
        assert hurried.flush()["sent"] == 1


def states(told: Mapping[str, Any]) -> tuple[object, ...]:
    assert told["ok"]
    return told["queued"], told["opted_out"], told["disabled"]


def test_the_adapter_speaks_the_protocol(tmp_path: Path, lives: list[Adapter]) -> None:
    adapter = Adapter(ADAPTER, PATIENCE_SECONDS)
    lives.append(adapter)
    with pytest.raises(Broken, match="state failed: LookupError"):
        ask(adapter, "state")
    with pytest.raises(Unsupported):
        ask(adapter, "dance")
    with scripted_gateway() as gateway:
        gateway.script(401)
        who = {"url": gateway.url, "user": "a", "game": GAME, "token": "old"}
        assert ask(adapter, "init", dir=str(tmp_path / "q"), **who) == {"ok": True}
        assert ask(adapter, "track", type="Custom", name="boss", data={"n": 0}) == {"ok": True}
        assert states(ask(adapter, "state")) == (1, False, False)
        assert ask(adapter, "flush") == {"ok": True, "sent": 0, "left": 1, "status": 401}
        assert ask(adapter, "token", token="new") == {"ok": True}
        assert ask(adapter, "flush") == {"ok": True, "sent": 1, "left": 0, "status": 202}
        assert ask(adapter, "flush") == {"ok": True, "sent": 0, "left": 0, "status": None}
        run = ask(adapter, "state")["run"]
        assert [each.batch["run"] for each in gateway.requests] == [run, run]
        assert ask(adapter, "track", type="AppOpen", data={"n": 1}) == {"ok": True}
        assert ask(adapter, "background") == {"ok": True}
        assert gateway.sent[-1] == (1, 1)
        assert ask(adapter, "clock", seconds=-86_400) == {"ok": True}
        assert ask(adapter, "track", type="AppOpen", data={"n": 2}) == {"ok": True}
        assert ask(adapter, "flush")["sent"] == 1
        assert gateway.requests[-1].batch["run"] != run
        assert ask(adapter, "optout") == {"ok": True}
        assert ask(adapter, "track", type="AppOpen") == {"ok": True}
        assert states(ask(adapter, "state")) == (0, True, False)
        assert ask(adapter, "optin") == {"ok": True}
        with pytest.raises(Broken, match="track failed: TypeError"):
            ask(adapter, "track")
        assert ask(adapter, "quit") == {"ok": True}
    assert adapter.ends()
