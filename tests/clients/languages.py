"""What tests of clients in other languages share: programs, the adapter, what holds for all."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playsmart_gateway.clients.conformance import Result, run
from playsmart_gateway.clients.conformance.adapter import Adapter
from tests.clients.scripted import GAME, PLAYER, ScriptedGateway, scripted_gateway
from tests.support.polling import PATIENCE_SECONDS


def output(command: Sequence[str | Path], folder: Path | None = None, /, **environment: str) -> str:
    """Run a program in a folder, with more in its environment, and return what it printed."""
    ended = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment},
        capture_output=True, text=True, timeout=PATIENCE_SECONDS * 4, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def shell(command: str, folder: Path, **environment: str) -> str:
    """Run a line of the shell as ``output`` runs a program."""
    return output(["/bin/sh", "-c", command], folder, **environment)


def not_passed(command: Sequence[str], cases: Sequence[str], jobs: int) -> list[Result]:
    """Play cases of conformance; return what became of those that did not pass."""
    results = run(command, cases, seconds=PATIENCE_SECONDS, jobs=jobs)
    return [each for each in results if each.verdict != "passed"]


@contextmanager
def begun(command: Sequence[str], gateway: ScriptedGateway, folder: Path) -> Iterator[Adapter]:
    """Start an adapter, and a client in it."""
    with Adapter(command, PATIENCE_SECONDS) as client:
        begin(client, gateway, folder)
        yield client


def begin(client: Adapter, gateway: ScriptedGateway, folder: Path, hurry: float = 1) -> None:
    """Have it make a client, whose queue is in ``folder``."""
    who = {"url": gateway.url, "user": PLAYER, "game": GAME, "token": "token"}
    client.ask({"do": "init", "dir": str(folder), **who, "hurry": hurry})


def track(client: Adapter, number: int = 0) -> None:
    """Have it keep an event, whose ``n`` is ``number``."""
    client.ask({"do": "track", "type": "AppOpen", "data": {"n": number}})


def hold_to_three_events(gateway: ScriptedGateway) -> None:
    """Assert that a program sent its three events, each once; a slow one takes two requests."""
    numbers = [first + each for first, count in gateway.sent for each in range(count)]
    assert numbers == [0, 1, 2]
    assert {each.token for each in gateway.requests} == {"token"}


def hold_to_locks(command: Sequence[str], folder: Path) -> None:
    """Assert that a client leaves alone the file that another process writes in its folder."""
    with scripted_gateway() as gateway, begun(command, gateway, folder) as one:
        track(one, 0)
        with begun(command, gateway, folder) as other:
            track(other, 0)
            assert one.ask({"do": "state"})["queued"] == 1
            assert other.ask({"do": "flush"})["sent"] == 1
            track(one, 1)
            assert one.ask({"do": "flush"})["sent"] == 2


def hold_to_certificates(command: Sequence[str], folder: Path) -> None:
    """Assert that a client sends nothing where it does not know who signed the certificate."""
    queue = folder / "queue"
    with scripted_gateway(folder) as gateway, begun(command, gateway, queue) as client:
        track(client)
        told = client.ask({"do": "flush"})
        assert (told["sent"], told["left"], told["status"]) == (0, 1, None)
        assert (gateway.requests, gateway.asked_for_settings) == ([], 0)
