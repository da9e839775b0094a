"""What the tests of the clients in other languages have in common: programs, and the adapter."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playsmart_gateway.clients.conformance import Result, run
from playsmart_gateway.clients.conformance.adapter import Adapter
from tests.clients.scripted import GAME, PLAYER, ScriptedGateway
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
