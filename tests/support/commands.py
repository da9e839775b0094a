"""Commands in the process of their test, or one of their own."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from playsmart_gateway.cli import commands
from tests.support.polling import PATIENCE_SECONDS
from tests.support.process import SECRET, clean_environment


def invoke(*arguments: str, **environment: str) -> Result:
    """Run a command in this process, which is quicker; an error of ours stays an exception."""
    unset = dict.fromkeys((name for name in os.environ if name.startswith("PLAYSMART_")), None)
    settings = {f"PLAYSMART_{name}": value for name, value in environment.items()}
    return CliRunner().invoke(commands, arguments, env={**unset, **settings})


Run = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Run commands in ``tmp_path``; they are gone when the test is."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        settings = {f"PLAYSMART_{name}": value for name, value in environment.items()}
        process = subprocess.Popen(
            [sys.executable, "-m", "playsmart_gateway", *arguments],
            cwd=tmp_path,
            env=clean_environment(**settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def outcome(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, output


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


SERVE = [sys.executable, "-m", "playsmart_gateway", "serve"]


def start_and_fail(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    settings = {f"PLAYSMART_{name}": value for name, value in environment.items()}
    finished = subprocess.run(
        [*SERVE, *arguments],
        cwd=folder,
        env=clean_environment(PLAYSMART_AUTH__SECRET=SECRET, **settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert "Traceback" not in finished.stderr
    assert SECRET not in finished.stderr
    return finished.returncode, finished.stderr
