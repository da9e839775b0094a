"""A gateway of an earlier revision, out of the project's history: it knows neither run nor seq.

It runs under this interpreter, with the packages that are installed for the one under test.
"""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

from typing_extensions import override

from tests import ROOT
from tests.support.program import environment
from tests.support.target import Target

BEFORE_RUNS = "27a5c50"
_PROGRAM = (
    "import runpy, signal, sys; signal.alarm({}); sys.argv[1:] = ['serve'];"
    "runpy.run_module('playsmart_gateway', run_name='__main__')"
)


class NoHistory(Exception):
    """The revision cannot be had: there is no git, no history, or not that far back."""


def unpack(revision: str, folder: Path) -> None:
    """Write the program of a revision below ``folder``; ``NoHistory`` if it is not to be had."""
    command = ["git", "archive", "--format=tar", revision, "playsmart_gateway"]
    try:
        packed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    except FileNotFoundError:
        raise NoHistory("git is not installed") from None
    except subprocess.CalledProcessError as error:
        why = error.stderr.decode(errors="replace").strip()
        raise NoHistory(f"no revision {revision} in the history of {ROOT}: {why}") from None
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


class OldGateway(Target):
    """The program in ``code`` on one data folder and port."""

    def __init__(self, data: Path, code: Path, *, workers: int) -> None:
        super().__init__(data, server__workers=workers)
        self._code = code

    @override
    def start(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        settings = [f"{key}={value}" for key, value in self.settings.items()]
        command = [sys.executable, "-P", "-c", _PROGRAM.format(self.life_seconds)]
        packages = {"PYTHONPATH": str(self._code)}
        self._run(command, self.data, packages | environment(self.port, self.data, settings))
