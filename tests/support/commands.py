"""Commands in the process of their test, or one of their own."""

import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.cli import commands, main
from tests.support import warm
from tests.support.polling import PATIENCE_SECONDS
from tests.support.process import SECRET, clean_environment


def invoke(*arguments: str, **environment: str) -> Result:
    """Run a command in this process, which is quicker; an error of ours stays an exception."""
    unset = dict.fromkeys((name for name in os.environ if name.startswith("PLAYSMART_")), None)
    settings = {f"PLAYSMART_{name}": value for name, value in environment.items()}
    # Nor is one that is deployed on this machine to be found.
    none = {"PLAYSMART_CONFIG": ""}
    return CliRunner().invoke(commands, arguments, env={**unset, **none, **settings})


class Command:
    """A command as a process of its own, in ``folder``; what it prints goes to a file there."""

    def __init__(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> None:
        handle, name = tempfile.mkstemp(prefix="printed-", dir=folder)
        self._printed = Path(name)
        try:
            self.process = warm.start(
                arguments, folder=folder, environment=environment, stdout=handle
            )
        finally:
            os.close(handle)

    @property
    def output(self) -> str:
        """What it has printed so far, to standard output and error."""
        return self._printed.read_text("utf-8", "replace")


Run = Callable[..., Command]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Run commands in ``tmp_path``; they are gone when the test is."""
    started: list[Command] = []

    def start(*arguments: str, **environment: str) -> Command:
        settings = {f"PLAYSMART_{name}": value for name, value in environment.items()}
        started.append(Command(arguments, tmp_path, clean_environment(**settings)))
        return started[-1]

    yield start
    for command in started:
        command.process.kill()
        command.process.wait()


RunHere = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> RunHere:
    """Run a command that ends by itself as its users do, but in this process: it is quicker."""

    def run_main(
        *arguments: str, without: Sequence[str] = (), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as patched:
            patched.chdir(tmp_path)
            patched.setattr(sys, "argv", ["playsmart-gateway", *arguments])
            for name in [name for name in os.environ if name.startswith("PLAYSMART_")]:
                patched.delenv(name)
            given = {"CONFIG": "", **environment}
            for name, value in given.items():
                if name not in without:
                    patched.setenv(f"PLAYSMART_{name}", value)
            with pytest.raises(SystemExit) as exited:
                main()
        told = capsys.readouterr()
        return subprocess.CompletedProcess(
            arguments, cast(int, exited.value.code), told.out, told.err
        )

    return run_main


def outcome(command: Command) -> tuple[int, str]:
    """Wait for its end; return its exit code and what it printed."""
    return command.process.wait(PATIENCE_SECONDS), command.output


def fetch(port: int, path: str) -> tuple[int, str] | None:
    try:
        url = f"http://127.0.0.1:{port}{path}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return None


def start_and_fail(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    settings = {f"PLAYSMART_{name}": value for name, value in environment.items()}
    finished = warm.run(
        ["serve", *arguments],
        folder=folder,
        environment=clean_environment(PLAYSMART_AUTH__SECRET=SECRET, **settings),
        timeout=PATIENCE_SECONDS,
    )
    assert "Traceback" not in finished.stderr
    assert SECRET not in finished.stderr
    return finished.returncode, finished.stderr
